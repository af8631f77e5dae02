package stats

import (
	"math"
	"slices"
	"testing"
)

// TestHolm: .01 × 4, .013 × 3 = .039 < .04, .03 × 2, .9; in R, p.adjust(c(.03, .01, .9, .013), "holm").
func TestHolm(t *testing.T) {
	nan := math.NaN()
	for _, tt := range []struct{ p, want []float64 }{
		{nil, nil},
		{[]float64{.03}, []float64{.03}},
		{[]float64{.03, .01, .9, .013}, []float64{.06, .04, .9, .04}},
		{[]float64{.03, nan, .01}, []float64{.03, nan, .02}},
		{[]float64{.6, .7}, []float64{1, 1}},
	} {
		if got := Holm(tt.p); !slices.EqualFunc(got, tt.want, close) {
			t.Errorf("of %v: %v, want %v", tt.p, got, tt.want)
		}
	}
}

// TestAdjust: six pairs that agree are separated alone, and not beside another comparison, where p would
// have to be .025.
func TestAdjust(t *testing.T) {
	six := func(sign float64) Difference {
		return Paired(values(0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0), values(0, sign, 1, sign, 2, sign, 3, sign, 4, sign, 5, sign))
	}
	a, b, none := six(1), six(-1), Paired(nil, nil)
	if !a.Separated() || a.Comparisons != 1 || len(a.Caveats) != 0 {
		t.Errorf("alone: %+v", a)
	}
	Adjust(&a, &b, &none)
	Adjust(&a, &b, &none)
	want := Caveat{Kind: TooFew, Count: 6, Need: 7, Comparisons: 2}
	for _, d := range []Difference{a, b} {
		if d.Separated() || d.Adjusted != 4./64 || d.Comparisons != 2 || len(d.Caveats) != 1 || d.Caveats[0] != want {
			t.Errorf("of two: %+v", d)
		}
	}
	if none.Separated() || none.Comparisons != 0 || !math.IsNaN(none.Adjusted) || len(none.Caveats) != 0 {
		t.Errorf("without values: %+v", none)
	}
	Adjust(&a)
	if !a.Separated() || len(a.Caveats) != 0 {
		t.Errorf("alone again: %+v", a)
	}
}
