package kernel

import (
	"fmt"
	"math"
)

// A Pooling is a max-pool over K × K windows; padding acts as -∞.
type Pooling struct{ K, Stride, Pad int }

// Out is the shape of the pooled tensor; Pad must be below K.
func (q Pooling) Out(s Shape) Shape {
	return Shape{s.N, s.C, (s.H+2*q.Pad-q.K)/q.Stride + 1, (s.W+2*q.Pad-q.K)/q.Stride + 1}
}

// Max computes the maximum of each window of x (shape s) into y (shape
// q.Out(s)) and writes to idx where in its map, as y·W+x, it was found: the first
// one in row-major order, but the last NaN if there is one. It is always a pixel
// of the map.
func (q Pooling) Max(p *Pool, y []float32, idx []int32, x []float32, s Shape) {
	o := q.Out(s)
	need("Pooling.Max", "y", y, o.Len())
	need("Pooling.Max", "x", x, s.Len())
	if len(idx) < o.Len() {
		panic(fmt.Sprintf("kernel: Pooling.Max: idx has %d elements, its shape needs %d", len(idx), o.Len()))
	}
	span(p, s.N*s.C, s.Len(), func(from, to int) {
		var w windows
		split := q.Stride == 2 && o.W >= lanes
		if split {
			w = newWindows(p, q, s)
		}
		for t := from; t < to; t++ {
			m := x[t*s.Area() : (t+1)*s.Area()]
			best, at := y[t*o.Area():(t+1)*o.Area()], idx[t*o.Area():(t+1)*o.Area()]
			for i := range o.H {
				y0 := max(0, i*q.Stride-q.Pad)
				y1 := min(s.H, i*q.Stride-q.Pad+q.K)
				b, a := best[i*o.W:(i+1)*o.W], at[i*o.W:(i+1)*o.W]
				for j := range b {
					b[j] = float32(math.Inf(-1))
					a[j] = int32(y0*s.W + max(0, j*q.Stride-q.Pad))
				}
				for yy := y0; yy < y1; yy++ {
					row := m[yy*s.W:][:s.W]
					if split {
						w.offer(p.set, b, a, row, yy*s.W)
						continue
					}
					for j := range b {
						for xx := max(0, j*q.Stride-q.Pad); xx < min(s.W, j*q.Stride-q.Pad+q.K); xx++ {
							if v := row[xx]; v > b[j] || v != v {
								b[j], a[j] = v, int32(yy*s.W+xx)
							}
						}
					}
				}
			}
		}
		if split {
			p.scratch.give(w.buf)
		}
	})
}

// windows splits rows for pooling with stride 2: the even and the odd pixels lie
// apart, between -∞, so that neighbouring windows are neighbours in memory.
type windows struct {
	q     Pooling
	width int
	buf   []float32
	part  [2][]float32 // element i is pixel 2(i-margin)+parity
}

// margin is how far a window may reach to the left, in pairs of pixels.
func (w *windows) margin() int { return (w.q.Pad + 1) / 2 }

func newWindows(p *Pool, q Pooling, s Shape) windows {
	w := windows{q: q, width: s.W}
	n := w.margin() + q.Out(s).W + q.K + s.W/2
	w.buf = p.scratch.take(2 * n)
	for i := range w.buf {
		w.buf[i] = float32(math.Inf(-1))
	}
	w.part = [2][]float32{w.buf[:n], w.buf[n:]}
	return w
}

// offer takes one row of the map, whose first pixel has index first, into the
// maxima of a row of windows.
func (w *windows) offer(set set, best []float32, idx []int32, row []float32, first int) {
	even, odd := w.part[0][w.margin():], w.part[1][w.margin():]
	for i := vecSplit(set, even, odd, row, len(row)/2); i < (len(row)+1)/2; i++ {
		even[i] = row[2*i]
		if 2*i+1 < len(row) {
			odd[i] = row[2*i+1]
		}
	}
	for s := range w.q.K {
		x := s - w.q.Pad // of window 0
		part := w.part[x&1][w.margin()+x>>1:][:len(best)]
		for j := vecMaxStep(set, best, idx, part, first+x); j < len(best); j++ {
			if v := part[j]; v > best[j] || v != v {
				best[j], idx[j] = v, int32(first+x+2*j)
			}
		}
	}
}

// MaxGrad computes dx (shape s): each dy goes to the place idx says.
func (q Pooling) MaxGrad(p *Pool, dx, dy []float32, idx []int32, s Shape) {
	o := q.Out(s)
	need("Pooling.MaxGrad", "dx", dx, s.Len())
	need("Pooling.MaxGrad", "dy", dy, o.Len())
	span(p, s.N*s.C, s.Len(), func(from, to int) {
		for t := from; t < to; t++ {
			m := dx[t*s.Area() : (t+1)*s.Area()]
			clear(m)
			for i := t * o.Area(); i < (t+1)*o.Area(); i++ {
				m[idx[i]] += dy[i]
			}
		}
	})
}

// GlobalAvgPool computes y[n,c], the mean of each map of x (shape s).
func GlobalAvgPool(p *Pool, y, x []float32, s Shape) {
	need("GlobalAvgPool", "y", y, s.N*s.C)
	need("GlobalAvgPool", "x", x, s.Len())
	for t := range s.N * s.C {
		var sum float64
		for _, v := range x[t*s.Area() : (t+1)*s.Area()] {
			sum += float64(v)
		}
		y[t] = float32(sum / float64(s.Area()))
	}
}

// GlobalAvgPoolGrad computes dx (shape s) = dy[n,c]/(H·W).
func GlobalAvgPoolGrad(p *Pool, dx, dy []float32, s Shape) {
	need("GlobalAvgPoolGrad", "dx", dx, s.Len())
	need("GlobalAvgPoolGrad", "dy", dy, s.N*s.C)
	for t := range s.N * s.C {
		v := dy[t] / float32(s.Area())
		m := dx[t*s.Area() : (t+1)*s.Area()]
		for i := range m {
			m[i] = v
		}
	}
}

// UpsampleNearest enlarges x (shape s) to oh × ow: y[i,j] = x[⌊i·H/oh⌋, ⌊j·W/ow⌋],
// plus lateral[i,j] if that is not nil (it has y's shape [N, C, oh, ow]).
func UpsampleNearest(p *Pool, y, x, lateral []float32, oh, ow int, s Shape) {
	need("UpsampleNearest", "y", y, s.N*s.C*oh*ow)
	need("UpsampleNearest", "x", x, s.Len())
	if lateral != nil {
		need("UpsampleNearest", "lateral", lateral, s.N*s.C*oh*ow)
	}
	twice := oh == 2*s.H && ow == 2*s.W
	span(p, s.N*s.C, s.N*s.C*oh*ow, func(from, to int) {
		wide := p.scratch.take(s.H * ow)
		for t := from; t < to; t++ {
			m := x[t*s.Area() : (t+1)*s.Area()]
			if twice { // each pixel twice, all rows at once
				weave(p.set, wide, m, 2, 0, s.Area())
			} else {
				for i := range wide {
					wide[i] = m[i/ow*s.W+i%ow*s.W/ow]
				}
			}
			for i := range oh {
				row := wide[i*s.H/oh*ow:][:ow]
				o := (t*oh + i) * ow
				if lateral == nil {
					copy(y[o:], row)
				} else {
					add(p.set, y[o:o+ow], row, lateral[o:o+ow])
				}
			}
		}
		p.scratch.give(wide)
	})
}

// UpsampleGrad computes dx (shape s), the sum of dy ([N, C, oh, ow]) over the
// places each element was copied to.
func UpsampleGrad(p *Pool, dx, dy []float32, oh, ow int, s Shape) {
	need("UpsampleGrad", "dx", dx, s.Len())
	need("UpsampleGrad", "dy", dy, s.N*s.C*oh*ow)
	twice := oh == 2*s.H && ow == 2*s.W
	span(p, s.N*s.C, s.N*s.C*oh*ow, func(from, to int) {
		rows := p.scratch.take(2 * s.H * ow)
		sums, parts := rows[:s.H*ow], rows[s.H*ow:]
		for t := from; t < to; t++ {
			m := dx[t*s.Area() : (t+1)*s.Area()]
			d := dy[t*oh*ow : (t+1)*oh*ow]
			if twice {
				for i := range s.H {
					add(p.set, sums[i*ow:(i+1)*ow], d[2*i*ow:], d[(2*i+1)*ow:])
				}
				unweave(p.set, parts, sums, 2, s.Area(), s.Area())
				add(p.set, m, parts[:s.Area()], parts[s.Area():])
				continue
			}
			clear(m)
			for i := range oh {
				row := m[i*s.H/oh*s.W:][:s.W]
				for j := range ow {
					row[j*s.W/ow] += d[i*ow+j]
				}
			}
		}
		p.scratch.give(rows)
	})
}
