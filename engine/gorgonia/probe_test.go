package gorgonia

import (
	"math"
	"testing"
	"time"

	"focalgrid/engine/kernel"
)

// TestProbeRate: the rate follows from the clock that is handed in.
func TestProbeRate(t *testing.T) {
	e := New(kernel.NewPool(1), Options{})
	defer e.Close()
	now := time.Unix(0, 0)
	got := e.ProbeRate(func() time.Time { now = now.Add(10 * time.Millisecond); return now })
	want := stepShare * 4 * 64 * 64 * 9 * 32 * 32 / .01
	if math.Abs(got-want) > 1e-6*want {
		t.Errorf("rate is %g, want %g", got, want)
	}
}
