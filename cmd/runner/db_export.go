package main

import (
	"context"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/usage"
	"focalgrid/results"
)

func newDBExport(a *app) *cobra.Command {
	var db string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Print everything that is recorded as JSON Lines",
		Long: `Print everything that is recorded as JSON Lines: one line for each sweep with its plan, then
one line for each trial that has ended, with settings, environment, attempts, metrics and
training log, then one line for each choice of a row's own best settings, with its evidence.

The same results give the same bytes, which gzip makes a third as long; db import reads them
compressed too. Weights and detections are named by their hash; their files lie beside the
database.`,
		Example: `  runner db export > results.jsonl
  runner db export --db runs/short.db > short.jsonl`,
		Args:              usage.Args,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.work(func(context.Context, []string) error {
			store, err := results.OpenExisting(db)
			if err != nil {
				return bad(err)
			}
			defer store.Close()
			return store.Export(a.out.Verbatim())
		}),
	}
	dbFlag(cmd, &db)
	return cmd
}
