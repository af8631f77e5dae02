package gorgonia

import (
	gg "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"focalgrid/engine"
	"focalgrid/engine/kernel"
)

// lossOp adds a scalar op of ins whose gradient goes to the first alone; grad's last input
// is the gradient of the scalar.
func lossOp(name, settings string, ins gg.Nodes, sum func(in [][]float32) float64, grad func(d []float32, in [][]float32, factor float32)) (*gg.Node, error) {
	diff := make([]bool, len(ins))
	diff[0] = true
	return applyDiff(&op{
		name: name + " " + settings, out: tensor.Shape{},
		run:  func(y []float32, in [][]float32) { y[0] = float32(sum(in)) },
		diff: diff,
		grad: func(in gg.Nodes, _, dy *gg.Node) (gg.Nodes, error) {
			d, err := apply(name+" gradient "+settings, in[0].Shape(), func(d []float32, in [][]float32) {
				grad(d, in, in[len(in)-1][0])
			}, append(append(gg.Nodes{}, in...), dy)...)
			out := make(gg.Nodes, len(in))
			out[0] = d
			return out, err
		},
	}, ins...)
}

// inputs lists the lowered inputs of n.
func (l *lowering) inputs(n *engine.Node) gg.Nodes {
	var ins gg.Nodes
	for i := range n.In {
		ins = append(ins, l.in(n, i))
	}
	return ins
}

func (l *lowering) focal(n *engine.Node) (*gg.Node, error) {
	s := n.In[0].Shape
	at := func(in [][]float32) kernel.Focal {
		return kernel.Focal{Rows: s[0] * s[1], Classes: s[2], Gamma: in[3][0], AlphaPos: in[4][0], AlphaNeg: in[5][0]}
	}
	return lossOp("focal", "", l.inputs(n), func(in [][]float32) float64 {
		return at(in).Sum(l.pool, in[0], in[1], in[2])
	}, func(d []float32, in [][]float32, scale float32) {
		at(in).Grad(l.pool, d, in[0], in[1], in[2], scale)
	})
}

func (l *lowering) smoothL1(n *engine.Node) (*gg.Node, error) {
	at := func(in [][]float32) kernel.SmoothL1 {
		return kernel.SmoothL1{Rows: n.In[2].Size(), Cols: 4, Beta: in[3][0]}
	}
	return lossOp("smooth l1", "", l.inputs(n), func(in [][]float32) float64 {
		return at(in).Sum(l.pool, in[0], in[1], in[2])
	}, func(d []float32, in [][]float32, factor float32) {
		at(in).Grad(l.pool, d, in[0], in[1], in[2], factor)
	})
}

func (l *lowering) softmaxCE(n *engine.Node) (*gg.Node, error) {
	q := kernel.SoftmaxCE{Rows: n.In[0].Shape[0], Classes: n.In[0].Shape[1]}
	return lossOp("softmax cross entropy", "", l.inputs(n), func(in [][]float32) float64 {
		return q.Mean(l.pool, in[0], in[1])
	}, func(d []float32, in [][]float32, factor float32) {
		q.Grad(l.pool, d, in[0], in[1], factor)
	})
}
