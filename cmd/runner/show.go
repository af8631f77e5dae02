package main

import (
	"context"

	"focalgrid/results"

	"github.com/spf13/cobra"
)

type showOptions struct{ trial, db, format string }

func newShow(a *app) *cobra.Command {
	o := &showOptions{}
	cmd := &cobra.Command{
		Use:   "show TRIAL",
		Short: "Show all that is recorded of one trial",
		Long:  "Show all that is recorded of one trial: status, settings, provenance, metrics and AP by class. TRIAL is its key, or the first digits of it.",
		Example: `  runner show 3fa85f6457c1
  runner show 3fa8 --format json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: trialKeys(&o.db),
		RunE: a.work(func(_ context.Context, args []string) error {
			o.trial = args[0]
			return a.show(o)
		}),
	}
	dbFlag(cmd, &o.db)
	formatFlag(cmd, &o.format, listFormats...)
	return cmd
}

func (a *app) show(o *showOptions) error {
	if err := checkFormat(o.format, listFormats...); err != nil {
		return err
	}
	store, t, err := openTrial(o.db, o.trial)
	if err != nil {
		return err
	}
	defer store.Close()
	classes, err := store.Classes(t.Key)
	if err != nil {
		return err
	}
	return results.WriteTrial(a.out, *t, classes, o.format)
}
