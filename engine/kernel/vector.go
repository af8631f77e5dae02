package kernel

import (
	"math"

	"focalgrid/portable"
)

// The functions here are the kernels on one slice, by one thread. All slices
// have the length of the first.
//
// Whole vectors of 16 elements are the assembly's, or without it Go's with the same
// fused multiply-adds. The elements after them are Go's for every kernel set, without
// fused multiply-adds: a product is converted before it is added to, as the
// language lets a compiler fuse the two otherwise, and some do.

// whole is the number of elements of n that fill vectors.
func whole(n int) int { return n &^ (lanes - 1) }

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
	i := vecAffine(set, y, x, m, a, b, floor)
	for ; i < whole(len(y)); i++ {
		y[i] = atLeast(floor, fma(x[i]-m, a, b))
	}
	for ; i < len(y); i++ {
		y[i] = atLeast(floor, float32((x[i]-m)*a)+b)
	}
}

// affineAdd computes y = max(floor, (x-m)·a + b + r).
func affineAdd(set set, y, x, r []float32, m, a, b, floor float32) {
	i := vecAffineAdd(set, y, x, r, m, a, b, floor)
	for ; i < whole(len(y)); i++ {
		y[i] = atLeast(floor, fma(x[i]-m, a, b)+r[i])
	}
	for ; i < len(y); i++ {
		y[i] = atLeast(floor, float32((x[i]-m)*a)+b+r[i])
	}
}

// normGrad computes dx = a·dy + (b·(x-m) + k).
func normGrad(set set, dx, dy, x []float32, m, a, b, k float32) {
	i := vecNormGrad(set, dx, dy, x, m, a, b, k)
	for ; i < whole(len(dx)); i++ {
		dx[i] = fma(a, dy[i], fma(b, x[i]-m, k))
	}
	for ; i < len(dx); i++ {
		dx[i] = float32(a*dy[i]) + (float32(b*(x[i]-m)) + k)
	}
}

// sgd computes v = momentum·v + (decay·w + g), then w = w - lr·v.
func sgd(set set, v, w, g []float32, lr, momentum, decay float32) {
	i := vecSgd(set, v, w, g, lr, momentum, decay)
	for ; i < whole(len(v)); i++ {
		v[i] = fma(momentum, v[i], fma(decay, w[i], g[i]))
		w[i] = fma(-lr, v[i], w[i])
	}
	for ; i < len(v); i++ {
		v[i] = float32(momentum*v[i]) + (float32(decay*w[i]) + g[i])
		w[i] -= float32(lr * v[i])
	}
}

// adam computes m = b1·m + c1·g, v = b2·v + c2·g², w = keep·w - lr·m/(root·√v + eps).
func adam(set set, m, v, w, g []float32, b1, c1, b2, c2, keep, lr, root, eps float32) {
	i := vecAdam(set, m, v, w, g, b1, c1, b2, c2, keep, lr, root, eps)
	for ; i < whole(len(m)); i++ {
		m[i] = fma(c1, g[i], b1*m[i])
		v[i] = fma(c2, g[i]*g[i], b2*v[i])
		w[i] = fma(-lr, m[i]/fma(root, sqrt(v[i]), eps), keep*w[i])
	}
	for ; i < len(m); i++ {
		m[i] = float32(b1*m[i]) + float32(c1*g[i])
		v[i] = float32(b2*v[i]) + float32(c2*(g[i]*g[i]))
		w[i] = float32(keep*w[i]) - float32(lr*(m[i]/(float32(root*sqrt(v[i]))+eps)))
	}
}

// focal computes y = e^(-γ·sp(-x))·sp(x), the loss of a class that isn't the row's.
func focal(set set, y, x []float32, gamma float32) {
	i := vecFocal(set, y, x, gamma)
	for ; i < whole(len(y)); i++ {
		up, down, _ := softplus(x[i])
		y[i] = expNegative(gamma*down) * up
	}
	for ; i < len(y); i++ {
		y[i] = focalValue(-x[i], gamma)
	}
}

// focalGrad computes y = e^(-γ·sp(-x))·(γ·p·sp(x) + 1-p), p = sigmoid(-x).
func focalGrad(set set, y, x []float32, gamma float32) {
	i := vecFocalGrad(set, y, x, gamma)
	for ; i < whole(len(y)); i++ {
		up, down, e := softplus(x[i])
		q := 1 / (1 + e) // 1-p for x ≥ 0, else p
		p := e * q
		if x[i] < 0 {
			p, q = q, p
		}
		// First p·sp(x): γ·sp(x) may be infinite where p is 0.
		y[i] = expNegative(gamma*down) * fma(p*up, gamma, q)
	}
	for ; i < len(y); i++ {
		y[i] = focalSlope(-x[i], gamma)
	}
}

// moments is Σ (x-m) and Σ (x-m)².
func moments(set set, x []float32, m float32) (a, b float64) {
	var out [2]float32
	i := vecMoments(set, x, m, &out)
	if n := whole(len(x)); i < n {
		var a, b [lanes]float32
		for ; i < n; i += lanes {
			for l, v := range x[i : i+lanes] {
				d := v - m
				a[l] += d
				b[l] = fma(d, d, b[l])
			}
		}
		out = [2]float32{addTree(&a), addTree(&b)}
	}
	for ; i < len(x); i++ {
		d := x[i] - m
		out[0] += d
		out[1] += float32(d * d)
	}
	return float64(out[0]), float64(out[1])
}

// products is Σ dy and Σ dy·(x-m).
func products(set set, dy, x []float32, m float32) (a, b float64) {
	var out [2]float32
	i := vecProducts(set, dy, x, m, &out)
	if n := whole(len(dy)); i < n {
		var a, b [lanes]float32
		for ; i < n; i += lanes {
			for l, g := range dy[i : i+lanes] {
				a[l] += g
				b[l] = fma(g, x[i+l]-m, b[l])
			}
		}
		out = [2]float32{addTree(&a), addTree(&b)}
	}
	for ; i < len(dy); i++ {
		out[0] += dy[i]
		out[1] += float32(dy[i] * (x[i] - m))
	}
	return float64(out[0]), float64(out[1])
}

// squares is Σ x².
func squares(set set, x []float32) float64 {
	var out [lanes]float64
	i := vecSquares(set, x, &out)
	for ; i < whole(len(x)); i++ {
		out[i%lanes] += square(x[i])
	}
	var s float64
	for _, v := range x[i:] {
		s += square(v)
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

// square is v², which float64 holds exactly: adding it is the same fused or not.
func square(v float32) float64 { return float64(float64(v) * float64(v)) }

// sqrt is √v rounded once, as float64's is so near that rounding it again is too.
func sqrt(v float32) float32 { return float32(math.Sqrt(float64(v))) }

// softplus returns sp(z), sp(-z) and e^-|z|, sp(t) = log(1+e^t), as the assembly
// computes them.
//
// With e = e^-|z|, log(1+e) is 2·artanh(s), s = e/(2+e) ≤ 1/3: its series keeps
// the relative precision however small e is.
func softplus(z float32) (up, down, e float32) {
	up, down = atLeast(0, z), atLeast(0, 0-z)
	e = expNegative(up + down)
	s := e / (2 + e)
	sq := s * s
	v := float32(2. / 15)
	for _, k := range [...]float32{2. / 13, 2. / 11, 2. / 9, 2. / 7, 2. / 5, 2. / 3, 2} {
		v = fma(v, sq, k)
	}
	v = float32(v * s)
	return v + up, v + down, e
}

// expNegative is e^-x for x ≥ 0, as the assembly computes it: 0 beyond 87.3, where
// numbers stop being normal, and for NaN.
//
// e^-x = 2^-k·e^r with k = round(x/ln 2): adding 1.5·2²³ rounds and leaves k in
// the low bits, which are then taken from the exponent of e^r's series.
func expNegative(x float32) float32 {
	const most, magic = 87.33654, 12582912
	if !(x < most) {
		return 0
	}
	t := fma(1.4426950408889634, x, magic)
	k := t - magic
	r := fma(k, -2.12194440e-4, fma(k, 0.693359375, -x)) // ln 2 in two parts
	v := float32(1. / 5040)
	for _, c := range [...]float32{1. / 720, 1. / 120, 1. / 24, 1. / 6, .5, 1, 1} {
		v = fma(v, r, c)
	}
	return math.Float32frombits(math.Float32bits(v) - math.Float32bits(t)<<23)
}

// wideSoftplus returns sp(z) and sp(-z).
func wideSoftplus(z float64) (up, down float64) {
	t := portable.Log1p(portable.Exp(-math.Abs(z)))
	return max(z, 0) + t, max(-z, 0) + t
}

// focalValue is e^(-γ·sp(z))·sp(-z).
func focalValue(z, gamma float32) float32 {
	up, down := wideSoftplus(float64(z))
	return float32(portable.Exp(-float64(gamma)*up) * down)
}

// focalSlope is minus the derivative of focalValue.
func focalSlope(z, gamma float32) float32 {
	up, down := wideSoftplus(float64(z))
	return float32(portable.Exp(-float64(gamma)*up) * (float64(float64(gamma)*portable.Exp(-down)*down) + portable.Exp(-up)))
}
