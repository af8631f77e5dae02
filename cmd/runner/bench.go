package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/usage"
	"focalgrid/experiments"
	"focalgrid/experiments/benchmark"
	"focalgrid/experiments/plan"
)

type benchOptions struct {
	benchmark.Loading // a Network, and what is asked of its loader
	px                string
	noLoader          bool
	format            string
	m                 machine
}

func newBench(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure the speed of training, inference, loading, evaluation and the store on this machine",
		Long: `Measure the speed of training, inference, loading, evaluation and the store on this machine.

--model names a network to compare: mini is the network of the profile mini; r18 and r50 are the
paper's RetinaNet with ResNet-18 and -50, a pyramid of 256 channels, frozen norm, 9 anchors and 4
classes; every convolution learns. Or it names a profile, an ablation or a grid file (its baseline).
--set changes settings. Weights are random, and the learning rate is 1e-4. Nothing is recorded.

Other load on the machine distorts the timings: compare medians of runs that alternate, and
look at the minimum.`,
		Example: `  runner bench step --model r18 --px 256 --threads 1
  runner bench infer --format json
  runner bench loader --model small --feed 800
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
	f.StringVar(&o.Model, "model", "mini", "`network`: "+strings.Join(benchmark.Models, ", ")+", or the network of a profile, an ablation or a grid file")
	f.StringArrayVar(&o.Set, "set", nil, "change a setting of the network: `key=value`, such as model.depth=34 (repeatable)")
	f.StringVar(&o.px, "px", "", "size of the input in `pixels`: 512, or height and width as 800x1344 (default: as the settings have it)")
	f.IntVar(&o.Steps, "steps", steps, "`number` of "+what+" to measure")
	machineFlags(cmd, &o.m)
	formatFlag(cmd, &o.format, "text", "json")
	usage.Complete(cmd, "model", slices.Concat(benchmark.Models, plan.Profiles(), plan.Ablations()))
	usage.CompleteBy(cmd, "set", usage.KeyValues)
}

// batchFlag adds --batch to the verbs that measure training.
func batchFlag(cmd *cobra.Command, o *benchOptions) {
	cmd.Flags().IntVar(&o.Batch, "batch", 0, "`images` per batch (default: as the settings have it; 2 for r18 and r50)")
}

func newBenchStep(a *app) *cobra.Command {
	o := &benchOptions{}
	cmd := &cobra.Command{
		Use:   "step",
		Short: "Measure a whole training step and the time of each kind of op",
		Long: `Measure a whole training step and the time of each kind of op.

It is the step of a sweep: a batch from the loader, matching and targets, forward pass,
losses, gradients, update. With --no-loader all steps take one batch, of noise and made-up
objects, of any size.

GFLOP/s count only convolutions, two operations a multiply-add. "host" is the time outside the
engine: waiting for the loader, matching, targets. Engines that run compiled programs do not
measure their ops. Compiling is everything from the graph to the first step. The peak of memory
is the peak of the whole process in main memory; "bare" is its memory before it built a network.
The memory of a GPU is not in it.`,
		Example: `  runner bench step
  runner bench step --model r50 --px 256 --threads 1 --format json
  runner bench step --no-loader --steps 30
  runner bench step --model paper --px 800x1344 --no-loader --engine xla --format json`,
		Args:              usage.Args,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              a.work(func(ctx context.Context, _ []string) error { return a.benchStep(ctx, o) }),
	}
	benchFlags(cmd, o, 20, "steps")
	batchFlag(cmd, o)
	f := cmd.Flags()
	f.IntVar(&o.Warmup, "warmup", 5, "`number` of steps before the measured ones")
	f.BoolVar(&o.noLoader, "no-loader", false, "use one made-up batch for all steps")
	return cmd
}

func newBenchInfer(a *app) *cobra.Command {
	o := &benchOptions{}
	cmd := &cobra.Command{
		Use:   "infer",
		Short: "Measure detection as in an evaluation, 10 images at a time",
		Long:  "Measure detection as in an evaluation, 10 images at a time: forward pass, decoding and NMS.\nThe images are noise; loading is not included.",
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
		Long: `Measure how fast training batches are loaded, with nothing else running, on all cores and on
one. Each image is read, decoded, resized, flipped and normalised, and its objects are matched
with the anchors and made targets: all that a step takes from the host.

"files" is the first epoch of a trial. "folder" is all others on photographs, whose resized
pictures a trial keeps in its cache; here they are kept in a temporary folder. "memory" is all
others where the pictures fit 1 GiB. The operating system has read all files before, so a disk may
be slower. --feed counts the cores that load as many images a second as a training takes.

The images are those of the network's settings, or with --data those of a folder in COCO's
layout: batch × steps of its training split, evenly spaced. --px is the size that they are
resized to, the shorter side and the limit of the longer one.`,
		Example: `  runner bench loader
  runner bench loader --px 256 --batch 2 --format json
  runner bench loader --model paper --px 800x1333 --data COCO --feed 200`,
		Args:              usage.Args,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              a.work(func(ctx context.Context, _ []string) error { return a.benchLoader(ctx, o) }),
	}
	benchFlags(cmd, o, 20, "batches")
	batchFlag(cmd, o)
	f := cmd.Flags()
	f.StringVar(&o.Data, "data", "", "`folder` of the images, in COCO's layout")
	f.Float64Var(&o.Feed, "feed", 0, "`images` a second that a training takes: count the cores that load them")
	return cmd
}

// size reads --px: 512, or 800x1344.
func (o *benchOptions) size() error {
	if o.px == "" {
		return nil
	}
	side, err := strconv.Atoi(o.px)
	o.Height, o.Width = side, side
	if err != nil || side < 1 {
		o.Height, o.Width, err = parseSize(o.px)
	}
	return err
}

func (a *app) benchStep(ctx context.Context, o *benchOptions) error {
	o.Loader = !o.noLoader
	return a.bench(o, &o.Network, func(t *experiments.Trainer) (benchReport, error) {
		return benchmark.Measure(ctx, t, o.Network, benchmark.Step)
	})
}

func (a *app) benchInfer(ctx context.Context, o *benchOptions) error {
	return a.bench(o, &o.Network, func(t *experiments.Trainer) (benchReport, error) {
		return benchmark.Measure(ctx, t, o.Network, benchmark.Infer)
	})
}

func (a *app) benchLoader(ctx context.Context, o *benchOptions) error {
	return a.bench(o, &o.Loading, func(t *experiments.Trainer) (benchReport, error) { return benchmark.MeasureLoader(ctx, t, o.Loading) })
}

// benchReport is a measurement that prints itself as text.
type benchReport interface{ Write(w io.Writer) error }

// bench measures what was filled in before.
func (a *app) bench(o *benchOptions, what interface{ Fill() error }, measure func(*experiments.Trainer) (benchReport, error)) error {
	if err := checkFormat(o.format, "text", "json"); err != nil {
		return err
	}
	if err := o.size(); err != nil {
		return bad(err)
	}
	if err := what.Fill(); err != nil {
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
