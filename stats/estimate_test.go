package stats

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat"
	"pgregory.net/rapid"
)

// close reports whether two numbers are equal but for rounding, or both are NaN.
func close(a, b float64) bool {
	return a == b || math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) <= 1e-9*max(1e-3, math.Abs(a), math.Abs(b))
}

// TestMean: hand-computed. 1, 2, 3, 4 has mean 2.5 and squared deviations 2.25 + .25 + .25 + 2.25 = 5,
// over 3. The quantiles of t at .975 are in any table: 12.706 with one degree of freedom, 4.303 with
// two, 3.182 with three.
func TestMean(t *testing.T) {
	nan := math.NaN()
	for _, tt := range []struct {
		name           string
		values         []float64
		n              int
		mean, sd, half float64
		tolerance      float64 // of half, as tables round
		once           bool
	}{
		{"none", nil, 0, nan, nan, nan, 0, false},
		{"one", []float64{.3}, 1, .3, nan, nan, 0, true},
		{"two", []float64{.2, .4}, 2, .3, math.Sqrt(.02), 12.706 * .1, 1e-4, false},
		{"four", []float64{1, 2, 3, 4}, 4, 2.5, math.Sqrt(5. / 3), 3.182 * math.Sqrt(5./12), 1e-3, false},
		{"equal", []float64{.25, .25, .25}, 3, .25, 0, 0, 0, false},
		{"not defined in one", []float64{1, nan, 2, 3}, 3, 2, 1, 4.303 / math.Sqrt(3), 1e-3, false},
		{"not defined in all", []float64{nan}, 0, nan, nan, nan, 0, false},
	} {
		e := Mean(tt.values)
		if e.N != tt.n || !close(e.Mean, tt.mean) || !close(e.SD, tt.sd) || slices.Contains(e.Caveats, Caveat{Kind: Once}) != tt.once {
			t.Errorf("%s: got %+v; want n %d, mean %g, sd %g, said to be one: %v", tt.name, e, tt.n, tt.mean, tt.sd, tt.once)
		}
		if half := e.HalfWidth(); !(math.Abs(half-tt.half) <= tt.tolerance) && !close(half, tt.half) || !close(e.Low, tt.mean-half) || !close(e.High, tt.mean+half) {
			t.Errorf("%s: %g to %g, half of it %g, want %g", tt.name, e.Low, e.High, half, tt.half)
		}
	}
}

// TestMeanShift: adding a constant moves the mean and its interval by it, and leaves the deviation,
// which is gonum's but for the last bits.
func TestMeanShift(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(0, 1), 2, 20).Draw(rt, "values")
		by := rapid.Float64Range(-1, 1).Draw(rt, "by")
		shifted := make([]float64, len(values))
		for i, v := range values {
			shifted[i] = v + by
		}
		a, b := Mean(values), Mean(shifted)
		for _, pair := range [][2]float64{{a.Mean + by, b.Mean}, {a.Low + by, b.Low}, {a.High + by, b.High}, {a.SD, b.SD}, {a.SD, stat.StdDev(values, nil)}} {
			if math.Abs(pair[0]-pair[1]) > 1e-11 {
				rt.Fatalf("%+v shifted by %g is %+v", a, by, b)
			}
		}
	})
}

// TestJSON: what is not defined is null, and a caveat is in words.
func TestJSON(t *testing.T) {
	for _, tt := range []struct {
		value any
		want  string
	}{
		{Mean([]float64{.5}), `{"mean":0.5,"low":null,"high":null,"sd":null,"n":1,` +
			`"caveats":[{"kind":"once","text":"n = 1: no run-to-run noise can be told, so a difference may be chance"}]}`},
		{Mean([]float64{.5, .5}), `{"mean":0.5,"low":0.5,"high":0.5,"sd":0,"n":2}`},
		{Paired(values(0, 1, 1, 1), nil), `{"mean":null,"low":null,"high":null,"sd":null,"n":0,` +
			`"paired":false,"p":null,"adjusted_p":null,"comparisons":0,"separated":false,"superiority":null}`},
		{Paired(values(0, 1, 1, 1), values(0, 2, 1, 2)), `{"mean":1,"low":1,"high":1,"sd":0,"n":2,` +
			`"caveats":[{"kind":"too few","text":"n = 2 is too few for any verdict at p ≤ 0.05: it takes 6 pairs without ties"}],` +
			`"paired":true,"p":0.5,"adjusted_p":0.5,"comparisons":1,"separated":false,"superiority":1}`},
	} {
		if got, err := json.Marshal(tt.value); err != nil || string(got) != tt.want {
			t.Errorf("%+v:\n got %s, %v\nwant %s", tt.value, got, err, tt.want)
		}
	}
}
