package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/usage"
	"focalgrid/columns"
	"focalgrid/detector"
	"focalgrid/experiments"
	"focalgrid/experiments/plan"
	"focalgrid/results"
	"focalgrid/results/record"
)

type doctorOptions struct {
	db string
	m  machine
}

func newDoctor(a *app) *cobra.Command {
	o := &doctorOptions{}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Report what this machine offers and what is installed",
		Long: `Report what this machine offers and what is installed: engine, kernels, threads, cache,
pretrained weights inside the program, database, and the GPU or why none is used. doctor
changes nothing.`,
		Example: `  runner doctor
  runner doctor --db runs/short.db`,
		Args:              usage.Args,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              a.work(func(context.Context, []string) error { return a.doctor(o) }),
	}
	dbFlag(cmd, &o.db)
	machineFlags(cmd, &o.m)
	return cmd
}

func (a *app) doctor(o *doctorOptions) error {
	r, err := o.m.open(a)
	if err != nil {
		return err
	}
	defer r.close()
	db, dbErr := databaseLine(o.db)
	rows := [][]string{
		{"program", fmt.Sprintf("%s, revision %.12s, numerics %d", programVersion(), r.host.Revision, plan.Numerics)},
		{"go", runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH},
		{"cpu", r.host.CPU},
		{"engine", r.Engine.Info().Name + ", on the " + r.Engine.Info().Device},
		{"kernels", r.host.Kernels},
		{"threads", fmt.Sprintf("%d of %d cores", r.Engine.Info().Threads, runtime.NumCPU())},
		{"gpu", gpuLine()},
		{"cache", cacheLine(r.Cache)},
		{"weights", weightsLine(r)},
		{"database", db},
	}
	columns.Text(a.out, "", rows, columns.AllLeft)
	return bad(dbErr)
}

// gpuLine reports whether there is a GPU, and why it is not used.
func gpuLine() string {
	const none = "this build has no GPU engine: everything runs on the CPU"
	if path, err := exec.LookPath("nvidia-smi"); err == nil {
		return "not used: " + path + " is there, but " + none
	}
	if _, err := os.Stat("/dev/nvidia0"); err == nil {
		return "not used: /dev/nvidia0 is there, but " + none
	}
	return "none found (no nvidia-smi, no /dev/nvidia0); " + none
}

func cacheLine(dir string) string {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return dir + ", not made yet"
	}
	files, size := 0, int64(0)
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			files++
			size += info.Size()
		}
		return err
	})
	if err != nil {
		return fmt.Sprintf("%s: %v", dir, err)
	}
	return fmt.Sprintf("%s, %s, %.1f MB", dir, columns.Count(files, "file"), float64(size)/1e6)
}

// weightsLine lists the backbones inside the program, and reports whether the profile mini starts from
// one of them.
func weightsLine(r *rig) string {
	found, err := experiments.Embedded()
	if err != nil {
		return err.Error()
	}
	cfg, err := detector.Settings.LoadBaseline("mini", plan.Selection{})
	if err != nil {
		return err.Error()
	}
	key := r.PretrainKey(&cfg)
	if len(found) == 0 {
		if r.HasPretrained(&cfg) {
			return fmt.Sprintf("none inside; mini's backbone %.12s is in the cache", key)
		}
		return fmt.Sprintf("none inside; mini's backbone %.12s is trained on first use", key)
	}
	var parts []string
	for _, p := range found {
		parts = append(parts, fmt.Sprintf("%.12s %s, accuracy %s", p.Key, p.Where, p.Accuracy))
	}
	fits := "not what mini starts from: its backbone " + key[:12] + " is trained on first use"
	if slices.ContainsFunc(found, func(p experiments.Pretrained) bool { return p.Key == key }) {
		fits = "mini starts from it"
	}
	return strings.Join(parts, "; ") + "; " + fits
}

// databaseLine counts the trials of the database. The error is about a file that is not a database.
func databaseLine(path string) (string, error) {
	store, err := results.OpenExisting(path)
	if errors.Is(err, results.ErrNoDatabase) {
		return path + ", not made yet", nil
	}
	if err != nil {
		return path + ", can't be used", err
	}
	defer store.Close()
	if err := store.Check(); err != nil {
		return path + ", can't be used", err
	}
	status, err := store.Status(results.Filter{})
	if err != nil {
		return path + ", can't be used", err
	}
	var parts []string
	for _, s := range []string{record.StatusDone, record.StatusDiverged, record.StatusFailed, record.StatusInterrupted, record.StatusRunning} {
		if status[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", status[s], s))
		}
	}
	if len(parts) == 0 {
		parts = []string{"no trials"}
	}
	return path + ": " + strings.Join(parts, ", "), nil
}
