package experiments

import (
	"fmt"
	"runtime"
	"testing"

	"focalgrid/dataset"
	"focalgrid/dataset/synthetic"
	"focalgrid/detector"
	"focalgrid/engine"
	"focalgrid/engine/gorgonia"
	"focalgrid/engine/kernel"
	"focalgrid/experiments/plan"
)

// miniBatch is a first training batch of the mini profile without a folder.
func miniBatch(tb testing.TB, cfg *plan.Config) *dataset.Batch {
	tb.Helper()
	synth := synthetic.New(cfg.SynthConfig())
	n, px := cfg.Int("train.batch"), cfg.Int("data.pixels")
	b := &dataset.Batch{N: n, H: px, W: px, Pixels: make([]float32, n*3*px*px)}
	for i := range n {
		s := synth.Scene("train", i)
		for p := range px * px {
			for c := range 3 {
				b.Pixels[(i*3+c)*px*px+p] = (float32(s.Pixels[3*p+c])/255 - float32(cfg.Group("image").Numbers("mean")[c])) / float32(cfg.Group("image").Numbers("std")[c])
			}
		}
		it := dataset.Item{Scale: 1, Width: px, Height: px, NetWidth: px, NetHeight: px}
		for j, q := range s.Boxes {
			it.Boxes = append(it.Boxes, [4]float32{float32(q[0]), float32(q[1]), float32(q[2]), float32(q[3])})
			it.Labels = append(it.Labels, int32(s.Labels[j]))
			it.Crowd = append(it.Crowd, false)
		}
		b.Items = append(b.Items, it)
	}
	return b
}

// BenchmarkMiniStep is the whole training step of the mini profile without the
// loader, on the static plan and on Gorgonia's TapeMachine.
func BenchmarkMiniStep(b *testing.B) {
	for _, opt := range []gorgonia.Options{{}, {TapeMachine: true}} {
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("tape=%t/threads=%d", opt.TapeMachine, threads), func(b *testing.B) {
				cfg, err := detector.Settings.LoadBaseline("mini", plan.Selection{})
				if err != nil {
					b.Fatal(err)
				}
				batch := miniBatch(b, &cfg)
				old := runtime.GOMAXPROCS(threads)
				defer runtime.GOMAXPROCS(old)
				pool := kernel.NewPool(threads)
				defer pool.Close()
				d := detector.New(cfg, cfg.Int("data.classes"), gorgonia.New(pool, opt), engine.NewState(), detector.Drawer(0))
				defer d.Close()
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					info := detector.StepInfo{Step: i, LR: .001}
					if err := d.Step(batch, &info); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
