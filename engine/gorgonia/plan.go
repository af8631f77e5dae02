package gorgonia

import (
	"cmp"
	"fmt"
	"slices"

	"gonum.org/v1/gonum/graph"
	gg "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
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

// plan runs the nodes one after another in buffers laid out once: a buffer is
// reused as soon as the last reader of its value has run.
type plan struct {
	steps  []planStep
	groups [][]int // steps of each group, in order
	values map[int64][]float32
	bytes  int64
}

type planStep struct {
	node *gg.Node
	in   []*gg.Node
	out  []float32
	xs   [][]float32 // scratch for the inputs of an op of ours
}

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

// newPlan lays out a run in groups: group i computes wanted[i] and what it
// needs beyond the earlier groups. The values of all wanted nodes stay valid.
func newPlan(wanted [][]*gg.Node) (*plan, error) {
	p := &plan{values: map[int64][]float32{}, groups: make([][]int, len(wanted))}
	keep := map[int64]bool{}
	placed := map[int64]bool{}
	last := map[int64]int{} // node -> last step that reads it
	for gi, want := range wanted {
		for _, n := range want {
			keep[n.ID()] = true
		}
		for _, n := range ancestors(want) {
			if placed[n.ID()] {
				continue
			}
			placed[n.ID()] = true
			if n.Op() == nil {
				continue // an input
			}
			if v := n.Value(); v != nil && len(children(n)) == 0 { // a constant
				x, err := view(v)
				if err != nil {
					return nil, fmt.Errorf("constant %v: %w", n, err)
				}
				p.values[n.ID()] = x
				continue
			}
			i := len(p.steps)
			s := planStep{node: n, in: children(n)}
			s.xs = make([][]float32, len(s.in))
			for _, c := range s.in {
				last[c.ID()] = i
			}
			p.steps = append(p.steps, s)
			p.groups[gi] = append(p.groups[gi], i)
		}
	}
	var free [][]float32 // by capacity
	take := func(n int) []float32 {
		i, _ := slices.BinarySearchFunc(free, n, func(b []float32, n int) int { return cmp.Compare(cap(b), n) })
		if i < len(free) && cap(free[i]) <= 2*n {
			b := free[i]
			free = slices.Delete(free, i, i+1)
			return b[:n]
		}
		p.bytes += 4 * int64(n)
		return make([]float32, n)
	}
	give := func(b []float32) {
		i, _ := slices.BinarySearchFunc(free, cap(b), func(b []float32, n int) int { return cmp.Compare(cap(b), n) })
		free = slices.Insert(free, i, b)
	}
	for i := range p.steps {
		s := &p.steps[i]
		s.out = take(s.node.Shape().TotalSize())
		p.values[s.node.ID()] = s.out
		for j, c := range s.in {
			dup := slices.ContainsFunc(s.in[:j], func(b *gg.Node) bool { return b.ID() == c.ID() })
			if last[c.ID()] == i && !keep[c.ID()] && !dup && c.Op() != nil && len(children(c)) > 0 {
				give(p.values[c.ID()][:cap(p.values[c.ID()])])
			}
		}
		if _, read := last[s.node.ID()]; !read && !keep[s.node.ID()] {
			give(s.out[:cap(s.out)])
		}
	}
	return p, nil
}

func (p *plan) bind(input *gg.Node, v []float32) { p.values[input.ID()] = v }

func (p *plan) value(n *gg.Node) []float32 { return p.values[n.ID()] }

func (p *plan) close() error { return nil }

func (p *plan) run(group int) error {
	for _, i := range p.groups[group] {
		s := &p.steps[i]
		for j, c := range s.in {
			s.xs[j] = p.values[c.ID()]
		}
		if o, ok := s.node.Op().(*op); ok {
			o.run(s.out, s.xs)
			continue
		}
		if err := s.native(); err != nil {
			return fmt.Errorf("%v: %w", s.node.Op(), err)
		}
	}
	return nil
}

// native runs an op of Gorgonia's own.
func (s *planStep) native() error {
	in := make([]gg.Value, len(s.in))
	for i, n := range s.in {
		in[i] = wrap(n.Shape(), s.xs[i])
	}
	var out gg.Value
	var err error
	if p, ok := s.node.Op().(gg.UsePreallocDoer); ok && len(s.node.Shape()) > 0 {
		out, err = p.UsePreallocDo(wrap(s.node.Shape(), s.out), in...)
	} else {
		out, err = s.node.Op().Do(in...)
	}
	if err != nil {
		return err
	}
	y, err := view(out)
	if err != nil {
		return err
	}
	if len(y) != len(s.out) {
		return fmt.Errorf("gave %d values for shape %v", len(y), s.node.Shape())
	}
	if &y[0] != &s.out[0] {
		copy(s.out, y)
	}
	return nil
}

func wrap(shape tensor.Shape, v []float32) gg.Value {
	if len(shape) == 0 {
		return gg.NewF32(v[0])
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(v))
}
