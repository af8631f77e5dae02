package gomlx

import (
	"github.com/gomlx/gomlx/core/graph"

	"focalgrid/engine"
)

// focal is Σ weight·α·e^(-γ·sp(z))·sp(-z), z = x at the label and -x elsewhere, sp softplus: finite, as is its
// gradient, for every finite logit. Rows of weight 0 are left out, whatever their logits.
func (l *lowering) focal(n *engine.Node) *graph.Node {
	x, labels, weight := l.plain(n, 0), l.plain(n, 1), l.plain(n, 2)
	gamma, alphaPos, alphaNeg := l.plain(n, 3), l.plain(n, 4), l.plain(n, 5)
	x = graph.Where(graph.NotEqual(weight, l.scalar(0)), x, l.scalar(0))
	class := oneHot(labels, n.In[0].Shape[2])
	z := graph.Where(class, x, graph.Neg(x))
	alpha := graph.Where(class, alphaPos, alphaNeg)
	factor := graph.Exp(graph.Neg(graph.Mul(gamma, graph.Softplus(z))))
	rows := graph.ReduceSum(graph.Mul(graph.Mul(alpha, factor), graph.Softplus(graph.Neg(z))), -1)
	return sumAll(graph.Mul(weight, rows))
}

func (l *lowering) smoothL1(n *engine.Node) *graph.Node {
	target, weight, beta := l.plain(n, 1), l.plain(n, 2), l.plain(n, 3)
	counts := graph.NotEqual(weight, l.scalar(0))
	d := abs(graph.Sub(graph.Where(counts, l.plain(n, 0), l.scalar(0)), graph.Where(counts, target, l.scalar(0))))
	curved := graph.Div(graph.Square(d), graph.MulScalar(graph.Where(positive(beta), beta, l.scalar(1)), 2.))
	straight := graph.Sub(d, graph.MulScalar(beta, .5))
	rows := graph.ReduceSum(graph.Where(graph.LessThan(d, beta), curved, straight), -1)
	return sumAll(graph.Mul(weight, rows))
}

func (l *lowering) softmaxCE(n *engine.Node) *graph.Node {
	images, classes := n.In[0].Shape[0], n.In[0].Shape[1]
	x := graph.Reshape(l.plain(n, 0), images, classes)
	own := graph.ReduceSum(graph.Where(oneHot(l.plain(n, 1), classes), x, l.scalar(0)), -1)
	return graph.MulScalar(sumAll(graph.Sub(logSumExpLast(x), own)), 1/float64(images))
}
