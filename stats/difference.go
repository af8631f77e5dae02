package stats

import (
	"encoding/json"
	"maps"
	"math"
	"slices"

	"focalgrid/nullable"
)

// Alpha is the level of every test: the share of true null hypotheses that are rejected is no larger.
const Alpha = .05

// Value is what one run measured.
type Value struct {
	Seed     uint64 // of the run: runs of one seed on two sides are a pair
	Value    float64
	Diverged bool // the run has no value, and counts as 0
}

// value returns what counts as the value of the run; NaN if it has none.
func (v Value) value() float64 {
	if v.Diverged {
		return 0
	}
	return v.Value
}

// Finished returns the values of the runs that did not diverge, of which a mean is taken.
func Finished(runs []Value) (values []float64) {
	for _, v := range runs {
		if !v.Diverged {
			values = append(values, v.Value)
		}
	}
	return values
}

// Difference is by how much side B exceeds side A: over pairs of runs with one seed, or, where
// there is no pair, between the means of both sides.
type Difference struct {
	Estimate      // of B - A over pairs. Without a pair N is 0, SD is NaN, and the interval is Welch's
	Paired   bool // there is at least one pair
	// P is the two-sided p of the sign-flip test (Fisher, "The Design of Experiments", 1935, §21):
	// if the two sides did not differ, each difference might as well have the other sign, and P is
	// the share of all 2^N choices of signs whose sum is at least as far from 0. It is exact up to
	// 30 pairs. NaN without a pair.
	P float64
	// Adjusted is P adjusted for the other comparisons in its family by Adjust; P itself in a
	// family of one. NaN without a pair.
	Adjusted    float64
	Comparisons int // in the family of Adjusted; 0 without a pair
	// Superiority is the probability that B is better in a pair, P(B > A), with half a tie: the
	// share of such pairs. Without a pair of one seed, any run of A with any run of B is one.
	Superiority float64
	Ties        int // pairs of equal values

	parts []component // of the variance of Mean: of the pairs, or of each side
}

// Paired compares two sides by the pairs of Pairs.
func Paired(a, b []Value) Difference {
	d := Difference{P: math.NaN(), Adjusted: math.NaN(), Superiority: math.NaN()}
	pairs, lost := Pairs(a, b)
	var differences []float64
	diverged, wins := 0, 0.0
	for _, p := range pairs {
		x, y := a[p[0]], b[p[1]]
		for _, v := range []Value{x, y} {
			if v.Diverged {
				diverged++
			}
		}
		differences = append(differences, y.value()-x.value())
		wins += win(x.value(), y.value())
		if x.value() == y.value() {
			d.Ties++
		}
	}
	d.Estimate = Mean(differences)
	if d.Paired = d.N > 0; !d.Paired {
		return unpaired(d, a, b)
	}
	d.parts = []component{{d.SD * d.SD / float64(d.N), float64(d.N - 1)}}
	d.Superiority = wins / float64(d.N)
	d.P = signFlip(differences)
	d.add(Diverged, diverged)
	d.add(Lost, lost)
	d.add(Tied, d.Ties)
	if d.N > maxExact {
		d.add(Approximate, d.N)
	}
	Adjust(&d)
	return d
}

// unpaired returns the difference of the means, with the interval of Welch ("The generalization
// of Student's problem", 1947).
func unpaired(d Difference, a, b []Value) Difference {
	gather := func(runs []Value) (values []float64, diverged int) {
		for _, v := range runs {
			values = append(values, v.value())
			if v.Diverged {
				diverged++
			}
		}
		return defined(values), diverged
	}
	as, divergedA := gather(a)
	bs, divergedB := gather(b)
	if len(as) == 0 || len(bs) == 0 {
		return d
	}
	x, y := Mean(as), Mean(bs)
	d.Mean = y.Mean - x.Mean
	d.parts = []component{{x.SD * x.SD / float64(x.N), float64(x.N - 1)}, {y.SD * y.SD / float64(y.N), float64(y.N - 1)}}
	half := halfWidth(d.parts)
	d.Low, d.High = d.Mean-half, d.Mean+half
	wins := 0.0
	for _, v := range as {
		for _, w := range bs {
			wins += win(v, w)
		}
	}
	d.Superiority = wins / float64(x.N*y.N)
	d.add(Diverged, divergedA+divergedB)
	d.Caveats = append(d.Caveats, Caveat{Kind: Unpaired})
	return d
}

// Pairs returns the places in a and in b of each pair, by ascending seed, and how many seeds make no pair.
// A seed makes a pair where each side has exactly one run of it and this run a value.
func Pairs(a, b []Value) (pairs [][2]int, lost int) {
	places := map[uint64][2][]int{}
	for side, runs := range [2][]Value{a, b} {
		for i, v := range runs {
			of := places[v.Seed]
			of[side] = append(of[side], i)
			places[v.Seed] = of
		}
	}
	for _, seed := range slices.Sorted(maps.Keys(places)) {
		of := places[seed]
		if len(of[0]) == 1 && len(of[1]) == 1 && !math.IsNaN(a[of[0][0]].value()) && !math.IsNaN(b[of[1][0]].value()) {
			pairs = append(pairs, [2]int{of[0][0], of[1][0]})
		}
	}
	return pairs, len(places) - len(pairs)
}

// add adds a caveat about n runs, seeds or pairs, if there are any.
func (d *Difference) add(kind Kind, n int) {
	if n > 0 {
		d.Caveats = append(d.Caveats, Caveat{Kind: kind, Count: n})
	}
}

// Separated reports whether the two sides differ by more than chance explains: the p of the exact
// test, adjusted for the other comparisons in its family, is at most Alpha. This is the only
// verdict: an interval without 0 in it is none.
func (d Difference) Separated() bool { return d.Adjusted <= Alpha }

// MarshalJSON writes null for what is not defined.
func (d Difference) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		estimateJSON
		Paired      bool           `json:"paired"`
		P           nullable.Float `json:"p"`
		Adjusted    nullable.Float `json:"adjusted_p"`
		Comparisons int            `json:"comparisons"`
		Separated   bool           `json:"separated"`
		Superiority nullable.Float `json:"superiority"`
	}{
		d.json(), d.Paired, nullable.Float(d.P), nullable.Float(d.Adjusted), d.Comparisons, d.Separated(), nullable.Float(d.Superiority),
	})
}

// win is 1 where b is better than a, 0 where it is worse, and ½ where they are equal.
func win(a, b float64) float64 {
	switch {
	case b > a:
		return 1
	case b < a:
		return 0
	}
	return .5
}

// component is a part of the variance of an estimate, and the degrees of freedom with which it
// was estimated.
type component struct{ variance, degrees float64 }

// halfWidth returns half the width of a t interval whose variance is a sum, with the degrees of
// freedom of Satterthwaite, "An Approximate Distribution of Estimates of Variance Components", 1946.
func halfWidth(parts []component) float64 {
	variance, squares := 0.0, 0.0
	for _, p := range parts {
		variance += p.variance
		squares += float64(p.variance*p.variance) / p.degrees
	}
	if !(variance > 0) {
		return variance // 0, or NaN where a part is not known
	}
	return studentT((1+Confidence)/2, float64(variance*variance)/squares) * math.Sqrt(variance)
}
