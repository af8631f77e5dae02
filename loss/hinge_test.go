package loss

import (
	"math"
	"testing"

	"focalgrid/setting"
)

// Values by hand: p_t is .1, .25, .5 and .9 at the logarithms of p_t/(1-p_t).
func TestHingeByHand(t *testing.T) {
	for _, tt := range []struct{ odds, margin, a, loss, grad float64 }{
		{1. / 9, .5, 1, .4, -.09},
		{1. / 3, .5, 1, .25, -.1875},
		{1. / 3, .5, .75, .1875, -.140625},
		{1, .5, 1, 0, 0}, // at the margin itself
		{9, .5, 1, 0, 0},
		{9, 1, .25, .025, -.0225},
		{1. / 9, .05, 1, 0, 0},
	} {
		x := math.Log(tt.odds)
		for _, positive := range []bool{true, false} {
			y := sign(positive)
			if l, g := Hinge(y*x, positive, tt.margin, tt.a); math.Abs(l-tt.loss) > 1e-15 || math.Abs(g-y*tt.grad) > 1e-15 {
				t.Errorf("odds %g, positive %t, margin %g, a %g: %g and %g, want %g and %g", tt.odds, positive, tt.margin, tt.a, l, g, tt.loss, y*tt.grad)
			}
		}
	}
}

// The most that an example costs is a·margin, and there it has no gradient: a hopeless example teaches nothing.
func TestHingeOfHopelessExamples(t *testing.T) {
	for _, x := range []float64{-40, -800, -math.MaxFloat32} {
		if l, g := Hinge(x, true, .5, .75); math.Abs(l-.375) > 1e-15 || math.Abs(g) > 1e-17 {
			t.Errorf("at x %g: loss %g, gradient %g, want 0.375 and 0", x, l, g)
		}
	}
}

// The gradient that an engine derives stops at the margin: at p_t = margin, and everywhere above.
func TestHingeGraphAtItsMargin(t *testing.T) {
	x := make([]float32, images*anchors*classes) // p_t = .5 everywhere
	v := setting.Values{"margin": .5, "alpha": nil}
	l, grad, err := classificationOnEngine(hinge, x, v)
	if err != nil {
		t.Fatal(err)
	}
	for i, g := range grad {
		if l != 0 || g != 0 {
			t.Errorf("logit %d: loss %g, gradient %g, want 0 and 0", i, l, g)
		}
	}
}
