package benchmark

import (
	"context"
	"strings"
	"testing"
	"time"

	"focalgrid/engine"
	"focalgrid/engine/gorgonia"
	"focalgrid/engine/kernel"
	"focalgrid/experiments"
)

// unprofiled is an engine that computes and no more.
type unprofiled struct{ engine.Engine }

// TestNetworkReport: the report of an engine that measures its ops has their times and rate; of any other it says so.
func TestNetworkReport(t *testing.T) {
	cpu := gorgonia.New(kernel.NewPool(1), gorgonia.Options{})
	defer cpu.Close()
	measure := func(_ context.Context, _ *experiments.Trainer, n Network) (Measured, error) {
		n.Begin()
		return Measured{Seconds: []float64{.1}}, nil
	}
	for _, tt := range []struct {
		engine         engine.Engine
		want, unwanted string
	}{
		{cpu, "GFLOP/s", "does not measure"},
		{unprofiled{cpu}, "  this engine does not measure its ops\n", "GFLOP/s"},
	} {
		r, err := Measure(t.Context(), &experiments.Trainer{Engine: tt.engine, Now: time.Now}, Network{}, measure)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := r.Write(&b); err != nil || !strings.Contains(b.String(), tt.want) || strings.Contains(b.String(), tt.unwanted) {
			t.Errorf("%T: %v, want %q and no %q in\n%s", tt.engine, err, tt.want, tt.unwanted, b.String())
		}
	}
}
