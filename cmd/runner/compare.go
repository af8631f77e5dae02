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
	a, b, db, format string
	resamples        int
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
sides is compared bit by bit.

Where the detections of all trials are stored, --resamples draws of seeds and of images say in
which interval the difference in AP would lie with other seeds and other images.`,
		Example: `  runner compare 3fa85f64 9b1c
  runner compare loss.gamma=0 loss.gamma=2
  runner compare 3fa8 9b1c --format csv > curves.csv
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
	var c report.Comparison
	var recorded [2][]experiments.Recorded
	for i, side := range []*report.Side{&c.A, &c.B} {
		store, found, err := loadSide(o.db, []string{o.a, o.b}[i])
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

// loadSide finds what an argument of compare names. The caller closes the store.
func loadSide(db, arg string) (*results.Store, report.Side, error) {
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
	side, err := sideIn(store, arg, what)
	if err != nil {
		store.Close()
	}
	return store, side, err
}

func sideIn(store *results.Store, name, what string) (report.Side, error) {
	var trials []record.Trial
	var err error
	switch {
	case what == "":
		trials, err = store.Trials(results.Filter{Kind: record.KindTrain})
	case strings.Contains(what, "="):
		trials, err = report.Rows(store, what, detector.Settings.Meaningful)
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
