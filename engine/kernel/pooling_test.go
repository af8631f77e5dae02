package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestMaxPoolAgreesWithDefinition(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	r := rand.New(rand.NewPCG(15, 16))
	everyLevel(t, func(t *testing.T, p *Pool) {
		for _, s := range []Shape{{1, 1, 1, 1}, {2, 3, 9, 7}, {1, 2, 6, 32}, {1, 2, 7, 33}, {2, 1, 5, 70}, {1, 1, 40, 31}} {
			for _, q := range []Pooling{{3, 2, 1}, {2, 2, 0}, {3, 1, 1}, {5, 2, 2}, {4, 2, 1}, {3, 3, 0}} {
				if s.H+2*q.Pad < q.K || s.W+2*q.Pad < q.K {
					continue
				}
				x := make([]float32, s.Len())
				for i := range x {
					x[i] = float32(r.IntN(9)) - 12 // ties, and all below the padding's zero
					switch r.IntN(40) {
					case 0:
						x[i] = nan
					case 1, 2:
						x[i] = -inf
					}
				}
				o := q.Out(s)
				y, idx := make([]float32, o.Len()), make([]int32, o.Len())
				q.Max(p, y, idx, x, s)
				for t0 := range o.Len() {
					plane, i, j := t0/o.Area(), t0/o.W%o.H, t0%o.W
					best, at := -inf, -1
					for yy := i*q.Stride - q.Pad; yy < i*q.Stride-q.Pad+q.K; yy++ {
						for xx := j*q.Stride - q.Pad; xx < j*q.Stride-q.Pad+q.K; xx++ {
							if yy < 0 || yy >= s.H || xx < 0 || xx >= s.W {
								continue
							}
							v := x[plane*s.Area()+yy*s.W+xx]
							if at < 0 || v > best || v != v {
								best, at = v, yy*s.W+xx
							}
						}
					}
					if got := y[t0]; idx[t0] != int32(at) || got != best && (got == got || best == best) {
						t.Fatalf("%+v on %v, output %d: %g at %d, want %g at %d", q, s, t0, got, idx[t0], best, at)
					}
				}
			}
		}
	})
}
