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
			if split {
				w.split(p.set, m)
			}
			for i := range o.H {
				y0 := max(0, i*q.Stride-q.Pad)
				y1 := min(s.H, i*q.Stride-q.Pad+q.K)
				b, a := best[i*o.W:(i+1)*o.W], at[i*o.W:(i+1)*o.W]
				if split {
					w.row(p.set, b, a, y0, y1)
					continue
				}
				for j := range b {
					b[j] = float32(math.Inf(-1))
					a[j] = int32(y0*s.W + max(0, j*q.Stride-q.Pad))
				}
				for yy := y0; yy < y1; yy++ {
					row := m[yy*s.W:][:s.W]
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

// windows pools one map with stride 2: the even and the odd pixels of each row
// lie apart, between -∞, so that neighbouring windows are neighbours in memory.
type windows struct {
	q          Pooling
	h, w       int
	n          int       // pixels of half a row with what is around them
	buf        []float32 // [h][2][n], element i of a half is pixel 2(i-margin)+parity
	off, first []int32   // of a row's taps
}

// margin is how far a window may reach to the left, in pairs of pixels.
func (w *windows) margin() int { return (w.q.Pad + 1) / 2 }

func newWindows(p *Pool, q Pooling, s Shape) windows {
	w := windows{q: q, h: s.H, w: s.W}
	w.n = w.margin() + max((s.W+1)/2, q.Out(s).W+q.K)
	w.buf = p.scratch.take(s.H * 2 * w.n)
	low := float32(math.Inf(-1))
	for half := range 2 * s.H {
		row := w.buf[half*w.n:][:w.n]
		for i := range w.margin() {
			row[i] = low
		}
		for i := w.margin() + s.W/2; i < w.n; i++ {
			row[i] = low
		}
	}
	return w
}

// split takes a map.
func (w *windows) split(set set, m []float32) {
	even := w.buf[w.margin():]
	odd := even[w.n:]
	if w.w%2 == 0 && vecSplitRows(set, even, odd, m, w.h, 2*w.n, w.w/2) {
		return
	}
	for y := range w.h {
		row := m[y*w.w:][:w.w]
		for i, v := range row {
			if i%2 == 0 {
				even[y*2*w.n+i/2] = v
			} else {
				odd[y*2*w.n+i/2] = v
			}
		}
	}
}

// row finds the maxima of a row of windows that cover rows y0 … y1-1.
func (w *windows) row(set set, best []float32, idx []int32, y0, y1 int) {
	w.off, w.first = w.off[:0], w.first[:0]
	for y := y0; y < y1; y++ {
		for s := range w.q.K {
			x := s - w.q.Pad // of window 0
			w.off = append(w.off, int32((2*y+x&1)*w.n+w.margin()+x>>1))
			w.first = append(w.first, int32(y*w.w+x))
		}
	}
	for j := vecMaxWindows(set, best, idx, w.buf, w.off, w.first, y0*w.w, w.q.Pad); j < len(best); j++ {
		b, a := float32(math.Inf(-1)), int32(y0*w.w+max(0, 2*j-w.q.Pad))
		for t, o := range w.off {
			if v := w.buf[int(o)+j]; v > b || v != v {
				b, a = v, w.first[t]+int32(2*j)
			}
		}
		best[j], idx[j] = b, a
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
