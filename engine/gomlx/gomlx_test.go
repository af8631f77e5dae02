package gomlx_test

import (
	"os"
	"strings"
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

// thin is the tolerance of convolutions in bfloat16, whose steps are 1/256: differences of their outputs are noise.
var thin = enginetest.Tolerance{Values: 1e-2, Differences: 1}

// variants are settings with the tolerances under which they pass the suite.
var variants = []struct {
	name      string
	opt       gomlx.Options
	tolerance enginetest.Tolerance
}{
	{"f32-nchw", gomlx.Options{}, enginetest.Tolerance{}},
	{"f32-nhwc", gomlx.Options{Layout: gomlx.NHWC}, enginetest.Tolerance{}},
	{"f64-nchw", gomlx.Options{Precision: gomlx.Float64}, enginetest.Tolerance{}},
	{"bf16-nchw", gomlx.Options{Precision: gomlx.BFloat16}, thin},
	{"bf16-nhwc", gomlx.Options{Precision: gomlx.BFloat16, Layout: gomlx.NHWC}, thin},
}

// TestGo runs the conformance suite on the backend in plain Go.
func TestGo(t *testing.T) {
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) { enginetest.Run(t, open(v.opt), v.tolerance) })
	}
}

// TestXLA runs the conformance suite on the PJRT plugin that PluginVariable names.
func TestXLA(t *testing.T) {
	if os.Getenv(gomlx.PluginVariable) == "" {
		t.Skipf("no PJRT plugin: %s is not set", gomlx.PluginVariable)
	}
	for _, v := range variants {
		v.opt.Backend = gomlx.XLA
		if i := open(v.opt)(t).Info(); !strings.HasPrefix(i.Name, "gomlx-xla-") || !strings.HasSuffix(i.Name, v.name) || !strings.Contains(i.Plugin, " sha256:") {
			t.Errorf("%+v", i)
		}
		t.Run(v.name, func(t *testing.T) { enginetest.Run(t, open(v.opt), v.tolerance) })
	}
}

// TestXLADevices runs the conformance suite on two virtual devices. What is fed is split wherever it can be, as if
// every first axis were a batch: whatever lies where, all is computed as on one device.
func TestXLADevices(t *testing.T) {
	e := &marking{Engine: open(gomlx.Options{Backend: gomlx.XLA, Plugin: gomlx.VirtualPlugin(t), Devices: 2})(t)}
	enginetest.Run(t, func(*testing.T) engine.Engine { return e }, enginetest.Tolerance{})
	if e.marked == 0 {
		t.Error("the suite has fed nothing that two devices can split")
	}
}

// marking marks inputs that two devices can split.
type marking struct {
	engine.Engine
	marked int
}

func (m *marking) Compile(p *engine.Program, s *engine.State) (engine.Session, error) {
	for _, n := range p.Graph.Nodes() {
		if n.Op == engine.OpInput && len(n.Shape) > 0 && n.Shape[0]%2 == 0 {
			n.Attr.Batch = true
			m.marked++
		}
	}
	return m.Engine.Compile(p, s)
}
