package gomlx

import (
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"

	"focalgrid/engine"
)

// each lowers an op of one input that acts value by value, in whatever layout the input has.
func (l *lowering) each(n *engine.Node, f func(x *graph.Node) *graph.Node) value {
	v := l.take(n, 0)
	return value{f(l.widen(v.node)), v.nhwc}
}

// pairwise lowers an op of two inputs that acts value by value.
func (l *lowering) pairwise(n *engine.Node, f func(a, b *graph.Node) *graph.Node) value {
	a, b := l.take(n, 0), l.take(n, 1)
	if a.nhwc != b.nhwc && len(n.In[1].Shape) > 0 {
		a, b = l.nchw(a), l.nchw(b)
	}
	return value{f(l.widen(a.node), l.widen(b.node)), a.nhwc}
}

// extreme takes a where it is beyond b, else b, and their mean where neither is beyond the other: they are equal,
// and share the gradient, or one is NaN.
func extreme(beyond func(a, b *graph.Node) *graph.Node, a, b *graph.Node) *graph.Node {
	mean := graph.Add(graph.MulScalar(a, .5), graph.MulScalar(b, .5))
	return graph.Where(beyond(a, b), a, graph.Where(beyond(b, a), b, mean))
}

// abs is |x|. GoMLX's own has gradient 1 at 0.
func abs(x *graph.Node) *graph.Node { return graph.Mul(x, graph.StopGradient(graph.Sign(x))) }

// relu is max(x,0) with gradient 0 at 0; a NaN stays.
func relu(x *graph.Node) *graph.Node {
	zero := graph.ScalarZero(x.Graph(), x.DType())
	return graph.Where(graph.LessOrEqual(x, zero), zero, x)
}

// positive says where x > 0.
func positive(x *graph.Node) *graph.Node {
	return graph.GreaterThan(x, graph.ScalarZero(x.Graph(), x.DType()))
}

// oneHot says of labels [d…] which of size classes they are: [d…,size]. A negative label is none.
func oneHot(labels *graph.Node, size int) *graph.Node {
	wide := expand(labels, size)
	return graph.Equal(wide, graph.Iota(labels.Graph(), wide.Shape(), -1))
}

// expand repeats each value along a new last axis.
func expand(x *graph.Node, size int) *graph.Node {
	dims := append(append([]int{}, x.Shape().Dimensions...), size)
	return graph.BroadcastToDims(graph.InsertAxes(x, -1), dims...)
}

// cut takes the indices from … to-1 of an axis.
func cut(x *graph.Node, axis, from, to int) *graph.Node {
	return graph.SliceAxis(x, axis, graph.AxisRange(from, to))
}

// sum adds along axes, which ascend, and keeps them with size 1. It goes one axis after another: a backend that adds
// value after value keeps more digits so, and a compiler merges the sums.
func sum(x *graph.Node, axes ...int) *graph.Node {
	dims := append([]int{}, x.Shape().Dimensions...)
	for i := len(axes) - 1; i >= 0; i-- {
		x = graph.ReduceSum(x, axes[i])
		dims[axes[i]] = 1
	}
	return graph.Reshape(x, dims...)
}

// mean is sum over the number of values.
func mean(x *graph.Node, axes ...int) *graph.Node {
	count := 1
	for _, a := range axes {
		count *= x.Shape().Dimensions[a]
	}
	return graph.MulScalar(sum(x, axes...), 1/float64(count))
}

// sumAll adds all values to a scalar.
func sumAll(x *graph.Node) *graph.Node {
	for x.Rank() > 0 {
		x = graph.ReduceSum(x, -1)
	}
	return x
}

// maxLast is the largest value along the last axis, which it keeps, without gradient.
func maxLast(x *graph.Node) *graph.Node {
	return graph.StopGradient(graph.InsertAxes(graph.ReduceMax(x, -1), -1))
}

func softmaxLast(x *graph.Node) *graph.Node {
	e := graph.Exp(graph.Sub(x, maxLast(x)))
	return graph.Div(e, graph.InsertAxes(graph.ReduceSum(e, -1), -1))
}

func logSumExpLast(x *graph.Node) *graph.Node {
	m := maxLast(x)
	s := graph.ReduceSum(graph.Exp(graph.Sub(x, m)), -1)
	return graph.Add(graph.Log(s), graph.Squeeze(m, -1))
}

// bins are 0 … size-1 along the last of rank axes.
func bins(like *graph.Node, rank, size int) *graph.Node {
	dims := make([]int, rank)
	for i := range dims {
		dims[i] = 1
	}
	dims[rank-1] = size
	return graph.Iota(like.Graph(), shapes.Make(like.DType(), dims...), -1)
}
