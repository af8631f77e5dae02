package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/progress"
	"focalgrid/cmd/runner/usage"
	"focalgrid/detector"
	"focalgrid/experiments"
	"focalgrid/results"
	"focalgrid/results/record"
	"focalgrid/results/report"
)

type compareOptions struct {
	a, b, db, format, engine string
	resamples                int
}

func newCompare(a *app) *cobra.Command {
	o := &compareOptions{}
	cmd := &cobra.Command{
		Use:   "compare A B",
		Short: "Show how two trials, rows or databases differ",
		Long: `Show how two trials, rows or databases differ: settings, environment, results, and their
training curves side by side.

A and B are each one of these:
  the first digits of a trial's key
  settings, such as loss.gamma=2 or loss.gamma=2,anchors.ratios=[.5,1,2]: all trials that
    have these settings
  a database file: all its trials
  FILE:KEY or FILE:settings: the trial or trials in another file than --db

Several trials are compared by their means, each with its 95 % t interval. Where both sides
have trials of the same seed, the differences are taken by pairs, with the p of the exact
sign-flip test and P(B > A), the share of pairs in which B is better. A trial that is on both
sides is compared bit by bit. Two trials that differ in their engine alone are also compared
step by step.

Settings stand for trials of the default engine. --engine names another one, or two: those of
A and of B.

Where the detections of all trials are stored, --resamples draws of seeds and of images say in
which interval the difference in AP would lie with other seeds and other images.`,
		Example: `  runner compare 3fa85f64 9b1c
  runner compare loss.gamma=0 loss.gamma=2
  runner compare 3fa8 9b1c --format csv > curves.csv
  runner compare loss.gamma=2 loss.gamma=2 --engine cpu,xla
  runner compare runs/focalgrid.db other.db --format json`,
		Args: usage.Args,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				args = nil // the second is completed like the first
			}
			return usage.TrialKeys(&o.db)(cmd, args, typed)
		},
		RunE: a.work(func(ctx context.Context, args []string) error {
			o.a, o.b = args[0], args[1]
			return a.compare(ctx, o)
		}),
	}
	dbFlag(cmd, &o.db)
	formatFlag(cmd, &o.format, report.CompareFormats()...)
	trainedByFlag(cmd, &o.engine, "settings stand for trials of this `engine`, or of A's and B's, such as cpu,xla")
	cmd.Flags().IntVar(&o.resamples, "resamples", 1000, "`number` of resamples of seeds and images; 0: none")
	return cmd
}

func (a *app) compare(ctx context.Context, o *compareOptions) error {
	if err := checkFormat(o.format, report.CompareFormats()...); err != nil {
		return err
	}
	if o.resamples < 0 {
		return bad(fmt.Errorf("--resamples %d: want 0 or more", o.resamples))
	}
	of, err := o.engines()
	if err != nil {
		return bad(err)
	}
	var c report.Comparison
	var recorded [2][]experiments.Recorded
	for i, side := range []*report.Side{&c.A, &c.B} {
		store, found, err := loadSide(o.db, []string{o.a, o.b}[i], of[i])
		if err != nil {
			return bad(err)
		}
		defer store.Close()
		*side = found
		for n := range found.Trials {
			t := &found.Trials[n]
			recorded[i] = append(recorded[i], experiments.Recorded{Trial: t, Detections: func() ([]byte, error) { return store.Detections(t.Key) }})
		}
	}
	if o.resamples > 0 && o.format != "csv" {
		cache, err := experiments.CacheDir()
		if err != nil {
			return bad(err)
		}
		data := experiments.Data{Cache: cache, Notify: progress.Preparing(a.now, a.err)}
		if c.TwoLevel, err = data.CompareRows(ctx, recorded[0], recorded[1], o.resamples, 0); err != nil {
			if ctx.Err() != nil {
				return err
			}
			c.NoTwoLevel = err.Error()
		}
	}
	return bad(report.WriteComparison(a.out, c, o.format))
}

// engines returns which engines' trials the settings of A and of B stand for, as --engine names them.
func (o *compareOptions) engines() ([2]string, error) {
	a, b, two := strings.Cut(o.engine, ",")
	if !two {
		b = a
	}
	if o.engine != "auto" && !strings.Contains(o.a+o.b, "=") {
		return [2]string{}, fmt.Errorf("--engine %s: A and B name trials, whatever their engine; leave the flag out, or give settings such as loss.gamma=2", o.engine)
	}
	return [2]string{a, b}, nil
}

// loadSide finds what an argument of compare names, with settings that stand for trials of an engine. The caller closes
// the store.
func loadSide(db, arg, engine string) (*results.Store, report.Side, error) {
	what := arg
	if isFile(arg) {
		db, what = arg, ""
	} else if i := strings.LastIndexByte(arg, ':'); i > 0 && isFile(arg[:i]) {
		db, what = arg[:i], arg[i+1:]
	}
	store, err := results.OpenExisting(db)
	if err != nil {
		return nil, report.Side{}, err
	}
	side, err := sideIn(store, arg, what, engine)
	if err != nil {
		store.Close()
	}
	return store, side, err
}

func sideIn(store *results.Store, name, what, engine string) (report.Side, error) {
	var trials []record.Trial
	var err error
	switch {
	case what == "":
		trials, err = store.Trials(results.Filter{Kind: record.KindTrain})
	case strings.Contains(what, "="):
		if engine, err = recordedName(store, engine); err == nil {
			trials, err = report.Rows(store, what, engine, detector.Settings.Meaningful)
		}
	default:
		var t *record.Trial
		if t, err = store.Trial(what); err == nil {
			trials = []record.Trial{*t}
		}
	}
	if err != nil {
		return report.Side{}, err
	}
	return report.LoadSide(store, name, trials)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
