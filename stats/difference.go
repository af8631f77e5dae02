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
}

// Paired compares two sides by seed. A seed makes a pair where each side has exactly one run of it
// and this run a value.
func Paired(a, b []Value) Difference {
	as, bs := sideOf(a), sideOf(b)
	d := Difference{P: math.NaN(), Adjusted: math.NaN(), Superiority: math.NaN()}
	seeds := maps.Clone(as.bySeed)
	maps.Copy(seeds, bs.bySeed)
	var differences []float64
	diverged, wins := 0, 0.0
	for _, seed := range slices.Sorted(maps.Keys(seeds)) {
		x, y := as.bySeed[seed], bs.bySeed[seed]
		if len(x) != 1 || len(y) != 1 || math.IsNaN(x[0].Value) || math.IsNaN(y[0].Value) {
			continue
		}
		for _, v := range []Value{x[0], y[0]} {
			if v.Diverged {
				diverged++
			}
		}
		differences = append(differences, y[0].Value-x[0].Value)
		wins += win(x[0].Value, y[0].Value)
		if x[0].Value == y[0].Value {
			d.Ties++
		}
	}
	d.Estimate = Mean(differences)
	if d.Paired = d.N > 0; !d.Paired {
		return unpaired(d, as, bs)
	}
	d.Superiority = wins / float64(d.N)
	d.P = signFlip(differences)
	d.add(Diverged, diverged)
	d.add(Lost, len(seeds)-d.N)
	d.add(Tied, d.Ties)
	if d.N > maxExact {
		d.add(Approximate, d.N)
	}
	Adjust(&d)
	return d
}

// unpaired returns the difference of the means, with the interval of Welch ("The generalization
// of Student's problem", 1947).
func unpaired(d Difference, a, b side) Difference {
	x, y := Mean(a.values), Mean(b.values)
	if x.N == 0 || y.N == 0 {
		return d
	}
	d.Mean = y.Mean - x.Mean
	half := spread(
		component{x.SD * x.SD / float64(x.N), float64(x.N - 1)},
		component{y.SD * y.SD / float64(y.N), float64(y.N - 1)})
	d.Low, d.High = d.Mean-half, d.Mean+half
	wins := 0.0
	for _, v := range a.values {
		for _, w := range b.values {
			wins += win(v, w)
		}
	}
	d.Superiority = wins / float64(x.N*y.N)
	d.add(Diverged, a.diverged+b.diverged)
	d.Caveats = append(d.Caveats, Caveat{Kind: Unpaired})
	return d
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

// side is the runs of one side; a run that diverged has the value 0.
type side struct {
	values   []float64 // that are defined
	bySeed   map[uint64][]Value
	diverged int
}

func sideOf(runs []Value) side {
	s := side{bySeed: map[uint64][]Value{}}
	for _, v := range runs {
		if v.Diverged {
			v.Value = 0
			s.diverged++
		}
		s.bySeed[v.Seed] = append(s.bySeed[v.Seed], v)
		if !math.IsNaN(v.Value) {
			s.values = append(s.values, v.Value)
		}
	}
	return s
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

// spread returns the half width of a t interval whose variance is a sum, with the degrees of freedom of
// Satterthwaite, "An Approximate Distribution of Estimates of Variance Components", 1946.
func spread(parts ...component) float64 {
	variance, squares := 0.0, 0.0
	for _, p := range parts {
		variance += p.variance
		squares += float64(p.variance*p.variance) / p.degrees
	}
	if variance == 0 {
		return 0
	}
	return studentT((1+Confidence)/2, float64(variance*variance)/squares) * math.Sqrt(variance)
}
