package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/usage"
	"focalgrid/columns"
	"focalgrid/experiments/sweep"
	"focalgrid/results"
)

func newDBRebuild(a *app) *cobra.Command {
	var db string
	cmd := &cobra.Command{
		Use:   "rebuild",
		Short: "Rebuild a lost or damaged database from its bundles",
		Long: `Rebuild a lost or damaged database from its bundles, FILE.bundles.

An existing database is never touched: move it away first. The new database holds every trial
that has ended, and its export is the same. A trial that was running continues from its last
checkpoint with the next sweep. A bundle that is damaged, was altered, or holds a trial under a
wrong key is left out and reported; the exit code is then 1.`,
		Example: `  runner db rebuild
  runner db rebuild --db runs/lost.db`,
		Args:              usage.Args,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.work(func(context.Context, []string) error {
			r, err := results.Rebuild(db, sweep.KeyOf())
			if err != nil {
				return bad(errors.Join(err, refused(r.Refused)))
			}
			fmt.Fprintf(a.out, "%s: %s of %s\n", db, counts(columns.Count(r.Trials, "trial"), columns.Count(r.Sweeps, "sweep"), choices(r.Choices)), columns.Count(r.Found, "bundle"))
			a.unchecked(r.Unchecked)
			if err := refused(r.Refused); err != nil {
				return fmt.Errorf("%w\n%s left out: copy each from a backup, or move it away", err, columns.Count(len(r.Refused), "bundle"))
			}
			return nil
		}),
	}
	dbFlag(cmd, &db)
	return cmd
}
