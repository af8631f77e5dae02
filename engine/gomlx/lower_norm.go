package gomlx

import (
	"github.com/gomlx/gomlx/core/graph"

	"focalgrid/engine"
)

// normalized is (x-mean)/sqrt(variance+eps) over axes, with mean and variance of x itself, which it also returns; they
// keep the axes with size 1.
//
// The gradient is in closed form: with v that to x as if mean and variance were constant, it is
// v - avg(v) - x̂·avg(v·x̂).
func (l *lowering) normalized(x *graph.Node, eps float64, axes ...int) (xhat, avg, variance *graph.Node) {
	avg, variance = moments(x, axes...)
	inv := graph.StopGradient(graph.Rsqrt(graph.AddScalar(variance, eps)))
	z := graph.IdentityWithCustomGradient(x, func(x, v *graph.Node) *graph.Node {
		xhat := graph.Mul(graph.Sub(x, avg), inv)
		return graph.Sub(graph.Sub(v, mean(v, axes...)), graph.Mul(xhat, mean(graph.Mul(v, xhat), axes...)))
	})
	return graph.Mul(graph.Sub(z, avg), inv), avg, variance
}

// moments returns the mean and the biased variance of x over axes in one pass, without gradient. It adds up
// differences from the first value of each group, which keep their digits far from zero.
func moments(x *graph.Node, axes ...int) (avg, variance *graph.Node) {
	x = graph.StopGradient(x)
	first := x
	for _, a := range axes {
		first = cut(first, a, 0, 1)
	}
	d := graph.Sub(x, first)
	m := mean(d, axes...)
	variance = graph.MaxScalar(graph.Sub(mean(graph.Square(d), axes...), graph.Square(m)), 0)
	return graph.StopGradient(graph.Add(first, m)), graph.StopGradient(variance)
}

// batchNorm normalises with the batch's statistics in training, else with the running ones.
func (l *lowering) batchNorm(n *engine.Node) value {
	x := l.widen(l.image(n, 0))
	var xhat *graph.Node
	if n.Attr.Train {
		_, h, w := l.axes()
		var s statistics
		xhat, s.mean, s.variance = l.normalized(x, n.Attr.Eps, 0, h, w)
		s.mean, s.variance = graph.Reshape(s.mean, n.Shape[1]), graph.Reshape(s.variance, n.Shape[1])
		l.stats[n] = s
	} else {
		inv := graph.StopGradient(graph.Rsqrt(graph.AddScalar(l.plain(n, 4), n.Attr.Eps)))
		xhat = graph.Mul(graph.Sub(x, l.channelwise(l.plain(n, 3))), l.channelwise(inv))
	}
	return l.finish(n, l.affine(xhat, l.plain(n, 1), l.plain(n, 2)))
}

func (l *lowering) frozenNorm(n *engine.Node) value {
	scale := graph.StopGradient(graph.Mul(l.plain(n, 1), graph.Rsqrt(graph.AddScalar(l.plain(n, 4), n.Attr.Eps))))
	shift := graph.Sub(l.plain(n, 2), graph.Mul(l.plain(n, 3), scale))
	return l.finish(n, l.affine(l.widen(l.image(n, 0)), scale, shift))
}

func (l *lowering) groupNorm(n *engine.Node) value {
	x := l.widen(l.image(n, 0))
	groups, of := n.Attr.Groups, n.Shape[1]/n.Attr.Groups
	shape, axes := []int{n.Shape[0], groups, of, n.Shape[2], n.Shape[3]}, []int{2, 3, 4}
	if l.nhwc {
		shape, axes = []int{n.Shape[0], n.Shape[2], n.Shape[3], groups, of}, []int{1, 2, 4}
	}
	xhat, _, _ := l.normalized(graph.Reshape(x, shape...), n.Attr.Eps, axes...)
	return l.finish(n, l.affine(graph.Reshape(xhat, x.Shape().Dimensions...), l.plain(n, 1), l.plain(n, 2)))
}

// affine is x·weight + bias, channel by channel.
func (l *lowering) affine(x, weight, bias *graph.Node) *graph.Node {
	return graph.Add(graph.Mul(x, l.channelwise(weight)), l.channelwise(bias))
}

// finish adds what follows the normalisation within the op: the residual and ReLU.
func (l *lowering) finish(n *engine.Node, y *graph.Node) value {
	if n.Attr.Residual {
		y = graph.Add(y, l.widen(l.image(n, 5)))
	}
	if n.Attr.ReLU {
		y = relu(y)
	}
	return l.asImage(l.thinned(y))
}
