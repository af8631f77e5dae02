package stats

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// values makes runs of alternating seeds and values.
func values(of ...float64) []Value {
	var out []Value
	for i := 0; i < len(of); i += 2 {
		out = append(out, Value{Seed: uint64(of[i]), Value: of[i+1]})
	}
	return out
}

func TestPaired(t *testing.T) {
	nan := math.NaN()
	diverged := func(runs []Value, seed uint64) []Value {
		return append(runs, Value{Seed: seed, Value: nan, Diverged: true})
	}
	for _, tt := range []struct {
		name                     string
		a, b                     []Value
		n                        int
		mean, sd, p, superiority float64
		separated                bool
		caveats                  string
	}{
		// 1, 3, 5, 7, 9 and 11: only all signs + and all signs - are as far from 0, 2 of 64.
		{"six pairs that agree", values(0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0), values(5, 11, 4, 9, 3, 7, 2, 5, 1, 3, 0, 1),
			6, 6, math.Sqrt(14), 2. / 64, 1, true, "[]"},
		// 1, 1, 1 and -1: of 16 sums are at least 2 from 0: 4 choices with one -, 4 with one +, and 2 without.
		{"one against three", values(0, 1, 1, 1, 2, 1, 3, 1), values(0, 2, 1, 2, 2, 2, 3, 0),
			4, .5, 1, 10. / 16, .75, false, "[n = 4 is too few for any verdict at p ≤ 0.05: it takes 6 pairs without ties]"},
		{"seeds that one side lacks, has twice or without a value", values(3, 30, 1, 10, 2, 20, 4, nan, 5, 50, 5, 51), values(1, 11, 3, 33, 4, 1, 5, 52, 6, 60),
			2, 2, math.Sqrt2, .5, 1, false, "[4 seeds left out: not on both sides, twice on one, or without a value " +
				"n = 2 is too few for any verdict at p ≤ 0.05: it takes 6 pairs without ties]"},
		{"a run that diverged", diverged(values(0, .2), 1), values(0, .3, 1, .3),
			2, .2, .1 * math.Sqrt2, .5, 1, false, "[1 run diverged and counts as 0 n = 2 is too few for any verdict at p ≤ 0.05: it takes 6 pairs without ties]"},
		{"ties", values(0, .2, 1, .2), values(0, .2, 1, .3),
			2, .05, .1 / math.Sqrt2, 1, .75, false, "[1 pair of equal values n = 1 is too few for any verdict at p ≤ 0.05: it takes 6 pairs without ties]"},
		{"one pair", values(7, 1), values(7, 3), 1, 2, nan, 1, 1, false,
			"[n = 1: no run-to-run noise can be told, so a difference may be chance n = 1 is too few for any verdict at p ≤ 0.05: it takes 6 pairs without ties]"},
		{"an empty side", values(7, 1), nil, 0, nan, nan, nan, nan, false, "[]"},
		// 2 less 1.5; of the four pairs of any two runs one is a tie and three are wins.
		{"without a common seed", values(0, 1, 1, 2), values(2, 2, 3, 4), 0, 1.5, nan, nan, 3.5 / 4, false,
			"[no seed has one run on each side: the interval is Welch's, and there is no test]"},
		{"twice on one side", values(0, 1, 0, 2), values(0, 2, 1, 3), 0, 1, nan, nan, 3.5 / 4, false,
			"[no seed has one run on each side: the interval is Welch's, and there is no test]"},
	} {
		d := Paired(tt.a, tt.b)
		if d.N != tt.n || d.Paired != (tt.n > 0) || !close(d.Mean, tt.mean) || !close(d.SD, tt.sd) || !close(d.P, tt.p) || !close(d.Adjusted, tt.p) ||
			!close(d.Superiority, tt.superiority) || d.Separated() != tt.separated || fmt.Sprint(d.Caveats) != tt.caveats {
			t.Errorf("%s: got %+v\nwant n %d, mean %g, sd %g, p %g, P(B > A) %g, separated %v, caveats %s",
				tt.name, d, tt.n, tt.mean, tt.sd, tt.p, tt.superiority, tt.separated, tt.caveats)
		}
	}
}

// TestWelch: with variances 1/2 and 1/2 of the means, each with two degrees of freedom, there are four in all,
// whose t is 2.776.
func TestWelch(t *testing.T) {
	s := math.Sqrt(1.5) // so that the variance of the mean of three is 1/2
	d := Paired(values(0, -s, 1, 0, 2, s), values(3, 10-s, 4, 10, 5, 10+s))
	if !close(d.Mean, 10) || math.Abs(d.High-12.776) > 1e-3 || math.Abs(d.Low-7.224) > 1e-3 || !(math.Abs(d.HalfWidth()-2.776) < 1e-3) {
		t.Errorf("%g to %g, ± %g, want 10 ± 2.776", d.Low, d.High, d.HalfWidth())
	}
}

// TestSignFlip holds the count in halves to the count of every choice.
func TestSignFlip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		d := make([]float64, 1+rng.IntN(12))
		steps := []float64{3, 100, 1e6}[rng.IntN(3)] // few steps: many sums are equal but for rounding
		sum := 0.0
		for i := range d {
			d[i] = math.Round(rng.NormFloat64()*steps) / steps * .1
			sum += d[i]
		}
		count := 0
		for signs := range 1 << len(d) {
			s := 0.0
			for i, x := range d {
				if signs>>i&1 == 1 {
					x = -x
				}
				s += x
			}
			if math.Abs(s) >= math.Abs(sum)-1e-12 {
				count++
			}
		}
		if got, want := signFlip(d), float64(count)/float64(int(1)<<len(d)); got != want {
			t.Fatalf("%v: p %g, want %g", d, got, want)
		}
	}
}

// TestSignFlipLarge: the t test that stands in for the exact test is close to it where both can be had.
func TestSignFlipLarge(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		d := make([]float64, maxExact)
		for i := range d {
			d[i] = rng.NormFloat64() + .3
		}
		if exact, t1 := signFlip(d), tTest(d); math.Abs(exact-t1) > .1*exact+.001 {
			t.Errorf("exact p %g, t test %g", exact, t1)
		}
	}
	if p := signFlip(make([]float64, maxExact+1)); p != 1 {
		t.Errorf("all 0: p %g", p)
	}
	same := make([]float64, maxExact+1)
	for i := range same {
		same[i] = 1
	}
	if p := signFlip(same); p != 0 {
		t.Errorf("all 1: p %g", p)
	}
	var a, b []Value
	for i := range maxExact + 1 {
		a = append(a, Value{Seed: uint64(i)})
		b = append(b, Value{Seed: uint64(i), Value: rng.NormFloat64()})
	}
	if d := Paired(a, b); len(d.Caveats) != 1 || d.Caveats[0] != (Caveat{Kind: Approximate, Count: 31}) {
		t.Errorf("caveats of 31 pairs: %v", d.Caveats)
	}
}

// BenchmarkSignFlip is the p of 20 pairs.
func BenchmarkSignFlip(b *testing.B) {
	rng := rand.New(rand.NewPCG(5, 6))
	d := make([]float64, 20)
	for i := range d {
		d[i] = rng.NormFloat64()
	}
	for b.Loop() {
		signFlip(d)
	}
}
