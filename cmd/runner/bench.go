package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/usage"
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
		Args: usage.Verb,
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
	usage.Complete(cmd, "model", benchmark.Models)
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
		Args:              usage.Args,
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
		Args:              usage.Args,
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
		Args:              usage.Args,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              a.work(func(ctx context.Context, _ []string) error { return a.benchLoader(ctx, o) }),
	}
	benchFlags(cmd, o, 20, "batches")
	cmd.Flags().IntVar(&o.Batch, "batch", 0, "`images` per batch (default 16 for mini, 2 for the others)")
	return cmd
}

func (a *app) benchStep(ctx context.Context, o *benchOptions) error {
	o.Loader = !o.noLoader
	return a.bench(o, func(t *experiments.Trainer) (benchReport, error) {
		return benchmark.Measure(ctx, t, o.Network, benchmark.Step)
	})
}

func (a *app) benchInfer(ctx context.Context, o *benchOptions) error {
	return a.bench(o, func(t *experiments.Trainer) (benchReport, error) {
		return benchmark.Measure(ctx, t, o.Network, benchmark.Infer)
	})
}

func (a *app) benchLoader(ctx context.Context, o *benchOptions) error {
	return a.bench(o, func(t *experiments.Trainer) (benchReport, error) { return benchmark.MeasureLoader(ctx, t, o.Network) })
}

// benchReport is a measurement that prints itself as text.
type benchReport interface{ Write(w io.Writer) error }

func (a *app) bench(o *benchOptions, measure func(*experiments.Trainer) (benchReport, error)) error {
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
	rep, err := measure(r.Trainer)
	if err != nil {
		return err
	}
	if o.format == "json" {
		return a.printJSON(rep)
	}
	return rep.Write(a.out)
}

func (a *app) printJSON(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "%s\n", text)
	return err
}
