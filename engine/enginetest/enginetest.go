// Package enginetest is the conformance suite that every engine passes.
//
// Run checks each op's output and gradient against reference numbers made in
// float64 by PyTorch (layers and norms), against finite differences, fused ops against the same
// computation in single ops, inputs and targets made of compact feeds, and the session's contract: two-phase steps,
// updates, clipping, running statistics and the refusal of non-finite values.
package enginetest

import (
	"flag"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"focalgrid/engine"
)

// Tolerance is the error, relative to a tensor's largest value, that the suite grants an engine beside the rounding of
// float32, to which the zero value holds it.
type Tolerance struct {
	Values      float64 // of outputs, gradients and updates against exact ones
	Differences float64 // of gradients against differences of outputs, which magnify rounding some 100 times
}

// suite is the engine under test. It records the ops that it is asked to compile.
type suite struct {
	engine.Engine
	tolerance Tolerance
	seen      map[engine.Op]bool
}

func (e *suite) Compile(p *engine.Program, s *engine.State) (engine.Session, error) {
	for _, n := range p.Graph.Nodes() {
		e.seen[n.Op] = true
	}
	return e.Engine.Compile(p, s)
}

// Run runs the whole suite on an engine made by open, and fails if an op has no case.
func Run(t *testing.T, open func(t *testing.T) engine.Engine, tolerance Tolerance) {
	e := &suite{open(t), tolerance, map[engine.Op]bool{}}
	t.Run("references", func(t *testing.T) { references(t, e) })
	t.Run("differences", func(t *testing.T) { differences(t, e) })
	t.Run("exact", func(t *testing.T) { exact(t, e) })
	t.Run("boxes", func(t *testing.T) { boxes(t, e) })
	t.Run("feeding", func(t *testing.T) { feeding(t, e) })
	t.Run("fused", func(t *testing.T) { fused(t, e) })
	t.Run("losses", func(t *testing.T) { losses(t, e) })
	t.Run("session", func(t *testing.T) { session(t, e) })
	if filtered() {
		return
	}
	for _, op := range engine.Ops() {
		if !e.seen[op] {
			t.Errorf("op %q has no case in the suite: add one, with its gradient, to engine/enginetest", op)
		}
	}
}

// filtered reports whether the command line leaves out some of the suite's cases.
func filtered() bool {
	return slices.ContainsFunc([]string{"test.run", "test.skip"}, func(name string) bool {
		return strings.Contains(flag.Lookup(name).Value.String(), "/")
	})
}

// draw is a source for tests, by purpose.
func draw(purpose string, index uint64) *rand.Rand {
	h := uint64(14695981039346656037)
	for i := range len(purpose) {
		h = (h ^ uint64(purpose[i])) * 1099511628211
	}
	return rand.New(rand.NewPCG(h, index))
}

// probe is one computation under test: params are differentiated, and the
// loss is Σ y·gy for a fixed gy.
type probe struct {
	params map[string]tensor
	fixed  map[string]tensor // buffers
	build  func(g *engine.Graph, in map[string]*engine.Node) *engine.Node
	gy     []float32
}

type tensor struct {
	shape  []int
	values []float32
}

// outcome is a probe's output, its gradients and the state after one step at rate 0.
type outcome struct {
	y     []float32
	grads map[string][]float32
	state *engine.State
}

func (p probe) names() []string {
	var out []string
	for n := range p.params {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// run computes y and the gradients of Σ y·gy.
func (p probe) run(t *testing.T, e *suite) outcome {
	t.Helper()
	prog := &engine.Program{Update: engine.Update{Kind: "sgd"}, KeepGradients: true}
	state := engine.NewState()
	var err error
	prog.Graph, err = engine.Build(func(g *engine.Graph) error {
		in := map[string]*engine.Node{}
		for _, n := range p.names() {
			in[n] = g.Param(n, engine.Constant(0), true, p.params[n].shape...)
		}
		var fixed []string
		for n := range p.fixed {
			fixed = append(fixed, n)
		}
		slices.Sort(fixed)
		for _, n := range fixed {
			in[n] = g.Buffer(n, engine.Constant(0), p.fixed[n].shape...)
		}
		y := g.Named(p.build(g, in), "y")
		gy := g.Input("gy", y.Shape...)
		prog.Outputs = []*engine.Node{y}
		prog.Loss = g.Sum(g.Mul(y, gy))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range []map[string]tensor{p.params, p.fixed} {
		for n, v := range set {
			if err := state.Set(n, v.shape, v.values); err != nil {
				t.Fatal(err)
			}
		}
	}
	ses, err := e.Compile(prog, state)
	if err != nil {
		t.Fatal(err)
	}
	defer ses.Close()
	r, err := ses.Step(engine.Feeds{"gy": p.gy, engine.LR: []float32{0}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Store(state); err != nil {
		t.Fatal(err)
	}
	out := outcome{y: slices.Clone(r.Outputs["y"]), grads: map[string][]float32{}, state: state}
	for _, n := range p.names() {
		out.grads[n] = slices.Clone(ses.Gradient(n))
	}
	return out
}

// forward compiles the outputs that build returns, without parameters.
func (e *suite) forward(t *testing.T, build func(g *engine.Graph) []*engine.Node) (*engine.Graph, engine.Session) {
	t.Helper()
	p := &engine.Program{}
	var err error
	p.Graph, err = engine.Build(func(g *engine.Graph) error {
		p.Outputs = build(g)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ses, err := e.Compile(p, engine.NewState())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ses.Close() })
	return p.Graph, ses
}

// close32 fails unless got is within tol, or the engine's tolerance, of want, relative to want's largest
// value, or to 1 where all are smaller: what cancels keeps the error of its terms.
func (e *suite) close32(t *testing.T, what string, got []float32, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	tol = max(tol, e.tolerance.Values)
	scale := 1.0
	for _, w := range want {
		scale = max(scale, math.Abs(w))
	}
	for i, w := range want {
		if d := math.Abs(float64(got[i]) - w); !(d <= tol*scale) {
			t.Errorf("%s[%d] = %g, want %g (largest %g)", what, i, got[i], w, scale)
			return
		}
	}
}

func to64(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

func random(name string, shape ...int) tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	r, v := draw(name, 0), make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return tensor{shape, v}
}
