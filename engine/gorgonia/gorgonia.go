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
	"fmt"
	"maps"
	"math"
	"slices"
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
	// Profile, if not nil, is told the time of each op of the static plan.
	Profile *Profile
}

// Engine compiles programs for the CPU.
type Engine struct {
	pool *kernel.Pool
	opt  Options
}

// New returns an engine that computes on pool.
func New(pool *kernel.Pool, opt Options) *Engine { return &Engine{pool: pool, opt: opt} }

// Name returns "gorgonia", or "gorgonia-exact" where the pool keeps to direct
// convolutions: their results differ in bits.
func (e *Engine) Name() string {
	if e.pool.Exact {
		return "gorgonia-exact"
	}
	return "gorgonia"
}

// The groups in which a session's graph is run.
const (
	groupPredictions = iota
	groupOutputs     // the outputs that need no more than the predictions' feeds
	groupRest        // loss, gradients, statistics, remaining outputs
	groups
)

type session struct {
	e      *Engine
	p      *engine.Program
	state  *engine.State
	run    runner
	node   map[int]*gg.Node
	inputs map[string]*engine.Node
	needs  [groups][]string // inputs that each group adds

	params []param
	norms  []runningNorm
	grads  map[string][]float32

	// Made once, valid until the next call.
	early       []*engine.Node // outputs that Forward computes
	forward     engine.Values
	predictions engine.Values
	outputs     engine.Values
	feeds       engine.Feeds
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
	if err := p.Validate(); err != nil {
		return nil, err
	}
	l := &lowering{pool: e.pool, g: gg.NewGraph(), node: map[int]*gg.Node{}, stats: map[int]*gg.Node{}, joined: map[string]*gg.Node{}}
	if err := l.all(p); err != nil {
		return nil, err
	}
	ses := &session{
		e: e, p: p, state: s, node: l.node, inputs: map[string]*engine.Node{}, grads: map[string][]float32{},
		forward: engine.Values{}, predictions: engine.Values{}, outputs: engine.Values{}, feeds: engine.Feeds{},
	}

	var wanted [groups][]*gg.Node
	fed := map[string]bool{}
	for _, n := range p.Predictions {
		wanted[groupPredictions] = append(wanted[groupPredictions], l.node[n.ID])
		for _, in := range inputsOf(n) {
			fed[in] = true
		}
	}
	for _, n := range p.Outputs {
		g := groupOutputs
		if len(p.Predictions) > 0 && slices.ContainsFunc(inputsOf(n), func(in string) bool { return !fed[in] }) {
			g = groupRest
		}
		wanted[g] = append(wanted[g], l.node[n.ID])
	}
	if p.Loss != nil {
		wanted[groupRest] = append(wanted[groupRest], l.node[p.Loss.ID])
		if err := ses.differentiate(l, &wanted[groupRest]); err != nil {
			return nil, err
		}
	}
	var err error
	if e.opt.TapeMachine {
		ses.run, err = newTape(wanted[:])
	} else {
		ses.run, err = newPlan(wanted[:], e.pool, e.opt.Profile)
	}
	if err != nil {
		return nil, err
	}
	if err := ses.bindState(); err != nil {
		return nil, err
	}
	ses.listNeeds()
	return ses, nil
}

// differentiate adds the gradients of the loss and the slots of the update.
func (s *session) differentiate(l *lowering, wanted *[]*gg.Node) error {
	reach := reached(s.p.Loss)
	var wrt gg.Nodes
	for _, n := range s.p.Graph.Params() {
		if n.Attr.Trainable && reach[n.ID] {
			wrt = append(wrt, l.node[n.ID])
			s.params = append(s.params, param{node: n})
		}
	}
	if len(wrt) == 0 {
		return fmt.Errorf("the loss reaches no trainable parameter")
	}
	grads, err := gg.Grad(l.node[s.p.Loss.ID], wrt...)
	if err != nil {
		return fmt.Errorf("gradient: %w", err)
	}
	for i := range s.params {
		s.params[i].grad = grads[i]
		*wanted = append(*wanted, grads[i])
	}
	for _, n := range s.p.Graph.Nodes() {
		if st := l.stats[n.ID]; st != nil && reach[n.ID] {
			x := n.In[0].Shape
			s.norms = append(s.norms, runningNorm{stats: st, momentum: float32(n.Attr.Momentum), count: x[0] * x[2] * x[3]})
			nm := &s.norms[len(s.norms)-1]
			mean, vari := s.state.Get(n.In[3].Name), s.state.Get(n.In[4].Name)
			if mean == nil || vari == nil {
				return fmt.Errorf("tensors %s, %s are missing from the state", n.In[3].Name, n.In[4].Name)
			}
			nm.mean, nm.vari = mean.Values, vari.Values
			*wanted = append(*wanted, st)
		}
	}
	return nil
}

// slotKinds names the optimiser's tensors a parameter has under each rule.
var slotKinds = map[string][]string{"sgd": {"momentum"}, "adamw": {"adam_m", "adam_v", "adam_t"}}

// bindState hands the state's tensors to the runner and adds missing slots.
func (s *session) bindState() error {
	for _, n := range s.p.Graph.Nodes() {
		if n.Op != engine.OpParam && n.Op != engine.OpBuffer {
			continue
		}
		t := s.state.Get(n.Name)
		if t == nil {
			return fmt.Errorf("tensor %s is missing from the state", n.Name)
		}
		if !slices.Equal(t.Shape, n.Shape) {
			return fmt.Errorf("tensor %s has shape %v, the graph wants %v", n.Name, t.Shape, n.Shape)
		}
		s.run.bind(s.node[n.ID], t.Values)
	}
	for i := range s.params {
		q := &s.params[i]
		q.value = s.state.Get(q.node.Name).Values
		for _, kind := range slotKinds[s.p.Update.Kind] {
			name, shape := engine.Slot(kind, q.node.Name), q.node.Shape
			if kind == "adam_t" {
				shape = []int{1} // steps taken
			}
			if s.state.Get(name) == nil {
				size := 1
				for _, d := range shape {
					size *= d
				}
				if err := s.state.Set(name, shape, make([]float32, size)); err != nil {
					return err
				}
			}
			q.slots = append(q.slots, s.state.Get(name).Values)
		}
	}
	return nil
}

func (s *session) listNeeds() {
	seen := map[string]bool{}
	add := func(group int, nodes ...*engine.Node) {
		for _, n := range nodes {
			for _, in := range inputsOf(n) {
				if !seen[in] {
					seen[in] = true
					s.needs[group] = append(s.needs[group], in)
				}
				s.inputs[in] = s.p.Graph.Node(in)
			}
		}
	}
	add(groupPredictions, s.p.Predictions...)
	if len(s.p.Predictions) == 0 {
		add(groupOutputs, s.p.Outputs...)
	}
	add(groupRest, s.p.Outputs...)
	if s.p.Loss != nil {
		add(groupRest, s.p.Loss)
	}
	for _, n := range s.p.Outputs {
		if !slices.ContainsFunc(inputsOf(n), func(in string) bool { return slices.Contains(s.needs[groupRest], in) }) {
			s.early = append(s.early, n)
		}
	}
}

// inputsOf lists the inputs that n depends on.
func inputsOf(n *engine.Node) []string {
	var out []string
	seen := map[int]bool{}
	var walk func(n *engine.Node)
	walk = func(n *engine.Node) {
		if seen[n.ID] {
			return
		}
		seen[n.ID] = true
		if n.Op == engine.OpInput {
			out = append(out, n.Name)
		}
		for _, in := range n.In {
			walk(in)
		}
	}
	walk(n)
	return out
}

// reached marks the nodes that n depends on through differentiable inputs.
func reached(n *engine.Node) map[int]bool {
	seen := map[int]bool{}
	var walk func(n *engine.Node)
	walk = func(n *engine.Node) {
		if seen[n.ID] {
			return
		}
		seen[n.ID] = true
		for i, in := range n.In {
			if differentiable(n, i) {
				walk(in)
			}
		}
	}
	walk(n)
	return seen
}

// differentiable tells whether op n passes a gradient to its i-th input.
func differentiable(n *engine.Node, i int) bool {
	switch n.Op {
	case engine.OpOneHot:
		return false
	case engine.OpWhere:
		return i > 0
	case engine.OpFocal, engine.OpSmoothL1, engine.OpGIoU, engine.OpSoftmaxCE:
		return i == 0
	case engine.OpFrozenNorm:
		return i == 0 || i == 5
	case engine.OpBatchNorm:
		return i != 3 && i != 4
	}
	return true
}

func (s *session) feed(names []string, f engine.Feeds) error {
	for _, name := range names {
		n := s.inputs[name]
		v, ok := f[name]
		if !ok {
			return fmt.Errorf("input %s is not fed", name)
		}
		if len(v) != n.Size() {
			return fmt.Errorf("input %s: %d values for shape %v", name, len(v), n.Shape)
		}
		s.run.bind(s.node[n.ID], v)
	}
	return nil
}

func (s *session) collect(nodes []*engine.Node, into engine.Values) {
	for _, n := range nodes {
		into[n.Name] = s.run.value(s.node[n.ID])
	}
}

func (s *session) Forward(f engine.Feeds) (engine.Values, error) {
	for g := groupPredictions; g <= groupOutputs; g++ {
		if err := s.feed(s.needs[g], f); err != nil {
			return nil, err
		}
		if err := s.run.run(g); err != nil {
			return nil, err
		}
	}
	s.collect(s.p.Predictions, s.forward)
	s.collect(s.early, s.forward)
	return s.forward, nil
}

func (s *session) Step(f engine.Feeds, assign engine.Assign) (engine.Result, error) {
	var r engine.Result
	if s.p.Loss == nil {
		return r, fmt.Errorf("the program has no loss to step on")
	}
	lr, ok := f[engine.LR]
	if !ok || len(lr) != 1 {
		return r, fmt.Errorf("feed %q must hold the learning rate, one value", engine.LR)
	}
	for g := groupPredictions; g <= groupOutputs; g++ {
		if err := s.feed(s.needs[g], f); err != nil {
			return r, err
		}
		if err := s.run.run(g); err != nil {
			return r, err
		}
	}
	if assign != nil {
		s.collect(s.p.Predictions, s.predictions)
		targets, err := assign(s.predictions)
		if err != nil {
			return r, fmt.Errorf("assigning targets: %w", err)
		}
		clear(s.feeds)
		maps.Copy(s.feeds, f)
		maps.Copy(s.feeds, targets)
		f = s.feeds
	}
	if err := s.feed(s.needs[groupRest], f); err != nil {
		return r, err
	}
	if err := s.run.run(groupRest); err != nil {
		return r, err
	}
	r.Loss = float64(s.run.value(s.node[s.p.Loss.ID])[0])
	r.Outputs = s.outputs
	s.collect(s.p.Outputs, r.Outputs)
	start := s.clock()
	var sum float64
	for i := range s.params {
		g := s.run.value(s.params[i].grad)
		s.grads[s.params[i].node.Name] = g
		sum += kernel.SumSquares(s.e.pool, g)
	}
	r.GradNorm = math.Sqrt(sum)
	start = s.spent("gradient norm", start)
	if !finite(r.Loss) {
		return r, fmt.Errorf("loss is %v: %w", r.Loss, engine.ErrNonFinite)
	}
	if !finite(r.GradNorm) {
		return r, fmt.Errorf("gradient norm is %v: %w", r.GradNorm, engine.ErrNonFinite)
	}
	s.update(lr[0], r.GradNorm)
	s.spent("update", start)
	return r, nil
}

// clock and spent tell the profile, if there is one, what is no op of the graph.
func (s *session) clock() time.Time {
	if s.e.opt.Profile == nil {
		return time.Time{}
	}
	return s.e.opt.Profile.now()
}

func (s *session) spent(kind string, start time.Time) time.Time {
	if s.e.opt.Profile == nil {
		return start
	}
	return s.e.opt.Profile.add(kind, 0, start)
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// update applies the optimiser's rule and moves the running statistics.
func (s *session) update(lr float32, norm float64) {
	u := s.p.Update
	for _, q := range s.params {
		g := s.grads[q.node.Name]
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

func (s *session) Gradient(param string) []float32 { return s.grads[param] }

func (s *session) Close() error { return s.run.close() }
