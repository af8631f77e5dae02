package stats

import (
	"math"
	"slices"
)

// Interval is the range of a figure over resamples of the data that it was measured on. It shows
// the chance in that choice alone: not the chance in training, for which there are seeds.
type Interval struct {
	// Low and High enclose the middle 95 % of the figures (the percentile bootstrap of
	// Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979). NaN without any.
	Low, High float64
	// StdErr is the standard deviation of the figures; NaN for fewer than two.
	StdErr float64
	// Resamples counts the resamples in which the figure is defined.
	Resamples int
}

// Bootstrap returns the interval of the figure in each resample; NaN where a resample has
// none.
func Bootstrap(resampled []float64) Interval {
	sorted := slices.DeleteFunc(slices.Clone(resampled), math.IsNaN)
	slices.Sort(sorted)
	return Interval{quantile(sorted, .025), quantile(sorted, .975), deviation(sorted), len(sorted)}
}

// quantile returns a quantile of ascending values, linear between two; NaN of none.
func quantile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := float64(p * float64(len(sorted)-1))
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	return sorted[i] + float64((at-float64(i))*(sorted[i+1]-sorted[i]))
}
