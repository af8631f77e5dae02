package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/usage"
	"focalgrid/columns"
)

// dbVerbs are the commands below db. To add one, add a line.
var dbVerbs = []func(*app) *cobra.Command{newDBExport, newDBImport, newDBRebuild, newDBCheck, newDBGC}

func newDB(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "db",
		Short: "Export, merge, rebuild, check and tidy up results databases",
		Long: `Export, merge, rebuild, check and tidy up results databases.

Beside a database FILE lie these folders:
  FILE.bundles                  one JSON file for each trial, sweep and choice, from which FILE
                                can be rebuilt
  weights, detections, diffs    files named by the SHA-256 of their content; all databases
                                of the folder share them`,
		Example: `  runner db export > results.jsonl
  runner db import --db all.db first.jsonl second.jsonl
  runner db rebuild --db runs/lost.db
  runner db check
  runner db gc`,
		Args: usage.Verb,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, verb := range dbVerbs {
		cmd.AddCommand(verb(a))
	}
	return cmd
}

// choices counts the choices of rows' own best settings; "" where there are none.
func choices(n int) string {
	if n == 0 {
		return ""
	}
	return columns.Count(n, "choice")
}

// counts joins what was counted, leaving out "": "2 trials, 1 sweep and 3 bundles".
func counts(parts ...string) string {
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	last := len(parts) - 1
	return strings.Join(parts[:last], ", ") + strings.Repeat(" and ", min(1, last)) + parts[last]
}
