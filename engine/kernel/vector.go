package kernel

import "math"

// The functions here are the kernels on one slice, by one thread. All slices
// have the length of the first.

// add computes y = a + b.
func add(set set, y, a, b []float32) {
	for i := vecAdd(set, y, a, b); i < len(y); i++ {
		y[i] = a[i] + b[i]
	}
}

// relu computes y = max(x, 0).
func relu(set set, y, x []float32) {
	for i := vecRelu(set, y, x); i < len(y); i++ {
		y[i] = atLeast(0, x[i])
	}
}

// reluGrad computes dx = dy where y > 0, else 0.
func reluGrad(set set, dx, dy, y []float32) {
	for i := vecReluGrad(set, dx, dy, y); i < len(dx); i++ {
		if y[i] > 0 {
			dx[i] = dy[i]
		} else {
			dx[i] = 0
		}
	}
}

// scale computes x = x·a.
func scale(set set, x []float32, a float32) {
	for i := vecScale(set, x, a); i < len(x); i++ {
		x[i] *= a
	}
}

// affine computes y = max(floor, (x-m)·a + b).
func affine(set set, y, x []float32, m, a, b, floor float32) {
	for i := vecAffine(set, y, x, m, a, b, floor); i < len(y); i++ {
		y[i] = atLeast(floor, (x[i]-m)*a+b)
	}
}

// affineAdd computes y = max(floor, (x-m)·a + b + r).
func affineAdd(set set, y, x, r []float32, m, a, b, floor float32) {
	for i := vecAffineAdd(set, y, x, r, m, a, b, floor); i < len(y); i++ {
		y[i] = atLeast(floor, (x[i]-m)*a+b+r[i])
	}
}

// normGrad computes dx = a·dy + (b·(x-m) + k).
func normGrad(set set, dx, dy, x []float32, m, a, b, k float32) {
	for i := vecNormGrad(set, dx, dy, x, m, a, b, k); i < len(dx); i++ {
		dx[i] = a*dy[i] + (b*(x[i]-m) + k)
	}
}

// sgd computes v = momentum·v + (decay·w + g), then w = w - lr·v.
func sgd(set set, v, w, g []float32, lr, momentum, decay float32) {
	for i := vecSgd(set, v, w, g, lr, momentum, decay); i < len(v); i++ {
		v[i] = momentum*v[i] + (decay*w[i] + g[i])
		w[i] -= lr * v[i]
	}
}

// adam computes m = b1·m + c1·g, v = b2·v + c2·g², w = keep·w - lr·m/(root·√v + eps).
func adam(set set, m, v, w, g []float32, b1, c1, b2, c2, keep, lr, root, eps float32) {
	for i := vecAdam(set, m, v, w, g, b1, c1, b2, c2, keep, lr, root, eps); i < len(m); i++ {
		m[i] = b1*m[i] + c1*g[i]
		v[i] = b2*v[i] + c2*(g[i]*g[i])
		w[i] = keep*w[i] - lr*(m[i]/(root*float32(math.Sqrt(float64(v[i])))+eps))
	}
}

// focal computes y = e^(-γ·sp(-x))·sp(x), the loss of a class that isn't the row's.
func focal(set set, y, x []float32, gamma float32) {
	for i := vecFocal(set, y, x, gamma); i < len(y); i++ {
		y[i] = focalValue(-x[i], gamma)
	}
}

// focalGrad computes y = e^(-γ·sp(-x))·(γ·p·sp(x) + 1-p), p = sigmoid(-x).
func focalGrad(set set, y, x []float32, gamma float32) {
	for i := vecFocalGrad(set, y, x, gamma); i < len(y); i++ {
		y[i] = focalSlope(-x[i], gamma)
	}
}

// moments is Σ (x-m) and Σ (x-m)².
func moments(set set, x []float32, m float32) (a, b float64) {
	var out [2]float32
	for i := vecMoments(set, x, m, &out); i < len(x); i++ {
		d := x[i] - m
		out[0] += d
		out[1] += d * d
	}
	return float64(out[0]), float64(out[1])
}

// products is Σ dy and Σ dy·(x-m).
func products(set set, dy, x []float32, m float32) (a, b float64) {
	var out [2]float32
	for i := vecProducts(set, dy, x, m, &out); i < len(dy); i++ {
		out[0] += dy[i]
		out[1] += dy[i] * (x[i] - m)
	}
	return float64(out[0]), float64(out[1])
}

// squares is Σ x².
func squares(set set, x []float32) float64 {
	var out [lanes]float64
	var s float64
	for _, v := range x[vecSquares(set, x, &out):] {
		s += float64(v) * float64(v)
	}
	for _, v := range out {
		s += v
	}
	return s
}

// atLeast is max(floor, v), where NaN stays NaN.
func atLeast(floor, v float32) float32 {
	if v < floor {
		return floor
	}
	return v
}

// softplus returns sp(z) and sp(-z).
func softplus(z float64) (up, down float64) {
	t := math.Log1p(math.Exp(-math.Abs(z)))
	return max(z, 0) + t, max(-z, 0) + t
}

// focalValue is e^(-γ·sp(z))·sp(-z).
func focalValue(z, gamma float32) float32 {
	up, down := softplus(float64(z))
	return float32(math.Exp(-float64(gamma)*up) * down)
}

// focalSlope is minus the derivative of focalValue.
func focalSlope(z, gamma float32) float32 {
	up, down := softplus(float64(z))
	return float32(math.Exp(-float64(gamma)*up) * (float64(gamma)*math.Exp(-down)*down + math.Exp(-up)))
}
