package results

import (
	"math"

	"gonum.org/v1/gonum/stat"
)

// Stat summarises one metric over the trials of a row.
type Stat struct {
	Mean *float64 // nil where N is 0
	SD   *float64 // sample standard deviation (divisor N-1); nil where N < 2
	N    int      // values behind it
}

// Summarize gives mean and sample standard deviation of the values that are
// defined; NaN, a metric without ground truth, is left out and not counted.
func Summarize(values []float64) Stat {
	defined := make([]float64, 0, len(values))
	for _, v := range values {
		if !math.IsNaN(v) {
			defined = append(defined, v)
		}
	}
	s := Stat{N: len(defined)}
	switch {
	case s.N == 1:
		s.Mean = &defined[0]
	case s.N > 1:
		mean, sd := stat.MeanStdDev(defined, nil)
		s.Mean, s.SD = &mean, &sd
	}
	return s
}
