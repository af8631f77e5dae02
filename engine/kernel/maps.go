package kernel

import "math"

// A Pooling is a max-pool over K × K windows; padding acts as -∞.
type Pooling struct{ K, Stride, Pad int }

// Out is the shape of the pooled tensor; Pad must be below K.
func (q Pooling) Out(s Shape) Shape {
	return Shape{s.N, s.C, (s.H+2*q.Pad-q.K)/q.Stride + 1, (s.W+2*q.Pad-q.K)/q.Stride + 1}
}

// Max computes the maximum of each window of x (shape s) into y (shape
// q.Out(s)) and writes to idx where in its map, as y·W+x, it was found: the first
// one in row-major order, and the first NaN if there is one.
func (q Pooling) Max(p *Pool, y []float32, idx []int32, x []float32, s Shape) {
	o := q.Out(s)
	need("Pooling.Max", "y", y, o.Len())
	need("Pooling.Max", "x", x, s.Len())
	p.Run(s.N*s.C, func(t int) {
		m := x[t*s.Area() : (t+1)*s.Area()]
		for i := range o.H {
			for j := range o.W {
				y0, x0 := max(0, i*q.Stride-q.Pad), max(0, j*q.Stride-q.Pad)
				best, at := float32(math.Inf(-1)), y0*s.W+x0
				for yy := y0; yy < min(s.H, i*q.Stride-q.Pad+q.K); yy++ {
					for xx := x0; xx < min(s.W, j*q.Stride-q.Pad+q.K); xx++ {
						if v := m[yy*s.W+xx]; v > best || v != v && best == best {
							best, at = v, yy*s.W+xx
						}
					}
				}
				y[t*o.Area()+i*o.W+j], idx[t*o.Area()+i*o.W+j] = best, int32(at)
			}
		}
	})
}

// MaxGrad computes dx (shape s): each dy goes to the place idx says.
func (q Pooling) MaxGrad(p *Pool, dx, dy []float32, idx []int32, s Shape) {
	o := q.Out(s)
	need("Pooling.MaxGrad", "dx", dx, s.Len())
	need("Pooling.MaxGrad", "dy", dy, o.Len())
	p.Run(s.N*s.C, func(t int) {
		m := dx[t*s.Area() : (t+1)*s.Area()]
		clear(m)
		for i := t * o.Area(); i < (t+1)*o.Area(); i++ {
			m[idx[i]] += dy[i]
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
// plus add[i,j] if add is not nil (it has y's shape [N, C, oh, ow]).
func UpsampleNearest(p *Pool, y, x, add []float32, oh, ow int, s Shape) {
	need("UpsampleNearest", "y", y, s.N*s.C*oh*ow)
	need("UpsampleNearest", "x", x, s.Len())
	if add != nil {
		need("UpsampleNearest", "add", add, s.N*s.C*oh*ow)
	}
	p.Run(s.N, func(n int) {
		for t := n * s.C; t < (n+1)*s.C; t++ {
			for i := range oh {
				row := x[t*s.Area()+i*s.H/oh*s.W:][:s.W]
				o := (t*oh + i) * ow
				for j := range ow {
					v := row[j*s.W/ow]
					if add != nil {
						v += add[o+j]
					}
					y[o+j] = v
				}
			}
		}
	})
}

// UpsampleGrad computes dx (shape s), the sum of dy ([N, C, oh, ow]) over the
// places each element was copied to.
func UpsampleGrad(p *Pool, dx, dy []float32, oh, ow int, s Shape) {
	need("UpsampleGrad", "dx", dx, s.Len())
	need("UpsampleGrad", "dy", dy, s.N*s.C*oh*ow)
	p.Run(s.N, func(n int) {
		clear(dx[n*s.C*s.Area() : (n+1)*s.C*s.Area()])
		for t := n * s.C; t < (n+1)*s.C; t++ {
			for i := range oh {
				row := dx[t*s.Area()+i*s.H/oh*s.W:][:s.W]
				for j := range ow {
					row[j*s.W/ow] += dy[(t*oh+i)*ow+j]
				}
			}
		}
	})
}
