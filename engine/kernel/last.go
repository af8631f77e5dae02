package kernel

import (
	"math"

	"focalgrid/portable"
)

// A Last computes along the last axis of a table [Rows, Size], in float64, rounded once.
type Last struct{ Rows, Size int }

// Sum computes y [Rows], the sums of x's rows.
func (l Last) Sum(p *Pool, y, x []float32) {
	l.check("Last.Sum", y, x)
	l.each(p, func(r int) {
		var s float64
		for _, v := range l.row(x, r) {
			s += float64(v)
		}
		y[r] = float32(s)
	})
}

// Expand repeats each value of x [Rows] along the rows of y: the gradient of Sum.
func (l Last) Expand(p *Pool, y, x []float32) {
	l.check("Last.Expand", x, y)
	l.each(p, func(r int) {
		row := l.row(y, r)
		for i := range row {
			row[i] = x[r]
		}
	})
}

// LogSumExp computes y [Rows], log Σ e^x of x's rows.
func (l Last) LogSumExp(p *Pool, y, x []float32) {
	l.check("Last.LogSumExp", y, x)
	l.each(p, func(r int) { y[r] = float32(logSumExp(l.row(x, r))) })
}

// LogSumExpGrad computes dx = softmax(x)·dy, dy being [Rows].
func (l Last) LogSumExpGrad(p *Pool, dx, x, dy []float32) {
	l.check("Last.LogSumExpGrad", dy, x)
	need("Last.LogSumExpGrad", "dx", dx, l.Rows*l.Size)
	l.each(p, func(r int) { softmax(l.row(dx, r), l.row(x, r), float64(dy[r])) })
}

// Softmax computes y = e^x / Σ e^x in each row.
func (l Last) Softmax(p *Pool, y, x []float32) {
	need("Last.Softmax", "x", x, l.Rows*l.Size)
	need("Last.Softmax", "y", y, l.Rows*l.Size)
	l.each(p, func(r int) { softmax(l.row(y, r), l.row(x, r), 1) })
}

// SoftmaxGrad computes dx = y·(dy - Σ dy·y), y being the softmax.
func (l Last) SoftmaxGrad(p *Pool, dx, y, dy []float32) {
	need("Last.SoftmaxGrad", "dx", dx, l.Rows*l.Size)
	need("Last.SoftmaxGrad", "y", y, l.Rows*l.Size)
	need("Last.SoftmaxGrad", "dy", dy, l.Rows*l.Size)
	l.each(p, func(r int) {
		y, dy, dx := l.row(y, r), l.row(dy, r), l.row(dx, r)
		var mean float64
		for i, v := range y {
			mean += float64(float64(v) * float64(dy[i]))
		}
		for i, v := range y {
			dx[i] = float32(float64(v) * (float64(dy[i]) - mean))
		}
	})
}

func (l Last) row(x []float32, r int) []float32 { return x[r*l.Size : (r+1)*l.Size] }

// taskRows is the number of rows of a task: about 4 Ki values.
func (l Last) taskRows() int { return max(1, chunk/4/max(1, l.Size)) }

// each runs f for each row.
func (l Last) each(p *Pool, f func(r int)) {
	n := l.taskRows()
	p.Run((l.Rows+n-1)/n, func(task int) {
		for r := task * n; r < min(l.Rows, (task+1)*n); r++ {
			f(r)
		}
	})
}

func (l Last) check(name string, rows, all []float32) {
	need(name, "the values of rows", rows, l.Rows)
	need(name, "the table", all, l.Rows*l.Size)
}

// logSumExp is log Σ e^x, infinite where the largest of x is.
func logSumExp(x []float32) float64 {
	m := math.Inf(-1)
	for _, v := range x {
		m = max(m, float64(v))
	}
	if math.IsInf(m, 0) {
		return m
	}
	var s float64
	for _, v := range x {
		s += portable.Exp(float64(v) - m)
	}
	return m + portable.Log(s)
}

// softmax computes y = factor·softmax(x).
func softmax(y, x []float32, factor float64) {
	l := logSumExp(x)
	for i, v := range x {
		y[i] = float32(factor * portable.Exp(float64(v)-l))
	}
}
