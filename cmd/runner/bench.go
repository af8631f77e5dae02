package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"focalgrid/columns"
	"focalgrid/engine"
	"focalgrid/experiments"
	"focalgrid/experiments/benchmark"
)

type benchOptions struct {
	benchmark.Network
	noLoader bool
	format   string
	m        machine
}

func newBench(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure the speed of training, inference, loading, evaluation and the store on this machine",
		Long: `Measure the speed of training, inference, loading, evaluation and the store on this machine.

There are three networks. mini is the network of the profile mini. r18 and r50 are the paper's
RetinaNet with ResNet-18 and -50, a pyramid of 256 channels, frozen norm, 9 anchors and 4
classes; every convolution learns. Weights are random and images are generated. Nothing is
recorded.

Other load on the machine distorts the timings: compare medians of runs that alternate, and
look at the minimum.`,
		Example: `  runner bench step --model r18 --px 256 --threads 1
  runner bench infer --format json
  runner bench loader --batch 16
  runner bench eval --case coco`,
		Args: knownVerb,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, sub := range []func(*app) *cobra.Command{newBenchStep, newBenchInfer, newBenchLoader, newBenchEval, newBenchStore} {
		cmd.AddCommand(sub(a))
	}
	return cmd
}

func benchFlags(cmd *cobra.Command, o *benchOptions, steps int, what string) {
	f := cmd.Flags()
	f.StringVar(&o.Model, "model", "mini", "`network`: "+strings.Join(benchmark.Models, ", "))
	f.IntVar(&o.Pixels, "px", 0, "side of the square input in `pixels` (default 128)")
	f.IntVar(&o.Steps, "steps", steps, "`number` of "+what+" to measure")
	machineFlags(cmd, &o.m)
	formatFlag(cmd, &o.format, "text", "json")
	complete(cmd, "model", benchmark.Models)
}

func newBenchStep(a *app) *cobra.Command {
	o := &benchOptions{}
	cmd := &cobra.Command{
		Use:   "step",
		Short: "Measure a whole training step and the time of each kind of op",
		Long: `Measure a whole training step and the time of each kind of op.

It is the step of a sweep: a batch from the loader, matching and targets, forward pass,
losses, gradients, update. GFLOP/s count only convolutions, two operations a multiply-add.
"host" is the time outside the engine: waiting for the loader, matching, targets. The peak of
memory is the peak of the whole process; "bare" is the memory of the process before it built
a network.`,
		Example: `  runner bench step
  runner bench step --model r50 --px 256 --threads 1 --format json
  runner bench step --no-loader --steps 30`,
		Args:              asUsed,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              a.work(func(ctx context.Context, _ []string) error { return a.benchStep(ctx, o) }),
	}
	benchFlags(cmd, o, 20, "steps")
	f := cmd.Flags()
	f.IntVar(&o.Batch, "batch", 0, "`images` per step (default 16 for mini, 2 for the others)")
	f.IntVar(&o.Warmup, "warmup", 5, "`number` of steps before the measured ones")
	f.BoolVar(&o.noLoader, "no-loader", false, "use one batch, loaded before, for all steps")
	return cmd
}

func newBenchInfer(a *app) *cobra.Command {
	o := &benchOptions{}
	cmd := &cobra.Command{
		Use:   "infer",
		Short: "Measure detection as in an evaluation, 10 images at a time",
		Long:  "Measure detection as in an evaluation, 10 images at a time: forward pass, decoding and NMS.\nLoading is not included.",
		Example: `  runner bench infer
  runner bench infer --model r18 --threads 1 --format json`,
		Args:              asUsed,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              a.work(func(ctx context.Context, _ []string) error { return a.benchInfer(ctx, o) }),
	}
	benchFlags(cmd, o, 20, "batches")
	cmd.Flags().IntVar(&o.Warmup, "warmup", 3, "`number` of batches before the measured ones")
	return cmd
}

func newBenchLoader(a *app) *cobra.Command {
	o := &benchOptions{}
	cmd := &cobra.Command{
		Use:   "loader",
		Short: "Measure how fast training batches are loaded, with nothing else running",
		Long:  "Measure how fast training batches are loaded, with nothing else running: from image files, as in\nthe first epoch of a trial, and from decoded images in memory, as in all other epochs.",
		Example: `  runner bench loader
  runner bench loader --px 256 --batch 2 --format json`,
		Args:              asUsed,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              a.work(func(ctx context.Context, _ []string) error { return a.benchLoader(ctx, o) }),
	}
	benchFlags(cmd, o, 20, "batches")
	cmd.Flags().IntVar(&o.Batch, "batch", 0, "`images` per batch (default 16 for mini, 2 for the others)")
	return cmd
}

// spread holds times in milliseconds.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// opShare is the part of a step that one kind of op takes.
type opShare struct {
	Op     string  `json:"op"`
	MS     float64 `json:"ms"`     // a step
	GFLOPS float64 `json:"gflops"` // a second; 0 if the op does no convolution
	Calls  float64 `json:"calls"`  // a step
}

// benchReport is what bench step and bench infer print.
type benchReport struct {
	Model   string `json:"model"`
	Pixels  int    `json:"px"`
	Batch   int    `json:"batch"`
	Threads int    `json:"threads"`
	Kernels string `json:"kernels"`
	Steps   int    `json:"steps"`

	MS       spread    `json:"ms"`
	Images   float64   `json:"images_per_second"`
	GFLOPS   float64   `json:"gflops"`      // of convolutions, over the whole step
	Peak     float64   `json:"peak_gflops"` // of one core, measured before
	Memory   int64     `json:"peak_bytes"`  // above bare; 0 if the system does not report it
	Bare     int64     `json:"bare_bytes"`  // of the process before it built the network
	Alloc    float64   `json:"alloc_bytes_per_step"`
	Allocs   float64   `json:"allocs_per_step"`
	GCShare  float64   `json:"gc_share"` // of the processor's time
	Ops      []opShare `json:"ops"`
	measured benchmark.Measured
}

func (a *app) benchStep(ctx context.Context, o *benchOptions) error {
	o.Loader = !o.noLoader
	return a.bench(ctx, o, benchmark.Step)
}

func (a *app) benchInfer(ctx context.Context, o *benchOptions) error {
	return a.bench(ctx, o, benchmark.Infer)
}

func (a *app) bench(ctx context.Context, o *benchOptions, measure func(context.Context, *experiments.Trainer, benchmark.Network) (benchmark.Measured, error)) error {
	if err := checkFormat(o.format, "text", "json"); err != nil {
		return err
	}
	if err := o.Fill(); err != nil {
		return bad(err)
	}
	r, err := o.m.open(a)
	if err != nil {
		return err
	}
	defer r.close()
	profile := engine.NewProfile(a.now)
	if e, ok := r.Engine.(engine.Profiler); ok {
		e.Profile(profile)
	}
	rep := benchReport{Model: o.Model, Pixels: o.Pixels, Threads: r.host.Threads, Kernels: r.host.Kernels}
	if e, ok := r.Engine.(engine.Prober); ok {
		rep.Peak = e.ProbePeak(a.now) / 1e9
	}
	rep.Bare = memoryNow()
	o.Begin = profile.Reset
	if rep.measured, err = measure(ctx, r.Trainer, o.Network); err != nil {
		return err
	}
	rep.fill(profile)
	if peak := memoryPeak(); peak > 0 {
		rep.Memory = peak - rep.Bare
	}
	if o.format == "json" {
		return a.printJSON(rep)
	}
	rep.print(a)
	return nil
}

// fill computes the figures from the measurements.
func (r *benchReport) fill(profile *engine.Profile) {
	m := &r.measured
	r.Batch, r.Steps = m.ImagesPerStep, len(m.Seconds)
	r.MS = spreadOf(m.Seconds)
	r.Images = float64(m.ImagesPerStep) / (r.MS.Median / 1000)
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
		share := opShare{Op: op.Op, MS: 1000 * s / n, Calls: float64(op.Calls) / n}
		if op.FLOPs > 0 && s > 0 {
			share.GFLOPS = op.FLOPs / s / 1e9
		}
		r.Ops = append(r.Ops, share)
	}
	r.Ops = append(r.Ops, opShare{Op: "host", MS: 1000 * host / n, Calls: 1})
	r.GFLOPS = flops / n / (r.MS.Median / 1000) / 1e9
}

func spreadOf(seconds []float64) spread {
	s := slices.Sorted(slices.Values(seconds))
	n := len(s)
	return spread{Median: 500 * (s[(n-1)/2] + s[n/2]), Min: 1000 * s[0], Max: 1000 * s[n-1]}
}

func (r *benchReport) print(a *app) {
	fmt.Fprintf(a.out, "%s, %d images of %d px, %s, %s kernels, %s\n", r.Model, r.Batch, r.Pixels, count(r.Threads, "thread"), r.Kernels, count(r.Steps, "step"))
	fmt.Fprintf(a.out, "  %.1f ms (%.1f to %.1f), %.0f images a second\n", r.MS.Median, r.MS.Min, r.MS.Max, r.Images)
	fmt.Fprintf(a.out, "  %.1f GFLOP/s", r.GFLOPS)
	if r.Peak > 0 {
		fmt.Fprintf(a.out, ", %.0f%% of the %.0f that %s could do", 100*r.GFLOPS/r.Peak/float64(r.Threads), r.Peak*float64(r.Threads), count(r.Threads, "core"))
	}
	if r.Memory > 0 {
		fmt.Fprintf(a.out, "\n  memory %.1f MB above the %.1f MB of the bare process", float64(r.Memory)/1e6, float64(r.Bare)/1e6)
	}
	fmt.Fprintf(a.out, "\n  %.1f kB in %.0f pieces allocated a step, %.2f%% of the processor's time in the garbage collector\n\n", r.Alloc/1e3, r.Allocs, 100*r.GCShare)
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
	columns.Text(a.out, "", rows, columns.AllLeft)
}

// loaderReport is what bench loader prints.
type loaderReport struct {
	Pixels  int     `json:"px"`
	Batch   int     `json:"batch"`
	Batches int     `json:"batches"`
	Files   loading `json:"files"` // read, decoded and resized
	Kept    loading `json:"kept"`  // from pictures in memory
}

type loading struct {
	Images float64 `json:"images_per_second"`
	MS     spread  `json:"ms"` // a batch
	Alloc  float64 `json:"alloc_bytes_per_step"`
}

func (a *app) benchLoader(ctx context.Context, o *benchOptions) error {
	if err := checkFormat(o.format, "text", "json"); err != nil {
		return err
	}
	if err := o.Fill(); err != nil {
		return bad(err)
	}
	r, err := o.m.open(a)
	if err != nil {
		return err
	}
	defer r.close()
	files, kept, err := benchmark.Loader(ctx, r.Trainer, o.Network)
	if err != nil {
		return err
	}
	loadingOf := func(m benchmark.Measured) loading {
		l := loading{MS: spreadOf(m.Seconds), Alloc: m.AllocBytes}
		l.Images = float64(m.ImagesPerStep) / (l.MS.Median / 1000)
		return l
	}
	rep := loaderReport{Pixels: o.Pixels, Batch: o.Batch, Batches: o.Steps, Files: loadingOf(files), Kept: loadingOf(kept)}
	if o.format == "json" {
		return a.printJSON(rep)
	}
	fmt.Fprintf(a.out, "batches of %d images of %d px\n", rep.Batch, rep.Pixels)
	rows := [][]string{{"  from", "images/s", "ms a batch"}}
	for _, l := range []struct {
		name string
		loading
	}{{"files", rep.Files}, {"memory", rep.Kept}} {
		rows = append(rows, []string{"  " + l.name, fmt.Sprintf("%.0f", l.Images), fmt.Sprintf("%.2f (%.2f to %.2f)", l.MS.Median, l.MS.Min, l.MS.Max)})
	}
	columns.Text(a.out, "", rows, columns.AllLeft)
	return nil
}

func (a *app) printJSON(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "%s\n", text)
	return err
}

// memoryReset makes memoryPeak forget earlier peaks, and returns memoryNow. Where that is impossible,
// the peak stays the peak of the whole run.
func memoryReset() int64 {
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // see proc(5)
	return memoryNow()
}

// memoryNow and memoryPeak return the main memory of the process in bytes, now and at its peak; 0 if
// the system does not report it (Linux does).
func memoryNow() int64  { return memoryLine("VmRSS:") }
func memoryPeak() int64 { return memoryLine("VmHWM:") }

func memoryLine(key string) int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == key {
			kB, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				return 0
			}
			return kB * 1024
		}
	}
	return 0
}
