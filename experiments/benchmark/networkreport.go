package benchmark

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"focalgrid/columns"
	"focalgrid/engine"
	"focalgrid/experiments"
	"focalgrid/proc"
)

// Spread holds times in milliseconds.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// OpShare is the part of a step that one kind of op takes.
type OpShare struct {
	Op     string  `json:"op"`
	MS     float64 `json:"ms"`     // a step
	GFLOPS float64 `json:"gflops"` // a second; 0 if the op does no convolution
	Calls  float64 `json:"calls"`  // a step
}

// NetworkReport holds the figures that bench step and bench infer print.
type NetworkReport struct {
	Model     string `json:"model"`
	Height    int    `json:"height"` // of the input, padded
	Width     int    `json:"width"`
	Batch     int    `json:"batch"`
	Engine    string `json:"engine"`
	Device    string `json:"device"`
	Precision string `json:"precision"`
	Threads   int    `json:"threads"`
	Kernels   string `json:"kernels"`
	Steps     int    `json:"steps"`

	MS      Spread    `json:"ms"`
	Images  float64   `json:"images_per_second"`
	Compile float64   `json:"compile_seconds"` // before the first step
	Begin   float64   `json:"begin"`           // of the measured steps, in seconds since 1970
	End     float64   `json:"end"`
	GFLOPS  float64   `json:"gflops"`      // of convolutions, over the whole step
	Peak    float64   `json:"peak_gflops"` // of one core, measured before
	Memory  int64     `json:"peak_bytes"`  // of the process, not of a device, above bare; 0 if the system does not report it
	Bare    int64     `json:"bare_bytes"`  // of the process before it built the network
	Alloc   float64   `json:"alloc_bytes_per_step"`
	Allocs  float64   `json:"allocs_per_step"`
	GCShare float64   `json:"gc_share"` // of the processor's time
	Ops     []OpShare `json:"ops"`      // none if the engine does not measure them
}

// Measure measures steps of a network with measure, which is Step or Infer.
func Measure(ctx context.Context, r *experiments.Trainer, b Network, measure func(context.Context, *experiments.Trainer, Network) (Measured, error)) (*NetworkReport, error) {
	profile := engine.NewProfile(r.Now)
	profiler, profiled := r.Engine.(engine.Profiler)
	if profiled {
		profiler.Profile(profile)
	}
	info := r.Engine.Info()
	rep := &NetworkReport{
		Model: b.Model, Height: b.Height, Width: b.Width,
		Engine: info.Name, Device: info.Device, Precision: info.Precision, Threads: info.Threads, Kernels: info.Kernels,
	}
	if e, ok := r.Engine.(engine.PeakProber); ok {
		rep.Peak = e.ProbePeak(r.Now) / 1e9
	}
	rep.Bare = proc.Memory()
	b.Begin = profile.Reset
	m, err := measure(ctx, r, b)
	if err != nil {
		return nil, err
	}
	rep.fill(&m, profile)
	if !profiled {
		rep.Ops = nil
	}
	if peak := proc.PeakMemory(); peak > 0 {
		rep.Memory = peak - rep.Bare
	}
	return rep, nil
}

// fill computes the figures from the measurements.
func (r *NetworkReport) fill(m *Measured, profile *engine.Profile) {
	r.Batch, r.Steps = m.ImagesPerStep, len(m.Seconds)
	r.MS = spreadOf(m.Seconds)
	r.Images = float64(m.ImagesPerStep) / (r.MS.Median / 1000)
	r.Compile, r.Begin, r.End = m.Compile.Seconds(), unix(m.Begin), unix(m.End)
	r.Alloc, r.Allocs, r.GCShare = m.AllocBytes, m.Allocs, m.GCShare
	n, all := float64(len(m.Seconds)), 0.0
	for _, s := range m.Seconds {
		all += s
	}
	host, flops := all, 0.0
	for _, op := range profile.Ops() {
		s := op.Time.Seconds()
		host -= s
		flops += op.FLOPs
		share := OpShare{Op: op.Op, MS: 1000 * s / n, Calls: float64(op.Calls) / n}
		if op.FLOPs > 0 && s > 0 {
			share.GFLOPS = op.FLOPs / s / 1e9
		}
		r.Ops = append(r.Ops, share)
	}
	r.Ops = append(r.Ops, OpShare{Op: "host", MS: 1000 * host / n, Calls: 1})
	r.GFLOPS = flops / n / (r.MS.Median / 1000) / 1e9
}

// unix returns the seconds from 1970 to t.
func unix(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

func spreadOf(seconds []float64) Spread {
	s := slices.Sorted(slices.Values(seconds))
	n := len(s)
	return Spread{Median: 500 * (s[(n-1)/2] + s[n/2]), Min: 1000 * s[0], Max: 1000 * s[n-1]}
}

// Write prints the report as text.
func (r *NetworkReport) Write(w io.Writer) error {
	size := fmt.Sprint(r.Height)
	if r.Width != r.Height {
		size += fmt.Sprintf("×%d", r.Width)
	}
	fmt.Fprintf(w, "%s, %d images of %s px, ", r.Model, r.Batch, size)
	if r.Threads > 0 {
		fmt.Fprintf(w, "%s, ", columns.Count(r.Threads, "thread"))
	}
	fmt.Fprintf(w, "%s kernels, %s\n", r.Kernels, columns.Count(r.Steps, "step"))
	fmt.Fprintf(w, "  engine %s, %s on the %s, compiled in %.2f s\n", r.Engine, r.Precision, r.Device, r.Compile)
	fmt.Fprintf(w, "  %.1f ms (%.1f to %.1f), %.0f images a second\n", r.MS.Median, r.MS.Min, r.MS.Max, r.Images)
	rate := fmt.Sprintf("%.1f GFLOP/s", r.GFLOPS)
	switch {
	case len(r.Ops) == 0:
		rate = "this engine does not measure its ops"
	case r.Peak > 0:
		rate += fmt.Sprintf(", %.0f%% of the %.0f that %s could do", 100*r.GFLOPS/r.Peak/float64(r.Threads), r.Peak*float64(r.Threads), columns.Count(r.Threads, "core"))
	}
	fmt.Fprintf(w, "  %s", rate)
	if r.Memory > 0 {
		fmt.Fprintf(w, "\n  memory %.1f MB above the %.1f MB of the bare process", float64(r.Memory)/1e6, float64(r.Bare)/1e6)
	}
	fmt.Fprintf(w, "\n  %.1f kB in %.0f pieces allocated a step, %.2f%% of the processor's time in the garbage collector\n", r.Alloc/1e3, r.Allocs, 100*r.GCShare)
	if len(r.Ops) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	mean := 0.0
	for _, op := range r.Ops {
		mean += op.MS
	}
	rows := [][]string{{"op", "ms", "share", "calls", "GFLOP/s"}}
	for _, op := range r.Ops {
		rate := ""
		if op.GFLOPS > 0 {
			rate = fmt.Sprintf("%.1f", op.GFLOPS)
		}
		rows = append(rows, []string{op.Op, fmt.Sprintf("%.2f", op.MS), fmt.Sprintf("%.1f%%", 100*op.MS/mean), fmt.Sprintf("%.4g", op.Calls), rate})
	}
	return columns.Text(w, "", rows, columns.AllLeft)
}
