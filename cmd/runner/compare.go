package main

import (
	"context"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/usage"
	"focalgrid/results"
	"focalgrid/results/record"
	"focalgrid/results/report"
)

type compareOptions struct{ a, b, db, format string }

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

Several trials are compared by their means. Where both sides have trials of the same seed,
the differences are taken by pairs. A trial that is on both sides is compared bit by bit.`,
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
		RunE: a.work(func(_ context.Context, args []string) error {
			o.a, o.b = args[0], args[1]
			return a.compare(o)
		}),
	}
	dbFlag(cmd, &o.db)
	formatFlag(cmd, &o.format, report.CompareFormats()...)
	return cmd
}

func (a *app) compare(o *compareOptions) error {
	if err := checkFormat(o.format, report.CompareFormats()...); err != nil {
		return err
	}
	left, err := loadSide(o.db, o.a)
	if err != nil {
		return bad(err)
	}
	right, err := loadSide(o.db, o.b)
	if err != nil {
		return bad(err)
	}
	return bad(report.WriteComparison(a.out, left, right, o.format))
}

// loadSide finds what an argument of compare names.
func loadSide(db, arg string) (report.Side, error) {
	what := arg
	if isFile(arg) {
		db, what = arg, ""
	} else if i := strings.LastIndexByte(arg, ':'); i > 0 && isFile(arg[:i]) {
		db, what = arg[:i], arg[i+1:]
	}
	store, err := results.OpenExisting(db)
	if err != nil {
		return report.Side{}, err
	}
	defer store.Close()
	var trials []record.Trial
	switch {
	case what == "":
		trials, err = store.Trials(results.Filter{Kind: record.KindTrain})
	case strings.Contains(what, "="):
		trials, err = report.Rows(store, what)
	default:
		var t *record.Trial
		if t, err = store.Trial(what); err == nil {
			trials = []record.Trial{*t}
		}
	}
	if err != nil {
		return report.Side{}, err
	}
	return report.LoadSide(store, arg, trials)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
