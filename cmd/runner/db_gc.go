package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

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
		Short: "List, then delete, files beside a database that nothing needs",
		Long: `List, and with --delete delete, files beside a database that nothing needs: weights and
detections that no trial of any database in the same folder has, checkpoints of trials that are
done, and files that were never written to their end.

A trial that is at work has its weights before they are recorded: what has changed of late is
left alone.`,
		Example: `  runner db gc
  runner db gc --delete
  runner db gc --db runs/short.db --older 1h --delete`,
		Args:              asUsed,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              a.work(func(context.Context, []string) error { return a.dbGC(o) }),
	}
	dbFlag(cmd, &o.db)
	cmd.Flags().DurationVar(&o.older, "older", 24*time.Hour, "leave what has changed in this last `time`")
	cmd.Flags().BoolVar(&o.delete, "delete", false, "delete what is listed")
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
	columns(a.out, rows)
	switch {
	case len(garbage) == 0:
		fmt.Fprintln(a.out, "nothing to delete")
	case o.delete:
		fmt.Fprintf(a.out, "%d deleted, %.1f MB\n", len(garbage), float64(total)/1e6)
	default:
		fmt.Fprintf(a.out, "%d to delete, %.1f MB; with --delete they are\n", len(garbage), float64(total)/1e6)
	}
	return nil
}
