package gomlx

import (
	"fmt"
	"time"

	"focalgrid/engine"
)

// stepShare is the share of the speed of a convolution that a training is taken to reach. Over XLA on a CPU trainings
// of mini and small reached half of it, by the time of the processor; by the clock it is less, as not all of a step
// runs on all cores. On a GPU it has not been measured, and may be far smaller: there norms and losses wait for memory.
const stepShare = .4

// probeTime is how long the convolutions run, but for the last of them.
const probeTime = 200 * time.Millisecond

// probe is a chain of 3×3 convolutions from some channels to as many, on square maps.
type probe struct{ convs, images, channels, side int }

// Probes that fill a device. On a GPU a single convolution would be over before the next is there.
var (
	probeCPU    = probe{convs: 1, images: 4, channels: 64, side: 32}
	probeDevice = probe{convs: 8, images: 16, channels: 256, side: 64}
)

// probe is what fills the engine's device.
func (e *Engine) probe() probe {
	if e.info.Device == "CPU" {
		return probeCPU
	}
	return probeDevice
}

// macs is the number of multiply-adds of a run.
func (c probe) macs() float64 {
	return float64(c.convs) * float64(c.images*c.side*c.side) * float64(9*c.channels*c.channels)
}

// program adds up what comes out, so that one value comes back.
func (c probe) program(bfloat16 bool) (*engine.Program, error) {
	p := &engine.Program{BFloat16: bfloat16}
	var err error
	p.Graph, err = engine.Build(func(g *engine.Graph) error {
		x := g.Input("x", c.images, c.channels, c.side, c.side)
		w := g.Param("w", engine.Constant(0), false, c.channels, c.channels, 3, 3)
		for range c.convs {
			x = g.Conv2D(x, w, nil, 1, 1, false)
		}
		p.Outputs = []*engine.Node{g.Named(g.Sum(x), "sum")}
		return nil
	})
	return p, err
}

// ProbeRate repeats convolutions, compiled for the device, for a fifth of a second, and takes stepShare of the fastest
// run, which other programs disturb least, and which has nothing left to load.
func (e *Engine) ProbeRate(now func() time.Time, bfloat16 bool) (engine.Rate, error) {
	best, err := e.convRate(now, bfloat16)
	if err != nil {
		return engine.Rate{}, fmt.Errorf("a convolution to measure the device's speed: %w", err)
	}
	return engine.Rate{MACs: stepShare * best, Guessed: e.opt.Backend != XLA || e.info.Device != "CPU"}, nil
}

// convRate returns the multiply-adds a second of the fastest run.
func (e *Engine) convRate(now func() time.Time, bfloat16 bool) (best float64, err error) {
	c := e.probe()
	p, err := c.program(bfloat16)
	if err != nil {
		return 0, err
	}
	x, w := p.Graph.Node("x"), p.Graph.Node("w")
	s := engine.NewState()
	if err := s.Set(w.Name, w.Shape, varied(w.Size(), 1/float32(9*c.channels))); err != nil {
		return 0, err
	}
	ses, err := e.Compile(p, s)
	if err != nil {
		return 0, err
	}
	defer ses.Close()
	feed, err := e.Stage(varied(x.Size(), 1), false, x.Shape...)
	if err != nil {
		return 0, err
	}
	defer feed.Free()
	begun := now()
	for end := begun; end.Sub(begun) < probeTime; {
		start := now()
		if _, err := ses.Forward(engine.Feeds{x.Name: feed}); err != nil {
			return 0, err
		}
		end = now()
		best = max(best, c.macs()/max(end.Sub(start), time.Microsecond).Seconds())
	}
	return best, nil
}

// varied returns values up to a largest one. A device may be faster on zeros.
func varied(n int, largest float32) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = largest * float32(i%251-125) / 125
	}
	return out
}
