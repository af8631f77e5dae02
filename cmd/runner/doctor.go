package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/usage"
	"focalgrid/columns"
	"focalgrid/detector"
	"focalgrid/engine/gomlx"
	"focalgrid/experiments"
	"focalgrid/experiments/plan"
	"focalgrid/gpu"
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
		Long: `Report what this machine offers and what is installed: engine, kernels, threads, the GPUs
that this process may use, the PJRT plugin of --engine xla or where one was looked for, cache,
pretrained weights inside the program, and database. doctor changes nothing.`,
		Example: `  runner doctor
  runner doctor --db runs/short.db`,
		Args:              usage.Args,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              a.work(func(ctx context.Context, _ []string) error { return a.doctor(ctx, o) }),
	}
	dbFlag(cmd, &o.db)
	machineFlags(cmd, &o.m)
	return cmd
}

func (a *app) doctor(ctx context.Context, o *doctorOptions) error {
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
		{"threads", threadsLine(r.Engine.Info().Threads)},
	}
	rows = append(rows, gpuLines(ctx)...)
	rows = append(rows, [][]string{
		{"xla", pluginLine()},
		{"cache", cacheLine(r.Cache)},
		{"weights", weightsLine(r)},
		{"database", db},
	}...)
	columns.Text(a.out, "", rows, columns.AllLeft)
	return bad(dbErr)
}

func threadsLine(threads int) string {
	if threads == 0 {
		return "as many as the plugin takes"
	}
	return fmt.Sprintf("%d of %d cores", threads, runtime.NumCPU())
}

// gpuLines list the GPUs that this process may use, a line each, and report how they are used.
func gpuLines(ctx context.Context) [][]string {
	list, err := gpu.Find(ctx)
	if err != nil {
		return [][]string{{"gpu", "none listed: " + err.Error()}}
	}
	known := func(name, value string) string {
		return name + " " + cmp.Or(value, "not known")
	}
	memory := func(bytes int64) string {
		if bytes == 0 {
			return ""
		}
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	}
	rows := [][]string{{"gpu", fmt.Sprintf("%d, %s, %s (asked: %s); --engine xla computes on one where its plugin is one of CUDA, the other engines do not",
		len(list.Devices), known("driver", list.Driver), known("CUDA", list.CUDA), list.By)}}
	for _, d := range list.Devices {
		rows = append(rows, []string{fmt.Sprintf("gpu %d", d.Index),
			strings.Join([]string{d.String(), known("compute capability", d.Compute), known("memory", memory(d.Memory)), known("free", memory(d.Free))}, ", ")})
	}
	return rows
}

// pluginLine reports what --engine xla would load, or where it looks for a plugin.
func pluginLine() string {
	path, err := gomlx.FindPlugin("")
	if err != nil {
		return err.Error()
	}
	return "plugin " + path
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
