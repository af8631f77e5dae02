package kernel

// A Pair computes with two tensors value by value. The second may be a single value,
// which then stands beside all of the first.
type Pair struct {
	of, byA, byB func(a, b float32) float32 // the value and its derivatives
}

// The pairs. Min and Max give each of two equal values half of the gradient; NaN stays NaN.
var (
	Div = Pair{
		of:  func(a, b float32) float32 { return a / b },
		byA: func(_, b float32) float32 { return 1 / b },
		byB: func(a, b float32) float32 { return -a / b / b },
	}
	Min = Pair{
		of:  func(a, b float32) float32 { return min(a, b) },
		byA: func(a, b float32) float32 { return share(b, a) },
		byB: func(a, b float32) float32 { return share(a, b) },
	}
	Max = Pair{
		of:  func(a, b float32) float32 { return max(a, b) },
		byA: func(a, b float32) float32 { return share(a, b) },
		byB: func(a, b float32) float32 { return share(b, a) },
	}
)

// share is 1 where a is above b, a half where they are equal, and 0 elsewhere.
func share(a, b float32) float32 {
	switch {
	case a > b:
		return 1
	case a == b:
		return .5
	}
	return 0
}

// Apply computes y of a and b. y may be a.
func (q Pair) Apply(p *Pool, y, a, b []float32) {
	q.check("Pair.Apply", a, b, len(y))
	Split(p, len(y), func(from, to int) {
		for i := from; i < to; i++ {
			y[i] = q.of(a[i], beside(b, i))
		}
	})
}

// GradA computes d, the gradient by a. d may be dy.
func (q Pair) GradA(p *Pool, d, dy, a, b []float32) {
	q.check("Pair.GradA", a, b, len(d))
	need("Pair.GradA", "dy", dy, len(d))
	Split(p, len(d), func(from, to int) {
		for i := from; i < to; i++ {
			d[i] = dy[i] * q.byA(a[i], beside(b, i))
		}
	})
}

// GradB computes d, the gradient by b: of a single value the sum over all of a.
func (q Pair) GradB(p *Pool, d, dy, a, b []float32) {
	q.check("Pair.GradB", a, b, len(dy))
	if len(b) == 1 {
		d[0] = float32(sum(p, (len(dy)+chunk-1)/chunk, func(task int) float64 {
			var s float64
			for i := task * chunk; i < min(len(dy), (task+1)*chunk); i++ {
				s += float64(dy[i] * q.byB(a[i], b[0]))
			}
			return s
		}))
		return
	}
	need("Pair.GradB", "d", d, len(dy))
	Split(p, len(dy), func(from, to int) {
		for i := from; i < to; i++ {
			d[i] = dy[i] * q.byB(a[i], b[i])
		}
	})
}

func (q Pair) check(name string, a, b []float32, n int) {
	need(name, "a", a, n)
	if len(b) != 1 {
		need(name, "b", b, n)
	}
}

// beside returns the value of b that stands beside the i-th of a.
func beside(b []float32, i int) float32 {
	if len(b) == 1 {
		return b[0]
	}
	return b[i]
}
