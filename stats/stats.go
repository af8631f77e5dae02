// Package stats summarises measured values, and states with every result what it
// cannot show.
//
// A value that is not defined is NaN; it is left out and not counted. Sums are taken in the
// order of the values, so that equal input gives equal bits. What the values mean and in
// which unit they are is the caller's business.
package stats

import (
	"maps"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Spread explains the ± of a Summary.
const Spread = "mean ± sample standard deviation"

// Summary summarises several measurements of one quantity.
type Summary struct {
	Mean *float64 `json:"mean"` // nil where N is 0
	SD   *float64 `json:"sd"`   // sample standard deviation (divisor N-1); nil where N < 2
	N    int      `json:"n"`    // values behind it
}

// Summarize returns mean and sample standard deviation of the values that are defined.
func Summarize(values []float64) Summary {
	defined := make([]float64, 0, len(values))
	for _, v := range values {
		if !math.IsNaN(v) {
			defined = append(defined, v)
		}
	}
	s := Summary{N: len(defined)}
	switch {
	case s.N == 1:
		s.Mean = &defined[0]
	case s.N > 1:
		mean, sd := stat.MeanStdDev(defined, nil)
		s.Mean, s.SD = &mean, &sd
	}
	return s
}

// Caveat explains what a summary cannot show; it is empty if the summary shows its own noise, or nothing.
func (s Summary) Caveat() string {
	if s.N != 1 {
		return ""
	}
	return "no run-to-run noise can be told, so a difference may be chance"
}

// Contrast is a quantity on two sides.
type Contrast struct {
	A, B       Summary
	Difference Summary // B - A
	Paired     bool    // the difference is taken by pairs; if not, it is the difference of the means
}

// Compare summarises both sides and their difference. A pair counts where each side has
// exactly one value of it.
func Compare(a, b []Value) Contrast {
	gather := func(side []Value) (all []float64, byPair map[uint64][]float64) {
		byPair = map[uint64][]float64{}
		for _, v := range side {
			if !math.IsNaN(v.Value) {
				all = append(all, v.Value)
				byPair[v.Seed] = append(byPair[v.Seed], v.Value)
			}
		}
		return all, byPair
	}
	allA, pairsA := gather(a)
	allB, pairsB := gather(b)
	c := Contrast{A: Summarize(allA), B: Summarize(allB)}
	var differences []float64
	for _, pair := range slices.Sorted(maps.Keys(pairsA)) {
		if x, y := pairsA[pair], pairsB[pair]; len(x) == 1 && len(y) == 1 {
			differences = append(differences, y[0]-x[0])
		}
	}
	switch {
	case len(differences) > 0:
		c.Difference, c.Paired = Summarize(differences), true
	case c.A.N > 0 && c.B.N > 0:
		d := *c.B.Mean - *c.A.Mean
		c.Difference = Summary{Mean: &d, N: 1}
	}
	return c
}
