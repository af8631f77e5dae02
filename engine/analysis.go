package engine

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

// ops has a line for each op: whether its gradient goes to its i-th input. An op without a line
// cannot be added to a graph, and the suite in engine/enginetest fails for a line without a case.
var ops = map[Op]func(i int) bool{
	OpInput: none, OpParam: none, OpBuffer: none, OpConst: none,

	OpConv2D:     all,
	OpBatchNorm:  except(3, 4), // the running statistics
	OpFrozenNorm: only(0, 5),   // the values and the residual
	OpGroupNorm:  all,
	OpMaxPool:    all, OpGlobalAvgPool: all, OpUpsampleAdd: all, OpUpsample: all, OpPackLevels: all,

	OpAdd: all, OpSub: all, OpMul: all, OpDiv: all, OpMin: all, OpMax: all, OpNeg: all, OpAbs: all, OpExp: all, OpLog: all,
	OpSoftplus: all, OpSigmoid: all, OpReLU: all,
	OpWhere:  except(0), // the condition
	OpOneHot: none,
	OpExpand: all, OpSum: all, OpReshape: all, OpTranspose: all, OpConcat: all, OpSlice: all,
	OpSumLast: all, OpSoftmaxLast: all, OpLogSumExpLast: all, OpStopGradient: none,

	OpPixels: none, OpGather: none, OpTopRows: none, OpEncodeBoxes: none,

	// The losses learn from their predictions alone.
	OpDecodeBoxes: only(0),
	OpFocal:       only(0), OpSmoothL1: only(0), OpBoxIoULoss: only(0), OpSoftmaxCE: only(0),
}

func all(int) bool  { return true }
func none(int) bool { return false }

func only(inputs ...int) func(int) bool {
	return func(i int) bool { return slices.Contains(inputs, i) }
}

func except(inputs ...int) func(int) bool {
	return func(i int) bool { return !slices.Contains(inputs, i) }
}

// Ops lists all ops in order.
func Ops() []Op { return slices.Sorted(maps.Keys(ops)) }

// Differentiable reports whether the gradient of n goes to its i-th input.
func (n *Node) Differentiable(i int) bool { return ops[n.Op](i) }

// Phase is a part of a step. Session.Forward ends before PhaseRest.
type Phase int

// The phases in their order.
const (
	PhasePredictions Phase = iota
	PhaseOutputs           // the outputs that need no more than the predictions' feeds
	PhaseRest              // loss, gradients, statistics, remaining outputs
	Phases
)

// Analysis is what every engine needs to know of a program.
type Analysis struct {
	Nodes  [Phases][]*Node // the predictions, outputs and loss that each phase computes
	Inputs [Phases][]*Node // the inputs that each phase needs beyond the earlier ones
	Params []*Node         // the trainable parameters that the loss reaches
	Norms  []*Node         // the batch norms whose running statistics a step moves

	p *Program
}

// Analyze returns the analysis of p, or what makes p impossible to compile.
func Analyze(p *Program) (*Analysis, error) {
	if err := p.validate(); err != nil {
		return nil, err
	}
	a := &Analysis{p: p}
	a.Nodes[PhasePredictions] = p.Predictions
	fed := map[*Node]bool{}
	for _, n := range p.Predictions {
		for _, in := range inputsOf(n) {
			fed[in] = true
		}
	}
	for _, n := range p.Outputs {
		phase := PhaseOutputs
		if len(p.Predictions) > 0 && slices.ContainsFunc(inputsOf(n), func(in *Node) bool { return !fed[in] }) {
			phase = PhaseRest
		}
		a.Nodes[phase] = append(a.Nodes[phase], n)
	}
	if p.Loss != nil {
		a.Nodes[PhaseRest] = append(a.Nodes[PhaseRest], p.Loss)
	}
	listed := map[*Node]bool{}
	for phase, nodes := range a.Nodes {
		for _, n := range nodes {
			for _, in := range inputsOf(n) {
				if !listed[in] {
					listed[in] = true
					a.Inputs[phase] = append(a.Inputs[phase], in)
				}
			}
		}
	}
	if p.Loss == nil {
		return a, nil
	}
	reached := reachedBy(p.Loss)
	for _, n := range p.Graph.Nodes() {
		switch {
		case !reached[n]:
		case n.Op == OpParam && n.Attr.Trainable:
			a.Params = append(a.Params, n)
		case n.Op == OpBatchNorm && n.Attr.Train:
			a.Norms = append(a.Norms, n)
		}
	}
	if len(a.Params) == 0 {
		return nil, errors.New("the loss reaches no trainable parameter")
	}
	return a, nil
}

// validate reports what makes the program impossible to compile.
func (p *Program) validate() error {
	if p.Graph == nil {
		return errors.New("program without a graph")
	}
	if p.Loss != nil && len(p.Loss.Shape) != 0 {
		return fmt.Errorf("loss must be a scalar, has shape %v", p.Loss.Shape)
	}
	if p.Loss != nil && !p.Graph.holds(p.Loss) {
		return errors.New("the loss is not a node of the program's graph")
	}
	for _, n := range slices.Concat(p.Predictions, p.Outputs) {
		if !p.Graph.holds(n) {
			return errors.New("an output is not a node of the program's graph")
		}
		if n.Name == "" {
			return fmt.Errorf("node %d (%s) is an output without a name", n.ID, n.Op)
		}
	}
	if p.Loss == nil {
		return nil
	}
	if _, known := slots[p.Update.Kind]; !known {
		return fmt.Errorf("update %q; known: adamw, sgd", p.Update.Kind)
	}
	return nil
}

// inputsOf lists the inputs that n depends on.
func inputsOf(n *Node) []*Node {
	var out []*Node
	walk(n, func(*Node, int) bool { return true }, func(n *Node) {
		if n.Op == OpInput {
			out = append(out, n)
		}
	})
	return out
}

// reachedBy returns the nodes that the gradient of n reaches.
func reachedBy(n *Node) map[*Node]bool {
	out := map[*Node]bool{}
	walk(n, (*Node).Differentiable, func(n *Node) { out[n] = true })
	return out
}

// walk calls visit once for n and for each node that n depends on through the inputs that follow accepts.
func walk(n *Node, follow func(n *Node, i int) bool, visit func(*Node)) {
	seen := map[*Node]bool{}
	var down func(n *Node)
	down = func(n *Node) {
		if seen[n] {
			return
		}
		seen[n] = true
		visit(n)
		for i, in := range n.In {
			if follow(n, i) {
				down(in)
			}
		}
	}
	down(n)
}

// slots names the optimiser's tensors that a parameter has under each rule.
var slots = map[string][]string{"sgd": {"momentum"}, "adamw": {"adam_m", "adam_v", stepsTaken}}

// stepsTaken is the slot that counts a parameter's updates: one value, whatever the parameter's shape.
const stepsTaken = "adam_t"

// Slots names the State's tensors beside a parameter that the rule reads and writes: sgd's momentum, or adamw's
// two moments and its count of steps.
func (u Update) Slots(param string) []string {
	var out []string
	for _, kind := range slots[u.Kind] {
		out = append(out, Slot(kind, param))
	}
	return out
}

// Prepare checks that s holds every parameter, buffer and slot of the program in its shape, and adds the slots of the
// update that s lacks.
func (a *Analysis) Prepare(s *State) error {
	for _, n := range a.p.Graph.Nodes() {
		if n.Op != OpParam && n.Op != OpBuffer {
			continue
		}
		t := s.Get(n.Name)
		if t == nil {
			return fmt.Errorf("tensor %s is missing from the state", n.Name)
		}
		if !slices.Equal(t.Shape, n.Shape) {
			return fmt.Errorf("tensor %s has shape %v, the graph wants %v", n.Name, t.Shape, n.Shape)
		}
	}
	for _, n := range a.Params {
		for _, kind := range slots[a.p.Update.Kind] {
			shape, size := n.Shape, n.Size()
			if kind == stepsTaken {
				shape, size = []int{1}, 1
			}
			name := Slot(kind, n.Name)
			switch t := s.Get(name); {
			case t == nil:
				if err := s.Set(name, shape, make([]float32, size)); err != nil {
					return err
				}
			case !slices.Equal(t.Shape, shape):
				return fmt.Errorf("tensor %s has shape %v, the update wants %v", name, t.Shape, shape)
			}
		}
	}
	return nil
}

// For returns the values that f feeds to the input n: a slice of its kind, as long as its shape holds, or Staged.
func (f Feeds) For(n *Node) (any, error) {
	v, ok := f[n.Name]
	if !ok {
		return nil, fmt.Errorf("input %s is not fed", n.Name)
	}
	if v, ok := v.(Staged); ok {
		if v.Kind() != n.Attr.Kind || !slices.Equal(v.Shape(), n.Shape) {
			return nil, fmt.Errorf("input %s takes %s of shape %v, is fed %s of shape %v", n.Name, n.Attr.Kind, n.Shape, v.Kind(), v.Shape())
		}
		return v, nil
	}
	switch kind, count, ok := kindOf(v); {
	case !ok || kind != n.Attr.Kind:
		return nil, fmt.Errorf("input %s takes %s, is fed %T", n.Name, n.Attr.Kind, v)
	case count != n.Size():
		return nil, fmt.Errorf("input %s: %d values for shape %v", n.Name, count, n.Shape)
	}
	return v, nil
}

// kindOf returns the kind of what is fed, and how many values it has; ok is false for what is no slice of a kind.
func kindOf(values any) (k Kind, count int, ok bool) {
	switch v := values.(type) {
	case []float32:
		return Float32, len(v), true
	case []byte:
		return Bytes, len(v), true
	case []int32:
		return Int32, len(v), true
	}
	return 0, 0, false
}

// CheckStage returns the kind of values that Stager.Stage takes, or an error for those that it refuses.
func CheckStage(values any, shape []int) (Kind, error) {
	kind, count, ok := kindOf(values)
	size := 1
	for _, n := range shape {
		ok, size = ok && n > 0, size*n
	}
	switch {
	case !ok || len(shape) == 0:
		return 0, fmt.Errorf("%T of shape %v is staged, want []float32, []byte or []int32 of one axis or more", values, shape)
	case count != size:
		return 0, fmt.Errorf("%d values are staged for shape %v", count, shape)
	}
	return kind, nil
}

// Rate returns the learning rate among the feeds.
func (f Feeds) Rate() (float32, error) {
	if v, ok := f[LR].([]float32); ok && len(v) == 1 {
		return v[0], nil
	}
	return 0, fmt.Errorf("feed %q must hold the learning rate, one float32 value", LR)
}

// With returns f with the feeds that assign computes from predictions; without assign, f itself.
func (f Feeds) With(assign Assign, predictions Values) (Feeds, error) {
	if assign == nil {
		return f, nil
	}
	targets, err := assign(predictions)
	if err != nil {
		return nil, fmt.Errorf("assigning targets: %w", err)
	}
	out := maps.Clone(f)
	maps.Copy(out, targets)
	return out, nil
}

// CheckFinite returns an error that wraps ErrNonFinite if the loss or the gradient's norm is not finite.
func (r Result) CheckFinite() error {
	for _, v := range []struct {
		name  string
		value float64
	}{{"loss", r.Loss}, {"gradient norm", r.GradNorm}} {
		if math.IsNaN(v.value) || math.IsInf(v.value, 0) {
			return fmt.Errorf("%s is %v: %w", v.name, v.value, ErrNonFinite)
		}
	}
	return nil
}
