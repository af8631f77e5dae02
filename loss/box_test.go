package loss

import (
	"math"
	"testing"
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
