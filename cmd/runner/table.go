package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"focalgrid/cmd/runner/usage"
	"focalgrid/experiments/plan"
	"focalgrid/experiments/sweep"
	"focalgrid/results/report"
)

type tableOptions struct {
	source, db, format, engine string
	sel                        plan.Selection
	columns                    []string
	perClass                   bool
}

func newTable(a *app) *cobra.Command {
	o := &tableOptions{}
	cmd := &cobra.Command{
		Use:   "table FILE|NAME|ID",
		Short: "Print the table of a grid file from recorded trials, or a table of the paper",
		Long: `Print the table of a grid file from recorded trials, beside the published figures; or, of a
table of the paper (` + strings.Join(sweep.PublishedIDs(), ", ") + `), the published figures alone.

The flags that select settings and rows are the flags of sweep. Without --seeds every
recorded seed counts. Where sweep --tune has chosen own best settings, a second block has each
row at its choice, and a note says where a choice is stale or at the edge of its candidates.
If the data or the weights are not there, trials are matched by their settings, and a note
says so.

AP is × 100 with one decimal, ± half the width of the 95 % t interval over seeds. Δ AP is the
difference to the baseline row, paired by seed: the row that --baseline selects, or else the
row that equals the file's baseline. ~ marks a difference that is not separated: an exact
sign-flip test, adjusted by Holm for all comparisons in the table. Only a best row that is
separated from the second is bold. csv and json have every column, fractions with all
digits, and p.

The other forms leave out columns that say nothing; text and latex also leave out what is wider
than 80 columns. A note names these columns, and --columns brings them back.`,
		Example: `  runner table gamma
  runner table gamma --format markdown > gamma.md
  runner table gamma --baseline loss.gamma=0 --format latex > gamma.tex
  runner table gamma --columns loss.gamma,n,AP,difference,APs
  runner table gamma --seeds 0..2 --only loss.gamma=2 --per-class
  runner table my.yaml --set train.iters=100 --db runs/short.db
  runner table 2`,
		Args:              usage.Args,
		ValidArgsFunction: usage.TableNames,
	}
	cmd.RunE = a.work(func(ctx context.Context, args []string) error {
		o.source = args[0]
		if published(o.source) {
			return a.publishedTable(cmd.Flags(), o)
		}
		return a.table(ctx, o)
	})
	selectionFlags(cmd, &o.sel)
	f := cmd.Flags()
	f.StringArrayVar(&o.sel.Baseline, "baseline", nil, "take differences to the row where `key=value`, such as loss.gamma=0 (repeatable)")
	f.StringSliceVar(&o.columns, "columns", nil, "print these `columns` in this order, such as loss.gamma,n,AP,difference; all: every column")
	f.BoolVar(&o.perClass, "per-class", false, "print AP by class too")
	usage.CompleteBy(cmd, "baseline", usage.KeyValues)
	usage.CompleteBy(cmd, "columns", usage.ColumnNames(&o.sel))
	dbFlag(cmd, &o.db)
	formatFlag(cmd, &o.format, report.TableFormats()...)
	trainedByFlag(cmd, &o.engine, "show the trials of this `engine`")
	return cmd
}

// published reports whether a name is a table of the paper: no file and no ablation has the name.
func published(source string) bool {
	if _, err := os.Stat(source); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	return slices.Contains(sweep.PublishedIDs(), source) && !slices.Contains(plan.Ablations(), source)
}

// checkFormat refuses an unknown format, and columns in a format that has every column.
func (o *tableOptions) checkFormat() error {
	if err := checkFormat(o.format, report.TableFormats()...); err != nil {
		return err
	}
	if len(o.columns) > 0 && !report.ForPeople(o.format) {
		return bad(fmt.Errorf("--columns: %s has every column; leave the flag out", o.format))
	}
	return nil
}

// writeTable prints the table. An unknown column is a bad flag.
func (a *app) writeTable(t *report.Table, o *tableOptions) error {
	t.Columns = o.columns
	if err := t.CheckColumns(); err != nil {
		return bad(fmt.Errorf("--columns: %w", err))
	}
	return t.Write(a.out, o.format)
}

// publishedTable prints a table of the paper alone, which no trial and no setting changes.
func (a *app) publishedTable(given *pflag.FlagSet, o *tableOptions) error {
	if err := o.checkFormat(); err != nil {
		return err
	}
	var without []string
	given.Visit(func(f *pflag.Flag) {
		if f.Name != "format" && f.Name != "columns" {
			without = append(without, "--"+f.Name)
		}
	})
	if len(without) > 0 {
		return bad(fmt.Errorf("%s: table %s of the paper is printed as published; leave the flag out, or name a grid file: %s",
			strings.Join(without, " "), o.source, strings.Join(plan.Ablations(), ", ")))
	}
	t, err := sweep.Published(o.source)
	if err != nil {
		return err
	}
	return a.writeTable(t, o)
}

func (a *app) table(ctx context.Context, o *tableOptions) error {
	if err := o.checkFormat(); err != nil {
		return err
	}
	p, err := loadPlan(ctx, o.source, o.sel)
	if errors.Is(err, plan.ErrNoGrid) {
		err = fmt.Errorf("%w; tables of the paper: %s", err, strings.Join(sweep.PublishedIDs(), ", "))
	}
	if err != nil {
		return bad(err)
	}
	records, closeRecords, err := a.openRecords(o.engine, o.db)
	if err != nil {
		return err
	}
	defer closeRecords()
	t, err := records.Table(ctx, p, sweep.TableOptions{EverySeed: o.sel.Seeds == "", PerClass: o.perClass})
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		return bad(err)
	}
	t.List = usage.Command("ls", o.db)
	if !report.ForPeople(o.format) { // which has no notes
		for _, remark := range t.Remarks {
			fmt.Fprintf(a.err, "runner: note: %s\n", remark)
		}
	}
	return a.writeTable(t, o)
}
