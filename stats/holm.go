package stats

import (
	"cmp"
	"math"
	"slices"
)

// Holm returns each p adjusted for all others, so that the chance of any false rejection at p ≤ Alpha
// is at most Alpha (Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979): the
// smallest times the number of tests, the next times one less, and so on, none smaller than the one
// before nor above 1. A NaN is not a test, and stays.
func Holm(p []float64) []float64 {
	adjusted := slices.Clone(p)
	var order []int
	for i, v := range p {
		if !math.IsNaN(v) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(p[i], p[j]) })
	least := 0.0
	for rank, i := range order {
		least = max(least, min(1, p[i]*float64(len(order)-rank)))
		adjusted[i] = least
	}
	return adjusted
}

// Adjust adjusts the p of differences that are judged together, such as all rows of a table against
// its baseline, by Holm. It replaces what an earlier call has set, and says of each whether it has
// too few pairs for a verdict in this family.
func Adjust(family ...*Difference) {
	p := make([]float64, len(family))
	var pairs []int // without ties, of each test
	for i, d := range family {
		p[i] = d.P
		if !math.IsNaN(d.P) {
			pairs = append(pairs, d.N-d.Ties)
		}
	}
	need := LeastPairsOf(pairs)
	for i, adjusted := range Holm(p) {
		d := family[i]
		d.Adjusted, d.Comparisons = adjusted, 0
		d.Caveats = slices.DeleteFunc(slices.Clone(d.Caveats), func(c Caveat) bool { return c.Kind == TooFew })
		if math.IsNaN(d.P) {
			continue
		}
		d.Comparisons = len(pairs)
		if untied := d.N - d.Ties; untied > 0 && untied < need {
			d.Caveats = append(d.Caveats, Caveat{Kind: TooFew, Count: untied, Need: need, Comparisons: len(pairs)})
		}
	}
}

// LeastPairsOf returns the fewest pairs with which a test can reject in a family of tests with so many pairs. Holm asks
// less of a test once others are rejected, and these can be rejected that have enough pairs themselves.
func LeastPairsOf(pairs []int) int {
	descending := slices.Clone(pairs)
	slices.SortFunc(descending, func(a, b int) int { return cmp.Compare(b, a) })
	need := LeastPairs(len(pairs))
	for rejected, n := range descending {
		if need = LeastPairs(len(pairs) - rejected); n < need {
			break
		}
	}
	return need
}
