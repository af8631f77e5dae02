// Package benchmark measures what `runner bench` prints: training steps, inference and loading of
// networks (network.go), the COCO evaluation of made-up detections (eval.go) and a database full of
// made-up results (store.go). Times are seconds of the clock that the Trainer is handed.
package benchmark

import (
	"context"
	"fmt"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"time"

	"focalgrid/dataset"
	"focalgrid/detector"
	"focalgrid/engine"
	"focalgrid/experiments"
	"focalgrid/experiments/plan"
)

// Network describes the measurement of one of the networks whose speed is compared.
type Network struct {
	Model  string // one of Models
	Pixels int    // side of the square input; 0: 128
	Batch  int    // images; 0: 16 for mini, 2 for the others
	Steps  int    // measured
	Warmup int    // before them, not measured
	Loader bool   // steps read their batches from disk as a sweep does; else all take one batch

	// Begin, if not nil, is called once between warm-up and measurement.
	Begin func()
}

// Models names the networks: mini is the profile's, r18 and r50 are the
// paper's with ResNet-18 and -50: pyramid of 256 channels, P6 from C5, frozen norm in a
// backbone all of whose convolutions learn, bare heads, 9 anchors, 4 classes.
var Models = []string{"mini", "r18", "r50"}

// settings are laid over the profile mini. All three see generated images, r18 and r50
// images with 5 objects on average.
var settings = map[string][]string{
	"mini": nil,
	"r18":  {"model.depth=18"},
	"r50":  {"model.depth=50"},
}

// deepSettings are common to r18 and r50.
var deepSettings = []string{
	"model.width=1", "model.norm=frozen", "model.fpn=256", "model.head_norm=none", "model.head_init=gaussian",
	"anchors.base=4", "data.objects=5", "data.empty=0",
}

// learningRate keeps a network with random weights finite over any number of steps.
const learningRate = 1e-4

// residualNorm is the weight given to the last frozen norm of each residual block:
// with the 1 it starts from, activations of random weights double with every block.
const residualNorm = .3

// Measured holds the time and memory of steps.
type Measured struct {
	Seconds       []float64 // of each measured step, in order
	AllocBytes    float64   // allocated a step
	Allocs        float64   // objects allocated a step
	GCShare       float64   // of the processor time that went to the garbage collector
	ImagesPerStep int
}

// Fill replaces zeros by the defaults and reports what can't be measured.
func (b *Network) Fill() error {
	if !slices.Contains(Models, b.Model) {
		return fmt.Errorf("--model %s: unknown; known: %s", b.Model, strings.Join(Models, ", "))
	}
	if b.Pixels == 0 {
		b.Pixels = 128
	}
	if b.Batch == 0 {
		b.Batch = 2
		if b.Model == "mini" {
			b.Batch = 16
		}
	}
	switch {
	case b.Pixels < 32 || b.Pixels > 1024:
		return fmt.Errorf("--px %d: want 32 to 1024, the generator's range", b.Pixels)
	case b.Batch < 1 || b.Batch > 1024:
		return fmt.Errorf("--batch %d: want 1 to 1024", b.Batch)
	case b.Steps < 1 || b.Warmup < 0:
		return fmt.Errorf("--steps %d, --warmup %d: want at least 1 and 0", b.Steps, b.Warmup)
	}
	return nil
}

// config returns the settings of the network, with that many generated images.
func (b *Network) config(images int) (plan.Config, error) {
	set := []string{
		fmt.Sprintf("data.pixels=%d", b.Pixels), fmt.Sprintf("image.short=%d", b.Pixels), fmt.Sprintf("image.long=%d", b.Pixels),
		fmt.Sprintf("data.images.train=%d", images), "data.images.tune=1", "data.images.val=1",
		fmt.Sprintf("train.batch=%d", b.Batch), fmt.Sprintf("train.iters=%d", b.Warmup+b.Steps),
		fmt.Sprintf("optim.lr=%g", learningRate), "optim.warmup=0", "pretrain.type=none",
	}
	set = append(set, settings[b.Model]...)
	if b.Model != "mini" {
		set = append(set, deepSettings...)
	}
	return detector.Settings.LoadBaseline("mini", plan.Selection{Set: set})
}

// open returns the detector with random weights, and its training split.
func (b *Network) open(ctx context.Context, r *experiments.Trainer) (*detector.Detector, *dataset.Set, error) {
	if err := b.Fill(); err != nil {
		return nil, nil, err
	}
	cfg, err := b.config(max(64, 4*b.Batch))
	if err != nil {
		return nil, nil, err
	}
	set, err := r.OpenSplit(ctx, &cfg, cfg.Text("data.train"))
	if err != nil {
		return nil, nil, err
	}
	return detector.New(cfg, len(set.Classes), r.Engine, engine.NewState(), detector.Drawer(0)), set, nil
}

// damp gives the residual blocks' last frozen norms, where the network has them, their weight.
func damp(d *detector.Detector, e engine.Engine) error {
	if d.Config.Text("model.norm") != "frozen" {
		return nil
	}
	last := ".bn2.weight"
	if d.Config.Int("model.depth") >= 50 {
		last = ".bn3.weight"
	}
	for _, name := range d.State.Names() {
		if strings.HasPrefix(name, "backbone.body.layer") && strings.HasSuffix(name, last) {
			shape := d.State.Get(name).Shape
			if err := d.State.Set(name, shape, slices.Repeat([]float32{residualNorm}, shape[0])); err != nil {
				return err
			}
		}
	}
	return e.Load(d.State)
}

// Step measures the training steps of a trial, from the loader's batch to the
// updated weights. Without Loader a step starts from a batch at hand; matching, targets
// and all that follows are in it still.
func Step(ctx context.Context, r *experiments.Trainer, b Network) (Measured, error) {
	d, set, err := b.open(ctx, r)
	if err != nil {
		return Measured{}, err
	}
	defer d.Close()
	loader, err := r.Loader(&d.Config, set, d.Draw, true)
	if err != nil {
		return Measured{}, err
	}
	defer loader.Close()
	if err := d.Compile(b.Batch, b.Pixels, b.Pixels, true); err != nil {
		return Measured{}, err
	}
	if err := damp(d, r.Engine); err != nil {
		return Measured{}, err
	}
	t := b.timer(r.Now)
	if b.Loader {
		err := d.Train(ctx, set, loader, 0, func(detector.StepInfo) error { t.lap(); return nil })
		return t.result(b.Batch), err
	}
	batch, err := loader.Batch(0)
	if err != nil {
		return Measured{}, err
	}
	for i := range b.Warmup + b.Steps {
		if err := ctx.Err(); err != nil {
			return Measured{}, err
		}
		info := detector.StepInfo{Step: i, LR: learningRate}
		if err := d.Step(batch, &info); err != nil {
			return Measured{}, fmt.Errorf("step %d: %w", i, err)
		}
		t.lap()
	}
	return t.result(b.Batch), nil
}

// Infer measures evaluation: the forward pass of a batch and what makes
// detections of it. The batch has the size of an evaluation's, whatever Batch is.
func Infer(ctx context.Context, r *experiments.Trainer, b Network) (Measured, error) {
	d, set, err := b.open(ctx, r)
	if err != nil {
		return Measured{}, err
	}
	defer d.Close()
	loader, err := r.Loader(&d.Config, set, d.Draw, false)
	if err != nil {
		return Measured{}, err
	}
	defer loader.Close()
	batch, err := loader.Eval(0, detector.EvalBatch)
	if err != nil {
		return Measured{}, err
	}
	if err := d.Compile(detector.EvalBatch, b.Pixels, b.Pixels, false); err != nil {
		return Measured{}, err
	}
	if err := damp(d, r.Engine); err != nil {
		return Measured{}, err
	}
	t := b.timer(r.Now)
	for range b.Warmup + b.Steps {
		if err := ctx.Err(); err != nil {
			return Measured{}, err
		}
		if _, err := d.Infer(batch); err != nil {
			return Measured{}, err
		}
		t.lap()
	}
	return t.result(detector.EvalBatch), nil
}

// Loader measures the making of training batches alone: first from files, each
// read, decoded and resized, then from the pictures that the loader has kept.
func Loader(ctx context.Context, r *experiments.Trainer, b Network) (files, kept Measured, err error) {
	if err := b.Fill(); err != nil {
		return files, kept, err
	}
	images := b.Batch * b.Steps // an epoch is the measured steps
	cfg, err := b.config(images)
	if err != nil {
		return files, kept, err
	}
	set, err := r.OpenSplit(ctx, &cfg, cfg.Text("data.train"))
	if err != nil {
		return files, kept, err
	}
	loader, err := r.Loader(&cfg, set, detector.Drawer(0), true)
	if err != nil {
		return files, kept, err
	}
	defer loader.Close()
	epoch := func(first int) (Measured, error) {
		once := b
		once.Warmup = 0
		t := once.timer(r.Now)
		for step := first; step < first+b.Steps; step++ {
			if err := ctx.Err(); err != nil {
				return Measured{}, err
			}
			if _, err := loader.Batch(step); err != nil {
				return Measured{}, err
			}
			t.lap()
		}
		return t.result(b.Batch), nil
	}
	if files, err = epoch(0); err != nil {
		return files, kept, err
	}
	kept, err = epoch(b.Steps)
	return files, kept, err
}

// stopwatch times steps after a warm-up.
type stopwatch struct {
	b      *Network
	now    func() time.Time
	warm   int // steps until measurement
	last   time.Time
	before usage
	steps  []float64
}

func (b *Network) timer(now func() time.Time) *stopwatch {
	t := &stopwatch{b: b, now: now, warm: b.Warmup}
	if t.warm == 0 {
		t.begin()
	}
	return t
}

func (t *stopwatch) begin() {
	runtime.GC()
	t.steps = make([]float64, 0, t.b.Steps)
	if t.b.Begin != nil {
		t.b.Begin()
	}
	t.before = readUsage()
	t.last = t.now()
}

// lap is called after every step.
func (t *stopwatch) lap() {
	if t.warm > 0 {
		if t.warm--; t.warm == 0 {
			t.begin()
		}
		return
	}
	now := t.now()
	t.steps = append(t.steps, now.Sub(t.last).Seconds())
	t.last = now
}

func (t *stopwatch) result(images int) Measured {
	u, n := readUsage(), float64(max(1, len(t.steps)))
	m := Measured{
		Seconds: t.steps, ImagesPerStep: images,
		AllocBytes: float64(u.bytes-t.before.bytes) / n,
		Allocs:     float64(u.objects-t.before.objects) / n,
	}
	if busy := u.total - t.before.total; busy > 0 {
		m.GCShare = (u.gc - t.before.gc) / busy
	}
	return m
}

// usage is what the runtime has counted since the program began.
type usage struct {
	bytes, objects uint64
	gc, total      float64 // processor seconds: of the collector, and of all cores together
}

func readUsage() usage {
	s := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/allocs:objects"},
		{Name: "/cpu/classes/gc/total:cpu-seconds"}, {Name: "/cpu/classes/total:cpu-seconds"},
	}
	metrics.Read(s)
	return usage{s[0].Value.Uint64(), s[1].Value.Uint64(), s[2].Value.Float64(), s[3].Value.Float64()}
}
