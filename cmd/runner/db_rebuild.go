package main

import (
	"context"
	"fmt"

	"focalgrid/results"

	"github.com/spf13/cobra"
)

func newDBRebuild(a *app) *cobra.Command {
	var db string
	cmd := &cobra.Command{
		Use:   "rebuild",
		Short: "Make a lost or damaged database anew from its bundles",
		Long: `Make a lost or damaged database anew from its bundles, FILE.bundles.

A database that is there is not touched: move it away first. The new one holds every trial that
has ended, and its export is the same. A trial that was running begins again with the next
sweep, from its last checkpoint.`,
		Example: `  runner db rebuild
  runner db rebuild --db runs/lost.db`,
		Args:              asUsed,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.work(func(context.Context, []string) error {
			trials, sweeps, err := results.Rebuild(db)
			if err != nil {
				return bad(err)
			}
			fmt.Fprintf(a.out, "%s: %s and %s\n", db, count(trials, "trial"), count(sweeps, "sweep"))
			return nil
		}),
	}
	dbFlag(cmd, &db)
	return cmd
}
