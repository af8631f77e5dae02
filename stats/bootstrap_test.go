package stats

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"
)

func TestQuantile(t *testing.T) {
	v := []float64{1, 2, 4, 8}
	for _, tt := range []struct{ p, want float64 }{{0, 1}, {1, 8}, {.5, 3}, {1. / 6, 1.5}, {.9, 6.8}} {
		if got := quantile(v, tt.p); math.Abs(got-tt.want) > 1e-12 {
			t.Errorf("quantile %g of %v: %g, want %g", tt.p, v, got, tt.want)
		}
	}
	if d := deviation(v); math.Abs(d-math.Sqrt(28.75/3)) > 1e-12 {
		t.Errorf("deviation %g", d)
	}
}

// TestBootstrap: resamples without a figure are left out, whatever their order.
func TestBootstrap(t *testing.T) {
	resampled := []float64{8, math.NaN(), 1, 4, 2}
	got := Bootstrap(resampled)
	if want := (Interval{1.075, 7.7, math.Sqrt(28.75 / 3), 4}); math.Abs(got.Low-want.Low) > 1e-12 || math.Abs(got.High-want.High) > 1e-12 ||
		math.Abs(got.StdErr-want.StdErr) > 1e-12 || got.Resamples != want.Resamples {
		t.Errorf("%+v, want %+v", got, want)
	}
	if resampled[0] != 8 || !math.IsNaN(resampled[1]) {
		t.Errorf("the figures handed in are now %v", resampled)
	}
	if got := Bootstrap(nil); !math.IsNaN(got.Low) || !math.IsNaN(got.High) || !math.IsNaN(got.StdErr) || got.Resamples != 0 {
		t.Errorf("without resamples: %+v", got)
	}
}

// TestDraw: so many draws, which depend on each argument.
func TestDraw(t *testing.T) {
	var seen [][]int32
	for _, tt := range []struct {
		seed, resample uint64
		level          Level
	}{{0, 0, Images}, {1, 0, Images}, {0, 1, Images}, {0, 0, Seeds}, {0, 0, SeedsOfB}} {
		times := []int32{9, 9, 9, 9, 9, 9, 9, 9, 9, 9}
		Draw(times, 30, tt.seed, tt.resample, tt.level)
		sum := int32(0)
		for _, n := range times {
			sum += n
		}
		if sum != 30 || slices.ContainsFunc(seen, func(other []int32) bool { return slices.Equal(times, other) }) {
			t.Errorf("%+v draws %v, before it %v", tt, times, seen)
		}
		seen = append(seen, times)
	}
	for n, want := range map[int]int{1: 1, 2: 1, 10: 9} {
		if got := SeedDraws(n); got != want {
			t.Errorf("%d draws of %d runs, want %d", got, n, want)
		}
	}
}

// TestSeedsAndImages: differences 3 and 5 of two pairs have mean 4, and the mean a variance of 1 with one
// degree of freedom. Resamples 1 and 5, whose variance is 8, leave 7 to the choice of 8 images, with seven.
// The degrees of freedom are 8²/(1/1 + 49/7) = 8, and t is 2.306; but two seeds alone have t(1) = 12.706.
func TestSeedsAndImages(t *testing.T) {
	d := Paired(values(0, 1, 1, 1), values(0, 4, 1, 6))
	if half := halfWidth([]component{{1, 1}, {7, 7}}); math.Abs(half-2.306*math.Sqrt(8)) > 1e-3 {
		t.Errorf("half width %g, want 2.306 √8", half)
	}
	two := SeedsAndImages(d, []float64{1, math.NaN(), 5}, 8)
	if two.Mean != 4 || !close(two.StdErr, math.Sqrt(8)) || math.Abs(two.High-4-12.706) > 1e-3 || !close(two.High+two.Low, 8) ||
		two.N != 2 || two.Images != 8 || two.Resamples != 2 || !slices.Equal(two.Caveats, d.Caveats) {
		t.Errorf("%+v", two)
	}
	// Resamples that vary less than the seeds do, by chance, leave the interval over seeds.
	if two := SeedsAndImages(d, []float64{4, 4.1}, 8); !close(two.StdErr, 1) || !close(two.Low, d.Low) {
		t.Errorf("hardly any variance: %+v, over seeds %+v", two, d.Estimate)
	}
	one := SeedsAndImages(Paired(values(0, 1), values(0, 4)), []float64{1, 5}, 8)
	if text := fmt.Sprint(one.Caveats); !close(one.StdErr, math.Sqrt(8)) || !slices.Contains(one.Caveats, Caveat{Kind: SeedsFixed}) {
		t.Errorf("one pair: %+v, %s", one, text)
	}
	none := SeedsAndImages(Paired(nil, nil), nil, 0)
	if text, err := json.Marshal(none); err != nil ||
		string(text) != `{"mean":null,"low":null,"high":null,"std_err":null,"n":0,"images":0,"resamples":0}` {
		t.Errorf("nothing: %s, %v", text, err)
	}
}
