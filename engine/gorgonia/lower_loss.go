package gorgonia

import (
	gg "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"focalgrid/engine"
	"focalgrid/engine/kernel"
)

// lossOp adds a scalar op whose gradient goes to its first input alone;
// grad's last input is the gradient of the scalar.
func (l *lowering) lossOp(n *engine.Node, name string, sum func(in [][]float32) float64, grad func(d []float32, in [][]float32, scale float32)) (*gg.Node, error) {
	var ins gg.Nodes
	for i := range n.In {
		ins = append(ins, l.in(n, i))
	}
	diff := make([]bool, len(ins))
	diff[0] = true
	return applyDiff(&op{
		name: name, out: tensor.Shape{},
		run:  func(y []float32, in [][]float32) { y[0] = float32(sum(in)) },
		diff: diff,
		grad: func(in gg.Nodes, _, dy *gg.Node) (gg.Nodes, error) {
			d, err := apply(name+" gradient", in[0].Shape(), func(d []float32, in [][]float32) {
				grad(d, in, in[len(in)-1][0])
			}, append(append(gg.Nodes{}, in...), dy)...)
			out := make(gg.Nodes, len(in))
			out[0] = d
			return out, err
		},
	}, ins...)
}

func (l *lowering) focal(n *engine.Node) (*gg.Node, error) {
	s := n.In[0].Shape
	at := func(in [][]float32) kernel.Focal {
		return kernel.Focal{Rows: s[0] * s[1], Classes: s[2], Gamma: in[3][0], AlphaPos: in[4][0], AlphaNeg: in[5][0]}
	}
	return l.lossOp(n, "focal", func(in [][]float32) float64 {
		return at(in).Sum(l.pool, in[0], in[1], in[2])
	}, func(d []float32, in [][]float32, scale float32) {
		at(in).Grad(l.pool, d, in[0], in[1], in[2], scale)
	})
}

func (l *lowering) smoothL1(n *engine.Node) (*gg.Node, error) {
	rows := n.In[2].Size()
	return l.lossOp(n, "smooth l1", func(in [][]float32) float64 {
		return kernel.SmoothL1(l.pool, in[0], in[1], in[2], in[3][0], rows, 4)
	}, func(d []float32, in [][]float32, scale float32) {
		kernel.SmoothL1Grad(l.pool, d, in[0], in[1], in[2], in[3][0], scale, rows, 4)
	})
}

func (l *lowering) giou(n *engine.Node) (*gg.Node, error) {
	q := kernel.GIoU{Images: n.In[0].Shape[0], Anchors: n.In[0].Shape[1]}
	return l.lossOp(n, "giou", func(in [][]float32) float64 {
		return q.Sum(in[0], in[1], in[2], in[3])
	}, func(d []float32, in [][]float32, scale float32) {
		q.Grad(d, in[0], in[1], in[2], in[3], scale)
	})
}

func (l *lowering) softmaxCE(n *engine.Node) (*gg.Node, error) {
	rows, classes := n.In[0].Shape[0], n.In[0].Shape[1]
	return l.lossOp(n, "softmax cross entropy", func(in [][]float32) float64 {
		return kernel.SoftmaxCE(in[0], in[1], rows, classes)
	}, func(d []float32, in [][]float32, scale float32) {
		kernel.SoftmaxCEGrad(d, in[0], in[1], scale, rows, classes)
	})
}
