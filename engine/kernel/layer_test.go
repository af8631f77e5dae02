package kernel

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// pyramids are levels that share a kernel: images in eights and not, few channels
// and many, stage by stage and block by block, direct and by frequencies mixed.
var pyramids = [][]Conv{
	{{16, 64, 16, 16, 36, 3, 1, 1}, {16, 64, 8, 8, 36, 3, 1, 1}, {16, 64, 4, 4, 36, 3, 1, 1}, {16, 64, 2, 2, 36, 3, 1, 1}, {16, 64, 1, 1, 36, 3, 1, 1}},
	{{2, 96, 16, 16, 96, 3, 1, 1}, {2, 96, 8, 8, 96, 3, 1, 1}, {2, 96, 4, 4, 96, 3, 1, 1}, {2, 96, 2, 2, 96, 3, 1, 1}, {2, 96, 1, 1, 96, 3, 1, 1}},
	{{1, 40, 33, 21, 17, 3, 1, 1}, {1, 40, 17, 11, 17, 3, 1, 1}, {1, 40, 9, 6, 17, 3, 1, 1}, {1, 40, 5, 3, 17, 3, 1, 1}},
	{{3, 5, 9, 7, 6, 3, 2, 1}, {3, 5, 4, 4, 6, 3, 2, 1}}, {{2, 8, 6, 6, 16, 1, 1, 0}, {2, 8, 3, 3, 16, 1, 1, 0}},
}

// TestLayerIsTheSumOfItsLevels: what a layer computes of all levels at once is what
// the definition gives of each, and of the weights the sum of them.
func TestLayerIsTheSumOfItsLevels(t *testing.T) {
	everyLevel(t, func(t *testing.T, p *Pool) {
		for _, levels := range pyramids {
			l := NewLayer(p, levels...)
			r := rand.New(rand.NewPCG(31, uint64(l.In())))
			w, bias := randoms(r, levels[0].Weights()), randoms(r, levels[0].K)
			x, dy := randoms(r, l.In()), randoms(r, l.Out())
			y, dx := make([]float32, l.Out()), make([]float32, l.In())
			dw, db := make([]float32, len(w)), make([]float32, len(bias))
			l.Forward(y, x, w, bias, false)
			l.GradInput(dx, dy, w)
			l.GradWeights(dw, x, dy)
			l.GradBias(db, dy)
			var wantY, wantDx []float64
			wantDw, wantDb := make([]float64, len(w)), make([]float64, len(bias))
			for i, c := range levels {
				gy := dy[l.y[i]:l.y[i+1]]
				ly, lx, lw := convOracle(c, x[l.x[i]:l.x[i+1]], w, bias, gy)
				wantY, wantDx = append(wantY, ly...), append(wantDx, lx...)
				for j, v := range lw {
					wantDw[j] += v
				}
				area := c.OutH() * c.OutW()
				for j, v := range gy {
					wantDb[j/area%c.K] += float64(v)
				}
			}
			for _, v := range []struct {
				name string
				got  []float32
				want []float64
			}{{"y", y, wantY}, {"dx", dx, wantDx}, {"dw", dw, wantDw}, {"db", db, wantDb}} {
				if d := far(v.got, v.want); !(d < 2e-5) {
					t.Errorf("%+v: %s is %g away", levels, v.name, d)
				}
			}
		}
	})
}

// TestLayerBits: the bits of a layer don't depend on threads nor on the kernel set.
func TestLayerBits(t *testing.T) {
	for _, levels := range pyramids {
		var first []float32
		for _, level := range Levels() {
			for _, threads := range threadCounts(level) {
				p, _ := NewPoolLevel(threads, level)
				l := NewLayer(p, levels...)
				r := rand.New(rand.NewPCG(32, 1))
				w, x, dy := randoms(r, levels[0].Weights()), randoms(r, l.In()), randoms(r, l.Out())
				y, dx, dw, db := make([]float32, l.Out()), make([]float32, l.In()), make([]float32, len(w)), make([]float32, levels[0].K)
				for range 2 { // buffers that were used before must not matter
					l.Forward(y, x, w, nil, true)
					l.GradInput(dx, dy, w)
					l.GradWeights(dw, x, dy)
					l.GradBias(db, dy)
				}
				p.Close()
				all := slices.Concat(y, dx, dw, db)
				if first == nil {
					first = all
				} else if !slices.Equal(all, first) {
					t.Errorf("%+v: %s on %d threads gives other bits", levels, level, threads)
				}
			}
		}
	}
}

// TestLayerErrors is TestWinogradErrors for several levels at once.
func TestLayerErrors(t *testing.T) {
	p, direct := NewPool(2), NewPool(2)
	defer p.Close()
	defer direct.Close()
	direct.Exact = true
	for _, levels := range pyramids[:3] {
		a, b := NewLayer(p, levels...), NewLayer(direct, levels...)
		r := rand.New(rand.NewPCG(33, 1))
		w, x, dy := randoms(r, levels[0].Weights()), randoms(r, a.In()), randoms(r, a.Out())
		results := func(l *Layer) [][]float32 {
			y, dx, dw := make([]float32, l.Out()), make([]float32, l.In()), make([]float32, len(w))
			l.Forward(y, x, w, nil, false)
			l.GradInput(dx, dy, w)
			l.GradWeights(dw, x, dy)
			return [][]float32{y, dx, dw}
		}
		got, exact := results(a), results(b)
		want := make([][]float64, 3)
		want[2] = make([]float64, len(w))
		for i, c := range levels {
			y, dx, dw := convOracle(c, x[a.x[i]:a.x[i+1]], w, nil, dy[a.y[i]:a.y[i+1]])
			want[0], want[1] = append(want[0], y...), append(want[1], dx...)
			for j, v := range dw {
				want[2][j] += v
			}
		}
		for i := range want {
			rms, worst := errors(got[i], want[i])
			rms0, worst0 := errors(exact[i], want[i])
			if rms > 4*rms0 || worst > 8*worst0 {
				t.Errorf("%+v %s: rms error %.2f times that of direct sums, the largest %.2f times", levels, passes[i], rms/rms0, worst/worst0)
			}
		}
	}
}

// TestGroupNormOfLevels: levels at once have the bits of each level by itself, and
// the weights' gradients their sum.
func TestGroupNormOfLevels(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	rapid.Check(t, func(t *rapid.T) {
		groups := rapid.IntRange(1, 3).Draw(t, "groups")
		n, c := rapid.IntRange(1, 9).Draw(t, "N"), groups*rapid.IntRange(1, 5).Draw(t, "channels of a group")
		var levels []Shape
		total := 0
		for i := range rapid.IntRange(1, 4).Draw(t, "levels") {
			side := rapid.IntRange(1, 20)
			s := Shape{n, c, side.Draw(t, fmt.Sprintf("H%d", i)), side.Draw(t, fmt.Sprintf("W%d", i))}
			levels = append(levels, s)
			total += s.Len()
		}
		r := rand.New(rand.NewPCG(34, uint64(total)))
		x, dy, weight, bias := randoms(r, total), randoms(r, total), randoms(r, c), randoms(r, c)
		all := func(x, dy []float32, levels ...Shape) (y, dx, dw, db []float32) {
			g := n * groups * len(levels)
			mean, inv := make([]float32, g), make([]float32, g)
			y, dx, dw, db = make([]float32, len(x)), make([]float32, len(x)), make([]float32, c), make([]float32, c)
			GroupNormStats(p, mean, inv, x, groups, levels...)
			InvStd(inv, inv, 1e-5)
			GroupNormApply(p, y, x, mean, inv, weight, bias, true, groups, levels...)
			GroupNormGrad(p, dx, dw, db, dy, x, mean, inv, weight, groups, levels...)
			return y, dx, dw, db
		}
		y, dx, dw, db := all(x, dy, levels...)
		var wantY, wantDx []float32
		wantDw, wantDb := make([]float64, c), make([]float64, c)
		first := 0
		for _, s := range levels {
			end := first + s.Len()
			ly, lx, lw, lb := all(x[first:end], dy[first:end], s)
			wantY, wantDx = append(wantY, ly...), append(wantDx, lx...)
			for i := range lw {
				wantDw[i] += float64(lw[i])
				wantDb[i] += float64(lb[i])
			}
			first = end
		}
		if !slices.Equal(y, wantY) || !slices.Equal(dx, wantDx) {
			t.Fatal("y or dx differ from those of each level")
		}
		if a, b := far(dw, wantDw), far(db, wantDb); !(a < 1e-4 && b < 1e-4) {
			t.Fatalf("dweight is %g away from the levels' sum, dbias %g", a, b)
		}
	})
}
