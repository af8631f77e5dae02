package gomlx

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"

	"focalgrid/engine"
)

// update is what a step ends in.
type update struct {
	loss, norm *graph.Node
	outputs    []*graph.Node // the program's moved tensors and gradients
}

// update differentiates the loss, and adds the optimiser's rule and the running statistics. Every new tensor is the
// old one where loss or norm is not finite.
func (q *program) update(l *lowering, p *engine.Program, a *engine.Analysis, tensors map[string]*graph.Node) update {
	u := update{loss: l.values[p.Loss].node}
	var params []*graph.Node
	for _, n := range a.Params {
		params = append(params, tensors[n.Name])
	}
	grads := graph.Gradient(u.loss, params...)
	squares := l.scalar(0)
	for _, g := range grads {
		squares = graph.Add(squares, sumAll(graph.Square(g)))
	}
	u.norm = graph.Sqrt(squares)
	if clip := p.Update.Clip; clip > 0 {
		shrunk := graph.Div(l.scalar(clip), graph.AddScalar(u.norm, 1e-6)) // the 1e-6 is PyTorch's
		scale := graph.Where(graph.GreaterThan(u.norm, l.scalar(clip)), shrunk, l.scalar(1))
		for i := range grads {
			grads[i] = graph.Mul(grads[i], scale)
		}
	}

	moved := map[string]*graph.Node{}
	for i, n := range a.Params {
		l.move(p.Update, n, grads[i], tensors, moved)
	}
	for _, n := range a.Norms {
		l.running(n, tensors, moved)
	}
	ok := graph.LogicalAnd(graph.IsFinite(u.loss), graph.IsFinite(u.norm))
	for _, name := range q.state {
		if v := moved[name]; v != nil {
			q.moved = append(q.moved, name)
			u.outputs = append(u.outputs, graph.Where(ok, v, tensors[name]))
		}
	}
	if p.KeepGradients {
		for i, n := range a.Params {
			q.grads = append(q.grads, n.Name)
			u.outputs = append(u.outputs, convert(grads[i], dtypes.Float32))
		}
	}
	return u
}

// move adds the rule of one parameter with gradient g.
func (l *lowering) move(u engine.Update, n *engine.Node, g *graph.Node, tensors, moved map[string]*graph.Node) {
	p, slots := tensors[n.Name], u.Slots(n.Name)
	decay := 0.
	if u.Decays(n) {
		decay = u.WeightDecay
	}
	switch u.Kind {
	case "sgd":
		if decay != 0 {
			g = graph.Add(g, graph.MulScalar(p, decay))
		}
		v := graph.Add(graph.MulScalar(tensors[slots[0]], u.Momentum), g)
		moved[slots[0]] = v
		moved[n.Name] = graph.Sub(p, graph.Mul(l.rate, v))
	case "adamw":
		m := graph.Add(graph.MulScalar(tensors[slots[0]], u.Beta1), graph.MulScalar(g, 1-u.Beta1))
		v := graph.Add(graph.MulScalar(tensors[slots[1]], u.Beta2), graph.MulScalar(graph.Square(g), 1-u.Beta2))
		step := graph.AddScalar(tensors[slots[2]], 1)
		t := graph.Reshape(step)
		corrected := func(x *graph.Node, beta float64) *graph.Node { // 1-β^t = -expm1(t·log β)
			return graph.Div(x, graph.Neg(graph.Expm1(graph.MulScalar(t, math.Log(beta)))))
		}
		by := graph.Div(corrected(m, u.Beta1), graph.AddScalar(graph.Sqrt(corrected(v, u.Beta2)), u.Eps))
		kept := p
		if decay != 0 {
			kept = graph.Mul(p, graph.OneMinus(graph.MulScalar(l.rate, decay)))
		}
		moved[slots[0]], moved[slots[1]], moved[slots[2]] = m, v, step
		moved[n.Name] = graph.Sub(kept, graph.Mul(l.rate, by))
	}
}

// running moves the running statistics of a batch norm, which others may have moved before.
func (l *lowering) running(n *engine.Node, tensors, moved map[string]*graph.Node) {
	count := n.Size() / n.Shape[1]
	unbias := 1.
	if count > 1 {
		unbias = float64(count) / float64(count-1)
	}
	toward := func(name string, batch *graph.Node) {
		old, m := moved[name], n.Attr.Momentum
		if old == nil {
			old = tensors[name]
		}
		moved[name] = graph.Add(graph.MulScalar(old, 1-m), graph.MulScalar(batch, m))
	}
	s := l.stats[n]
	toward(n.In[3].Name, s.mean)
	toward(n.In[4].Name, graph.MulScalar(s.variance, unbias))
}
