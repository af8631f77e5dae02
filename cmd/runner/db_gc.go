package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/usage"
	"focalgrid/columns"
	"focalgrid/results"
)

type gcOptions struct {
	db     string
	older  time.Duration
	delete bool
}

func newDBGC(a *app) *cobra.Command {
	o := &gcOptions{}
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "List or delete files beside a database that nothing needs",
		Long: `List files beside a database that nothing needs, and delete them with --delete: weights and
detections of no trial in any database of the same folder, checkpoints of finished trials, and
incomplete files.

A running trial writes its weights before they are recorded, so recently changed files are left
alone.`,
		Example: `  runner db gc
  runner db gc --delete
  runner db gc --db runs/short.db --older 1h --delete`,
		Args:              usage.Args,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              a.work(func(context.Context, []string) error { return a.dbGC(o) }),
	}
	dbFlag(cmd, &o.db)
	cmd.Flags().DurationVar(&o.older, "older", 24*time.Hour, "leave files that have changed within this `time`")
	cmd.Flags().BoolVar(&o.delete, "delete", false, "delete the listed files")
	return cmd
}

func (a *app) dbGC(o *gcOptions) error {
	if o.older < 0 {
		return bad(fmt.Errorf("--older %s: want 0 or more", o.older))
	}
	store, err := results.OpenExisting(o.db)
	if err != nil {
		return bad(err)
	}
	defer store.Close()
	garbage, err := store.Garbage(a.now().Add(-o.older))
	if err != nil {
		return bad(err)
	}
	var rows [][]string
	var total int64
	for _, g := range garbage {
		if o.delete {
			if err := g.Remove(); err != nil {
				return err
			}
		}
		total += g.Size
		rows = append(rows, []string{fmt.Sprintf("%.1f MB", float64(g.Size)/1e6), g.Path, g.Why})
	}
	columns.Text(a.out, "", rows, columns.AllLeft)
	switch {
	case len(garbage) == 0:
		fmt.Fprintln(a.out, "nothing to delete")
	case o.delete:
		fmt.Fprintf(a.out, "%d deleted, %.1f MB\n", len(garbage), float64(total)/1e6)
	default:
		fmt.Fprintf(a.out, "%d to delete, %.1f MB; --delete deletes them\n", len(garbage), float64(total)/1e6)
	}
	return nil
}
