package figures

import (
	"fmt"
	"math"
	"slices"
	"strings"
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

// TestFocalConcentration: at gamma 0 the loss is cross entropy; and with p_t = .5 and .9 (logits 0 and log 9) the
// losses at gamma 2 are log(2)/4 and -log(.9)/100, so that the easy one holds .0060434 of both.
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

// TestConcentratedLoss: Figure 4 of logits whose losses are equal: straight lines, and the hardest share of examples
// holds the same share of the loss at every gamma.
func TestConcentratedLoss(t *testing.T) {
	l := &Logits{Foreground: slices.Repeat([]float32{-1}, 10), Background: slices.Repeat([]float32{-3}, 2000), Pairs: 5000, Source: "trial 0123"}
	c, err := Concentrate(l)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{"share of the loss", "γ 0", "γ 0.5", "γ 1", "γ 2"},
		{"hardest 20% of foreground", "20.0%", "20.0%", "20.0%", "20.0%"},
		{"hardest 1% of background", "1.0%", "1.0%", "1.0%", "1.0%"},
		{"hardest 0.1% of background", "0.1%", "0.1%", "0.1%", "0.1%"},
	}
	if got := c.Table(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("table %v, want %v", got, want)
	}
	f, err := concentratedLoss(&Input{Losses: c})
	if err != nil {
		t.Fatal(err)
	}
	check(t, "4", f)
	for _, p := range f.Panels {
		if len(p.Lines) != len(Gammas) {
			t.Errorf("%s: %d lines", p.Title, len(p.Lines))
		}
		for _, line := range p.Lines {
			for i := range line.X {
				if math.Abs(line.X[i]-line.Y[i]) > 1e-9 {
					t.Fatalf("%s, %s: (%g, %g) is not on the diagonal", p.Title, line.Name, line.X[i], line.Y[i])
				}
			}
		}
	}
	for _, part := range []string{"trial 0123", "2,000 of 5,000", "drawn uniformly"} {
		if !strings.Contains(f.Caption, part) {
			t.Errorf("the caption does not say %q: %s", part, f.Caption)
		}
	}
	if got := f.Panels[0].Title + "; " + f.Panels[1].Title; got != "foreground, n = 10; background, n = 2,000" {
		t.Errorf("titles %q", got)
	}
	if part := "The hardest 20% of foreground hold 20.0% at γ 0, 20.0% at γ 0.5, 20.0% at γ 1, 20.0% at γ 2."; !strings.Contains(f.Description, part) {
		t.Errorf("the description does not say %q: %s", part, f.Description)
	}
}

// TestConcentratedNothing: a detector without positives has an empty panel, and a logit that is not finite is refused.
func TestConcentratedNothing(t *testing.T) {
	c, err := Concentrate(&Logits{Background: []float32{-3, 2}, Pairs: 2, Source: "a trial"})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Table()[1]; fmt.Sprint(got[1:]) != "[– – – –]" {
		t.Errorf("shares %v of nothing", got)
	}
	f, err := concentratedLoss(&Input{Losses: c})
	if err != nil || !strings.Contains(f.Caption, "(all)") {
		t.Errorf("%v, %v", f, err)
	}
	check(t, "4", f)
	_, err = Concentrate(&Logits{Foreground: []float32{1, float32(math.NaN())}})
	if err == nil || err.Error() != "logit 2 of the foreground is NaN: a loss has no value there" {
		t.Errorf("got %v", err)
	}
}
