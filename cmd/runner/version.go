package main

import (
	"context"
	"runtime/debug"
	"strconv"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/usage"
	"focalgrid/columns"
	"focalgrid/experiments/plan"
)

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version and what decides the bits of results",
		Long: `Print the version and revision of the program, what it was built with, and what decides
the bits of its results.`,
		Example: "  runner version",
		Args:    usage.Args,
		RunE:    a.work(func(context.Context, []string) error { return a.version() }),
	}
}

func (a *app) version() error {
	m := machine{engine: "auto"}
	r, err := m.open(a)
	if err != nil {
		return err
	}
	defer r.close()
	revision := r.host.Revision
	if r.host.Dirty {
		revision += " with changes"
	}
	columns.Text(a.out, "", [][]string{
		{"version", programVersion()},
		{"revision", revision},
		{"go", r.host.Go},
		{"engine", r.Engine.Info().Name},
		{"kernels", r.host.Kernels},
		{"numerics", strconv.Itoa(plan.Numerics)},
	}, columns.AllLeft)
	return nil
}

// programVersion is the module's version, "(devel)" for a build from a checkout.
func programVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
