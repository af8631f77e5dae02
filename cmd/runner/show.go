package main

import (
	"context"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/progress"
	"focalgrid/cmd/runner/usage"
	"focalgrid/detector"
	"focalgrid/experiments/sweep"
	"focalgrid/results/record"
	"focalgrid/results/report"
)

type showOptions struct {
	trial, db, format string
	data              string // folder in place of the recorded one
	diff              bool
}

func newShow(a *app) *cobra.Command {
	o := &showOptions{}
	cmd := &cobra.Command{
		Use:   "show TRIAL",
		Short: "Show everything that is recorded about one trial",
		Long: `Show what is recorded about one trial: status, attempts, provenance, settings, metrics and
AP by class. TRIAL is the key of the trial, or its first digits. Text leaves out settings
that do not matter for the trial, such as optim.beta1 with sgd; JSON has all settings.

With --data, show checks that the folder holds the data of the trial, and shows this folder
instead of the recorded folder.

The provenance is the provenance of the last attempt. If the code had uncommitted changes,
--diff prints these changes instead.`,
		Example: `  runner show 3fa85f6457c1
  runner show 3fa8 --format json
  runner show 3fa8 --diff`,
		Args:              usage.Args,
		ValidArgsFunction: usage.TrialKeys(&o.db),
		RunE: a.work(func(ctx context.Context, args []string) error {
			o.trial = args[0]
			return a.show(ctx, o)
		}),
	}
	recordedDataFlag(cmd, &o.data)
	dbFlag(cmd, &o.db)
	formatFlag(cmd, &o.format, listFormats...)
	cmd.Flags().BoolVar(&o.diff, "diff", false, "print the changes of the code since its revision")
	return cmd
}

func (a *app) show(ctx context.Context, o *showOptions) error {
	if err := checkFormat(o.format, listFormats...); err != nil {
		return err
	}
	store, t, err := openTrial(o.db, o.trial)
	if err != nil {
		return err
	}
	defer store.Close()
	if o.diff {
		diff, err := sweep.CodeDiff(store, t)
		if err == nil {
			_, err = a.out.Verbatim().Write(diff)
		}
		return bad(err)
	}
	if o.data != "" {
		if err := a.holds(ctx, t, o.data); err != nil {
			return err
		}
	}
	if o.format == "text" {
		t.Config = detector.Settings.Meaningful(t.Config)
	}
	classes, err := store.Classes(t.Key)
	if err != nil {
		return err
	}
	return report.WriteTrial(a.out, *t, classes, o.format)
}

// holds checks that a folder holds the data of a trial.
func (a *app) holds(ctx context.Context, t *record.Trial, dir string) error {
	if err := relocate(t, dir); err != nil {
		return err
	}
	m := machine{engine: "auto", threads: 1}
	r, err := m.open(a)
	if err != nil {
		return err
	}
	defer r.close()
	r.Notify = progress.Preparing(a.now, a.err)
	if err := r.SameData(ctx, t); err != nil {
		if ctx.Err() != nil {
			return err
		}
		return bad(err)
	}
	return nil
}
