package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/terminal"
	"focalgrid/cmd/runner/usage"
	"focalgrid/detector"
	"focalgrid/experiments"
	"focalgrid/experiments/plan"
	"focalgrid/results"
	"focalgrid/results/record"
)

// app is shared by all verbs.
type app struct {
	out, err *terminal.Output
	now      func() time.Time
	args     []string // the command line
}

func newApp(stdout, stderr io.Writer) *app {
	return &app{out: &terminal.Output{Raw: stdout}, err: &terminal.Output{Raw: stderr}, now: time.Now}
}

// verbs are the commands in the order of the help. To add one, add a line.
var verbs = []func(*app) *cobra.Command{
	newSweep, newTable, newReport, newPlot, newLs, newShow, newCompare, newVerify, newDetect, newEval, newPretrain, newSettings, newModel, newData, newDB, newBench, newDoctor, newVersion, newWorker,
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "runner",
		Short: "Ablations of dense object detectors, from a grid file to the paper's table",
		Long: `Ablations of dense object detectors, from a grid file to the paper's table.

A sweep trains a full RetinaNet for each row of a grid file, evaluates COCO AP,
records everything in one SQLite file, and prints the paper's table with ours
beside it. Without data it draws a synthetic data set in COCO's format.

Exit codes:
  0  success
  1  a trial or other work failed, a check found a problem, an output could not be
     written, or AP did not pass a gate of eval
  2  a bad file or flag; nothing was written
  3  interrupted`,
		Example: `  runner sweep smoke              # does everything work here? about a minute
  runner sweep gamma              # Table 1b of the paper, small
  runner sweep gamma --dry-run    # what the sweep would train, and what it costs
  runner doctor                   # what this machine offers`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          usage.Verb,
	}
	version := root.Flags().Bool("version", false, "print the version, as the command version does")
	root.RunE = a.work(func(context.Context, []string) error {
		if *version {
			return a.version()
		}
		return root.Help()
	})
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(usage.FlagError)
	for _, verb := range verbs {
		root.AddCommand(verb(a))
	}
	return root
}

// work runs a parsed verb. An error that is not caused by a file or a flag is a failure, or the
// interruption.
func (a *app) work(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := f(cmd.Context(), args)
		var c *coded
		switch {
		case err == nil || errors.As(err, &c):
			return err
		case cmd.Context().Err() != nil && errors.Is(err, cmd.Context().Err()):
			return errInterrupted
		}
		return &coded{exitFailed, err}
	}
}

// reading returns what read returns, or errInterrupted as soon as ctx ends: a pipe that is named as a
// file may never have a writer, and opening it cannot be cancelled.
func reading[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		value, err := read()
		answers <- answer{value, err}
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, errInterrupted
	}
}

// loadPlan expands a grid file; Ctrl-C stops it.
func loadPlan(ctx context.Context, source string, sel plan.Selection) (*plan.Plan, error) {
	return reading(ctx, func() (*plan.Plan, error) { return detector.Settings.Load(source, sel) })
}

// loadBaseline reads the baseline of a grid file; Ctrl-C stops it.
func loadBaseline(ctx context.Context, source string, sel plan.Selection) (plan.Config, error) {
	return reading(ctx, func() (plan.Config, error) { return detector.Settings.LoadBaseline(source, sel) })
}

// selectionFlags adds the flags that select settings and rows of a grid file.
func selectionFlags(cmd *cobra.Command, s *plan.Selection) {
	baselineFlags(cmd, s)
	f := cmd.Flags()
	f.StringArrayVar(&s.Only, "only", nil, "use only the rows where `key=value`[,value…], such as loss.gamma=2 (repeatable)")
	f.StringVar(&s.Seeds, "seeds", "", "`seeds` instead of the seeds in the file: 3, 0..9 or 1,2,5")
	usage.CompleteBy(cmd, "only", usage.KeyValues)
}

// baselineFlags adds the flags of a verb that uses the settings that all rows share.
func baselineFlags(cmd *cobra.Command, s *plan.Selection) {
	f := cmd.Flags()
	f.StringVar(&s.Profile, "profile", "", "`name` of the profile (data, network, schedule) instead of the profile in the file: "+strings.Join(plan.Profiles(), ", ")+", or your own file")
	f.StringArrayVar(&s.Set, "set", nil, "change a setting: `key=value`, such as train.iters=100 (repeatable)")
	f.StringVar(&s.DataDir, "data", "", "`folder` of the data, in COCO's layout")
	usage.Complete(cmd, "profile", plan.Profiles())
	usage.CompleteBy(cmd, "set", usage.KeyValues)
}

func dbFlag(cmd *cobra.Command, db *string) {
	cmd.Flags().StringVar(db, "db", usage.DefaultDB, "results database `file`")
}

// recordedDataFlag adds --data to a verb that reads a recorded trial.
func recordedDataFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "data", "", "`folder` of the trial's data, instead of the recorded folder")
}

// relocate makes a recorded trial use the data in dir, if dir is not empty.
func relocate(t *record.Trial, dir string) error {
	if dir == "" {
		return nil
	}
	if err := experiments.Relocate(t, dir); err != nil {
		return bad(fmt.Errorf("--data %s: %w", dir, err))
	}
	return nil
}

// formatFlag adds --format; checkFormat refuses unknown formats.
func formatFlag(cmd *cobra.Command, format *string, known ...string) {
	cmd.Flags().StringVar(format, "format", "text", "`form` of the output: "+strings.Join(known, ", "))
	usage.Complete(cmd, "format", known)
}

func checkFormat(format string, known ...string) error {
	if !slices.Contains(known, format) {
		return bad(fmt.Errorf("--format %s: unknown; known: %s", format, strings.Join(known, ", ")))
	}
	return nil
}

// openIfThere opens a database for reading. It returns nil if the file does not exist, or is older and
// must be migrated first.
func openIfThere(path string) (*results.Store, error) {
	store, err := results.OpenExisting(path)
	if errors.Is(err, results.ErrNoDatabase) || errors.Is(err, results.ErrOlder) {
		return nil, nil
	}
	return store, bad(err)
}

// openTrial finds a recorded trial. The caller closes the store.
func openTrial(db, prefix string) (*results.Store, *record.Trial, error) {
	store, err := results.OpenExisting(db)
	if err != nil {
		return nil, nil, bad(err)
	}
	t, err := store.Trial(prefix)
	if err != nil {
		store.Close()
		return nil, nil, bad(err)
	}
	return store, t, nil
}

// isFolder reports whether path is an existing folder.
func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// makeFolder makes dir, and refuses a path that is a file.
func makeFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		var p *fs.PathError
		if errors.As(err, &p) {
			return bad(fmt.Errorf("folder %s: %w", dir, p.Err))
		}
		return err
	}
	return nil
}

// makeFolderOf makes the folder of a file.
func makeFolderOf(file string) error { return makeFolder(filepath.Dir(file)) }
