package gorgonia

import (
	"fmt"
	"time"

	"focalgrid/engine"
	"focalgrid/engine/kernel"
)

// stepShare is the share of the probe's rate that whole trainings reached where
// it was measured: norms, losses, the update and small maps cost time and count no
// multiply-adds, and gradients are slower than the forward pass.
const stepShare = .4

// probeTime bounds ProbeRate.
const probeTime = 200 * time.Millisecond

// ProbeRate repeats a typical convolution (64 to 64 channels, 3×3, on 32×32) for a fifth of a
// second and takes stepShare of the fastest run, which other programs disturb least.
func (e *Engine) ProbeRate(now func() time.Time, bfloat16 bool) (engine.Rate, error) {
	if bfloat16 {
		return engine.Rate{}, fmt.Errorf("bfloat16: %w", engine.ErrUnsupported)
	}
	c := kernel.Conv{N: 4, C: 64, H: 32, W: 32, K: 64, R: 3, Stride: 1, Pad: 1}
	layer := kernel.NewLayer(e.pool, c)
	x, w, y := make([]float32, c.In()), make([]float32, c.Weights()), make([]float32, c.Out())
	best := probeTime
	for begun := now(); now().Sub(begun) < probeTime; {
		start := now()
		layer.Forward(y, x, w, nil, false)
		best = min(best, max(now().Sub(start), time.Microsecond))
	}
	return engine.Rate{MACs: stepShare * float64(c.MACs()) / best.Seconds()}, nil
}

// ProbePeak returns the floating point operations a second of one core: the fastest of some runs of
// nothing but multiply-adds.
func (e *Engine) ProbePeak(now func() time.Time) float64 {
	best := 0.0
	for range 5 {
		t := now()
		flops := kernel.PeakLoop(e.pool.Level(), 200_000)
		if s := now().Sub(t).Seconds(); s > 0 {
			best = max(best, flops/s)
		}
	}
	return best
}
