package stats

import (
	"encoding/json"
	"math"
	"slices"
	"sync"

	"gonum.org/v1/gonum/stat/distuv"

	"focalgrid/nullable"
)

// Confidence is the share of intervals that hold the true value, over many repetitions of a study.
const Confidence = .95

// Estimate is the mean of a quantity over independent runs, such as the seeds of a setting.
type Estimate struct {
	Mean float64 // NaN where N is 0
	// Low and High are the 95 % t interval of the mean (Student, "The Probable Error of a Mean",
	// 1908): Mean ± t(.975, N-1) SD/√N. NaN where N < 2.
	Low, High float64
	SD        float64 // standard deviation over runs, with the divisor N-1; NaN where N < 2
	N         int     // values behind it
	Caveats   []Caveat
}

// Mean estimates the mean of the values that are defined, which are those that are not NaN. Its
// only caveat is Once.
func Mean(values []float64) Estimate {
	values = defined(values)
	e := Estimate{Mean: mean(values), SD: deviation(values), N: len(values)}
	if e.N == 1 {
		e.Caveats = []Caveat{{Kind: Once}}
	}
	half := math.NaN()
	if e.N > 1 {
		half = float64(critical(e.N-1) * e.SD / math.Sqrt(float64(e.N)))
	}
	e.Low, e.High = e.Mean-half, e.Mean+half
	return e
}

// HalfWidth returns the distance from the mean to either end of its interval, NaN where there is none.
func (e Estimate) HalfWidth() float64 { return (e.High - e.Low) / 2 }

// MarshalJSON writes null for what is not defined.
func (e Estimate) MarshalJSON() ([]byte, error) { return json.Marshal(e.json()) }

type estimateJSON struct {
	Mean    nullable.Float `json:"mean"`
	Low     nullable.Float `json:"low"`
	High    nullable.Float `json:"high"`
	SD      nullable.Float `json:"sd"`
	N       int            `json:"n"`
	Caveats []Caveat       `json:"caveats,omitempty"`
}

func (e Estimate) json() estimateJSON {
	return estimateJSON{nullable.Float(e.Mean), nullable.Float(e.Low), nullable.Float(e.High), nullable.Float(e.SD), e.N, e.Caveats}
}

// defined returns the values that are not NaN.
func defined(values []float64) []float64 {
	return slices.DeleteFunc(slices.Clone(values), math.IsNaN)
}

// critical returns the factor of an interval's standard error, with so many degrees of freedom.
func critical(degrees int) float64 {
	if known := criticals(); degrees < len(known) {
		return known[degrees]
	}
	return studentT((1+Confidence)/2, float64(degrees))
}

// criticals are the factors for the usual numbers of runs: a table has thousands of intervals, and each factor is found
// by a search.
var criticals = sync.OnceValue(func() []float64 {
	known := make([]float64, 32)
	for degrees := 1; degrees < len(known); degrees++ {
		known[degrees] = studentT((1+Confidence)/2, float64(degrees))
	}
	return known
})

// studentT returns a quantile of Student's t distribution.
func studentT(p, degrees float64) float64 {
	return distuv.StudentsT{Sigma: 1, Nu: degrees}.Quantile(p)
}

// mean returns the mean, NaN of none.
func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// deviation returns the standard deviation with the divisor n-1, NaN for fewer than two. Unlike
// gonum's it has the same bits on every machine.
func deviation(v []float64) float64 {
	if len(v) < 2 {
		return math.NaN()
	}
	center, sum := mean(v), 0.0
	for _, x := range v {
		sum += float64((x - center) * (x - center))
	}
	return math.Sqrt(sum / float64(len(v)-1))
}
