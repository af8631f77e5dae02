// Package benchmark measures what `runner bench` prints: training steps and inference of networks
// (network.go), the loading of their images (loading.go), the COCO evaluation of made-up detections
// (eval.go) and a database full of made-up results (store.go). Times are seconds of the clock that
// the Trainer is handed.
package benchmark

import (
	"context"
	"errors"
	"fmt"
	"math"
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

// Network describes the measurement of a network's speed. Fill comes first, once.
type Network struct {
	Model         string   // one of Models, a profile or a grid file
	Set           []string // "model.depth=50": settings over its own
	Data          string   // folder of the images that are loaded; empty: as the settings have it
	Height, Width int      // of the input in pixels, before padding; 0: as the settings have it
	Batch         int      // images; 0: as the settings have it
	Steps         int      // measured
	Warmup        int      // before them, not measured
	Loader        bool     // batches come from the loader, as in a sweep; else one made-up batch serves all steps

	// Begin, if not nil, is called once between warm-up and measurement.
	Begin func()

	config plan.Config
}

// Models names the networks that bench/ compares with others: mini is the profile's, r18 and r50 are the
// paper's with ResNet-18 and -50: pyramid of 256 channels, P6 from C5, frozen norm in a
// backbone all of whose convolutions learn, bare heads, 9 anchors, 4 classes.
var Models = []string{"mini", "r18", "r50"}

// deep lists the settings of r18 and r50 over the profile mini, but for the depth.
var deep = []string{
	"model.width=1", "model.norm=frozen", "model.fpn=256", "model.head_norm=none", "model.head_init=gaussian",
	"anchors.base=4", "data.objects=5", "data.empty=0", "train.batch=2",
}

// learningRate keeps a network with random weights finite over any number of steps.
const learningRate = 1e-4

// residualNorm is the weight given to the last frozen norm of each residual block:
// with the 1 it starts from, activations of random weights double with every block.
const residualNorm = .3

// maxDrawn is the largest side of a generated image in pixels.
const maxDrawn = 1024

// Measured holds the time and memory of steps.
type Measured struct {
	Seconds       []float64     // of each measured step, in order
	Compile       time.Duration // of the network, before the first step
	Begin, End    time.Time     // of the measured steps
	AllocBytes    float64       // allocated a step
	Allocs        float64       // objects allocated a step
	GCShare       float64       // of the processor time that went to the garbage collector
	ImagesPerStep int
}

// Fill reads the settings, replaces zeros by theirs, pads the input, and reports what can't be measured.
func (b *Network) Fill() error {
	sized := b.Height != 0 || b.Width != 0
	px := fmt.Sprintf("--px %dx%d", b.Height, b.Width)
	switch {
	case sized && (min(b.Height, b.Width) < 32 || max(b.Height, b.Width) > 8192):
		return fmt.Errorf("%s: want 32 to 8192 pixels each way", px)
	case b.Batch < 0 || b.Batch > 1024:
		return fmt.Errorf("--batch %d: want 1 to 1024, or 0 for the batch of the settings", b.Batch)
	case b.Steps < 1 || b.Warmup < 0:
		return fmt.Errorf("--steps %d, --warmup %d: want at least 1 and 0", b.Steps, b.Warmup)
	}
	cfg, err := b.settings(sized)
	if errors.Is(err, plan.ErrNoGrid) {
		return fmt.Errorf("--model %w; networks to compare: %s", err, strings.Join(Models, ", "))
	}
	if err != nil {
		return err
	}
	if b.Loader {
		switch {
		case cfg.Text("data.dir") == "" && !plan.Synthetic(&cfg):
			return fmt.Errorf("--model %s: its images are in a folder; bench loader takes it as --data DIR, bench step needs none with --no-loader", b.Model)
		case sized && plan.Synthetic(&cfg) && (b.Height != b.Width || b.Height > maxDrawn):
			return fmt.Errorf("%s: generated images are squares of 32 to %d pixels; bench step --no-loader and bench loader --data DIR take other sizes", px, maxDrawn)
		}
	}
	b.config, b.Batch = cfg, cfg.Int("train.batch")
	if b.Loader || !sized {
		b.Height, b.Width = detector.InputSize(&cfg)
		return nil
	}
	pad := cfg.Int("image.pad")
	b.Height, b.Width = (b.Height+pad-1)/pad*pad, (b.Width+pad-1)/pad*pad
	return nil
}

// settings returns the settings of the network; sized is whether the input's size is given.
func (b *Network) settings(sized bool) (plan.Config, error) {
	source, set := b.Model, []string{
		fmt.Sprintf("train.iters=%d", b.Warmup+b.Steps), fmt.Sprintf("optim.lr=%g", learningRate), "optim.warmup=0",
		"pretrain.type=none", "data.images.tune=1", "data.images.val=1",
	}
	if depth, ok := map[string]string{"r18": "18", "r50": "50"}[b.Model]; ok {
		source, set = "mini", append(append(set, deep...), "model.depth="+depth)
	}
	if sized && b.Loader {
		short, long := min(b.Height, b.Width), max(b.Height, b.Width)
		set = append(set, fmt.Sprintf("image.short=%d", short), fmt.Sprintf("image.long=%d", long))
		if long <= maxDrawn {
			set = append(set, fmt.Sprintf("data.pixels=%d", long))
		}
	}
	if b.Batch > 0 {
		set = append(set, fmt.Sprintf("train.batch=%d", b.Batch))
	}
	return detector.Settings.LoadBaseline(source, plan.Selection{Set: append(set, b.Set...), DataDir: b.Data})
}

// open returns the detector with random weights.
func (b *Network) open(r *experiments.Trainer, classes int) *detector.Detector {
	return detector.New(b.config, classes, r.Engine, engine.NewState(), detector.Drawer(0))
}

// madeUp returns a batch of n images of noise, which fill the input, with five objects each. A remote engine normalises
// their bytes.
func (b *Network) madeUp(n, classes int, remote bool) *dataset.Batch {
	draw := detector.Drawer(0)("bench", 0)
	out := &dataset.Batch{N: n, H: b.Height, W: b.Width, Items: make([]dataset.Item, n)}
	if values := n * 3 * b.Height * b.Width; remote {
		out.Bytes = make([]byte, values)
		for i := range out.Bytes {
			out.Bytes[i] = byte(draw.Uint32())
		}
	} else {
		out.Pixels = make([]float32, values)
		for i := range out.Pixels {
			out.Pixels[i] = float32(math.Sqrt(12)) * (draw.Float32() - .5) // variance 1, as normalised pixels have
		}
	}
	short := float32(min(b.Height, b.Width))
	for i := range out.Items {
		it := dataset.Item{
			Index: i, ID: int64(i + 1), Scale: 1, Width: b.Width, Height: b.Height, NetWidth: b.Width, NetHeight: b.Height, Crowd: make([]bool, 5),
		}
		for range it.Crowd {
			side := short * (.12 + .48*draw.Float32())
			x, y := draw.Float32()*(float32(b.Width)-side), draw.Float32()*(float32(b.Height)-side)
			it.Boxes, it.Labels = append(it.Boxes, [4]float32{x, y, x + side, y + side}), append(it.Labels, draw.Int32N(int32(classes)))
		}
		out.Items[i] = it
	}
	return out
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
	if !b.Loader {
		return b.stepOnOne(ctx, r)
	}
	if plan.Synthetic(&b.config) {
		b.config.Set("data.images.train", max(64, 4*b.Batch))
	}
	set, err := r.OpenSplit(ctx, &b.config, b.config.Text("data.train"))
	if err != nil {
		return Measured{}, err
	}
	d := b.open(r, len(set.Classes))
	defer d.Close()
	loader, err := r.Loader(&b.config, set, d.Draw, true)
	if err != nil {
		return Measured{}, err
	}
	defer loader.Close()
	compile, err := b.compile(r, d, b.Batch, true)
	if err != nil {
		return Measured{}, err
	}
	t := b.timer(r.Now)
	err = d.Train(ctx, set, loader, 0, func(detector.StepInfo) error { t.lap(); return nil })
	return t.result(b.Batch, compile), err
}

// stepOnOne measures training steps on one made-up batch.
func (b *Network) stepOnOne(ctx context.Context, r *experiments.Trainer) (Measured, error) {
	classes, err := detector.Classes(&b.config)
	if err != nil {
		return Measured{}, err
	}
	d := b.open(r, classes)
	defer d.Close()
	compile, err := b.compile(r, d, b.Batch, true)
	if err != nil {
		return Measured{}, err
	}
	batch := b.madeUp(b.Batch, classes, detector.Remote(r.Engine))
	return b.measure(ctx, r, b.Batch, compile, func(i int) error {
		info := detector.StepInfo{Step: i, LR: b.config.Number("optim.lr")}
		return d.Step(batch, &info)
	})
}

// Infer measures evaluation: the forward pass of a made-up batch and what makes
// detections of it. The batch has the size of an evaluation's, whatever Batch is.
func Infer(ctx context.Context, r *experiments.Trainer, b Network) (Measured, error) {
	classes, err := detector.Classes(&b.config)
	if err != nil {
		return Measured{}, err
	}
	d := b.open(r, classes)
	defer d.Close()
	compile, err := b.compile(r, d, detector.EvalBatch, false)
	if err != nil {
		return Measured{}, err
	}
	batch := b.madeUp(detector.EvalBatch, classes, detector.Remote(r.Engine))
	return b.measure(ctx, r, detector.EvalBatch, compile, func(int) error {
		_, err := d.Infer(batch)
		return err
	})
}

// compile compiles the network for n images and prepares its weights. It returns how long compiling took.
func (b *Network) compile(r *experiments.Trainer, d *detector.Detector, n int, train bool) (time.Duration, error) {
	begin := r.Now()
	if err := d.Compile(n, b.Height, b.Width, train); err != nil {
		return 0, err
	}
	return r.Now().Sub(begin), damp(d, r.Engine)
}

// measure times one step after another, each of that many images.
func (b *Network) measure(ctx context.Context, r *experiments.Trainer, images int, compile time.Duration, step func(i int) error) (Measured, error) {
	t := b.timer(r.Now)
	for i := range b.Warmup + b.Steps {
		if err := ctx.Err(); err != nil {
			return Measured{}, err
		}
		if err := step(i); err != nil {
			return Measured{}, fmt.Errorf("step %d: %w", i, err)
		}
		t.lap()
	}
	return t.result(images, compile), nil
}

// stopwatch times steps after a warm-up.
type stopwatch struct {
	b      *Network
	now    func() time.Time
	warm   int // steps until measurement
	first  time.Time
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
	t.first = t.now()
	t.last = t.first
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

func (t *stopwatch) result(images int, compile time.Duration) Measured {
	u, n := readUsage(), float64(max(1, len(t.steps)))
	m := Measured{
		Seconds: t.steps, ImagesPerStep: images, Compile: compile, Begin: t.first, End: t.last,
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
