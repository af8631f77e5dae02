package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"focalgrid/guard"
	"focalgrid/portable"

	"pgregory.net/rapid"
)

func ones(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = 1
	}
	return v
}

// mapKernels runs every kernel that isn't a convolution on one shape and
// returns all results one after the other.
func mapKernels(p *Pool, s Shape) []float32 {
	r := rand.New(rand.NewPCG(9, uint64(s.Len())))
	x, dy, z := randoms(r, s.Len()), randoms(r, s.Len()), randoms(r, s.Len())
	w, b, inv := randoms(r, s.C), randoms(r, s.C), randoms(r, s.C)
	var all []float32
	fresh := func(n int) []float32 { return make([]float32, n) }
	keep := func(v ...[]float32) { all = append(all, slices.Concat(v...)...) }
	scalar := func(v float64) { keep([]float32{float32(v), float32(v - float64(float32(v)))}) }

	mean, variance := fresh(s.C), fresh(s.C)
	BatchNormStats(p, mean, variance, x, s)
	y, u, v := fresh(s.Len()), fresh(s.C), fresh(s.C)
	BatchNormApply(p, y, x, mean, inv, w, b, z, true, s)
	keep(mean, variance, y)
	BatchNormGradSums(p, u, v, dy, x, mean, inv, s)
	BatchNormGradInput(p, y, dy, x, mean, inv, w, u, v, s)
	keep(u, v, y)
	BatchNormApply(p, y, x, mean, inv, w, b, nil, false, s)
	keep(y)
	AffineGrad(p, y, dy, w, s)
	keep(y)
	GradBias(p, u, dy, s)
	keep(u)
	gm, gv := fresh(s.N*2), fresh(s.N*2)
	GroupNormStats(p, gm, gv, x, 2, s)
	InvStd(gv, gv, 1e-5)
	GroupNormApply(p, y, x, gm, gv, w, b, true, 2, s)
	keep(gm, gv, y)
	GroupNormGrad(p, y, u, v, dy, x, gm, gv, w, 2, s)
	keep(y, u, v)
	for _, q := range []Pooling{{3, 2, 1}, {2, 2, 0}, {3, 1, 1}, {5, 2, 2}} {
		if s.H+2*q.Pad < q.K || s.W+2*q.Pad < q.K {
			continue
		}
		o := q.Out(s)
		py, idx := fresh(o.Len()), make([]int32, o.Len())
		q.Max(p, py, idx, x, s)
		q.MaxGrad(p, y, py, idx, s)
		keep(py, y)
	}
	GlobalAvgPool(p, gm[:0:0], x, Shape{})
	avg := fresh(s.N * s.C)
	GlobalAvgPool(p, avg, x, s)
	GlobalAvgPoolGrad(p, y, avg, s)
	keep(avg, y)
	for _, f := range [][2]int{{2 * s.H, 2 * s.W}, {2*s.H - 1, s.W + 3}} {
		up := fresh(s.N * s.C * f[0] * f[1])
		lateral := randoms(r, len(up))
		UpsampleNearest(p, up, x, lateral, f[0], f[1], s)
		UpsampleGrad(p, y, lateral, f[0], f[1], s)
		keep(up, y)
	}
	rows := s.Len() / 4
	label, weight := fresh(rows), fresh(rows)
	for i := range label {
		label[i], weight[i] = float32(i%6-2), float32(i%5)/4
	}
	for _, gamma := range []float32{0, .5, 2} {
		f := Focal{Rows: rows, Classes: 4, Gamma: gamma, AlphaPos: .25, AlphaNeg: .75}
		scalar(f.Sum(p, x, label, weight))
		f.Grad(p, y, x, label, weight, .5)
		keep(y)
	}
	l1 := SmoothL1{Rows: rows, Cols: 4, Beta: .11}
	scalar(l1.Sum(p, x, z, weight))
	l1.Grad(p, y, x, z, weight, .5)
	keep(y)
	boxes := rows / 4
	q := IoULoss{Boxes{BoxCode{Kind: "deltas", MaxLogSize: portable.Log(1000. / 16)}, 1, boxes}, "giou"}
	corners := func(v []float32) []float32 { // boxes as wide as they are high, or nearly
		v = slices.Clone(v[:4*boxes])
		for i := range v {
			v[i] += float32(i % 4 / 2 * 3)
		}
		return v
	}
	anchors, target, d := corners(z), corners(dy), fresh(4*boxes)
	q.Grad(p, d, x, anchors, target, weight, .5)
	scalar(q.Sum(p, x, anchors, target, weight))
	keep(d)
	for i := range label {
		label[i] = float32(i % 4)
	}
	if rows > 0 {
		d = fresh(4 * rows)
		ce := SoftmaxCE{Rows: rows, Classes: 4}
		ce.Grad(p, d, x, label, .5)
		scalar(ce.Mean(p, x, label))
		keep(d)
	}
	Add(p, y, x, dy)
	keep(y)
	ReLU(p, y, x)
	ReLUGrad(p, z, dy, x)
	keep(y, z)
	scalar(SumSquares(p, x))
	vel, sq := fresh(s.Len()), make([]float32, s.Len())
	SGD(p, x, vel, dy, .1, .9, 1e-4)
	keep(x, vel)
	Adam{LR: .01, Beta1: .9, Beta2: .999, Eps: 1e-8, Decay: .01}.Step(p, x, vel, sq, dy, 3)
	Scale(p, sq, 3)
	keep(x, vel, sq)
	return all
}

var mapShapes = []Shape{
	{1, 2, 1, 1}, {3, 4, 2, 2}, {2, 4, 5, 7}, {16, 4, 4, 4}, {2, 6, 33, 35}, {4, 16, 32, 32}, {1, 4, 64, 80}, {1, 2, 65, 70},
}

// threadCounts are the numbers of threads with which a kernel set's bits are compared;
// plain Go is slow, and is cut into tasks by the same code.
func threadCounts(level Level) []int {
	if level == Plain && Best() != Plain {
		return []int{3}
	}
	return []int{1, 2, 3, 8}
}

func TestMapKernelBits(t *testing.T) {
	for _, s := range mapShapes {
		var first []float32
		var name string
		for _, level := range Levels() {
			for _, threads := range threadCounts(level) {
				p, err := NewPoolLevel(threads, level)
				if err != nil {
					t.Fatal(err)
				}
				got := mapKernels(p, s)
				p.Close()
				switch {
				case first == nil:
					first, name = got, fmt.Sprintf("%s on %d threads", level, threads)
				case !slices.Equal(got, first):
					t.Errorf("%v: %s on %d threads and %s give different bits", s, level, threads, name)
				}
			}
		}
	}
}

// TestNormsByFiniteDifferences compares the gradients of both norms with
// central differences of Σ y·dy.
func TestNormsByFiniteDifferences(t *testing.T) {
	s := Shape{2, 4, 3, 5}
	const groups, eps = 2, 1e-5
	r := rand.New(rand.NewPCG(11, 12))
	x, dy, w, b := randoms(r, s.Len()), randoms(r, s.Len()), randoms(r, s.C), randoms(r, s.C)
	everyLevel(t, func(t *testing.T, p *Pool) {
		for _, group := range []bool{false, true} {
			stats := func(x []float32) (mean, inv []float32) {
				n := s.C
				if group {
					n = s.N * groups
				}
				mean, inv = make([]float32, n), make([]float32, n)
				if group {
					GroupNormStats(p, mean, inv, x, groups, s)
				} else {
					BatchNormStats(p, mean, inv, x, s)
				}
				InvStd(inv, inv, eps)
				return mean, inv
			}
			value := func(x, w, b []float32) float64 {
				y := make([]float32, s.Len())
				mean, inv := stats(x)
				if group {
					GroupNormApply(p, y, x, mean, inv, w, b, false, groups, s)
				} else {
					BatchNormApply(p, y, x, mean, inv, w, b, nil, false, s)
				}
				var sum float64
				for i, v := range y {
					sum += float64(v) * float64(dy[i])
				}
				return sum
			}
			dx, dw, db := make([]float32, s.Len()), make([]float32, s.C), make([]float32, s.C)
			mean, inv := stats(x)
			if group {
				GroupNormGrad(p, dx, dw, db, dy, x, mean, inv, w, groups, s)
			} else {
				BatchNormGradSums(p, db, dw, dy, x, mean, inv, s)
				BatchNormGradInput(p, dx, dy, x, mean, inv, w, db, dw, s)
			}
			check := func(name string, v, got []float32) {
				for i := range v {
					const h = 1.0 / 64 // exact in float32; the error of differences is about h² and 1e-6/h
					old := v[i]
					v[i] = old + h
					up := value(x, w, b)
					v[i] = old - h
					down := value(x, w, b)
					v[i] = old
					if want := (up - down) / (2 * h); math.Abs(want-float64(got[i])) > 3e-3*(1+math.Abs(want)) {
						t.Errorf("group %v: %s[%d] is %g, differences say %g", group, name, i, got[i], want)
					}
				}
			}
			check("dx", x, dx)
			check("dweight", w, dw)
			check("dbias", b, db)
		}
	})
}

// TestNormFarFromZero: the variance of data around 50 with sd .01 must not
// drown in the squares of 50.
func TestNormFarFromZero(t *testing.T) {
	s := Shape{4, 3, 40, 37}
	r := rand.New(rand.NewPCG(13, 14))
	x := make([]float32, s.Len())
	for i := range x {
		x[i] = 50 + .01*float32(r.NormFloat64())
	}
	x[0] = 50.5 // a first element far from the others must not matter either
	everyLevel(t, func(t *testing.T, p *Pool) {
		mean, variance := make([]float32, s.C), make([]float32, s.C)
		BatchNormStats(p, mean, variance, x, s)
		for c := range s.C {
			var m, q, n float64
			for pass := range 2 {
				for i := range s.N {
					for _, v := range x[(i*s.C+c)*s.Area() : (i*s.C+c+1)*s.Area()] {
						if pass == 0 {
							m += float64(v)
							n++
						} else {
							q += (float64(v) - m) * (float64(v) - m)
						}
					}
				}
				if pass == 0 {
					m /= n
				}
			}
			q /= n
			if math.Abs(float64(mean[c])-m) > 4e-6 || math.Abs(float64(variance[c])-q) > 1e-5*q {
				t.Errorf("channel %d: mean %g, variance %g; want %g, %g", c, mean[c], variance[c], m, q)
			}
		}
	})
}

// TestFocalIsFinite covers every finite logit and γ ≥ 0: loss and gradient are
// finite, the loss isn't negative and the gradient points the right way.
func TestFocalIsFinite(t *testing.T) {
	everyLevel(t, func(t *testing.T, p *Pool) {
		rapid.Check(t, func(t *rapid.T) {
			n := rapid.IntRange(1, 40).Draw(t, "rows")
			f := Focal{Rows: n, Classes: 3, AlphaPos: .25, AlphaNeg: .75}
			f.Gamma = rapid.OneOf(rapid.Float32Range(0, 10), rapid.SampledFrom([]float32{0, 1e-30, .1, .5, 1, 2, 5, 1e6})).Draw(t, "gamma")
			logit := rapid.OneOf(rapid.Float32Range(-20, 20), rapid.Float32Range(-math.MaxFloat32, math.MaxFloat32),
				rapid.SampledFrom([]float32{0, 800, -800, 1e4, -1e4, math.MaxFloat32, -math.MaxFloat32, 87.4, -87.4, 1e-40}))
			x := rapid.SliceOfN(logit, 3*n, 3*n).Draw(t, "logits")
			label, weight, d := make([]float32, n), ones(n), make([]float32, 3*n)
			for i := range label {
				label[i] = float32(rapid.IntRange(-1, 2).Draw(t, "label"))
			}
			if v := f.Sum(p, x, label, weight); math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
				t.Fatalf("loss is %g", v)
			}
			f.Grad(p, d, x, label, weight, 1)
			for i, v := range d {
				// γ·p·(1-p)^γ peaks near p = 1/γ, at 1/e, where -log p is log γ.
				if !(math.Abs(float64(v)) <= 1.5+math.Log1p(float64(f.Gamma))) {
					t.Fatalf("logit %g: gradient is %g", x[i], v)
				}
				if up := label[i/3] == float32(i%3); up && v > 0 || !up && v < 0 {
					t.Fatalf("logit %g: gradient %g has the wrong sign", x[i], v)
				}
			}
		})
	})
}

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

func TestOptimisers(t *testing.T) {
	everyLevel(t, func(t *testing.T, p *Pool) {
		const n = 37
		r := rand.New(rand.NewPCG(17, 18))
		w, g := randoms(r, n), randoms(r, n)
		v := make([]float32, n)
		ww, vv := make([]float64, n), make([]float64, n)
		for i := range w {
			ww[i] = float64(w[i])
		}
		for range 5 {
			SGD(p, w, v, g, .1, .9, .01)
			for i := range ww {
				vv[i] = .9*vv[i] + float64(g[i]) + .01*ww[i]
				ww[i] -= .1 * vv[i]
			}
		}
		close32(t, "SGD: w", w, ww, 1e-6)
		close32(t, "SGD: v", v, vv, 1e-6)

		a := Adam{LR: .1, Beta1: .9, Beta2: .99, Eps: 1e-3, Decay: .05}
		m, q := make([]float32, n), make([]float32, n)
		mm, qq := make([]float64, n), make([]float64, n)
		for i := range w {
			ww[i] = float64(w[i])
		}
		for step := 1; step <= 5; step++ {
			a.Step(p, w, m, q, g, step)
			for i := range ww {
				d := float64(g[i])
				ww[i] -= .1 * .05 * ww[i]
				mm[i] = .9*mm[i] + .1*d
				qq[i] = .99*qq[i] + .01*d*d
				ww[i] -= .1 * mm[i] / (1 - math.Pow(.9, float64(step))) / (math.Sqrt(qq[i]/(1-math.Pow(.99, float64(step)))) + 1e-3)
			}
		}
		close32(t, "AdamW: w", w, ww, 5e-6)
	})
}

func TestSumSquaresPropagates(t *testing.T) {
	everyLevel(t, func(t *testing.T, p *Pool) {
		x := ones(40000)
		if got := SumSquares(p, x); got != 40000 {
			t.Errorf("Σ 1² over 40000 elements is %g", got)
		}
		x[3], x[39999] = math.MaxFloat32, -math.MaxFloat32
		if got := SumSquares(p, x); math.IsInf(got, 0) || math.IsNaN(got) {
			t.Errorf("finite elements give %g", got)
		}
		for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
			for _, at := range []int{0, 20000, 39999} {
				x := ones(40000)
				x[at] = bad
				if got := SumSquares(p, x); !math.IsInf(got, 1) && !math.IsNaN(got) {
					t.Errorf("%g at %d is lost: %g", bad, at, got)
				}
			}
		}
	})
}

func TestNaNSurvives(t *testing.T) {
	nan := float32(math.NaN())
	everyLevel(t, func(t *testing.T, p *Pool) {
		for _, n := range []int{1, 16, 40} {
			x, y := ones(n), make([]float32, n)
			x[n/2] = nan
			ReLU(p, y, x)
			if y[n/2] == y[n/2] {
				t.Errorf("ReLU turns NaN into %g", y[n/2])
			}
			BatchNormApply(p, y, x, ones(1), ones(1), ones(1), ones(1), nil, true, Shape{1, 1, 1, n})
			if y[n/2] == y[n/2] {
				t.Errorf("BatchNormApply turns NaN into %g", y[n/2])
			}
			f := Focal{Rows: n, Classes: 1, Gamma: 2, AlphaPos: .25, AlphaNeg: .75}
			if v := f.Sum(p, x, make([]float32, n), ones(n)); v == v {
				t.Errorf("Focal.Sum turns NaN into %g", v)
			}
			f.Grad(p, y, x, make([]float32, n), ones(n), 1)
			if y[n/2] == y[n/2] {
				t.Errorf("Focal.Grad turns NaN into %g", y[n/2])
			}
		}
		c := Conv{1, 2, 5, 16, 4, 3, 1, 1}
		x, y := ones(c.In()), make([]float32, c.Out())
		x[40] = nan
		NewLayer(p, c).Forward(y, x, ones(c.Weights()), nil, true)
		if y[40] == y[40] {
			t.Errorf("a convolution with ReLU turns NaN into %g", y[40])
		}
	})
}

// TestOldScratchDoesNotMatter fills the buffers that kernels borrow with NaN.
func TestOldScratchDoesNotMatter(t *testing.T) {
	r := rand.New(rand.NewPCG(19, 20))
	everyLevel(t, func(t *testing.T, p *Pool) {
		for _, c := range slices.Concat(convShapes, winogradShapes) {
			x, w, dy := randoms(r, c.In()), randoms(r, c.Weights()), randoms(r, c.Out())
			var results [2][]float32
			for i := range results {
				y, dx, dw := make([]float32, c.Out()), make([]float32, c.In()), make([]float32, c.Weights())
				NewLayer(p, c).Forward(y, x, w, nil, false)
				NewLayer(p, c).GradInput(dx, dy, w)
				NewLayer(p, c).GradWeights(dw, x, dy)
				results[i] = slices.Concat(y, dx, dw)
				for _, class := range p.scratch.free {
					for _, b := range class {
						for j := range b {
							b[j] = float32(math.NaN())
						}
					}
				}
			}
			if !slices.Equal(results[0], results[1]) {
				t.Errorf("%+v: results depend on what the scratch buffers held", c)
			}
		}
	})
}

func TestWeaveAndBack(t *testing.T) {
	everyLevel(t, func(t *testing.T, p *Pool) {
		rapid.Check(t, func(t *rapid.T) {
			ni := rapid.SampledFrom([]int{1, 2, 3, 4, 5, 8, 16, 24}).Draw(t, "ni")
			n := rapid.IntRange(1, 40).Draw(t, "n")
			stride := n + rapid.IntRange(0, 3).Draw(t, "gap")
			src := make([]float32, ni*stride)
			for i := range src {
				src[i] = float32(i)
			}
			woven, back := make([]float32, ni*n), make([]float32, ni*stride)
			weave(p.set, woven, src, ni, stride, n)
			for i := range ni {
				for j := range n {
					if woven[ni*j+i] != src[i*stride+j] {
						t.Fatalf("tuple %d, row %d: %g, want %g", j, i, woven[ni*j+i], src[i*stride+j])
					}
				}
			}
			unweave(p.set, back, woven, ni, stride, n)
			for i := range ni {
				if !slices.Equal(back[i*stride:i*stride+n], src[i*stride:i*stride+n]) {
					t.Fatalf("row %d comes back as %v", i, back[i*stride:i*stride+n])
				}
			}
		})
	})
}

func TestPoolRunsEachTaskOnce(t *testing.T) {
	p := NewPool(4)
	defer p.Close()
	var callers sync.WaitGroup
	for range 3 {
		callers.Go(func() {
			for tasks := range 100 {
				count := make([]atomic.Int32, tasks)
				p.Run(tasks, func(i int) { count[i].Add(1) })
				for i := range count {
					if n := count[i].Load(); n != 1 {
						t.Errorf("task %d of %d ran %d times", i, tasks, n)
					}
				}
			}
		})
	}
	callers.Wait()
}

func TestUnknownLevel(t *testing.T) {
	if _, err := NewPoolLevel(1, "sse"); err == nil || !strings.Contains(err.Error(), `"sse"`) {
		t.Errorf("NewPoolLevel of an unknown set: %v", err)
	}
	if p := NewPool(3); p.Level() != Best() || p.Threads() != 3 {
		t.Errorf("NewPool(3) has set %q and %d threads", p.Level(), p.Threads())
	} else {
		p.Close()
	}
}

func TestShortSlicePanics(t *testing.T) {
	p := NewPool(1)
	defer p.Close()
	defer func() {
		if m := fmt.Sprint(recover()); !strings.Contains(m, "Layer.Forward: x has 5 elements, its shape needs 9") {
			t.Errorf("panic says %q", m)
		}
	}()
	c := Conv{1, 1, 3, 3, 1, 1, 1, 0}
	NewLayer(p, c).Forward(make([]float32, 9), make([]float32, 5), make([]float32, 1), nil, false)
}

func TestConvCheck(t *testing.T) {
	good := Conv{1, 1, 3, 3, 1, 3, 1, 0}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for _, f := range []func(*Conv){
		func(c *Conv) { c.N = 0 }, func(c *Conv) { c.Stride = 0 }, func(c *Conv) { c.Pad = -1 }, func(c *Conv) { c.R = 4 },
	} {
		c := good
		f(&c)
		if c.Check() == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}

// TestFocalPrecision: value and gradient keep their relative precision however
// small they are, but for what e^-t loses by the rounding of a large t.
func TestFocalPrecision(t *testing.T) {
	var x []float32
	for v := float32(-30); v <= 30; v += .0137 {
		x = append(x, v)
	}
	x = x[:len(x)&^(lanes-1)]
	value, slope := make([]float32, len(x)), make([]float32, len(x))
	everyLevel(t, func(t *testing.T, p *Pool) {
		for _, gamma := range []float32{0, .5, 1, 2, 5} {
			focal(p.set, value, x, gamma)
			focalGrad(p.set, slope, x, gamma)
			for i, v := range x {
				up, down := wideSoftplus(-float64(v))
				e := math.Exp(-float64(gamma) * up)
				if min(e, e*down) < 1e-36 {
					continue // below, numbers stop being normal
				}
				wantValue := e * down
				wantSlope := e * (float64(gamma)*math.Exp(-down)*down + math.Exp(-up))
				tol := 2e-6 * max(1, float64(gamma)*up/8)
				if d := math.Abs(float64(value[i])/wantValue - 1); !(d <= tol) {
					t.Fatalf("γ = %g, x = %g: value %g, want %g", gamma, v, value[i], wantValue)
				}
				if d := math.Abs(float64(slope[i])/wantSlope - 1); !(d <= tol) {
					t.Fatalf("γ = %g, x = %g: slope %g, want %g", gamma, v, slope[i], wantSlope)
				}
			}
		}
	})
}

// TestPoolPanic: what a task panics with reaches whoever called Run, on any number of
// threads, and the pool works on.
func TestPoolPanic(t *testing.T) {
	for _, threads := range []int{1, 4} {
		p := NewPool(threads)
		defer p.Close()
		for _, bad := range []int{0, 7, 63} {
			err := guard.Run(func() error {
				p.Run(64, func(task int) {
					if task == bad {
						panic("task")
					}
				})
				return nil
			})
			if err == nil || !strings.HasPrefix(err.Error(), "panic: task\n") {
				t.Errorf("%d threads, task %d: %v, want its panic", threads, bad, err)
			}
			var done atomic.Int64
			p.Run(64, func(int) { done.Add(1) })
			if done.Load() != 64 {
				t.Errorf("%d threads: afterwards %d of 64 tasks were done", threads, done.Load())
			}
		}
	}
}
