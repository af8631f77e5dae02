package main

import (
	"context"

	"focalgrid/experiments"
	"focalgrid/results"

	"github.com/spf13/cobra"
)

type showOptions struct {
	trial, db, format string
	diff              bool
}

func newShow(a *app) *cobra.Command {
	o := &showOptions{}
	cmd := &cobra.Command{
		Use:   "show TRIAL",
		Short: "Show all that is recorded of one trial",
		Long: `Show what is recorded of one trial: status, attempts, provenance, settings, metrics and AP
by class. TRIAL is its key, or the first digits of it. Text leaves out settings that have no
meaning for the trial, such as optim.beta1 with sgd; JSON has all.

The provenance is that of the last attempt. Where the code had been changed since its
revision, --diff prints the change instead.`,
		Example: `  runner show 3fa85f6457c1
  runner show 3fa8 --format json
  runner show 3fa8 --diff`,
		Args:              asUsed,
		ValidArgsFunction: trialKeys(&o.db),
		RunE: a.work(func(_ context.Context, args []string) error {
			o.trial = args[0]
			return a.show(o)
		}),
	}
	dbFlag(cmd, &o.db)
	formatFlag(cmd, &o.format, listFormats...)
	cmd.Flags().BoolVar(&o.diff, "diff", false, "print how the code differed from its revision")
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
	if o.diff {
		diff, err := experiments.CodeDiff(store, t)
		if err == nil {
			_, err = a.out.verbatim().Write(diff)
		}
		return bad(err)
	}
	if o.format == "text" {
		t.Config = experiments.Telling(t)
	}
	classes, err := store.Classes(t.Key)
	if err != nil {
		return err
	}
	return results.WriteTrial(a.out, *t, classes, o.format)
}
