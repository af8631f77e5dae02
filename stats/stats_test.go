package stats

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func near(a *float64, b float64) bool { return a != nil && math.Abs(*a-b) < 1e-12 }

// TestSummarize: hand-computed. 1, 2, 3, 4 has mean 2.5 and squared deviations
// 2.25 + .25 + .25 + 2.25 = 5, over 3.
func TestSummarize(t *testing.T) {
	for _, tt := range []struct {
		name     string
		values   []float64
		n        int
		mean, sd float64 // NaN: nil
	}{
		{"none", nil, 0, math.NaN(), math.NaN()},
		{"one", []float64{.3}, 1, .3, math.NaN()},
		{"two", []float64{.2, .4}, 2, .3, math.Sqrt(.02)},
		{"four", []float64{1, 2, 3, 4}, 4, 2.5, math.Sqrt(5. / 3)},
		{"equal", []float64{.25, .25, .25}, 3, .25, 0},
		{"not defined in one", []float64{1, math.NaN(), 3}, 2, 2, math.Sqrt2},
		{"not defined in all", []float64{math.NaN()}, 0, math.NaN(), math.NaN()},
	} {
		got := Summarize(tt.values)
		ok := got.N == tt.n
		for _, p := range []struct {
			got  *float64
			want float64
		}{{got.Mean, tt.mean}, {got.SD, tt.sd}} {
			if math.IsNaN(p.want) {
				ok = ok && p.got == nil
			} else {
				ok = ok && near(p.got, p.want)
			}
		}
		if !ok {
			t.Errorf("%s: got %+v; want n %d, mean %g, sd %g", tt.name, got, tt.n, tt.mean, tt.sd)
		}
	}
}

// TestSummarizeShift: adding a constant moves the mean by it and leaves sd.
func TestSummarizeShift(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(0, 1), 2, 20).Draw(rt, "values")
		by := rapid.Float64Range(-1, 1).Draw(rt, "by")
		shifted := make([]float64, len(values))
		for i, v := range values {
			shifted[i] = v + by
		}
		a, b := Summarize(values), Summarize(shifted)
		if math.Abs(*a.Mean+by-*b.Mean) > 1e-12 || math.Abs(*a.SD-*b.SD) > 1e-12 || *a.SD < 0 {
			rt.Fatalf("mean %g to %g, sd %g to %g", *a.Mean, *b.Mean, *a.SD, *b.SD)
		}
	})
}

// TestCompare: pairs that one side lacks, has twice or without a value do not count; without any pair the means differ.
func TestCompare(t *testing.T) {
	a := values(3, 30, 1, 10, 2, 20, 4, math.NaN(), 5, 50, 5, 51)
	b := values(1, 11, 3, 33, 4, 1, 5, 52, 6, 60)
	c := Compare(a, b)
	if c.A.N != 5 || c.B.N != 5 || !c.Paired || c.Difference.N != 2 || !near(c.Difference.Mean, 2) || !near(c.Difference.SD, math.Sqrt2) {
		t.Errorf("by pairs: %+v", c)
	}
	c = Compare(a[:3], values(7, 25))
	if c.Paired || c.Difference.N != 1 || !near(c.Difference.Mean, 5) || c.Difference.SD != nil {
		t.Errorf("without pairs: %+v", c)
	}
	c = Compare(a, nil)
	if c.Paired || c.Difference.Mean != nil || c.B.N != 0 {
		t.Errorf("with an empty side: %+v", c)
	}
}

// TestCaveat: one value shows no noise.
func TestCaveat(t *testing.T) {
	for n, want := range map[int]bool{0: false, 1: true, 2: false} {
		if got := Summarize(make([]float64, n)).Caveat(); (got != "") != want {
			t.Errorf("%d values: %q", n, got)
		}
	}
}
