package gorgonia

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gonum.org/v1/gonum/graph"
	gg "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"focalgrid/engine"
	"focalgrid/engine/kernel"
)

// runner executes a differentiated Gorgonia graph.
type runner interface {
	bind(input *gg.Node, v []float32)
	// run computes the group of nodes made known as group number i at
	// construction, keeping what earlier groups of the same step computed.
	run(group int) error
	value(n *gg.Node) []float32
	close() error
}

// plan runs the nodes one after another over one piece of memory laid out once:
// two values share a place where one is read for the last time before the other is
// made, and an op that may write over an input does so at the input's last reading.
type plan struct {
	steps   []planStep
	ends    []int // steps[ends[i-1]:ends[i]] are group i
	values  map[int64][]float32
	readers map[int64][]reader // of what is bound
	profile *engine.Profile
}

type planStep struct {
	node  *gg.Node
	in    []*gg.Node
	out   []float32
	xs    [][]float32 // the inputs' values
	run   func(out []float32, in [][]float32)
	own   *native // where run is nil
	kind  string
	flops float64
}

// reader is an input of a step.
type reader struct{ step, input int }

// children returns the inputs of n in order.
func children(n *gg.Node) []*gg.Node {
	var out []*gg.Node
	for _, c := range graph.NodesOf(n.Graph().From(n.ID())) {
		out = append(out, c.(*gg.Node))
	}
	return out
}

// ancestors returns wanted and all that they need, inputs before users.
// Gorgonia numbers nodes as they are made, and a node is made after its inputs.
func ancestors(wanted []*gg.Node) []*gg.Node {
	seen := map[int64]bool{}
	var out []*gg.Node
	stack := slices.Clone(wanted)
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[n.ID()] {
			continue
		}
		seen[n.ID()] = true
		out = append(out, n)
		stack = append(stack, children(n)...)
	}
	slices.SortFunc(out, func(a, b *gg.Node) int { return cmp.Compare(a.ID(), b.ID()) })
	return out
}

// isAdd tells Gorgonia's sum of two tensors of one shape, by which gradients that
// reach a value along several ways are joined.
func isAdd(n *gg.Node) bool {
	if n.Op() == nil {
		return false
	}
	if _, ours := n.Op().(*op); ours || n.Op().Arity() != 2 || !strings.HasPrefix(n.Op().String(), "+ ") {
		return false
	}
	return !slices.ContainsFunc(children(n), func(c *gg.Node) bool { return !c.Shape().Eq(n.Shape()) })
}

// planner lays out a plan.
type planner struct {
	*plan
	pool   *kernel.Pool
	keep   map[int64]bool
	placed map[int64]bool
	last   map[int64]int // node -> last step that reads it
}

// newPlan lays out a run in groups: group i computes wanted[i] and what it
// needs beyond the earlier groups. The values of all wanted nodes stay valid.
func newPlan(wanted [][]*gg.Node, pool *kernel.Pool, profile *engine.Profile) (*plan, error) {
	p := planner{
		plan: &plan{values: map[int64][]float32{}, readers: map[int64][]reader{}, profile: profile},
		pool: pool, keep: map[int64]bool{}, placed: map[int64]bool{}, last: map[int64]int{},
	}
	for _, want := range wanted {
		for _, n := range want {
			p.keep[n.ID()] = true
		}
		if err := p.group(ancestors(want)); err != nil {
			return nil, err
		}
		p.ends = append(p.ends, len(p.steps))
	}
	p.memory()
	for i := range p.steps {
		s := &p.steps[i]
		for j, c := range s.in {
			if v, ok := p.values[c.ID()]; ok {
				s.xs[j] = v
			} else {
				p.readers[c.ID()] = append(p.readers[c.ID()], reader{i, j})
			}
		}
	}
	return p.plan, nil
}

// group adds steps for nodes, which come after their inputs. A sum is moved up to
// where its second input is made: the gradients of weights that serve
// several levels would else all be kept until the last one is there.
func (p *planner) group(nodes []*gg.Node) error {
	missing := map[int64]int{}     // sum -> inputs not there yet
	sums := map[int64][]*gg.Node{} // node -> sums that wait for it
	here := map[int64]bool{}
	for _, n := range nodes {
		if p.placed[n.ID()] {
			continue
		}
		here[n.ID()] = true
		if isAdd(n) {
			for _, c := range children(n) {
				if here[c.ID()] {
					missing[n.ID()]++
					sums[c.ID()] = append(sums[c.ID()], n)
				}
			}
		}
	}
	var place func(n *gg.Node) error
	place = func(n *gg.Node) error {
		if p.placed[n.ID()] {
			return nil
		}
		p.placed[n.ID()] = true
		if err := p.step(n); err != nil {
			return err
		}
		for _, sum := range sums[n.ID()] {
			if missing[sum.ID()]--; missing[sum.ID()] == 0 {
				if err := place(sum); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for _, n := range nodes {
		if err := place(n); err != nil {
			return err
		}
	}
	return nil
}

// step appends the step that computes n; inputs and constants need none.
func (p *planner) step(n *gg.Node) error {
	if n.Op() == nil {
		return nil
	}
	s := planStep{node: n, in: children(n)}
	if v := n.Value(); v != nil && len(s.in) == 0 { // a constant
		x, err := view(v)
		if err != nil {
			return fmt.Errorf("constant %v: %w", n, err)
		}
		p.values[n.ID()] = x
		return nil
	}
	s.xs = make([][]float32, len(s.in))
	switch o, ours := n.Op().(*op); {
	case ours:
		s.run, s.flops, s.kind = o.run, o.flops, cmp.Or(o.kind, kindOf(o.name))
	case isAdd(n):
		s.kind = "add"
		s.run = func(y []float32, in [][]float32) { kernel.Add(p.pool, y, in[0], in[1]) }
	default:
		s.own, s.kind = newNative(n, s.in), kindOf(n.Op().String())
	}
	for _, c := range s.in {
		p.last[c.ID()] = len(p.steps)
	}
	p.steps = append(p.steps, s)
	return nil
}

// extent is memory that is needed from one step to another, both included.
type extent struct{ size, first, last, offset int }

// line is the number of values that places are rounded to: a cache line.
const line = 16

// memory gives the steps' outputs their places.
func (p *planner) memory() {
	var extents []extent
	of := map[int64]int{} // node -> extent
	for i := range p.steps {
		s := &p.steps[i]
		id := s.node.ID()
		last, read := p.last[id]
		if !read {
			last = i
		}
		if p.keep[id] {
			last = len(p.steps)
		}
		if e, ok := p.overwritten(i, of); ok {
			of[id] = e
			extents[e].last = last
			continue
		}
		of[id] = len(extents)
		size := s.node.Shape().TotalSize()
		extents = append(extents, extent{size: (size + line - 1) / line * line, first: i, last: last})
	}
	memory := make([]float32, pack(extents))
	for i := range p.steps {
		s := &p.steps[i]
		at, size := extents[of[s.node.ID()]].offset, s.node.Shape().TotalSize()
		s.out = memory[at : at+size : at+size]
		p.values[s.node.ID()] = s.out
	}
}

// overwritten returns the extent of an input that step i writes its output over.
func (p *planner) overwritten(i int, of map[int64]int) (int, bool) {
	s := &p.steps[i]
	var over []int
	if o, ours := s.node.Op().(*op); ours {
		over = o.over
	} else if isAdd(s.node) {
		over = []int{0, 1}
	}
	for _, j := range over {
		c := s.in[j].ID()
		e, ok := of[c]
		same := s.in[j].Shape().TotalSize() == s.node.Shape().TotalSize()
		others := slices.ContainsFunc(s.in[:j], func(b *gg.Node) bool { return b.ID() == c }) ||
			slices.ContainsFunc(s.in[j+1:], func(b *gg.Node) bool { return b.ID() == c })
		if ok && same && !others && !p.keep[c] && p.last[c] == i {
			return e, true
		}
	}
	return 0, false
}

// pack sets the offsets of extents so that those needed at one time lie apart, and
// returns the length of memory that takes: large ones first, each into the
// tightest gap between those it meets.
func pack(extents []extent) int {
	order := make([]int, len(extents))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(extents[b].size, extents[a].size) })
	total := 0
	var placed, met []extent
	for _, i := range order {
		e := &extents[i]
		met = met[:0]
		for _, o := range placed {
			if o.first <= e.last && e.first <= o.last {
				met = append(met, o)
			}
		}
		slices.SortFunc(met, func(a, b extent) int { return cmp.Compare(a.offset, b.offset) })
		end, best := 0, -1
		for _, o := range met {
			if gap := o.offset - end; gap >= e.size && (best < 0 || gap < best) {
				best, e.offset = gap, end
			}
			end = max(end, o.offset+o.size)
		}
		if best < 0 {
			e.offset = end
		}
		total = max(total, e.offset+e.size)
		placed = append(placed, *e)
	}
	return total
}

func (p *plan) bind(input *gg.Node, v []float32) {
	p.values[input.ID()] = v
	for _, r := range p.readers[input.ID()] {
		p.steps[r.step].xs[r.input] = v
	}
}

func (p *plan) value(n *gg.Node) []float32 { return p.values[n.ID()] }

func (p *plan) close() error { return nil }

func (p *plan) run(group int) error {
	first := 0
	if group > 0 {
		first = p.ends[group-1]
	}
	steps := p.steps[first:p.ends[group]]
	if p.profile == nil {
		for i := range steps {
			if err := steps[i].do(); err != nil {
				return err
			}
		}
		return nil
	}
	t := p.profile.Now()
	for i := range steps {
		if err := steps[i].do(); err != nil {
			return err
		}
		t = p.profile.Add(steps[i].kind, steps[i].flops, t)
	}
	return nil
}

func (s *planStep) do() error {
	if s.run != nil {
		s.run(s.out, s.xs)
		return nil
	}
	if err := s.own.do(s.out, s.xs); err != nil {
		return fmt.Errorf("%v: %w", s.node.Op(), err)
	}
	return nil
}

// native runs an op of Gorgonia's own; its tensors are wrapped once, as long as
// the memory stays the same.
type native struct {
	op  gg.Op
	in  []wrapped
	out wrapped
	xs  []gg.Value
}

// wrapped is memory in Gorgonia's form.
type wrapped struct {
	shape tensor.Shape
	first *float32
	value gg.Value
}

func newNative(n *gg.Node, in []*gg.Node) *native {
	w := &native{op: n.Op(), out: wrapped{shape: n.Shape()}, xs: make([]gg.Value, len(in))}
	for _, c := range in {
		w.in = append(w.in, wrapped{shape: c.Shape()})
	}
	return w
}

func (w *wrapped) wrap(v []float32) gg.Value {
	switch {
	case len(w.shape) == 0:
		if w.value == nil {
			w.value = gg.NewF32(0)
		}
		*w.value.(*gg.F32) = gg.F32(v[0])
	case w.first != &v[0]:
		w.first, w.value = &v[0], wrap(w.shape, v)
	}
	return w.value
}

func (w *native) do(out []float32, in [][]float32) error {
	for i := range w.in {
		w.xs[i] = w.in[i].wrap(in[i])
	}
	var got gg.Value
	var err error
	if p, ok := w.op.(gg.UsePreallocDoer); ok && len(w.out.shape) > 0 {
		got, err = p.UsePreallocDo(w.out.wrap(out), w.xs...)
	} else {
		got, err = w.op.Do(w.xs...)
	}
	if err != nil {
		return err
	}
	y, err := view(got)
	if err != nil {
		return err
	}
	if len(y) != len(out) {
		return fmt.Errorf("gave %d values for shape %v", len(y), w.out.shape)
	}
	if &y[0] != &out[0] {
		copy(out, y)
	}
	return nil
}

func wrap(shape tensor.Shape, v []float32) gg.Value {
	if len(shape) == 0 {
		return gg.NewF32(v[0])
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(v))
}

// kindOf is an op's name without its settings.
func kindOf(name string) string {
	words := strings.Fields(name)
	for i, w := range words {
		if i > 0 && (strings.ContainsAny(w, "=[") || strings.Trim(w, "sp0123456789") == "") {
			words = words[:i]
			break
		}
	}
	return strings.Join(words, " ")
}
