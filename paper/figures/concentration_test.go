package figures

import (
	"math"
	"slices"
	"testing"

	"focalgrid/loss"
)

// TestConcentration: cumulative losses that are worked out by hand.
func TestConcentration(t *testing.T) {
	for _, tt := range []struct {
		name    string
		losses  []float64
		want    Concentration
		share   float64
		hardest float64
	}{
		{"two examples", []float64{3, 1}, Concentration{0, .25, 1}, .5, .75},
		{"half of the hardest example", []float64{3, 1}, Concentration{0, .25, 1}, .25, .375},
		{"equal losses give the diagonal", []float64{2, 2, 2, 2}, Concentration{0, .25, .5, .75, 1}, .3, .3},
		{"one example has it all", []float64{0, 0, 5, 0}, Concentration{0, 0, 0, 0, 1}, .25, 1},
		{"one example", []float64{7}, Concentration{0, 1}, .2, .2},
		{"all of them", []float64{1, 2, 5}, Concentration{0, .125, .375, 1}, 1, 1},
		{"none of them", []float64{1, 2, 5}, Concentration{0, .125, .375, 1}, 0, 0},
		{"no loss", []float64{0, 0}, nil, .5, math.NaN()},
		{"no examples", nil, nil, .5, math.NaN()},
	} {
		got := concentration(slices.Clone(tt.losses))
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
		if h := got.Hardest(tt.share); !(math.Abs(h-tt.hardest) < 1e-15 || math.IsNaN(h) && math.IsNaN(tt.hardest)) {
			t.Errorf("%s: the hardest %g hold %g, want %g", tt.name, tt.share, h, tt.hardest)
		}
	}
}

// TestFocalConcentration: at gamma 0 the loss is cross entropy; and with p_t = .5 and .9 (logits 0 and log 9) the losses
// at gamma 2 are log(2)/4 and -log(.9)/100, so that the easy one holds .0060434 of both.
func TestFocalConcentration(t *testing.T) {
	logits := []float32{-3, 2, .5, -8, 0, 11}
	for _, foreground := range []bool{true, false} {
		var ce []float64
		for _, x := range logits {
			v, _ := loss.CrossEntropy(float64(x), foreground, 1)
			ce = append(ce, v)
		}
		if got, want := focalConcentration(logits, foreground, 0), concentration(ce); !slices.Equal(got, want) {
			t.Errorf("foreground %t, gamma 0: %v, cross entropy has %v", foreground, got, want)
		}
	}
	easy := float32(math.Log(9))
	for _, tt := range []struct {
		foreground bool
		logits     []float32
	}{{true, []float32{easy, 0}}, {false, []float32{0, -easy}}} {
		got := focalConcentration(tt.logits, tt.foreground, 2)[1]
		if want := .0010536051565782628 / (.0010536051565782628 + .17328679513998632); math.Abs(got-want) > 1e-8 { // the logit is a float32
			t.Errorf("foreground %t, gamma 2: the easy one of two holds %.9f, want %.9f", tt.foreground, got, want)
		}
	}
}

// TestCurve: what a picture shows has all the corners of the curve within the step, and few points.
func TestCurve(t *testing.T) {
	losses := make([]float64, 1_000_000)
	losses[0] = 1000
	for i := range losses {
		losses[i] += float64(i%7) * 1e-5
	}
	c := concentration(losses)
	const step = 1. / 500
	x, y := c.curve(step)
	if len(x) > 1100 || x[0] != 0 || y[0] != 0 || x[len(x)-1] != 1 || y[len(y)-1] != 1 {
		t.Fatalf("%d points from (%g, %g) to (%g, %g)", len(x), x[0], y[0], x[len(x)-1], y[len(y)-1])
	}
	k := 0
	for i, v := range c {
		at := float64(i) / float64(len(c)-1)
		for k+1 < len(x) && x[k+1] <= at {
			k++
		}
		if at-x[k] > step || v-y[k] > step {
			t.Fatalf("example %d at (%g, %g) is far from the point (%g, %g) before it", i, at, v, x[k], y[k])
		}
	}
}
