package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/usage"
	"focalgrid/experiments/benchmark"
)

type benchEvalOptions struct {
	names   []string
	threads int
	rounds  int
	keep    string
	format  string
	cases   []benchmark.EvalCase
}

func newBenchEval(a *app) *cobra.Command {
	o := &benchEvalOptions{}
	var names []string
	for _, c := range benchmark.EvalCases {
		names = append(names, c.Name)
	}
	cmd := &cobra.Command{
		Use:   "eval",
		Short: "Measure COCO evaluation: reading the two files, matching, accumulation",
		Long: `Measure COCO evaluation: reading the two files, matching, accumulation.

The files are generated and the same in every run. "evaluate" matches and accumulates class by
class; "match" and "accumulate" do the same work again, one after the other. The peak of memory
is the peak of the whole process in the first round of reading and evaluation; "bare" is its
memory before that.`,
		Example: `  runner bench eval
  runner bench eval --case coco --threads 1 --format json
  runner bench eval --case large --keep /tmp/eval`,
		Args:              usage.Args,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.work(func(ctx context.Context, _ []string) error {
			if err := o.fill(names); err != nil {
				return bad(err)
			}
			return a.benchEval(ctx, o)
		}),
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.names, "case", names, "`cases`: "+strings.Join(names, ", "))
	f.IntVar(&o.threads, "threads", 0, "`number` of threads; 0: one per core. Results do not depend on it")
	f.IntVar(&o.rounds, "rounds", 5, "`number` of evaluations to measure")
	f.StringVar(&o.keep, "keep", "", "`folder` for the generated files, CASE-gt.json and CASE-dt.json, which then stay")
	formatFlag(cmd, &o.format, "text", "json")
	usage.Complete(cmd, "case", names)
	return cmd
}

// fill looks the cases up.
func (o *benchEvalOptions) fill(known []string) error {
	if o.threads < 0 || o.threads > maxThreads {
		return fmt.Errorf("--threads %d: want 1 to %d, or 0 for one a core", o.threads, maxThreads)
	}
	if o.rounds < 1 {
		return fmt.Errorf("--rounds %d: want 1 or more", o.rounds)
	}
	for _, name := range o.names {
		i := slices.Index(known, name)
		if i < 0 {
			return fmt.Errorf("--case %s: unknown; known: %s", name, strings.Join(known, ", "))
		}
		o.cases = append(o.cases, benchmark.EvalCases[i])
	}
	return nil
}

func (a *app) benchEval(ctx context.Context, o *benchEvalOptions) error {
	if err := checkFormat(o.format, "text", "json"); err != nil {
		return err
	}
	dir := o.keep
	if dir == "" {
		tmp, err := os.MkdirTemp("", "focalgrid-eval-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		dir = tmp
	} else if err := makeFolder(dir); err != nil {
		return err
	}
	reports := []*benchmark.EvalReport{}
	for i, c := range o.cases {
		r, err := benchmark.MeasureEval(ctx, benchmark.Eval{Case: c, Dir: dir, Rounds: o.rounds, Threads: o.threads, Now: a.now})
		if err != nil {
			return err
		}
		reports = append(reports, r)
		if o.format == "text" {
			if i > 0 {
				fmt.Fprintln(a.out)
			}
			if err := r.Write(a.out); err != nil {
				return err
			}
		}
	}
	if o.format == "json" {
		return a.printJSON(reports)
	}
	return nil
}
