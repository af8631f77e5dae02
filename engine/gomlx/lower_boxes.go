package gomlx

import (
	"math"

	"github.com/gomlx/gomlx/core/graph"

	"focalgrid/engine"
)

// corners splits boxes x1,y1,x2,y2 [N,A,4] into their lower and upper corners [N,A,2].
func corners(boxes *graph.Node) (lo, hi *graph.Node) {
	last := boxes.Rank() - 1
	return cut(boxes, last, 0, 2), cut(boxes, last, 2, 4)
}

func (l *lowering) decodeBoxes(n *engine.Node) *graph.Node {
	c, v := n.Attr.Code, l.plain(n, 0)
	lo, hi := corners(graph.InsertAxes(l.plain(n, 1), 0))
	size, centre := graph.Sub(hi, lo), graph.MulScalar(graph.Add(lo, hi), .5)
	if c.Kind == "distribution" {
		logits := graph.Reshape(v, n.Shape[0], n.Shape[1], 4, c.Bins)
		v = graph.ReduceSum(graph.Mul(softmaxLast(logits), bins(v, 4, c.Bins)), -1)
	}
	first, second := corners(v)
	if c.Kind == "deltas" {
		limit := l.scalar(c.MaxLogSize)
		clipped := graph.Where(graph.LessOrEqual(second, limit), second, limit)
		half := graph.MulScalar(graph.Mul(size, graph.Exp(clipped)), .5)
		centre = graph.Add(centre, graph.Mul(first, size))
		return graph.Concatenate([]*graph.Node{graph.Sub(centre, half), graph.Add(centre, half)}, 2)
	}
	if c.InSides || c.Kind == "distribution" {
		first, second = graph.Mul(first, size), graph.Mul(second, size)
	}
	return graph.Concatenate([]*graph.Node{graph.Sub(centre, first), graph.Add(centre, second)}, 2)
}

func (l *lowering) encodeBoxes(n *engine.Node) *graph.Node {
	c := n.Attr.Code
	lo, hi := corners(l.plain(n, 0))
	plo, phi := corners(graph.InsertAxes(l.plain(n, 1), 0))
	size, centre := graph.Sub(phi, plo), graph.MulScalar(graph.Add(plo, phi), .5)
	first, second := graph.Sub(centre, lo), graph.Sub(hi, centre)
	switch {
	case c.Kind == "deltas":
		first = graph.Div(graph.Sub(graph.MulScalar(graph.Add(lo, hi), .5), centre), size)
		second = graph.Log(graph.Div(graph.Sub(hi, lo), size))
	case c.InSides || c.Kind == "distribution":
		first, second = graph.Div(first, size), graph.Div(second, size)
	}
	values := graph.Concatenate([]*graph.Node{first, second}, 2)
	if c.Kind == "distribution" {
		values = graph.ClipScalar(values, 0, float64(c.Bins)-1.1)
	}
	return values
}

// boxIoULoss composes the loss of what has weight; other boxes count as points at the origin, whatever they are. Where
// a side of a box lies exactly on one of its target, the gradient is that of the other sides alone.
func (l *lowering) boxIoULoss(n *engine.Node) *graph.Node {
	const eps = 1e-7
	target, weight := l.plain(n, 1), l.plain(n, 2)
	counts := graph.NotEqual(weight, l.scalar(0))
	pred := graph.Where(counts, l.plain(n, 0), l.scalar(0))
	lo, hi := corners(pred)
	tlo, thi := corners(target)
	sides := graph.Sub(hi, lo)
	tsides := graph.Sub(thi, tlo)
	inner := relu(graph.Sub(graph.Where(graph.LessThan(hi, thi), hi, thi), graph.Where(graph.GreaterThan(lo, tlo), lo, tlo)))
	outer := graph.Sub(graph.Where(graph.GreaterThan(hi, thi), hi, thi), graph.Where(graph.LessThan(lo, tlo), lo, tlo))

	inter := area(inner)
	union := graph.Sub(graph.Add(area(sides), area(tsides)), inter)
	iou := graph.Div(inter, graph.AddScalar(union, eps))
	loss := graph.OneMinus(iou)
	switch n.Attr.Overlap {
	case "giou":
		hull := area(outer)
		loss = graph.Add(loss, graph.Div(graph.Sub(hull, union), graph.AddScalar(hull, eps)))
	case "diou", "ciou":
		if n.Attr.Overlap == "ciou" {
			w, h := split(sides)
			tw, th := split(tsides)
			turn := graph.Sub(angle(tw, graph.AddScalar(th, eps)), angle(w, graph.AddScalar(h, eps)))
			v := graph.MulScalar(graph.Square(turn), 4/(math.Pi*math.Pi))
			alpha := graph.StopGradient(graph.Div(v, graph.AddScalar(graph.Add(graph.OneMinus(iou), v), eps)))
			loss = graph.Add(loss, graph.Mul(alpha, v))
		}
		off := graph.MulScalar(graph.Sub(graph.Add(lo, hi), graph.Add(tlo, thi)), .5)
		apart := graph.ReduceSum(graph.Square(off), -1)
		diagonal := graph.ReduceSum(graph.Square(outer), -1)
		loss = graph.Add(loss, graph.Div(apart, graph.AddScalar(diagonal, eps)))
	}
	return sumAll(graph.Where(counts, graph.Mul(weight, loss), l.scalar(0)))
}

// split takes the two values of the last axis apart.
func split(x *graph.Node) (a, b *graph.Node) {
	last := x.Rank() - 1
	return graph.Squeeze(cut(x, last, 0, 1), last), graph.Squeeze(cut(x, last, 1, 2), last)
}

// area is the product of two sides.
func area(sides *graph.Node) *graph.Node {
	w, h := split(sides)
	return graph.Mul(w, h)
}

// angle is atan(w/h). The value has no gradient; the gradient comes from terms whose value is 0.
func angle(w, h *graph.Node) *graph.Node {
	value := graph.StopGradient(atan(graph.Div(w, h)))
	square := graph.Add(graph.Square(w), graph.Square(h))
	byW, byH := graph.StopGradient(graph.Div(h, square)), graph.StopGradient(graph.Div(w, square))
	zero := func(x *graph.Node) *graph.Node { return graph.Sub(x, graph.StopGradient(x)) }
	return graph.Add(value, graph.Sub(graph.Mul(byW, zero(w)), graph.Mul(byH, zero(h))))
}

// atan is the inverse tangent, which not every backend has: beyond ±1 by that of 1/x, halved twice by
// atan(x) = 2·atan(x/(1+sqrt(1+x²))), then its series, whose next term is below the last digit of float64.
func atan(x *graph.Node) *graph.Node {
	large := graph.GreaterThan(abs(x), graph.ScalarOne(x.Graph(), x.DType()))
	r := graph.Where(large, graph.Reciprocal(x), x)
	for range 2 {
		r = graph.Div(r, graph.OnePlus(graph.Sqrt(graph.OnePlus(graph.Square(r)))))
	}
	square := graph.Square(r)
	series := graph.ScalarZero(x.Graph(), x.DType())
	for k := 21; k >= 3; k -= 2 {
		series = graph.Mul(square, graph.Sub(graph.Scalar(x.Graph(), x.DType(), 1/float64(k)), series))
	}
	y := graph.MulScalar(graph.Mul(r, graph.OneMinus(series)), 4.)
	return graph.Where(large, graph.Sub(graph.MulScalar(graph.Sign(x), math.Pi/2), y), y)
}
