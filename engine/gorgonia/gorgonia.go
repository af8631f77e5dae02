// Package gorgonia is the CPU engine: an engine.Graph lowered to a Gorgonia
// expression graph of coarse ops that call the kernels of engine/kernel,
// differentiated symbolically by Gorgonia, and run in buffers planned once.
//
// Elementwise arithmetic between tensors of one shape (add, sub, mul, neg, abs, exp,
// log, softplus, sigmoid) is Gorgonia's own op; the plan runs its sums, by which
// gradients are joined, with our kernel. Where a gradient of
// Gorgonia's differs from the one that engine states (ReLU at 0), the op is ours.
package gorgonia

import (
	"errors"
	"fmt"
	"math"
	"time"

	gg "gorgonia.org/gorgonia"

	"focalgrid/engine"
	"focalgrid/engine/kernel"
)

// Options of the engine; the zero value is what trials use.
type Options struct {
	// TapeMachine runs graphs on Gorgonia's own virtual machine instead of the
	// static plan. Slower; kept as the plan's oracle.
	TapeMachine bool
}

// Engine compiles programs for the CPU. Its sessions compute in the values of their State.
type Engine struct {
	pool    *kernel.Pool
	opt     Options
	profile *engine.Profile // nil: nobody asks
}

// New returns an engine that computes on pool, and closes it.
func New(pool *kernel.Pool, opt Options) *Engine { return &Engine{pool: pool, opt: opt} }

// Info names the engine "gorgonia", or "gorgonia-exact" where the pool keeps to direct
// convolutions: their results differ in bits.
func (e *Engine) Info() engine.Info {
	i := engine.Info{
		Name: "gorgonia", Device: "CPU", Threads: e.pool.Threads(), Precision: "float32", Exact: true, Kernels: string(e.pool.Level()),
	}
	if e.pool.Exact {
		i.Name = "gorgonia-exact"
	}
	return i
}

// Load does nothing: sessions compute in the State's values.
func (e *Engine) Load(*engine.State) error { return nil }

// Store does nothing: sessions compute in the State's values.
func (e *Engine) Store(*engine.State) error { return nil }

// Close ends the pool.
func (e *Engine) Close() error {
	e.pool.Close()
	return nil
}

// Profile adds the time of each op of the static plan to p.
func (e *Engine) Profile(p *engine.Profile) { e.profile = p }

type session struct {
	e      *Engine
	p      *engine.Program
	a      *engine.Analysis
	run    runner
	node   map[int]*gg.Node
	params []param
	norms  []runningNorm

	// Made once, valid until the next call.
	cast        map[*engine.Node][]float32 // inputs that are fed with other kinds than float32
	forward     engine.Values
	predictions engine.Values
	outputs     engine.Values
}

// param is a trained parameter with what its update needs.
type param struct {
	node  *engine.Node
	grad  *gg.Node
	value []float32
	slots [][]float32
}

// runningNorm is a batch norm whose running statistics a step moves.
type runningNorm struct {
	stats      *gg.Node // batch mean and biased variance, [2C]
	mean, vari []float32
	momentum   float32
	count      int // values a channel's statistics are taken over
}

// Compile lowers, differentiates and plans p. Tensors that p's graph needs and
// s lacks are an error: State.AddMissing comes first.
func (e *Engine) Compile(p *engine.Program, s *engine.State) (engine.Session, error) {
	if p.BFloat16 {
		return nil, fmt.Errorf("bfloat16: %w", engine.ErrUnsupported)
	}
	a, err := engine.Analyze(p)
	if err != nil {
		return nil, err
	}
	if err := a.Prepare(s); err != nil {
		return nil, err
	}
	l := &lowering{pool: e.pool, g: gg.NewGraph(), node: map[int]*gg.Node{}, stats: map[int]*gg.Node{}, joined: map[string]*gg.Node{}}
	if err := l.all(p); err != nil {
		return nil, err
	}
	ses := &session{
		e: e, p: p, a: a, node: l.node, cast: map[*engine.Node][]float32{},
		forward: engine.Values{}, predictions: engine.Values{}, outputs: engine.Values{},
	}
	wanted := make([][]*gg.Node, engine.Phases)
	for phase, nodes := range a.Nodes {
		for _, n := range nodes {
			wanted[phase] = append(wanted[phase], l.node[n.ID])
		}
	}
	if p.Loss != nil {
		extra, err := ses.differentiate(l, s)
		if err != nil {
			return nil, err
		}
		wanted[engine.PhaseRest] = append(wanted[engine.PhaseRest], extra...)
	}
	if e.opt.TapeMachine {
		ses.run, err = newTape(wanted)
	} else {
		ses.run, err = newPlan(wanted, e.pool, e.profile)
	}
	if err != nil {
		return nil, err
	}
	for _, n := range p.Graph.Nodes() {
		if n.Op == engine.OpParam || n.Op == engine.OpBuffer {
			ses.run.bind(l.node[n.ID], s.Get(n.Name).Values)
		}
	}
	return ses, nil
}

// differentiate returns the nodes that an update reads: gradients of the loss, and batch statistics.
func (s *session) differentiate(l *lowering, state *engine.State) ([]*gg.Node, error) {
	var wrt, wanted gg.Nodes
	for _, n := range s.a.Params {
		wrt = append(wrt, l.node[n.ID])
	}
	grads, err := gg.Grad(l.node[s.p.Loss.ID], wrt...)
	if err != nil {
		return nil, fmt.Errorf("gradient: %w", err)
	}
	for i, n := range s.a.Params {
		q := param{node: n, grad: grads[i], value: state.Get(n.Name).Values}
		for _, name := range s.p.Update.Slots(n.Name) {
			q.slots = append(q.slots, state.Get(name).Values)
		}
		s.params = append(s.params, q)
		wanted = append(wanted, grads[i])
	}
	for _, n := range s.a.Norms {
		x := n.In[0].Shape
		s.norms = append(s.norms, runningNorm{
			stats: l.stats[n.ID], mean: state.Get(n.In[3].Name).Values, vari: state.Get(n.In[4].Name).Values,
			momentum: float32(n.Attr.Momentum), count: x[0] * x[2] * x[3],
		})
		wanted = append(wanted, l.stats[n.ID])
	}
	return wanted, nil
}

// compute runs a phase on its feeds.
func (s *session) compute(phase engine.Phase, f engine.Feeds) error {
	for _, n := range s.a.Inputs[phase] {
		v, err := f.For(n)
		if err != nil {
			return err
		}
		values, err := s.floats(n, v)
		if err != nil {
			return err
		}
		s.run.bind(s.node[n.ID], values)
	}
	return s.run.run(int(phase))
}

// floats returns what is fed to n as float32.
func (s *session) floats(n *engine.Node, v any) ([]float32, error) {
	if v, ok := v.([]float32); ok {
		return v, nil
	}
	out := s.cast[n]
	if out == nil {
		out = make([]float32, n.Size())
		s.cast[n] = out
	}
	switch v := v.(type) {
	case []byte:
		convert(s.e.pool, out, v)
	case []int32:
		convert(s.e.pool, out, v)
	default:
		return nil, fmt.Errorf("input %s is fed what another engine staged", n.Name)
	}
	return out, nil
}

func convert[T byte | int32](pool *kernel.Pool, out []float32, in []T) {
	kernel.Split(pool, len(out), func(from, to int) {
		for i, v := range in[from:to] {
			out[from+i] = float32(v)
		}
	})
}

func (s *session) collect(nodes []*engine.Node, into engine.Values) {
	for _, n := range nodes {
		into[n.Name] = s.run.value(s.node[n.ID])
	}
}

func (s *session) Forward(f engine.Feeds) (engine.Values, error) {
	for phase := range engine.PhaseRest {
		if err := s.compute(phase, f); err != nil {
			return nil, err
		}
		s.collect(s.a.Nodes[phase], s.forward)
	}
	return s.forward, nil
}

func (s *session) Step(f engine.Feeds, assign engine.Assign) (engine.Result, error) {
	var r engine.Result
	if s.p.Loss == nil {
		return r, errors.New("the program has no loss to step on")
	}
	lr, err := f.Rate()
	if err != nil {
		return r, err
	}
	for phase := range engine.PhaseRest {
		if err := s.compute(phase, f); err != nil {
			return r, err
		}
	}
	s.collect(s.p.Predictions, s.predictions)
	if f, err = f.With(assign, s.predictions); err != nil {
		return r, err
	}
	if err := s.compute(engine.PhaseRest, f); err != nil {
		return r, err
	}
	r.Loss = float64(s.run.value(s.node[s.p.Loss.ID])[0])
	r.Outputs = s.outputs
	s.collect(s.p.Outputs, r.Outputs)
	start := s.clock()
	var sum float64
	for _, q := range s.params {
		sum += kernel.SumSquares(s.e.pool, s.run.value(q.grad))
	}
	r.GradNorm = math.Sqrt(sum)
	start = s.spent("gradient norm", start)
	if err := r.CheckFinite(); err != nil {
		return r, err
	}
	s.update(lr, r.GradNorm)
	s.spent("update", start)
	return r, nil
}

// clock and spent tell the profile, if there is one, what is no op of the graph.
func (s *session) clock() time.Time {
	if s.e.profile == nil {
		return time.Time{}
	}
	return s.e.profile.Now()
}

func (s *session) spent(kind string, start time.Time) time.Time {
	if s.e.profile == nil {
		return start
	}
	return s.e.profile.Add(kind, 0, start)
}

// update applies the optimiser's rule and moves the running statistics.
func (s *session) update(lr float32, norm float64) {
	u := s.p.Update
	for _, q := range s.params {
		g := s.run.value(q.grad)
		if u.Clip > 0 && norm > u.Clip {
			kernel.Scale(s.e.pool, g, float32(u.Clip/(norm+1e-6))) // the 1e-6 is PyTorch's
		}
		var decay float32
		if u.Decays(q.node) {
			decay = float32(u.WeightDecay)
		}
		switch u.Kind {
		case "sgd":
			kernel.SGD(s.e.pool, q.value, q.slots[0], g, lr, float32(u.Momentum), decay)
		case "adamw":
			q.slots[2][0]++
			kernel.Adam{LR: lr, Beta1: float32(u.Beta1), Beta2: float32(u.Beta2), Eps: float32(u.Eps), Decay: decay}.Step(s.e.pool, q.value, q.slots[0], q.slots[1], g, int(q.slots[2][0]))
		}
	}
	for _, n := range s.norms {
		st := s.run.value(n.stats)
		c := len(n.mean)
		kernel.RunningUpdate(n.mean, n.vari, st[:c], st[c:], n.momentum, n.count)
	}
}

func (s *session) Gradient(param string) []float32 {
	for _, q := range s.params {
		if s.p.KeepGradients && q.node.Name == param {
			return s.run.value(q.grad)
		}
	}
	return nil
}

func (s *session) Close() error { return s.run.close() }
