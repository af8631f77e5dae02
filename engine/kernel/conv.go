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

// flat is the same convolution with its map cut into rows of 16 pixels where
// rows mean nothing to it, so that no vector is left half empty.
func (c Conv) flat() Conv {
	if c.R == 1 && c.Stride == 1 && c.Pad == 0 {
		if hw := c.H * c.W; hw%lanes == 0 {
			c.H, c.W = hw/lanes, lanes
		} else {
			c.H, c.W = 1, hw
		}
	}
	return c
}

// taps lists the taps of the forward pass.
func (c Conv) taps() []tap {
	var t []tap
	for r := range c.R {
		for s := range c.R {
			t = append(t, tap{r - c.Pad, s - c.Pad, r*c.R + s})
		}
	}
	return t
}

// GradBias computes db[c] = Σ_n Σ_pixels dy[n,c,·], the gradient to a bias, over all
// levels: dy has the tensors of the given shapes one after the other; db is [C].
func GradBias(p *Pool, db, dy []float32, levels ...Shape) {
	channels, total := levels[0].C, 0
	for _, s := range levels {
		total += s.Len()
	}
	need("GradBias", "db", db, channels)
	need("GradBias", "dy", dy, total)
	span(p, channels, total, func(from, to int) {
		for c := from; c < to; c++ {
			var sum float64
			first := 0
			for _, s := range levels {
				hw := s.Area()
				for n := range s.N {
					end := first + (n*s.C+c+1)*hw
					for i := end - hw; i < end; i += piece {
						a, _ := moments(p.set, dy[i:min(i+piece, end)], 0)
						sum += a
					}
				}
				first += s.Len()
			}
			db[c] = float32(sum)
		}
	})
}
