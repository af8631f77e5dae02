package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"focalgrid/columns"
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
		Args:              asUsed,
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
	complete(cmd, "case", names)
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

// evalBenchReport is what bench eval prints of a case.
type evalBenchReport struct {
	Case       string      `json:"case"`
	Images     int         `json:"images"`
	Categories int         `json:"categories"`
	Objects    int         `json:"objects"`
	Detections int         `json:"detections"`
	Bytes      int64       `json:"bytes"` // of both files
	Threads    int         `json:"threads"`
	Rounds     int         `json:"rounds"`
	MS         spread      `json:"ms"` // reading and evaluation
	Phases     []evalPhase `json:"phases"`
	Memory     int64       `json:"peak_bytes"` // 0 if the system does not report it
	Bare       int64       `json:"bare_bytes"`
}

type evalPhase struct {
	Phase string  `json:"phase"`
	MS    spread  `json:"ms"`
	Rate  float64 `json:"mb_per_second"` // of the file; 0 if no file is read
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
	reports := []evalBenchReport{}
	for i, c := range o.cases {
		r := evalBenchReport{
			Case: c.Name, Images: c.Images, Categories: c.Categories, Objects: c.Objects, Detections: c.Detections,
			Threads: o.threads, Rounds: o.rounds,
		}
		if r.Threads == 0 {
			r.Threads = runtime.GOMAXPROCS(0)
		}
		m, err := benchmark.Eval{
			Case: c, Dir: dir, Rounds: o.rounds, Threads: o.threads, Now: a.now,
			Begin: func() {
				debug.FreeOSMemory() // garbage of the generation
				r.Bare = memoryReset()
			},
			Evaluated: func() { r.Memory = memoryPeak() },
		}.Run(ctx)
		if err != nil {
			return err
		}
		r.fill(m)
		reports = append(reports, r)
		if o.format == "text" {
			if i > 0 {
				fmt.Fprintln(a.out)
			}
			r.print(a)
		}
	}
	if o.format == "json" {
		return a.printJSON(reports)
	}
	return nil
}

func (r *evalBenchReport) fill(m *benchmark.EvalMeasured) {
	all := make([]float64, r.Rounds)
	for i := range all {
		all[i] = m.ReadTruth[i] + m.ReadResults[i] + m.Evaluate[i]
	}
	r.MS, r.Bytes = spreadOf(all), m.TruthBytes+m.ResultsBytes
	for _, p := range []struct {
		name    string
		seconds []float64
		bytes   int64
	}{
		{"read ground truth", m.ReadTruth, m.TruthBytes}, {"read results", m.ReadResults, m.ResultsBytes},
		{"evaluate", m.Evaluate, 0}, {"  match", m.Match, 0}, {"  accumulate", m.Accumulate, 0},
	} {
		ms := spreadOf(p.seconds)
		r.Phases = append(r.Phases, evalPhase{p.name, ms, float64(p.bytes) / 1e3 / ms.Median})
	}
}

func (r *evalBenchReport) print(a *app) {
	fmt.Fprintf(a.out, "%s: %d images, %d classes, %d objects, %d detections, %.1f MB of JSON, %s, %s\n",
		r.Case, r.Images, r.Categories, r.Objects, r.Detections, float64(r.Bytes)/1e6, count(r.Threads, "thread"), count(r.Rounds, "round"))
	rows := [][]string{{"  phase", "ms", "MB/s"}}
	row := func(name string, ms spread, rate string) {
		rows = append(rows, []string{"  " + name, fmt.Sprintf("%.1f (%.1f to %.1f)", ms.Median, ms.Min, ms.Max), rate})
	}
	for _, p := range r.Phases {
		rate := ""
		if p.Rate > 0 {
			rate = fmt.Sprintf("%.0f", p.Rate)
		}
		row(p.Phase, p.MS, rate)
	}
	row("reading and evaluation", r.MS, "")
	columns.Text(a.out, "", rows, columns.AllLeft)
	if r.Memory > 0 {
		fmt.Fprintf(a.out, "  peak of memory %.1f MB, %.1f of them bare\n", float64(r.Memory)/1e6, float64(r.Bare)/1e6)
	}
}
