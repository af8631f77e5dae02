package gomlx_test

import (
	"os"
	"strings"
	"testing"

	"focalgrid/engine"
	"focalgrid/engine/enginetest"
	"focalgrid/engine/gomlx"
)

func open(opt gomlx.Options, half bool) func(t *testing.T) engine.Engine {
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
		if half {
			return bfloat16{e}
		}
		return e
	}
}

// thin is the tolerance of convolutions in bfloat16, whose steps are 1/256: differences of their outputs are noise.
var thin = enginetest.Tolerance{Values: 1e-2, Differences: 1}

// bfloat16 compiles every program with convolutions in bfloat16.
type bfloat16 struct{ engine.Engine }

func (e bfloat16) Compile(p *engine.Program, s *engine.State) (engine.Session, error) {
	half := *p
	half.BFloat16 = true
	return e.Engine.Compile(&half, s)
}

// variants are settings with the tolerances under which they pass the suite.
var variants = []struct {
	name      string
	opt       gomlx.Options
	bfloat16  bool
	tolerance enginetest.Tolerance
}{
	{"f32-nchw", gomlx.Options{}, false, enginetest.Tolerance{}},
	{"f32-nhwc", gomlx.Options{Layout: gomlx.NHWC}, false, enginetest.Tolerance{}},
	{"f64-nchw", gomlx.Options{Precision: gomlx.Float64}, false, enginetest.Tolerance{}},
	{"bf16-nchw", gomlx.Options{}, true, thin},
	{"bf16-nhwc", gomlx.Options{Layout: gomlx.NHWC}, true, thin},
}

// TestGo runs the conformance suite on the backend in plain Go.
func TestGo(t *testing.T) {
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) { enginetest.Run(t, open(v.opt, v.bfloat16), v.tolerance) })
	}
}

// TestXLA runs the conformance suite on the PJRT plugin that PluginVariable names.
func TestXLA(t *testing.T) {
	if os.Getenv(gomlx.PluginVariable) == "" {
		t.Skipf("no PJRT plugin: %s is not set", gomlx.PluginVariable)
	}
	for _, v := range variants {
		v.opt.Backend = gomlx.XLA
		name := strings.Replace(v.name, "bf16", "f32", 1) // a program's precision is not its engine's
		if i := open(v.opt, false)(t).Info(); !strings.HasPrefix(i.Name, "gomlx-xla-") || !strings.HasSuffix(i.Name, name) || !strings.Contains(i.Plugin, " sha256:") {
			t.Errorf("%+v", i)
		}
		t.Run(v.name, func(t *testing.T) { enginetest.Run(t, open(v.opt, v.bfloat16), v.tolerance) })
	}
}

// TestXLADevices runs the conformance suite on two virtual devices. What is fed is split wherever it can be, as if
// every first axis were a batch: whatever lies where, all is computed as on one device.
func TestXLADevices(t *testing.T) {
	two := open(gomlx.Options{Backend: gomlx.XLA, Plugin: gomlx.VirtualPlugin(t), Devices: 2}, false)(t)
	e := &marking{Engine: two, Stager: two.(engine.Stager)}
	enginetest.Run(t, func(*testing.T) engine.Engine { return e }, enginetest.Tolerance{})
	if e.marked == 0 {
		t.Error("the suite has fed nothing that two devices can split")
	}
}

// marking marks inputs that two devices can split.
type marking struct {
	engine.Engine
	engine.Stager
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
