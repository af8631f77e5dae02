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

// TestAdjustOfUnequalPairs: six pairs that agree are separated beside ten that agree, of which Holm asks
// p ≤ .025 first; five are not, and a sixth would do.
func TestAdjustOfUnequalPairs(t *testing.T) {
	agree := func(n uint64) Difference {
		var a, b []Value
		for seed := range n {
			a, b = append(a, Value{Seed: seed}), append(b, Value{Seed: seed, Value: 1})
		}
		return Paired(a, b)
	}
	five, six, ten := agree(5), agree(6), agree(10)
	Adjust(&six, &ten)
	if !six.Separated() || !ten.Separated() || len(six.Caveats)+len(ten.Caveats) != 0 {
		t.Errorf("six and ten: %+v, %+v", six, ten)
	}
	Adjust(&five, &ten)
	want := Caveat{Kind: TooFew, Count: 5, Need: 6, Comparisons: 2}
	if five.Separated() || !ten.Separated() || len(five.Caveats) != 1 || five.Caveats[0] != want {
		t.Errorf("five and ten: %+v, %+v", five, ten)
	}
	Adjust(&five, &six)
	if want := (Caveat{Kind: TooFew, Count: 6, Need: 7, Comparisons: 2}); len(six.Caveats) != 1 || six.Caveats[0] != want {
		t.Errorf("five and six: %+v", six)
	}
}
