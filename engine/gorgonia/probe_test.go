package gorgonia

import (
	"errors"
	"math"
	"testing"
	"time"

	"focalgrid/engine"
	"focalgrid/engine/kernel"
)

// TestProbeRate: the rate follows from the clock that is handed in.
func TestProbeRate(t *testing.T) {
	e := New(kernel.NewPool(1), Options{})
	defer e.Close()
	now := time.Unix(0, 0)
	clock := func() time.Time { now = now.Add(10 * time.Millisecond); return now }
	got, err := e.ProbeRate(clock, false)
	want := stepShare * 4 * 64 * 64 * 9 * 32 * 32 / .01
	if err != nil || math.Abs(got.MACs-want) > 1e-6*want || got.Guessed {
		t.Errorf("rate is %+v, %v, want %g", got, err, want)
	}
	if _, err := e.ProbeRate(clock, true); !errors.Is(err, engine.ErrUnsupported) {
		t.Errorf("bfloat16: %v", err)
	}
}
