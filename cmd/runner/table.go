package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/progress"
	"focalgrid/cmd/runner/usage"
	"focalgrid/experiments/plan"
	"focalgrid/results"
	"focalgrid/results/report"
)

type tableOptions struct {
	source, db, format, engine string
	sel                        plan.Selection
}

func newTable(a *app) *cobra.Command {
	o := &tableOptions{}
	cmd := &cobra.Command{
		Use:   "table FILE|NAME",
		Short: "Print the table of a grid file from recorded trials",
		Long: `Print the table of a grid file from recorded trials, beside the published figures.

The flags that select settings and rows are the flags of sweep. Without --seeds every
recorded seed counts. In text and markdown AP is × 100 with one decimal; csv and json have
fractions with all digits. If the data or the weights are not there, trials are matched by
their settings, and a note says so.`,
		Example: `  runner table gamma
  runner table gamma --format markdown > gamma.md
  runner table gamma --seeds 0..2 --only loss.gamma=2 --format json
  runner table my.yaml --set train.iters=100 --db runs/short.db`,
		Args:              usage.Args,
		ValidArgsFunction: usage.GridNames,
		RunE: a.work(func(ctx context.Context, args []string) error {
			o.source = args[0]
			return a.table(ctx, o)
		}),
	}
	selectionFlags(cmd, &o.sel)
	dbFlag(cmd, &o.db)
	formatFlag(cmd, &o.format, report.TableFormats()...)
	engineFlag(cmd, &o.engine)
	return cmd
}

func (a *app) table(ctx context.Context, o *tableOptions) error {
	if err := checkFormat(o.format, report.TableFormats()...); err != nil {
		return err
	}
	plan, err := loadPlan(ctx, o.source, o.sel)
	if err != nil {
		return bad(err)
	}
	m := machine{engine: o.engine, threads: 1}
	r, err := m.open(a)
	if err != nil {
		return err
	}
	defer r.close()
	store, err := results.OpenExisting(o.db)
	if err != nil {
		return bad(err)
	}
	defer store.Close()
	r.Notify = progress.Preparing(a.now, a.err)
	records := r.records(store)
	t, err := records.Table(ctx, plan, o.sel.Seeds == "")
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		return bad(err)
	}
	t.List = usage.Command("ls", o.db)
	if o.format == "csv" || o.format == "json" { // which have no notes
		for _, remark := range t.Remarks {
			fmt.Fprintf(a.err, "runner: note: %s\n", remark)
		}
	}
	return t.Write(a.out, o.format)
}
