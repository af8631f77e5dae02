package gomlx_test

import (
	"os"
	"testing"

	"focalgrid/engine"
	"focalgrid/engine/enginetest"
	"focalgrid/engine/gomlx"
)

func open(opt gomlx.Options) func(t *testing.T) engine.Engine {
	return func(t *testing.T) engine.Engine {
		t.Helper()
		e, err := gomlx.New(opt)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		})
		return e
	}
}

// variants are the settings under which an engine passes the suite at the suite's own tolerances.
var variants = []struct {
	name string
	opt  gomlx.Options
}{
	{"f32-nchw", gomlx.Options{}},
	{"f32-nhwc", gomlx.Options{Layout: gomlx.NHWC}},
	{"f64-nchw", gomlx.Options{Precision: gomlx.Float64}},
}

// TestGo runs the conformance suite on the backend in plain Go.
func TestGo(t *testing.T) {
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) { enginetest.Run(t, open(v.opt), enginetest.Tolerance{}) })
	}
}

// thin are the tolerances of bfloat16, whose steps are 1/256: differences of convolutions' outputs are noise.
var thin = enginetest.Tolerance{Values: 1e-2, Differences: 1}

// TestThin runs the suite with convolutions in bfloat16.
func TestThin(t *testing.T) {
	for _, layout := range []string{gomlx.NCHW, gomlx.NHWC} {
		t.Run(layout, func(t *testing.T) {
			enginetest.Run(t, open(gomlx.Options{Precision: gomlx.BFloat16, Layout: layout}), thin)
		})
	}
}

// TestXLA runs the conformance suite on the PJRT plugin that PluginVariable names.
func TestXLA(t *testing.T) {
	if os.Getenv(gomlx.PluginVariable) == "" {
		t.Skipf("no PJRT plugin: %s is not set", gomlx.PluginVariable)
	}
	for _, v := range variants {
		v.opt.Backend = gomlx.XLA
		t.Run(v.name, func(t *testing.T) { enginetest.Run(t, open(v.opt), enginetest.Tolerance{}) })
	}
}
