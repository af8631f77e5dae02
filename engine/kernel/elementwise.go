package kernel

// chunk is the most a task of an elementwise kernel takes: 16 Ki elements.
const chunk = 16 << 10

// Split calls f for chunks that cover [0, n), on all threads of p. The chunks do not depend on the number of threads.
func Split(p *Pool, n int, f func(from, to int)) {
	if n <= chunk {
		f(0, n)
		return
	}
	p.Run((n+chunk-1)/chunk, func(task int) {
		f(task*chunk, min(n, (task+1)*chunk))
	})
}

// Add computes y = a + b. y may be a or b.
func Add(p *Pool, y, a, b []float32) {
	need("Add", "a", a, len(y))
	need("Add", "b", b, len(y))
	Split(p, len(y), func(from, to int) { add(p.set, y[from:to], a[from:to], b[from:to]) })
}

// ReLU computes y = max(x, 0); NaN stays NaN. y may be x.
func ReLU(p *Pool, y, x []float32) {
	need("ReLU", "x", x, len(y))
	Split(p, len(y), func(from, to int) { relu(p.set, y[from:to], x[from:to]) })
}

// ReLUGrad computes dx = dy where y > 0 and 0 elsewhere, y being ReLU's result
// or its argument: the gradient at zero is zero. dx may be dy.
func ReLUGrad(p *Pool, dx, dy, y []float32) {
	need("ReLUGrad", "dy", dy, len(dx))
	need("ReLUGrad", "y", y, len(dx))
	Split(p, len(dx), func(from, to int) { reluGrad(p.set, dx[from:to], dy[from:to], y[from:to]) })
}

// Scale multiplies x by a in place.
func Scale(p *Pool, x []float32, a float32) {
	Split(p, len(x), func(from, to int) { scale(p.set, x[from:to], a) })
}
