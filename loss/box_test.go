package loss

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func TestSmoothL1AgainstReference(t *testing.T) {
	var ref struct {
		Diff []float64
		Rows []struct {
			Beta       float64
			Loss, Grad []float64
		}
	}
	readRef(t, "smooth_l1", &ref)
	for _, r := range ref.Rows {
		for i, d := range ref.Diff {
			if l, g := SmoothL1(d, r.Beta); !near(l, r.Loss[i]) || !near(g, r.Grad[i]) {
				t.Errorf("beta %g, d %g: loss %.12g, gradient %.12g, want %.12g and %.12g", r.Beta, d, l, g, r.Loss[i], r.Grad[i])
			}
		}
	}
	if len(ref.Rows) != 3 {
		t.Errorf("%d rows, want 3", len(ref.Rows))
	}
}

func TestSmoothL1(t *testing.T) {
	for _, tt := range []struct{ d, beta, loss, grad float64 }{
		{0, 1, 0, 0}, {.5, 1, .125, .5}, {1, 1, .5, 1}, {-3, 1, 2.5, -1},
		{0, 0, 0, 0}, {-2, 0, 2, -1}, {1e-30, 0, 1e-30, 1},
	} {
		if l, g := SmoothL1(tt.d, tt.beta); l != tt.loss || g != tt.grad {
			t.Errorf("d %g, beta %g: %g and %g, want %g and %g", tt.d, tt.beta, l, g, tt.loss, tt.grad)
		}
	}
}

func TestGIoUByHand(t *testing.T) {
	anchor := [4]float64{10, 10, 30, 50}
	l, g := boxes["giou"].Value([4]float64{}, anchor, anchor, nil)
	for _, v := range append(g[:], l) {
		if math.Abs(v) > 1e-9 { // eps over the area of 800
			t.Errorf("the object itself: loss %g, gradient %v, want 0 and 0 (midway between two slopes)", l, g)
			break
		}
	}
	// Two unit squares a unit apart: IoU 0, hull 3, union 2.
	if l, _ := boxes["giou"].Value([4]float64{}, [4]float64{2, 0, 3, 1}, [4]float64{0, 0, 1, 1}, nil); math.Abs(l-4./3) > 1e-6 {
		t.Errorf("apart: loss %g, want 4/3", l)
	}
}

func draw4(t *rapid.T, name string, lo, hi float64) (v [4]float64) {
	for i := range v {
		v[i] = rapid.Float64Range(lo, hi).Draw(t, name)
	}
	return v
}

// Every box loss: gradient by differences, and finite whatever the deltas.
func TestBoxGradientsByDifferences(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		anchor := [4]float64{8, 8, 40, 24}
		pred, target := draw4(t, "pred", -1, 1), draw4(t, "target", -1, 1)
		for _, name := range BoxNames() {
			if name == "ciou" {
				continue // its gradient takes α as constant, and so isn't the derivative of its value
			}
			b := boxes[name]
			v := moderate(b.Params, nil)
			want := target
			if b.Target == "boxes" {
				want = [4]float64{20 + target[0], 12 + target[1], 44 + target[2], 30 + target[3]}
			}
			_, g := b.Value(pred, want, anchor, v)
			for i := range pred {
				value := func(x float64) float64 {
					p := pred
					p[i] = x
					l, _ := b.Value(p, want, anchor, v)
					return l
				}
				const h = 1e-5
				left, right := (value(pred[i])-value(pred[i]-h))/h, (value(pred[i]+h)-value(pred[i]))/h
				if math.Abs(left-right) > 1e-2 {
					continue // a corner of the function: the two sides differ
				}
				if num := slope(value, pred[i]); math.Abs(num-g[i]) > 1e-2*math.Abs(left-right)+1e-6 {
					t.Fatalf("%s at %v, target %v: gradient %d is %.9g, difference %.9g", name, pred, want, i, g[i], num)
				}
			}
		}
	})
}

func FuzzBoxFinite(f *testing.F) {
	for seed := range uint64(64) {
		f.Add(0.0, 0.0, 0.0, 0.0, seed)
		f.Add(1e30, -1e30, 1e30, -1e30, seed)
	}
	f.Fuzz(func(t *testing.T, a, b, c, d float64, seed uint64) {
		pred := [4]float64{float64(float32(a)), float64(float32(b)), float64(float32(c)), float64(float32(d))}
		for _, p := range pred {
			if math.IsNaN(p) || math.IsInf(p, 0) {
				return
			}
		}
		for _, name := range BoxNames() {
			loss := boxes[name]
			v := drawn(rand.New(rand.NewPCG(seed, 0)), loss.Params, nil)
			l, g := loss.Value(pred, [4]float64{1, 2, 9, 7}, [4]float64{0, 0, 8, 8}, v)
			for _, x := range append(g[:], l) {
				if math.IsNaN(x) || math.IsInf(x, 0) {
					t.Errorf("%s at %v, %v: loss %g, gradient %v", name, pred, v, l, g)
				}
			}
		}
	})
}
