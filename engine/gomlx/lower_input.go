package gomlx

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"

	"focalgrid/engine"
)

// pixels normalises images [N,H,W,3] and makes 0 what lies outside of them.
func (l *lowering) pixels(n *engine.Node) value {
	x := l.plain(n, 0)
	last := func(i int) *graph.Node { return graph.Reshape(l.plain(n, i), 1, 1, 1, 3) }
	y := graph.Div(graph.Sub(graph.DivScalar(x, 255), last(2)), last(3))
	inside := func(axis int) *graph.Node { // 1 where a row, or column, lies before the image's end, else 0
		shape := []int{x.Shape().Dimensions[0], 1, 1, 1}
		end := graph.Reshape(cut(l.plain(n, 1), 1, axis-1, axis), shape...)
		shape[axis] = x.Shape().Dimensions[axis]
		return l.widen(graph.LessThan(graph.Iota(l.g, shapes.Make(l.wide, shape...), axis), end))
	}
	y = graph.Mul(y, graph.Mul(inside(1), inside(2)))
	if l.nhwc {
		return l.asImage(y)
	}
	return value{node: graph.TransposeAllAxes(y, 0, 3, 1, 2)}
}

func (l *lowering) gather(n *engine.Node) *graph.Node {
	tables, rows := l.plain(n, 0), n.In[0].Shape[1]
	at := convert(graph.InsertAxes(l.plain(n, 1), -1), dtypes.Int32)
	table := graph.Iota(l.g, shapes.Make(dtypes.Int32, at.Shape().Dimensions...), 0)
	return graph.Gather(graph.Reshape(tables, -1, n.Shape[2]), graph.Add(graph.MulScalar(table, rows), at))
}

func (l *lowering) topRows(n *engine.Node) *graph.Node {
	largest, k := graph.ReduceMax(l.plain(n, 0), -1), n.Attr.Size
	var picked []*graph.Node
	first := 0
	for _, level := range n.Attr.Dims {
		var rows *graph.Node
		if k < level {
			_, rows = graph.TopK(cut(largest, 1, first, first+level), k, 1)
			rows = graph.Sort(rows, 1, true)
		} else {
			rows = graph.Iota(l.g, shapes.Make(dtypes.Int32, n.Shape[0], level), 1)
		}
		picked = append(picked, graph.AddScalar(rows, first))
		first += level
	}
	return l.widen(graph.Concatenate(picked, 1))
}
