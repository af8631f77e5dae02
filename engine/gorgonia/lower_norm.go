package gorgonia

import (
	"fmt"

	gg "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"focalgrid/engine"
	"focalgrid/engine/kernel"
)

// split returns the two halves of a statistics tensor: means and variances,
// or Σdy and Σdy·x̂.
func split(v []float32) (a, b []float32) { return v[:len(v)/2], v[len(v)/2:] }

// half is a node that takes one half of a [2C] tensor.
func half(second bool, of *gg.Node) (*gg.Node, error) {
	return apply(fmt.Sprintf("half second=%t", second), tensor.Shape{of.Shape()[0] / 2}, func(y []float32, in [][]float32) {
		a, b := split(in[0])
		if second {
			a = b
		}
		copy(y, a)
	}, of)
}

// batchNorm normalises with the batch's statistics in training, else with the running ones.
func (l *lowering) batchNorm(n *engine.Node) (*gg.Node, error) {
	if !n.Attr.Train {
		return l.fixedNorm(n, true)
	}
	s := shapeOf(n)
	stats, err := apply("batch statistics", tensor.Shape{2 * s.C}, func(y []float32, in [][]float32) {
		mean, variance := split(y)
		kernel.BatchNormStats(l.pool, mean, variance, in[0], s)
	}, l.in(n, 0))
	if err != nil {
		return nil, err
	}
	l.stats[n.ID] = stats
	return l.norm(n, stats, true, true)
}

// fixedNorm normalises with given statistics; affine says whether weight and bias learn.
func (l *lowering) fixedNorm(n *engine.Node, affine bool) (*gg.Node, error) {
	stats, err := apply("join", tensor.Shape{2 * n.Shape[1]}, func(y []float32, in [][]float32) {
		copy(y, in[0])
		copy(y[len(in[0]):], in[1])
	}, l.in(n, 3), l.in(n, 4))
	if err != nil {
		return nil, err
	}
	return l.norm(n, stats, false, affine)
}

// norm applies statistics [mean, variance] (of the batch itself if batch), weight,
// bias, residual and ReLU, in one pass over memory.
func (l *lowering) norm(n *engine.Node, stats *gg.Node, batch, affine bool) (*gg.Node, error) {
	s, eps, relu := shapeOf(n), float32(n.Attr.Eps), n.Attr.ReLU
	invstd := make([]float32, s.C)
	inv := func(stats []float32) (mean, is []float32) {
		mean, variance := split(stats)
		kernel.InvStd(invstd, variance, eps)
		return mean, invstd
	}
	o := &op{
		name: fmt.Sprintf("norm eps=%g relu=%t batch=%t", eps, relu, batch),
		out:  n.Shape,
		over: []int{0},
		run: func(y []float32, in [][]float32) {
			mean, is := inv(in[1])
			var residual []float32
			if len(in) > 4 {
				residual = in[4]
			}
			kernel.BatchNormApply(l.pool, y, in[0], mean, is, in[2], in[3], residual, relu, s)
		},
		diff: []bool{true, false, affine, affine},
		grad: func(in gg.Nodes, y, dy *gg.Node) (gg.Nodes, error) {
			var err error
			if relu {
				if dy, err = l.reluGrad(dy, y); err != nil {
					return nil, err
				}
			}
			sums, err := apply(fmt.Sprintf("norm gradient sums eps=%g", eps), tensor.Shape{2 * s.C}, func(v []float32, in [][]float32) {
				mean, is := inv(in[2])
				a, b := split(v)
				kernel.BatchNormGradSums(l.pool, a, b, in[0], in[1], mean, is, s)
			}, dy, in[0], in[1])
			if err != nil {
				return nil, err
			}
			var dx *gg.Node
			if batch {
				dx, err = applyOver(fmt.Sprintf("batch norm to input eps=%g", eps), n.Shape, func(dx []float32, in [][]float32) {
					mean, is := inv(in[2])
					a, b := split(in[4])
					kernel.BatchNormGradInput(l.pool, dx, in[0], in[1], mean, is, in[3], a, b, s)
				}, dy, in[0], in[1], in[2], sums)
			} else {
				scale := make([]float32, s.C)
				dx, err = applyOver(fmt.Sprintf("fixed norm to input eps=%g", eps), n.Shape, func(dx []float32, in [][]float32) {
					_, is := inv(in[1])
					for c, w := range in[2] {
						scale[c] = w * is[c]
					}
					kernel.AffineGrad(l.pool, dx, in[0], scale, s)
				}, dy, in[1], in[2])
			}
			if err != nil {
				return nil, err
			}
			db, err := half(false, sums)
			if err != nil {
				return nil, err
			}
			dw, err := half(true, sums)
			if err != nil {
				return nil, err
			}
			return gg.Nodes{dx, nil, dw, db, dy}[:len(in)], nil
		},
	}
	ins := gg.Nodes{l.in(n, 0), stats, l.in(n, 1), l.in(n, 2)}
	if n.Attr.Residual {
		ins = append(ins, l.in(n, 5))
		o.diff = append(o.diff, true)
	}
	return applyDiff(o, ins...)
}

// groupNorm lowers a group norm, or a stack of them.
func (l *lowering) groupNorm(nodes []*engine.Node) (*gg.Node, error) {
	n := nodes[0]
	eps, relu, groups := float32(n.Attr.Eps), n.Attr.ReLU, n.Attr.Groups
	var levels []kernel.Shape
	var from []*engine.Node
	for _, m := range nodes {
		levels, from = append(levels, shapeOf(m)), append(from, m.In[0])
	}
	channels, all := n.Shape[1], len(levels)*n.Shape[0]*groups
	x, err := l.stacked(from)
	if err != nil {
		return nil, err
	}
	stats, err := apply(fmt.Sprintf("group statistics %d %v", groups, levels), tensor.Shape{2 * all}, func(y []float32, in [][]float32) {
		mean, variance := split(y)
		kernel.GroupNormStats(l.pool, mean, variance, in[0], groups, levels...)
	}, x)
	if err != nil {
		return nil, err
	}
	invstd := make([]float32, all)
	inv := func(stats []float32) (mean, is []float32) {
		mean, variance := split(stats)
		kernel.InvStd(invstd, variance, eps)
		return mean, invstd
	}
	return applyDiff(&op{
		name: fmt.Sprintf("group norm %d eps=%g relu=%t %v", groups, eps, relu, levels), out: stackShape(nodes),
		run: func(y []float32, in [][]float32) {
			mean, is := inv(in[1])
			kernel.GroupNormApply(l.pool, y, in[0], mean, is, in[2], in[3], relu, groups, levels...)
		},
		diff: []bool{true, false, true, true},
		grad: func(in gg.Nodes, y, dy *gg.Node) (gg.Nodes, error) {
			var err error
			if relu {
				if dy, err = l.reluGrad(dy, y); err != nil {
					return nil, err
				}
			}
			// One pass makes all three gradients; those to weight and bias wait
			// here until their nodes, which depend on dx, take them.
			dweight, dbias := make([]float32, channels), make([]float32, channels)
			dx, err := applyOver(fmt.Sprintf("group norm gradient %d eps=%g %v", groups, eps, levels), stackShape(nodes), func(dx []float32, in [][]float32) {
				mean, is := inv(in[2])
				kernel.GroupNormGrad(l.pool, dx, dweight, dbias, in[0], in[1], mean, is, in[3], groups, levels...)
			}, dy, in[0], in[1], in[2])
			if err != nil {
				return nil, err
			}
			dw, err := apply("group norm to weight", tensor.Shape{channels}, func(y []float32, _ [][]float32) { copy(y, dweight) }, dx)
			if err != nil {
				return nil, err
			}
			db, err := apply("group norm to bias", tensor.Shape{channels}, func(y []float32, _ [][]float32) { copy(y, dbias) }, dx)
			return gg.Nodes{dx, nil, dw, db}, err
		},
	}, x, stats, l.in(n, 1), l.in(n, 2))
}
