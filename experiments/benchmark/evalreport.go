package benchmark

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"focalgrid/columns"
	"focalgrid/proc"
)

// EvalReport holds the figures that bench eval prints of a case.
type EvalReport struct {
	Case       string      `json:"case"`
	Images     int         `json:"images"`
	Categories int         `json:"categories"`
	Objects    int         `json:"objects"`
	Detections int         `json:"detections"`
	Bytes      int64       `json:"bytes"` // of both files
	Threads    int         `json:"threads"`
	Rounds     int         `json:"rounds"`
	MS         Spread      `json:"ms"` // reading and evaluation
	Phases     []EvalPhase `json:"phases"`
	Memory     int64       `json:"peak_bytes"` // 0 if the system does not report it
	Bare       int64       `json:"bare_bytes"`
}

// EvalPhase is one piece of the work of an evaluation.
type EvalPhase struct {
	Phase string  `json:"phase"`
	MS    Spread  `json:"ms"`
	Rate  float64 `json:"mb_per_second"` // of the file; 0 if no file is read
}

// MeasureEval measures an evaluation, and the memory of its first round.
func MeasureEval(ctx context.Context, b Eval) (*EvalReport, error) {
	c := b.Case
	r := &EvalReport{
		Case: c.Name, Images: c.Images, Categories: c.Categories, Objects: c.Objects, Detections: c.Detections,
		Threads: b.Threads, Rounds: b.Rounds,
	}
	if r.Threads == 0 {
		r.Threads = runtime.GOMAXPROCS(0)
	}
	b.Begin = func() {
		debug.FreeOSMemory() // garbage of the generation
		proc.ResetPeak()
		r.Bare = proc.Memory()
	}
	b.Evaluated = func() { r.Memory = proc.PeakMemory() }
	m, err := b.run(ctx)
	if err != nil {
		return nil, err
	}
	r.fill(m)
	return r, nil
}

func (r *EvalReport) fill(m *EvalMeasured) {
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
		r.Phases = append(r.Phases, EvalPhase{p.name, ms, float64(p.bytes) / 1e3 / ms.Median})
	}
}

// Write prints the report as text.
func (r *EvalReport) Write(w io.Writer) error {
	fmt.Fprintf(w, "%s: %d images, %d classes, %d objects, %d detections, %.1f MB of JSON, %s, %s\n",
		r.Case, r.Images, r.Categories, r.Objects, r.Detections, float64(r.Bytes)/1e6, columns.Count(r.Threads, "thread"), columns.Count(r.Rounds, "round"))
	rows := [][]string{{"  phase", "ms", "MB/s"}}
	row := func(name string, ms Spread, rate string) {
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
	if err := columns.Text(w, "", rows, columns.AllLeft); err != nil || r.Memory == 0 {
		return err
	}
	_, err := fmt.Fprintf(w, "  peak of memory %.1f MB, %.1f of them bare\n", float64(r.Memory)/1e6, float64(r.Bare)/1e6)
	return err
}
