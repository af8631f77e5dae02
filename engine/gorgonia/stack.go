package gorgonia

import (
	"fmt"
	"slices"

	gg "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"focalgrid/engine"
)

// A stack is nodes that do the same to maps of several levels, as a head does to a pyramid: convolutions
// and group norms with the same parameters, or, of the members of such a stack, exponentials or products with a scalar
// each. It is lowered to one op, whose value has the
// members' tensors one after the other.
type stack struct {
	members []*engine.Node // by ID, none depending on another
	node    *gg.Node
}

// A stackKey is what members of a stack have in common: the op, its parameters (by
// node ID) and settings, or the stack whose members it takes value by value.
type stackKey struct {
	op           engine.Op
	of           *stack
	weight, bias int
	stride, pad  int
	groups       int
	eps          float64
	relu         bool
}

// byValue reports whether n computes value by value: the exponential, or a product with a scalar.
func byValue(n *engine.Node) bool {
	return n.Op == engine.OpExp || n.Op == engine.OpMul && len(n.In[1].Shape) == 0
}

// stackKeyOf returns the key of n, whose inputs may be in stacks.
func stackKeyOf(n *engine.Node, of map[int]*stack) (k stackKey, ok bool) {
	switch {
	case n.Op == engine.OpConv2D || n.Op == engine.OpGroupNorm:
		k = stackKey{
			op: n.Op, weight: n.In[1].ID, bias: -1, stride: n.Attr.Stride, pad: n.Attr.Pad,
			groups: n.Attr.Groups, eps: n.Attr.Eps, relu: n.Attr.ReLU,
		}
		if len(n.In) > 2 {
			k.bias = n.In[2].ID
		}
		return k, true
	case byValue(n) && of[n.In[0].ID] != nil:
		return stackKey{op: n.Op, of: of[n.In[0].ID]}, true
	}
	return k, false
}

// findStacks returns the stacks of a graph by their members' IDs. A member's value
// exists within its stack alone: so nobody may use it but a stack of all of them, or
// OpPackLevels, and it must not be wanted by itself.
func findStacks(nodes []*engine.Node, wanted map[int]bool) map[int]*stack {
	byKey := map[stackKey]*stack{}
	of := map[int]*stack{}
	users := map[int][]*engine.Node{}
	for _, n := range nodes {
		for _, in := range n.In {
			users[in.ID] = append(users[in.ID], n)
		}
		if k, ok := stackKeyOf(n, of); ok {
			s := byKey[k]
			if s == nil {
				s = &stack{}
				byKey[k] = s
			}
			s.members = append(s.members, n)
			of[n.ID] = s
		}
	}
	// What a member is used for must itself be a stack; leaving one out may make
	// others impossible.
	for changed := true; changed; {
		changed = false
		for _, n := range nodes {
			if s := of[n.ID]; s != nil && n == s.members[0] && !s.possible(of, users, wanted) {
				for _, m := range s.members {
					delete(of, m.ID)
				}
				changed = true
			}
		}
	}
	return of
}

func (s *stack) possible(of map[int]*stack, users map[int][]*engine.Node, wanted map[int]bool) bool {
	if len(s.members) < 2 || dependent(s.members) {
		return false
	}
	for i, m := range s.members {
		if wanted[m.ID] || byValue(m) && of[m.In[0].ID] == nil {
			return false
		}
		for _, u := range users[m.ID] {
			if u.Op == engine.OpPackLevels && slices.Equal(u.In, s.members) {
				continue
			}
			o := of[u.ID]
			if o == nil || len(o.members) != len(s.members) || o.members[i] != u || !slices.Equal(firstInputs(o.members), s.members) {
				return false
			}
		}
	}
	return true
}

// firstInputs lists the nodes' first inputs.
func firstInputs(nodes []*engine.Node) []*engine.Node {
	var in []*engine.Node
	for _, n := range nodes {
		in = append(in, n.In[0])
	}
	return in
}

// dependent reports whether one of the nodes needs another.
func dependent(nodes []*engine.Node) bool {
	seen := map[int]bool{}
	var reaches func(n *engine.Node) bool
	reaches = func(n *engine.Node) bool {
		for _, in := range n.In {
			if slices.Contains(nodes, in) {
				return true
			}
			if !seen[in.ID] {
				seen[in.ID] = true
				if reaches(in) {
					return true
				}
			}
		}
		return false
	}
	return slices.ContainsFunc(nodes, reaches)
}

// stacked returns the tensors of nodes one after the other: a stack's value, or for
// one node its own, else a copy.
func (l *lowering) stacked(nodes []*engine.Node) (*gg.Node, error) {
	if s := l.stacks[nodes[0].ID]; s != nil && slices.Equal(s.members, nodes) {
		return s.node, nil
	}
	if len(nodes) == 1 {
		return l.node[nodes[0].ID], nil
	}
	key := ""
	from := []int{0}
	var ins gg.Nodes
	o := &op{name: "stack"}
	for i, n := range nodes {
		key += fmt.Sprintf(" %d", n.ID)
		from = append(from, from[i]+n.Size())
		ins = append(ins, l.node[n.ID])
		o.diff = append(o.diff, true)
	}
	if n := l.joined[key]; n != nil {
		return n, nil
	}
	o.out = tensor.Shape{from[len(nodes)]}
	o.run = func(y []float32, in [][]float32) {
		for i, x := range in {
			copy(y[from[i]:], x)
		}
	}
	o.grad = func(in gg.Nodes, _, dy *gg.Node) (gg.Nodes, error) {
		var out gg.Nodes
		for i, n := range in {
			dx, err := apply(fmt.Sprintf("unstack level %d of %v", i, from), n.Shape(), func(dx []float32, in [][]float32) {
				copy(dx, in[0][from[i]:from[i+1]])
			}, dy)
			if err != nil {
				return nil, err
			}
			out = append(out, dx)
		}
		return out, nil
	}
	n, err := applyDiff(o, ins...)
	l.joined[key] = n
	return n, err
}

// stackShape is the shape of the value of one node, or of a stack of several.
func stackShape(nodes []*engine.Node) tensor.Shape {
	if len(nodes) == 1 {
		return nodes[0].Shape
	}
	total := 0
	for _, n := range nodes {
		total += n.Size()
	}
	return tensor.Shape{total}
}
