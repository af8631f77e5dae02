package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/usage"
	"focalgrid/columns"
	"focalgrid/experiments/benchmark"
)

type benchStoreOptions struct {
	benchmark.Store
	format string
}

func newBenchStore(a *app) *cobra.Command {
	o := &benchStoreOptions{}
	cmd := &cobra.Command{
		Use:   "store",
		Short: "Measure plans, lists and tables of a large results database",
		Long: `Measure plans, lists and tables of a large results database.

The database has made-up results and a bundle for each trial. It is written to a temporary
folder and removed at the end; 10,000 trials with 500 log rows each take minutes and 1.5 GB of
disk. "plan" measures what sweep --dry-run does before it estimates costs. Work that only reads
runs three times, and the shortest time counts.`,
		Example: `  runner bench store --trials 1000
  runner bench store --trials 10000 --seeds 1 --steps 500 --format json`,
		Args:              usage.Args,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              a.work(func(ctx context.Context, _ []string) error { return a.benchStore(ctx, o) }),
	}
	f := cmd.Flags()
	f.IntVar(&o.Trials, "trials", 10_000, "`number` of trials")
	f.IntVar(&o.Seeds, "seeds", 10, "`number` of seeds: the trials of one row of the table")
	f.IntVar(&o.Steps, "steps", 500, "`rows` in the log of each trial")
	formatFlag(cmd, &o.format, "text", "json")
	return cmd
}

func (a *app) benchStore(ctx context.Context, o *benchStoreOptions) (err error) {
	if err := checkFormat(o.format, "text", "json"); err != nil {
		return err
	}
	if err := o.Check(); err != nil {
		return bad(err)
	}
	m := machine{engine: "auto", threads: 1}
	r, err := m.open(a)
	if err != nil {
		return err
	}
	defer r.Engine.Close()
	dir, err := os.MkdirTemp("", "focalgrid-store")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	t, err := benchmark.RunStore(ctx, r.records(nil), dir, o.Store)
	if err != nil {
		return err
	}
	if o.format == "json" {
		seconds := map[string]float64{}
		for _, w := range t.Times {
			seconds[w.What] = w.Seconds
		}
		return a.printJSON(map[string]any{
			"trials": o.Trials, "seeds": o.Seeds, "steps": o.Steps,
			"seconds": seconds, "database_bytes": t.DatabaseBytes, "bundle_bytes": t.BundleBytes,
		})
	}
	fmt.Fprintf(a.out, "%s, %d a row, with 10 metrics and %d log rows each: database %.0f MB, bundles %.0f MB\n",
		columns.Count(o.Trials, "trial"), o.Seeds, o.Steps, float64(t.DatabaseBytes)/1e6, float64(t.BundleBytes)/1e6)
	rows := [][]string{{"  work", "seconds"}}
	for _, w := range t.Times {
		rows = append(rows, []string{"  " + w.What, fmt.Sprintf("%.3f", w.Seconds)})
	}
	columns.Text(a.out, "", rows, columns.AllLeft)
	return nil
}
