package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"focalgrid/portable"
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
