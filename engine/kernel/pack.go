package kernel

import "slices"

// packsAs reports whether both sweeps, of one kernel, have the same packed weights.
func (s *sweep) packsAs(o *sweep) bool {
	return slices.EqualFunc(s.phases, o.phases, func(a, b phase) bool {
		return slices.EqualFunc(a.taps, b.taps, func(a, b tap) bool { return a.w == b.w })
	})
}

// pack does one of packTasks tasks of packing the weights: for each phase and panel,
// [ci][taps][8 output channels].
func (s *sweep) pack(p *Pool, packed, w []float32, task int) {
	tasks := packTasks(s.weights)
	for panel := task * s.panels / tasks; panel < (task+1)*s.panels/tasks; panel++ {
		for i := range s.phases {
			f := &s.phases[i]
			n := tileRows * len(f.off)
			dst := packed[f.at+panel*n:][:n]
			if s.grad {
				packGradInput(p.set, dst, w, s.c, panel*tileRows, f)
			} else {
				packForward(p.set, dst, w, s.c, panel*tileRows, f)
			}
		}
	}
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
