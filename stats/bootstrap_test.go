package stats

import (
	"math"
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
