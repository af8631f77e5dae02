package gomlx

import (
	"errors"
	"math"
	"os"
	"testing"
	"time"

	"focalgrid/engine"
)

// TestProbeRate: the rate follows from the clock that is handed in, and nothing stays on the device.
func TestProbeRate(t *testing.T) {
	options := []Options{{}, {Layout: NHWC}}
	if os.Getenv(PluginVariable) != "" {
		options = append(options, Options{Backend: XLA})
	}
	for _, opt := range options {
		e, err := New(opt)
		if err != nil {
			t.Fatal(err)
		}
		for _, bfloat16 := range []bool{false, true} {
			now := time.Unix(0, 0)
			got, err := e.ProbeRate(func() time.Time { now = now.Add(100 * time.Millisecond); return now }, bfloat16)
			want := stepShare * e.probe().macs() / .1
			known := opt.Backend == XLA && e.info.Device == "CPU"
			if err != nil || math.Abs(got.MACs-want) > 1e-6*want || got.Guessed == known {
				t.Errorf("%+v, bfloat16 %t: rate is %+v, %v, want %g, guessed %t", opt, bfloat16, got, err, want, !known)
			}
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
	wide, err := New(Options{Precision: Float64})
	if err != nil {
		t.Fatal(err)
	}
	defer wide.Close()
	if _, err := wide.ProbeRate(time.Now, true); !errors.Is(err, engine.ErrUnsupported) {
		t.Errorf("bfloat16 in float64: %v", err)
	}
}

// TestProbes: what is run is a program of as many multiply-adds as are reckoned.
func TestProbes(t *testing.T) {
	for _, c := range []probe{probeCPU, probeDevice} {
		p, err := c.program(true)
		if err != nil {
			t.Fatal(err)
		}
		var macs int64
		for _, n := range p.Graph.Nodes() {
			macs += n.MACs()
		}
		if float64(macs) != c.macs() {
			t.Errorf("%+v has %d multiply-adds, is counted with %g", c, macs, c.macs())
		}
	}
}
