package gorgonia

import (
	"fmt"

	gg "gorgonia.org/gorgonia"

	"focalgrid/engine"
	"focalgrid/engine/kernel"
)

// boxes describes the values of an op that decodes them.
func boxes(n *engine.Node) kernel.Boxes {
	return kernel.Boxes{BoxCode: kernel.BoxCode(n.Attr.Code), Images: n.Shape[0], Priors: n.Shape[1]}
}

func (l *lowering) decodeBoxes(n *engine.Node) (*gg.Node, error) {
	q := boxes(n)
	settings := fmt.Sprintf("code=%+v", n.Attr.Code)
	return applyDiff(&op{
		name: "decode boxes " + settings, out: n.Shape,
		run:  func(y []float32, in [][]float32) { q.Decode(l.pool, y, in[0], in[1]) },
		diff: []bool{true, false},
		grad: func(in gg.Nodes, _, dy *gg.Node) (gg.Nodes, error) {
			d, err := apply("decode boxes gradient "+settings, in[0].Shape(), func(d []float32, in [][]float32) {
				q.DecodeGrad(l.pool, d, in[0], in[1], in[2])
			}, in[0], in[1], dy)
			return gg.Nodes{d, nil}, err
		},
	}, l.in(n, 0), l.in(n, 1))
}

func (l *lowering) encodeBoxes(n *engine.Node) (*gg.Node, error) {
	q := boxes(n)
	return apply(fmt.Sprintf("encode boxes code=%+v", n.Attr.Code), n.Shape, func(y []float32, in [][]float32) {
		q.Encode(l.pool, y, in[0], in[1])
	}, l.inputs(n)...)
}

// boxIoULoss lowers the loss together with the decoding of its boxes, if they are decoded:
// then what lies between the two stays in float64.
func (l *lowering) boxIoULoss(n *engine.Node) (*gg.Node, error) {
	from := n.In[0]
	q := kernel.IoULoss{Boxes: boxes(from), Overlap: n.Attr.Overlap}
	ins := gg.Nodes{l.in(n, 0), l.in(n, 1), l.in(n, 2)} // values, target, weight, priors
	priors := func(in [][]float32) []float32 { return nil }
	if from.Op == engine.OpDecodeBoxes {
		ins = gg.Nodes{l.in(from, 0), ins[1], ins[2], l.in(from, 1)}
		priors = func(in [][]float32) []float32 { return in[3] }
	}
	return lossOp(n.Attr.Overlap, fmt.Sprintf("code=%+v", from.Attr.Code), ins, func(in [][]float32) float64 {
		return q.Sum(l.pool, in[0], priors(in), in[1], in[2])
	}, func(d []float32, in [][]float32, factor float32) {
		q.Grad(l.pool, d, in[0], priors(in), in[1], in[2], factor)
	})
}
