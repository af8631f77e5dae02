package stats

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Power is the chance to find a difference for which Detectable and Needed plan.
const Power = .8

// LeastPairs returns the fewest pairs with which the exact test can reject at all, in a family of so
// many comparisons: if every pair says the same, p is 2/2^n, which has to be at most Alpha/comparisons.
// It is 6 for one comparison and 8 for six.
func LeastPairs(comparisons int) int {
	n := 1
	for math.Ldexp(2, -n) > Alpha/float64(max(comparisons, 1)) {
		n++
	}
	return n
}

// Detectable returns the smallest true difference that the exact test of n pairs finds with a chance
// of about 80 %, in a family of so many comparisons: sd is the standard deviation of the differences
// over pairs, Difference.SD. The result is +Inf below LeastPairs, and NaN for an sd that is not a
// number from 0 on.
//
// The chance is the t test's (noncentral t; Cohen, "Statistical Power Analysis", 1988, ch. 2) at
// the level that the exact test of n pairs attains, which is a multiple of 2/2^n.
func Detectable(sd float64, n, comparisons int) float64 {
	switch {
	case !(sd >= 0):
		return math.NaN()
	case n < LeastPairs(comparisons):
		return math.Inf(1)
	}
	critical := studentT(1-attained(n, comparisons)/2, float64(n-1))
	// In units of sd/√n.
	found := func(shift float64) float64 {
		t := distuv.NoncentralT{Nu: float64(n - 1), Mu: shift}
		return 1 - t.CDF(critical) + t.CDF(-critical)
	}
	low, high := 0.0, 1.0
	for found(high) < Power {
		high *= 2
	}
	for range 50 {
		if middle := (low + high) / 2; found(middle) < Power {
			low = middle
		} else {
			high = middle
		}
	}
	return high * sd / math.Sqrt(float64(n))
}

// attained returns the level of the exact test of n pairs that rejects at Alpha/comparisons.
func attained(n, comparisons int) float64 {
	level := Alpha / float64(max(comparisons, 1))
	if n > 52 { // the multiples are closer than two numbers
		return level
	}
	return math.Ldexp(math.Floor(math.Ldexp(level, n-1)), 1-n)
}

// Needed returns the fewest pairs whose Detectable difference is at most the given one, whatever its
// sign. It is 0 if no number of pairs is enough, as for a difference of 0, or if sd is not a number from 0
// on.
func Needed(sd, difference float64, comparisons int) int {
	difference = math.Abs(difference)
	if !(sd >= 0) || !(difference > 0) {
		return 0
	}
	// The normal distribution, whose answer is never larger, is where to begin.
	z := distuv.UnitNormal.Quantile(1-Alpha/float64(max(comparisons, 1))/2) + distuv.UnitNormal.Quantile(Power)
	start := z * sd / difference
	if start *= start; start > 1e9 {
		return 0
	}
	n := max(int(start), LeastPairs(comparisons))
	for Detectable(sd, n, comparisons) > difference {
		n++
	}
	return n
}
