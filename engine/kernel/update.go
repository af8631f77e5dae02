package kernel

import (
	"math"

	"focalgrid/portable"
)

// SGD is one step of stochastic gradient descent in PyTorch's form:
// v = momentum·v + g + decay·w, then w -= lr·v. w, v and g have one length.
func SGD(p *Pool, w, v, g []float32, lr, momentum, decay float32) {
	need("SGD", "v", v, len(w))
	need("SGD", "g", g, len(w))
	Split(p, len(w), func(from, to int) {
		sgd(p.set, v[from:to], w[from:to], g[from:to], lr, momentum, decay)
	})
}

// An Adam holds the constants of AdamW.
type Adam struct {
	LR, Beta1, Beta2, Eps float32
	Decay                 float32 // decoupled: w shrinks by LR·Decay each step
}

// Step is one step of AdamW (Loshchilov and Hutter), step counting from 1:
//
//	m = β1·m + (1-β1)·g; v = β2·v + (1-β2)·g²
//	w = (1-lr·decay)·w - lr · m/(1-β1^step) / (√(v/(1-β2^step)) + eps)
func (a Adam) Step(p *Pool, w, m, v, g []float32, step int) {
	need("Adam.Step", "m", m, len(w))
	need("Adam.Step", "v", v, len(w))
	need("Adam.Step", "g", g, len(w))
	lr := float32(float64(a.LR) / (1 - portable.Pow(float64(a.Beta1), float64(step))))
	root := float32(1 / math.Sqrt(1-portable.Pow(float64(a.Beta2), float64(step))))
	keep := float32(1 - float64(float64(a.LR)*float64(a.Decay)))
	c1, c2 := float32(1-float64(a.Beta1)), float32(1-float64(a.Beta2))
	Split(p, len(w), func(i, j int) {
		adam(p.set, m[i:j], v[i:j], w[i:j], g[i:j], a.Beta1, c1, a.Beta2, c2, keep, lr, root, a.Eps)
	})
}

// SumSquares is Σ x². It is NaN or +Inf exactly if an element is not finite: the
// squares of finite float32 can't overflow the float64 they are added in.
func SumSquares(p *Pool, x []float32) float64 {
	return sum(p, (len(x)+chunk-1)/chunk, func(task int) float64 {
		return squares(p.set, x[task*chunk:min(len(x), (task+1)*chunk)])
	})
}

// sum adds f(0) … f(tasks-1) in that order.
func sum(p *Pool, tasks int, f func(task int) float64) float64 {
	if tasks == 1 {
		return f(0)
	}
	parts := p.wide.take(tasks)
	p.Run(tasks, func(task int) { parts[task] = f(task) })
	var s float64
	for _, v := range parts {
		s += v
	}
	p.wide.give(parts)
	return s
}

// rowSum adds f(0) … f(rows-1) in that order, computed in tasks of so many rows.
func rowSum(p *Pool, rows, task int, f func(r int) float64) float64 {
	values := p.wide.take(rows)
	p.Run((rows+task-1)/task, func(t int) {
		for r := t * task; r < min(rows, (t+1)*task); r++ {
			values[r] = f(r)
		}
	})
	var s float64
	for _, v := range values {
		s += v
	}
	p.wide.give(values)
	return s
}
