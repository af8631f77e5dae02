package gomlx

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"

	"focalgrid/engine"
)

// program is a compiled computation: a step, or the part before it. Its inputs are tensors of the state, feeds and
// one vector of all scalars; its outputs are new tensors of the state, gradients, reported tensors and one vector of
// all reported scalars. A step reports no predictions: at the paper's size they are a gigabyte.
type program struct {
	e          *Engine
	mesh       mesh
	executable compute.Executable

	state   []string       // the tensors that it reads
	feeds   []*engine.Node // inputs that are tensors
	scalars []*engine.Node // inputs that are scalars
	rate    bool           // the learning rate follows the scalars

	moved   []string       // the tensors of the state that it writes
	grads   []string       // the parameters whose gradients it hands out
	tensors []*engine.Node // reported tensors
	values  []*engine.Node // reported scalars

	key   string // among the programs of the engine
	users int    // sessions
}

// scalarCount is the length of the vector of scalars.
func (q *program) scalarCount() int {
	n := len(q.scalars)
	if q.rate {
		n++
	}
	return n
}

// guarded runs f, and returns what GoMLX panics with as an error. One about memory wraps engine.ErrMemory.
func guarded(f func() error) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case runtime.Error: // a mistake of a program, such as an index out of range
			err = fmt.Errorf("within GoMLX: %w\n%s", r, debug.Stack())
		case error:
			err = fmt.Errorf("within GoMLX: %w", r)
		default:
			err = fmt.Errorf("within GoMLX: %v", r)
		}
		if err != nil && exhausted(err.Error()) {
			err = fmt.Errorf("%w: %w", engine.ErrMemory, err)
		}
	}()
	return f()
}

// exhausted reports whether an error says that a device has no memory left: by the name of PJRT's code for that, or by
// its number, in the words of go-xla.
func exhausted(text string) bool {
	return strings.Contains(text, "RESOURCE_EXHAUSTED") || strings.Contains(text, "PJRT error (code=8)")
}

// key tells programs apart: those of one key compute the same.
func key(p *engine.Program, step bool) string {
	var b strings.Builder
	b.WriteString(p.Graph.String())
	ids := func(nodes []*engine.Node) {
		for _, n := range nodes {
			fmt.Fprintf(&b, " %d", n.ID)
		}
		b.WriteByte('\n')
	}
	ids(p.Predictions)
	ids(p.Outputs)
	fmt.Fprintln(&b, p.BFloat16)
	if step {
		fmt.Fprintf(&b, "%d %+v %t", p.Loss.ID, p.Update, p.KeepGradients)
	}
	return b.String()
}

// build compiles the step of p, or what Session.Forward reports. Prepare has added the slots of the update to s.
func (e *Engine) build(p *engine.Program, a *engine.Analysis, s *engine.State, step bool) (*program, error) {
	m, err := e.spread(p, step)
	if err != nil {
		return nil, err
	}
	q := &program{e: e, mesh: m}
	thin := e.wide
	if p.BFloat16 {
		thin = dtypes.BFloat16
	}
	err = guarded(func() error {
		l := &lowering{
			g: graph.NewGraph(e.backend, ""), wide: e.wide, thin: thin, nhwc: e.opt.Layout == NHWC,
			values: map[*engine.Node]value{}, stats: map[*engine.Node]statistics{},
		}
		if err := m.prepare(l.g); err != nil {
			return err
		}
		outs, err := q.lower(l, p, a, s, step)
		if err != nil {
			return err
		}
		err = l.g.CompileWithSharding(outs, q.shardings(len(outs)))
		q.executable = l.g.Executable()
		return err
	})
	return q, err
}

// lower adds inputs, the graph and the update, and returns the outputs.
func (q *program) lower(l *lowering, p *engine.Program, a *engine.Analysis, s *engine.State, step bool) ([]*graph.Node, error) {
	wanted := slices.Concat(a.Nodes[engine.PhasePredictions], a.Nodes[engine.PhaseOutputs])
	if step {
		wanted = slices.Concat(wanted, a.Nodes[engine.PhaseRest])
	}
	var nodes []*engine.Node
	needed := ancestors(wanted)
	for _, n := range p.Graph.Nodes() {
		if needed[n] {
			nodes = append(nodes, n)
		}
	}
	tensors := q.inputs(l, p, a, s, nodes, step)
	for _, n := range nodes {
		if _, ok := l.values[n]; ok {
			continue
		}
		v, err := l.lower(n)
		if err != nil {
			return nil, fmt.Errorf("node %d (%s %s): %w", n.ID, n.Op, n.Name, err)
		}
		l.values[n] = v
	}
	var outs, reported []*graph.Node
	told := p.Outputs
	if step {
		u := q.update(l, p, a, tensors)
		outs, reported = u.outputs, []*graph.Node{u.loss, u.norm}
	} else {
		told = slices.Concat(p.Predictions, p.Outputs)
	}
	for _, n := range told {
		switch v, ok := l.values[n]; {
		case !ok || slices.Contains(q.tensors, n) || slices.Contains(q.values, n): // not of this part, or there already
		case len(n.Shape) == 0:
			q.values = append(q.values, n)
			reported = append(reported, l.widen(v.node))
		default:
			q.tensors = append(q.tensors, n)
			outs = append(outs, convert(l.nchw(v).node, dtypes.Float32))
		}
	}
	if len(reported) > 0 {
		outs = append(outs, graph.Concatenate(reported, 0))
	}
	if len(outs) == 0 {
		return nil, errors.New("the program computes nothing: name its predictions, outputs or loss")
	}
	return outs, nil
}

// ancestors are nodes and all that they need.
func ancestors(nodes []*engine.Node) map[*engine.Node]bool {
	seen := map[*engine.Node]bool{}
	for len(nodes) > 0 {
		n := nodes[len(nodes)-1]
		nodes = nodes[:len(nodes)-1]
		if !seen[n] {
			seen[n] = true
			nodes = append(nodes, n.In...)
		}
	}
	return seen
}

// inputs adds the parameters of the GoMLX graph, and returns those that are tensors of the state.
func (q *program) inputs(l *lowering, p *engine.Program, a *engine.Analysis, s *engine.State, nodes []*engine.Node, step bool) map[string]*graph.Node {
	tensors := map[string]*graph.Node{}
	tensor := func(name string, dims []int) *graph.Node {
		q.state = append(q.state, name)
		tensors[name] = q.mesh.parameter(l.g, "state/"+name, shapes.Make(q.e.wide, dims...), false)
		return tensors[name]
	}
	for _, n := range nodes {
		switch {
		case n.Op == engine.OpParam || n.Op == engine.OpBuffer:
			l.values[n] = value{node: tensor(n.Name, n.Shape)}
		case n.Op == engine.OpInput && len(n.Shape) > 0:
			q.feeds = append(q.feeds, n)
		case n.Op == engine.OpInput:
			q.scalars = append(q.scalars, n)
		}
	}
	if q.rate = step; step {
		for _, n := range a.Params {
			for _, slot := range p.Update.Slots(n.Name) {
				tensor(slot, s.Get(slot).Shape)
			}
		}
	}
	for _, n := range q.feeds {
		x := q.mesh.parameter(l.g, "feed/"+n.Name, shapes.Make(kinds[n.Attr.Kind], n.Shape...), n.Attr.Batch)
		l.values[n] = value{node: l.widen(x)}
	}
	if count := q.scalarCount(); count > 0 {
		all := l.widen(q.mesh.parameter(l.g, "scalars", shapes.Make(dtypes.Float32, count), false))
		at := func(i int) *graph.Node { return graph.Reshape(cut(all, 0, i, i+1)) }
		for i, n := range q.scalars {
			l.values[n] = value{node: at(i)}
		}
		if q.rate {
			l.rate = at(count - 1)
		}
	}
	return tensors
}

// run computes the outputs, each on every device. The caller frees them.
func (q *program) run(m *memory, f engine.Feeds) ([][]compute.Buffer, error) {
	var in, own [][]compute.Buffer
	defer func() { release(own...) }()
	for _, name := range q.state {
		in = append(in, m.tensors[name].on)
	}
	upload := func(values any, split bool, t dtypes.DType, dims ...int) error {
		on, err := q.e.upload(q.mesh, values, split, t, dims...)
		if err == nil {
			in, own = append(in, on), append(own, on)
		}
		return err
	}
	for _, n := range q.feeds {
		v, err := f.For(n)
		if err != nil {
			return nil, err
		}
		if s, ok := v.(*staged); ok {
			in = append(in, s.on)
			continue
		}
		if err := upload(v, n.Attr.Batch, kinds[n.Attr.Kind], n.Shape...); err != nil {
			return nil, fmt.Errorf("input %s: %w", n.Name, err)
		}
	}
	if q.scalarCount() > 0 {
		values, err := q.scalarsOf(f)
		if err != nil {
			return nil, err
		}
		if err := upload(values, false, dtypes.Float32, len(values)); err != nil {
			return nil, fmt.Errorf("scalars: %w", err)
		}
	}
	return q.execute(in)
}

// scalarsOf gathers what is fed to scalar inputs, and the learning rate.
func (q *program) scalarsOf(f engine.Feeds) ([]float32, error) {
	var out []float32
	for _, n := range q.scalars {
		v, err := f.For(n)
		if err != nil {
			return nil, err
		}
		switch v := v.(type) {
		case []float32:
			out = append(out, v[0])
		case []byte:
			out = append(out, float32(v[0]))
		case []int32:
			out = append(out, float32(v[0]))
		}
	}
	if q.rate {
		rate, err := f.Rate()
		if err != nil {
			return nil, err
		}
		out = append(out, rate)
	}
	return out, nil
}

// close frees the executable.
func (q *program) close() { q.executable.Finalize() }

// release frees tensors on all devices; their content is of no use any more.
func release(tensors ...[]compute.Buffer) {
	for _, on := range tensors {
		for _, b := range on {
			b.Finalize()
		}
	}
}
