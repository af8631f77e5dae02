package kernel

import "fmt"

// A Conv is a square 2-D convolution (cross-correlation, as in every deep
// learning library) with its extents:
//
//	y[n,k,i,j] = bias[k] + Σ_c Σ_r Σ_s w[k,c,r,s] · x[n,c,i·Stride+r-Pad,j·Stride+s-Pad]
//
// x is [N, C, H, W], w is [K, C, R, R], y is [N, K, OutH, OutW]; outside the map
// x is zero.
type Conv struct {
	N, C, H, W int // batch and input map
	K          int // output channels
	R          int // kernel size, R × R
	Stride     int
	Pad        int // the same on all four sides
}

// Check reports extents that are not those of a convolution.
func (c Conv) Check() error {
	switch {
	case c.N < 1 || c.C < 1 || c.H < 1 || c.W < 1 || c.K < 1 || c.R < 1:
		return fmt.Errorf("convolution %+v: every extent must be at least 1", c)
	case c.Stride < 1:
		return fmt.Errorf("convolution %+v: stride must be at least 1", c)
	case c.Pad < 0:
		return fmt.Errorf("convolution %+v: padding must not be negative", c)
	case c.H+2*c.Pad < c.R || c.W+2*c.Pad < c.R:
		return fmt.Errorf("convolution %+v: the kernel is larger than the padded map", c)
	}
	return nil
}

// OutH is the height of the output, ⌊(H+2·Pad-R)/Stride⌋+1.
func (c Conv) OutH() int { return (c.H+2*c.Pad-c.R)/c.Stride + 1 }

// OutW is the width of the output.
func (c Conv) OutW() int { return (c.W+2*c.Pad-c.R)/c.Stride + 1 }

// In, Out and Weights are the numbers of elements of x, y and w.
func (c Conv) In() int      { return c.N * c.C * c.H * c.W }
func (c Conv) Out() int     { return c.N * c.K * c.OutH() * c.OutW() }
func (c Conv) Weights() int { return c.K * c.C * c.R * c.R }

// MACs is the number of multiply-adds of one pass, padding counted as work.
func (c Conv) MACs() int { return c.Out() * c.C * c.R * c.R }

// Forward computes y. bias is [K] or nil; with relu, y is max(y, 0) at the end.
func (c Conv) Forward(p *Pool, y, x, w, bias []float32, relu bool) {
	need("Conv.Forward", "y", y, c.Out())
	need("Conv.Forward", "x", x, c.In())
	need("Conv.Forward", "w", w, c.Weights())
	if bias != nil {
		need("Conv.Forward", "bias", bias, c.K)
	}
	b := p.scratch.take((c.K + tileRows - 1) / tileRows * tileRows)
	clear(b[copy(b, bias):])
	if m := p.winogradBlock(c); m > 0 {
		floor := unbounded
		if relu {
			floor = 0
		}
		p.plans.winograd(c, m, false).run(p, c, y, x, w, b, floor)
		p.scratch.give(b)
		return
	}
	s := p.plans.forward(c)
	packed := p.scratch.take(s.weights)
	s.pack(p, packed, func(panel int, f *phase, dst []float32) {
		packForward(p.set, dst, w, c, panel*tileRows, f)
	})
	s.run(p, y, x, packed, b, relu)
	p.scratch.give(packed)
	p.scratch.give(b)
}

// GradInput computes dx, the gradient to x for a given gradient dy to y.
func (c Conv) GradInput(p *Pool, dx, dy, w []float32) {
	need("Conv.GradInput", "dx", dx, c.In())
	need("Conv.GradInput", "dy", dy, c.Out())
	need("Conv.GradInput", "w", w, c.Weights())
	b := p.scratch.take((c.C + tileRows - 1) / tileRows * tileRows)
	clear(b)
	if m := p.winogradBlock(c); m > 0 {
		p.plans.winograd(c, m, true).run(p, c, dx, dy, w, b, unbounded)
		p.scratch.give(b)
		return
	}
	s := p.plans.gradInput(c)
	packed := p.scratch.take(s.weights)
	s.pack(p, packed, func(panel int, f *phase, dst []float32) {
		packGradInput(p.set, dst, w, c, panel*tileRows, f)
	})
	s.run(p, dx, dy, packed, b, false)
	p.scratch.give(packed)
	p.scratch.give(b)
}

// GradWeights computes dw, the gradient to w for a given gradient dy to y.
func (c Conv) GradWeights(p *Pool, dw, x, dy []float32) {
	need("Conv.GradWeights", "dw", dw, c.Weights())
	need("Conv.GradWeights", "x", x, c.In())
	need("Conv.GradWeights", "dy", dy, c.Out())
	if m := p.winogradWeightsBlock(c); m > 0 {
		p.plans.winogradWeights(c, m).run(p, dw, x, dy)
		return
	}
	p.plans.gradWeights(c).run(p, dw, x, dy)
}

// GradBias computes db[c] = Σ_n Σ_pixels dy[n,c,·], the gradient to a bias. dy
// has shape s; db is [C].
func GradBias(p *Pool, db, dy []float32, s Shape) {
	need("GradBias", "db", db, s.C)
	need("GradBias", "dy", dy, s.Len())
	hw := s.Area()
	span(p, s.C, s.Len(), func(from, to int) {
		for c := from; c < to; c++ {
			var sum float64
			for n := range s.N {
				for i := (n*s.C + c) * hw; i < (n*s.C+c+1)*hw; i += piece {
					a, _ := moments(p.set, dy[i:min(i+piece, (n*s.C+c+1)*hw)], 0)
					sum += a
				}
			}
			db[c] = float32(sum)
		}
	})
}
