package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"strconv"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/usage"
	"focalgrid/columns"
	"focalgrid/engine"
	"focalgrid/experiments"
	"focalgrid/experiments/plan"
	"focalgrid/page"
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
	columns.Text(a.out, "", [][]string{
		{"version", programVersion()},
		{"revision", revisionOf(r.host)},
		{"go", r.host.Go},
		{"engine", r.Engine.Info().Name},
		{"kernels", r.host.Kernels},
		{"numerics", strconv.Itoa(plan.Numerics)},
	}, columns.AllLeft)
	return nil
}

// revisionOf names the code that the program was built from.
func revisionOf(h experiments.Host) string {
	if h.Dirty {
		return h.Revision + " with changes"
	}
	return h.Revision
}

// made tells how a page is made that is written now.
func (a *app) made() page.Made {
	revision := revisionOf(experiments.DescribeHost(engine.Info{}))
	return page.Made{Command: usage.Line(a.args...), Version: fmt.Sprintf("%s (revision %s)", programVersion(), revision), At: a.now()}
}

// programVersion is the module's version, "(devel)" for a build from a checkout.
func programVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
