package experiments

import (
	"errors"
	"math"
	"strings"
	"testing"

	"focalgrid/detector"
	"focalgrid/engine"
	"focalgrid/engine/gomlx"
	"focalgrid/engine/gorgonia"
	"focalgrid/engine/kernel"
	"focalgrid/experiments/plan"
)

// TestEnginesAgree trains four steps of each family on both engines, from the same weights on the same images. They
// compute in float32 in different orders: losses stay together until a value lies on the other side of a ReLU.
func TestEnginesAgree(t *testing.T) {
	if testing.Short() {
		t.Skip("convolutions in plain Go are slow")
	}
	pool := kernel.NewPool(2)
	pool.Exact = true
	cpu := gorgonia.New(pool, gorgonia.Options{})
	defer cpu.Close()
	other, err := gomlx.New(gomlx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for _, set := range []string{
		"model.norm=batch model.head_norm=group loss.type=ce", "model.norm=frozen model.head_norm=none loss.gamma=0.5 optim.clip=0.5",
		"model.norm=group model.head_norm=batch loss.type=focal_star", "sampler.type=ssd", "sampler.type=ohem box_loss.type=giou",
		"optim.type=adamw optim.lr=0.001",
	} {
		t.Run(strings.ReplaceAll(set, " ", ","), func(t *testing.T) {
			cfg, err := detector.Settings.LoadBaseline("mini", plan.Selection{Set: append([]string{
				"data.pixels=64", "image.short=64", "image.long=64", "data.min_size=0.2", "model.fpn=16", "train.batch=3", "pretrain.type=none",
				"optim.warmup=0", "optim.lr=0.01",
			}, strings.Fields(set)...)})
			if err != nil {
				t.Fatal(err)
			}
			want, got := losses(t, cfg, cpu), losses(t, cfg, other)
			for i, w := range want {
				g := got[i]
				if g.Positives != w.Positives {
					t.Errorf("step %d: %d positives, want %d", i, g.Positives, w.Positives)
				}
				near(t, i, "loss", g.Loss, w.Loss)
				near(t, i, "gradient norm", g.GradNorm, w.GradNorm)
				for j, l := range w.Losses {
					near(t, i, l.Name+" loss", g.Losses[j].Value, l.Value)
				}
			}
		})
	}
}

// TestTraffic: what a step moves to the device are bytes of images, rows of priors and tables of objects; what comes
// back are scalars.
func TestTraffic(t *testing.T) {
	e, err := gomlx.New(gomlx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	cfg, err := detector.Settings.LoadBaseline("mini", plan.Selection{Set: []string{
		"data.pixels=64", "image.short=64", "image.long=64", "data.min_size=0.2", "model.fpn=16", "train.batch=3", "pretrain.type=none",
	}})
	if err != nil {
		t.Fatal(err)
	}
	d := detector.New(cfg, cfg.Int("data.classes"), e, engine.NewState(), detector.Drawer(0))
	defer d.Close()
	batch := miniBatch(t, &cfg)
	batch.Pixels, batch.Bytes = nil, make([]byte, 3*64*64*3)
	step := func() {
		if err := d.Step(batch, &detector.StepInfo{}); err != nil {
			t.Fatal(err)
		}
	}
	step()
	up, down := e.Traffic()
	step()
	up2, down2 := e.Traffic()
	const (
		n, priors = 3, 9 * (8*8 + 4*4 + 2*2 + 1 + 1)
		table     = (2 + 16) * 7 * 4 // rows of two kinds and 16 objects: label, two weights and a box
		scalars   = 4 * (1 + 4)      // the rate; γ, two of α, and β of the box loss
	)
	if got, want := up2-up, int64(n*(64*64*3+2*4+priors+table)+scalars); got != want {
		t.Errorf("a step takes %d bytes to the device, want %d", got, want)
	}
	if got, want := down2-down, int64(4*4); got != want { // loss, gradient norm, and two terms
		t.Errorf("a step brings %d bytes from the device, want %d", got, want)
	}
}

// TestBFloat16 rounds convolutions and nothing else: first losses are near those of float32, and not the same. An
// engine without it refuses.
func TestBFloat16(t *testing.T) {
	e, err := gomlx.New(gomlx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	small := []string{"data.pixels=64", "image.short=64", "image.long=64", "data.min_size=0.2", "model.fpn=16", "train.batch=3", "pretrain.type=none"}
	var first [2]float64
	for i, set := range []string{"train.precision=f32", "train.precision=bf16"} {
		cfg, err := detector.Settings.LoadBaseline("mini", plan.Selection{Set: append(small, set)})
		if err != nil {
			t.Fatal(err)
		}
		first[i] = losses(t, cfg, e)[0].Loss
		cpu := gorgonia.New(kernel.NewPool(1), gorgonia.Options{})
		defer cpu.Close()
		d := detector.New(cfg, cfg.Int("data.classes"), cpu, engine.NewState(), detector.Drawer(0))
		defer d.Close()
		if err := d.Compile(1, 64, 64, true); errors.Is(err, engine.ErrUnsupported) != (i == 1) {
			t.Errorf("%s on the CPU engine: error %v", set, err)
		}
	}
	if off := math.Abs(first[1]/first[0] - 1); off == 0 || off > 5e-3 {
		t.Errorf("first loss %g in bfloat16, %g in float32: %g of it apart, want some, at most .005", first[1], first[0], off)
	}
}

// near fails unless got is want but for rounding.
func near(t *testing.T, step int, what string, got, want float64) {
	t.Helper()
	const share = 5e-5 // ten times what is seen
	if !(math.Abs(got-want) <= share*math.Abs(want)) {
		t.Errorf("step %d: %s %g, want %g within %g of it", step, what, got, want, share)
	}
}

// losses are those of four steps from a trial's first weights.
func losses(t *testing.T, cfg plan.Config, e engine.Engine) []detector.StepInfo {
	t.Helper()
	d := detector.New(cfg, cfg.Int("data.classes"), e, engine.NewState(), detector.Drawer(0))
	defer d.Close()
	batch := miniBatch(t, &cfg)
	var out []detector.StepInfo
	for i := range 4 {
		info := detector.StepInfo{Step: i, LR: cfg.Number("optim.lr")}
		if err := d.Step(batch, &info); err != nil {
			t.Fatal(err)
		}
		out = append(out, info)
	}
	return out
}
