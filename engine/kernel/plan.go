package kernel

import "sync"

// plans keeps what was worked out for a shape.
type plans struct {
	mu      sync.Mutex
	sweeps  map[planKey]*sweep
	weights map[Conv]*weightSweep
	blocks  map[planKey]*winograd
	grads   map[Conv]*winogradWeights
}

type planKey struct {
	Conv
	grad bool
}

func (p *plans) sweep(k planKey, build func() *sweep) *sweep {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.sweeps[k]
	if s == nil {
		s = build()
		s.plan()
		if p.sweeps == nil {
			p.sweeps = map[planKey]*sweep{}
		}
		p.sweeps[k] = s
	}
	return s
}

func (p *plans) forward(c Conv) *sweep {
	return p.sweep(planKey{c, false}, func() *sweep {
		c := c.flat()
		return &sweep{
			n: c.N, ci: c.C, hs: c.H, ws: c.W, co: c.K, hd: c.OutH(), wd: c.OutW(),
			p: c.Stride, q: 1, phases: []phase{{taps: c.taps()}},
		}
	})
}

func (p *plans) gradInput(c Conv) *sweep {
	return p.sweep(planKey{c, true}, func() *sweep {
		c := c.flat()
		s := &sweep{
			n: c.N, ci: c.K, hs: c.OutH(), ws: c.OutW(), co: c.C, hd: c.H, wd: c.W,
			p: 1, q: c.Stride,
		}
		for a := range c.Stride {
			for b := range c.Stride {
				f := phase{a: a, b: b}
				for r := range c.R {
					for t := range c.R {
						// x[y] meets dy[i] by w[r] where i·stride + r - pad = y = stride·lattice + a.
						if y, x := a+c.Pad-r, b+c.Pad-t; y%c.Stride == 0 && x%c.Stride == 0 {
							f.taps = append(f.taps, tap{y / c.Stride, x / c.Stride, r*c.R + t})
						}
					}
				}
				s.phases = append(s.phases, f)
			}
		}
		return s
	})
}

func (p *plans) winograd(c Conv, m int, grad bool) *winograd {
	k := planKey{c, grad}
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.blocks[k]
	if w == nil {
		w = newWinograd(c, m, grad)
		if p.blocks == nil {
			p.blocks = map[planKey]*winograd{}
		}
		p.blocks[k] = w
	}
	return w
}

func (p *plans) winogradWeights(c Conv, m int) *winogradWeights {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.grads[c]
	if w == nil {
		w = newWinogradWeights(c, m)
		if p.grads == nil {
			p.grads = map[Conv]*winogradWeights{}
		}
		p.grads[c] = w
	}
	return w
}

func (p *plans) gradWeights(c Conv) *weightSweep {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.weights[c]
	if s == nil {
		s = planWeights(c.flat())
		if p.weights == nil {
			p.weights = map[Conv]*weightSweep{}
		}
		p.weights[c] = s
	}
	return s
}

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

// pack fills the packed weights: for each phase and panel, [ci][taps][8 output
// channels], by calling one for each.
func (s *sweep) pack(p *Pool, packed []float32, one func(panel int, f *phase, dst []float32)) {
	p.Run(packTasks(s.weights), func(task int) {
		tasks := packTasks(s.weights)
		for panel := task * s.panels / tasks; panel < (task+1)*s.panels/tasks; panel++ {
			for i := range s.phases {
				f := &s.phases[i]
				n := tileRows * len(f.off)
				one(panel, f, packed[f.at+panel*n:][:n])
			}
		}
	})
}

// packTasks cuts packing into tasks; what a task does isn't changed by their number.
func packTasks(weights int) int { return min(8, 1+weights>>13) }

// packForward packs the rows k … k+7 of w, [K, C·R·R]; rows beyond K are zero.
func packForward(set set, dst, w []float32, c Conv, k int, f *phase) {
	rr := c.R * c.R
	if len(f.taps) == rr && k+tileRows <= c.K {
		weave(set, dst, w[k*c.C*rr:], tileRows, c.C*rr, c.C*rr)
		return
	}
	for i := range tileRows {
		for ch := range c.C {
			for j, t := range f.taps {
				var v float32
				if k+i < c.K {
					v = w[((k+i)*c.C+ch)*rr+t.w]
				}
				dst[(ch*len(f.taps)+j)*tileRows+i] = v
			}
		}
	}
}

// packGradInput packs the columns ch … ch+7 of w, [K, C, R·R], as rows.
func packGradInput(set set, dst, w []float32, c Conv, ch int, f *phase) {
	rr := c.R * c.R
	if len(f.taps) == rr && ch+tileRows <= c.C {
		for k := range c.K {
			weave(set, dst[k*rr*tileRows:], w[(k*c.C+ch)*rr:], tileRows, rr, rr)
		}
		return
	}
	for k := range c.K {
		for j, t := range f.taps {
			for i := range tileRows {
				var v float32
				if ch+i < c.C {
					v = w[(k*c.C+ch+i)*rr+t.w]
				}
				dst[(k*len(f.taps)+j)*tileRows+i] = v
			}
		}
	}
}
