package stats

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// maxExact is the most pairs of which all choices of signs are counted: 2^15 sums of each half.
const maxExact = 30

// signFlip returns the two-sided p of the sign-flip test of a mean of 0 (see Difference.P). Sums that
// differ by rounding alone are equal. Above maxExact values p is the t test's, to which the
// sign-flip test tends as n grows.
func signFlip(d []float64) float64 {
	if len(d) > maxExact {
		return tTest(d)
	}
	sum, size := 0.0, 0.0
	for _, x := range d {
		sum += x
		size += math.Abs(x)
	}
	extreme := math.Abs(sum) - 1e-9*size
	if extreme <= 0 {
		return 1
	}
	// Each choice of signs is one in the lower and one in the upper half: for each sum of one half,
	// in ascending order, more sums of the other half reach far enough than for the sum before.
	lower, upper := sums(d[:len(d)/2]), sums(d[len(d)/2:])
	count, from := 0, len(upper)
	for _, x := range lower {
		for from > 0 && x+upper[from-1] >= extreme {
			from--
		}
		count += len(upper) - from
	}
	return math.Ldexp(float64(2*count), -len(d)) // each sum has its negative
}

// sums returns the sums of all choices of signs, ascending: of each value, the sums so far less the
// value are merged with the sums so far plus the value.
func sums(values []float64) []float64 {
	all := []float64{0}
	for _, v := range values {
		v = math.Abs(v)
		merged := make([]float64, 0, 2*len(all))
		plus := 0
		for _, s := range all {
			for ; all[plus]+v < s-v; plus++ {
				merged = append(merged, all[plus]+v)
			}
			merged = append(merged, s-v)
		}
		for _, s := range all[plus:] {
			merged = append(merged, s+v)
		}
		all = merged
	}
	return all
}

// tTest returns the two-sided p of the t test of a mean of 0.
func tTest(d []float64) float64 {
	t := math.Abs(mean(d)) / deviation(d) * math.Sqrt(float64(len(d)))
	if math.IsNaN(t) { // all values are 0
		return 1
	}
	return 2 * distuv.StudentsT{Sigma: 1, Nu: float64(len(d) - 1)}.Survival(t)
}
