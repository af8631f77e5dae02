package gorgonia

import (
	"fmt"

	gg "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"focalgrid/engine"
	"focalgrid/engine/kernel"
)

// last describes the input of an op along the last axis.
func last(n *engine.Node) kernel.Last {
	s := n.In[0].Shape
	k := s[len(s)-1]
	return kernel.Last{Rows: n.In[0].Size() / k, Size: k}
}

func (l *lowering) sumLast(n *engine.Node) (*gg.Node, error) {
	q := last(n)
	return applyDiff(&op{
		name: "sum last", out: n.Shape,
		run:  func(y []float32, in [][]float32) { q.Sum(l.pool, y, in[0]) },
		diff: []bool{true},
		grad: func(in gg.Nodes, _, dy *gg.Node) (gg.Nodes, error) {
			dx, err := apply("sum last gradient", in[0].Shape(), func(dx []float32, in [][]float32) {
				q.Expand(l.pool, dx, in[0])
			}, dy)
			return gg.Nodes{dx}, err
		},
	}, l.in(n, 0))
}

func (l *lowering) softmaxLast(n *engine.Node) (*gg.Node, error) {
	q := last(n)
	return applyDiff(&op{
		name: "softmax last", out: n.Shape,
		run:  func(y []float32, in [][]float32) { q.Softmax(l.pool, y, in[0]) },
		diff: []bool{true},
		grad: func(in gg.Nodes, y, dy *gg.Node) (gg.Nodes, error) {
			dx, err := apply("softmax last gradient", in[0].Shape(), func(dx []float32, in [][]float32) {
				q.SoftmaxGrad(l.pool, dx, in[0], in[1])
			}, y, dy)
			return gg.Nodes{dx}, err
		},
	}, l.in(n, 0))
}

func (l *lowering) logSumExpLast(n *engine.Node) (*gg.Node, error) {
	q := last(n)
	return applyDiff(&op{
		name: "log sum exp last", out: n.Shape,
		run:  func(y []float32, in [][]float32) { q.LogSumExp(l.pool, y, in[0]) },
		diff: []bool{true},
		grad: func(in gg.Nodes, _, dy *gg.Node) (gg.Nodes, error) {
			dx, err := apply("log sum exp last gradient", in[0].Shape(), func(dx []float32, in [][]float32) {
				q.LogSumExpGrad(l.pool, dx, in[0], in[1])
			}, in[0], dy)
			return gg.Nodes{dx}, err
		},
	}, l.in(n, 0))
}

func (l *lowering) stopGradient(n *engine.Node) (*gg.Node, error) {
	return applyOver("stop gradient", n.Shape, func(y []float32, in [][]float32) {
		kernel.Split(l.pool, len(y), func(from, to int) { copy(y[from:to], in[0][from:to]) })
	}, l.in(n, 0))
}

// slice copies a range of an axis, and its gradient back into zeros.
func (l *lowering) slice(n *engine.Node) (*gg.Node, error) {
	axis, from := n.Attr.Axis, n.Attr.Dims[0]
	outer, inner := 1, 1 // values before and after the axis
	for _, d := range n.Shape[:axis] {
		outer *= d
	}
	for _, d := range n.Shape[axis+1:] {
		inner *= d
	}
	first, width, row := from*inner, n.Shape[axis]*inner, n.In[0].Shape[axis]*inner
	return applyDiff(&op{
		name: fmt.Sprintf("slice axis %d from %d of %d", axis, first, row), out: n.Shape,
		run: func(y []float32, in [][]float32) {
			kernel.Split(l.pool, outer, func(from, to int) {
				for r := from; r < to; r++ {
					copy(y[r*width:][:width], in[0][r*row+first:])
				}
			})
		},
		diff: []bool{true},
		grad: func(in gg.Nodes, _, dy *gg.Node) (gg.Nodes, error) {
			dx, err := apply(fmt.Sprintf("slice gradient axis %d from %d of %d", axis, first, row), in[0].Shape(), func(dx []float32, in [][]float32) {
				kernel.Split(l.pool, outer, func(from, to int) {
					clear(dx[from*row : to*row])
					for r := from; r < to; r++ {
						copy(dx[r*row+first:][:width], in[0][r*width:])
					}
				})
			}, dy)
			return gg.Nodes{dx}, err
		},
	}, l.in(n, 0))
}

var pairs = map[engine.Op]kernel.Pair{engine.OpDiv: kernel.Div, engine.OpMin: kernel.Min, engine.OpMax: kernel.Max}

func (l *lowering) pair(n *engine.Node) (*gg.Node, error) {
	q, name := pairs[n.Op], string(n.Op)
	return applyDiff(&op{
		name: name, out: n.Shape, over: []int{0},
		run:  func(y []float32, in [][]float32) { q.Apply(l.pool, y, in[0], in[1]) },
		diff: []bool{true, true},
		grad: func(in gg.Nodes, _, dy *gg.Node) (gg.Nodes, error) {
			da, err := applyOver(name+" to first", in[0].Shape(), func(d []float32, in [][]float32) {
				q.GradA(l.pool, d, in[0], in[1], in[2])
			}, dy, in[0], in[1])
			if err != nil {
				return nil, err
			}
			db, err := apply(name+" to second", tensor.Shape(n.In[1].Shape), func(d []float32, in [][]float32) {
				q.GradB(l.pool, d, in[0], in[1], in[2])
			}, dy, in[0], in[1])
			return gg.Nodes{da, db}, err
		},
	}, l.in(n, 0), l.in(n, 1))
}
