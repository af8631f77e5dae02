package gorgonia

import (
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"io"

	"github.com/chewxy/hm"
	gg "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// op is a coarse operation of ours as Gorgonia sees it: it implements gg.SDOp
// and gg.UsePreallocDoer. Its gradient is further nodes of the same kind.
type op struct {
	name string // kind and settings: equal names on equal inputs are one value
	in   []tensor.Shape
	out  tensor.Shape
	run  func(out []float32, in [][]float32)

	over  []int   // inputs in whose place the output may be written
	kind  string  // for a Profile; "" stands for the name without settings
	flops float64 // of one run, for a Profile

	// diff says which inputs take a gradient, and grad makes it; an op without
	// grad ends the backward pass.
	diff []bool
	grad func(in gg.Nodes, out, dy *gg.Node) (gg.Nodes, error)
}

func typeOf(s tensor.Shape) hm.Type {
	if len(s) == 0 {
		return gg.Float32
	}
	return gg.TensorType{Dims: len(s), Of: gg.Float32}
}

func (o *op) Arity() int { return len(o.in) }

func (o *op) Type() hm.Type {
	ts := make([]hm.Type, 0, len(o.in)+1)
	for _, s := range o.in {
		ts = append(ts, typeOf(s))
	}
	return hm.NewFnType(append(ts, typeOf(o.out))...)
}

func (o *op) InferShape(...gg.DimSizer) (tensor.Shape, error) { return o.out.Clone(), nil }

func (o *op) Do(in ...gg.Value) (gg.Value, error) {
	if len(o.out) == 0 {
		return o.UsePreallocDo(nil, in...)
	}
	return o.UsePreallocDo(tensor.New(tensor.Of(tensor.Float32), tensor.WithShape(o.out...)), in...)
}

func (o *op) UsePreallocDo(pre gg.Value, in ...gg.Value) (gg.Value, error) {
	xs := make([][]float32, len(in))
	for i, v := range in {
		x, err := view(v)
		if err != nil {
			return nil, fmt.Errorf("%s: input %d: %w", o.name, i, err)
		}
		xs[i] = x
	}
	if len(o.out) == 0 {
		var y [1]float32
		o.run(y[:], xs)
		return gg.NewF32(y[0]), nil
	}
	y, err := view(pre)
	if err != nil {
		return nil, fmt.Errorf("%s: output: %w", o.name, err)
	}
	o.run(y, xs)
	return pre, nil
}

func (o *op) ReturnsPtr() bool     { return false }
func (o *op) CallsExtern() bool    { return false }
func (o *op) OverwritesInput() int { return -1 }

func (o *op) WriteHash(h hash.Hash) { io.WriteString(h, o.String()) }

func (o *op) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

func (o *op) String() string { return fmt.Sprintf("%s %v -> %v", o.name, o.in, o.out) }

func (o *op) DiffWRT(n int) []bool {
	if o.grad == nil {
		return make([]bool, n)
	}
	return o.diff
}

func (o *op) SymDiff(in gg.Nodes, out, dy *gg.Node) (gg.Nodes, error) {
	if o.grad == nil {
		return nil, fmt.Errorf("%s has no gradient", o.name)
	}
	return o.grad(in, out, dy)
}

// view returns the values of v without copying, except for a scalar.
func view(v gg.Value) ([]float32, error) {
	switch v := v.(type) {
	case *tensor.Dense:
		if v.RequiresIterator() {
			return nil, errors.New("the tensor is not contiguous")
		}
		switch d := v.Data().(type) {
		case []float32:
			return d, nil
		case float32:
			return []float32{d}, nil
		}
	case *gg.F32:
		return []float32{float32(*v)}, nil
	}
	return nil, fmt.Errorf("a %T is no float32 tensor", v)
}

// apply adds an op without a gradient over in to the graph.
func apply(name string, out tensor.Shape, run func(out []float32, in [][]float32), in ...*gg.Node) (*gg.Node, error) {
	return applyDiff(&op{name: name, out: out, run: run}, in...)
}

// applyOver is apply for an op that may write its output over its first input.
func applyOver(name string, out tensor.Shape, run func(out []float32, in [][]float32), in ...*gg.Node) (*gg.Node, error) {
	return applyDiff(&op{name: name, out: out, run: run, over: []int{0}}, in...)
}

func applyDiff(o *op, in ...*gg.Node) (*gg.Node, error) {
	for _, n := range in {
		o.in = append(o.in, n.Shape())
	}
	n, err := gg.ApplyOp(o, in...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.name, err)
	}
	return n, nil
}
