package experiments

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"focalgrid/detector"
	"focalgrid/engine"
	"focalgrid/engine/gomlx"
	"focalgrid/experiments/plan"
)

// TestDevicesAgree trains a step of four images on one, two and four virtual devices of a PJRT plugin for CPUs, and
// goes on on one device from what two devices left. Sums are in another order. In float64 nothing but the last digit of
// the float32 in which a state is kept may tell; float32 keeps a hundred times less.
func TestDevicesAgree(t *testing.T) {
	if testing.Short() {
		t.Skip("compiling a detector takes a quarter of a minute")
	}
	plugin, err := gomlx.FindPlugin("")
	if err == nil && !strings.Contains(strings.ToLower(plugin), "cpu") {
		err = errors.New(plugin + " is a plugin for other devices than CPUs")
	}
	if err != nil {
		t.Skipf("virtual devices need a PJRT plugin for CPUs: %v", err)
	}
	for _, c := range []struct {
		precision, layout, set string
		devices                []int
		share                  float64 // of a tensor's largest value
	}{
		{gomlx.Float64, gomlx.NCHW, "model.norm=batch model.head_norm=group", []int{2, 4}, 1e-7},
		{gomlx.Float32, gomlx.NHWC, "model.norm=batch model.head_norm=batch box_loss.type=giou sampler.type=ohem optim.clip=0.5", []int{2}, 1e-5},
	} {
		t.Run(c.precision, func(t *testing.T) {
			cfg, err := detector.Settings.LoadBaseline("mini", plan.Selection{Set: append([]string{
				"data.pixels=64", "image.short=64", "image.long=64", "data.min_size=0.2", "model.fpn=16", "train.batch=4", "pretrain.type=none",
				"optim.warmup=0", "optim.lr=0.01",
			}, strings.Fields(c.set)...)})
			if err != nil {
				t.Fatal(err)
			}
			open := func(devices int) engine.Engine {
				e, err := gomlx.New(gomlx.Options{Backend: gomlx.XLA, Plugin: plugin, Precision: c.precision, Layout: c.layout, Devices: devices})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { e.Close() })
				return e
			}
			one := open(1)
			first := stepFrom(t, cfg, one, engine.NewState())
			second := stepFrom(t, cfg, one, first.state)
			for _, devices := range c.devices {
				got := stepFrom(t, cfg, open(devices), engine.NewState())
				first.equals(t, fmt.Sprintf("a step on %d devices", devices), got, c.share)
				second.equals(t, fmt.Sprintf("a step on one device after one on %d", devices), stepFrom(t, cfg, one, got.state), c.share)
			}
		})
	}
}

// stepped is what a step reports, and the state after it.
type stepped struct {
	info  detector.StepInfo
	state *engine.State
}

// stepFrom makes a step from a state.
func stepFrom(t *testing.T, cfg plan.Config, e engine.Engine, from *engine.State) stepped {
	t.Helper()
	d := detector.New(cfg, cfg.Int("data.classes"), e, from.Clone(), detector.Drawer(0))
	defer d.Close()
	info := detector.StepInfo{LR: cfg.Number("optim.lr")}
	if err := d.Step(miniBatch(t, &cfg), &info); err != nil {
		t.Fatal(err)
	}
	s, err := d.Stored()
	if err != nil {
		t.Fatal(err)
	}
	return stepped{info, s.Clone()}
}

// equals fails unless losses, gradient norm, parameters, slots and running statistics are those of want, but for a
// share of the largest value of each.
func (want stepped) equals(t *testing.T, what string, got stepped, share float64) {
	t.Helper()
	if got.info.Positives != want.info.Positives || !slices.Equal(got.state.Names(), want.state.Names()) {
		t.Fatalf("%s: %d positives, want %d; tensors %v, want %v", what, got.info.Positives, want.info.Positives, got.state.Names(), want.state.Names())
	}
	compare := func(name string, got, want []float32) {
		t.Helper()
		largest, apart := 0., 0.
		for i, w := range want {
			largest = max(largest, math.Abs(float64(w)))
			apart = max(apart, math.Abs(float64(got[i])-float64(w)))
		}
		if !(apart <= share*largest) {
			t.Errorf("%s: %s is %g of its largest value %g apart, want at most %g", what, name, apart/largest, largest, share)
		}
	}
	reported := func(i detector.StepInfo) []float32 {
		out := []float32{float32(i.Loss), float32(i.GradNorm)}
		for _, l := range i.Losses {
			out = append(out, float32(l.Value))
		}
		return out
	}
	g, w := reported(got.info), reported(want.info)
	for i, name := range []string{"loss", "gradient norm", "class loss", "box loss"} {
		compare(name, g[i:i+1], w[i:i+1])
	}
	for _, name := range want.state.Names() {
		compare("tensor "+name, got.state.Get(name).Values, want.state.Get(name).Values)
	}
}
