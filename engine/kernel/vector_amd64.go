package kernel

// The functions here hand whole vectors of 16 elements to the assembly and
// return how many elements that was; what is left is plain Go's.

func vecAdd(set set, y, a, b []float32) int {
	n := len(y) &^ (lanes - 1)
	if n == 0 {
		return 0
	}
	_, _ = a[n-1], b[n-1]
	switch set {
	case avx512:
		addAVX512(&y[0], &a[0], &b[0], n)
	case avx2:
		addAVX2(&y[0], &a[0], &b[0], n)
	default:
		return 0
	}
	return n
}

func vecRelu(set set, y, x []float32) int {
	n := len(y) &^ (lanes - 1)
	if n == 0 {
		return 0
	}
	_ = x[n-1]
	switch set {
	case avx512:
		reluAVX512(&y[0], &x[0], n)
	case avx2:
		reluAVX2(&y[0], &x[0], n)
	default:
		return 0
	}
	return n
}

func vecReluGrad(set set, dx, dy, y []float32) int {
	n := len(dx) &^ (lanes - 1)
	if n == 0 {
		return 0
	}
	_, _ = dy[n-1], y[n-1]
	switch set {
	case avx512:
		reluGradAVX512(&dx[0], &dy[0], &y[0], n)
	case avx2:
		reluGradAVX2(&dx[0], &dy[0], &y[0], n)
	default:
		return 0
	}
	return n
}

func vecScale(set set, x []float32, a float32) int {
	n := len(x) &^ (lanes - 1)
	if n == 0 {
		return 0
	}
	switch set {
	case avx512:
		scaleAVX512(&x[0], a, n)
	case avx2:
		scaleAVX2(&x[0], a, n)
	default:
		return 0
	}
	return n
}

func vecAffine(set set, y, x []float32, m, a, b, floor float32) int {
	n := len(y) &^ (lanes - 1)
	if n == 0 {
		return 0
	}
	_ = x[n-1]
	switch set {
	case avx512:
		affineAVX512(&y[0], &x[0], m, a, b, floor, n)
	case avx2:
		affineAVX2(&y[0], &x[0], m, a, b, floor, n)
	default:
		return 0
	}
	return n
}

func vecAffineAdd(set set, y, x, r []float32, m, a, b, floor float32) int {
	n := len(y) &^ (lanes - 1)
	if n == 0 {
		return 0
	}
	_, _ = x[n-1], r[n-1]
	switch set {
	case avx512:
		affineAddAVX512(&y[0], &x[0], &r[0], m, a, b, floor, n)
	case avx2:
		affineAddAVX2(&y[0], &x[0], &r[0], m, a, b, floor, n)
	default:
		return 0
	}
	return n
}

func vecNormGrad(set set, dx, dy, x []float32, m, a, b, k float32) int {
	n := len(dx) &^ (lanes - 1)
	if n == 0 {
		return 0
	}
	_, _ = dy[n-1], x[n-1]
	switch set {
	case avx512:
		normGradAVX512(&dx[0], &dy[0], &x[0], m, a, b, k, n)
	case avx2:
		normGradAVX2(&dx[0], &dy[0], &x[0], m, a, b, k, n)
	default:
		return 0
	}
	return n
}

func vecSgd(set set, v, w, grad []float32, lr, momentum, decay float32) int {
	n := len(v) &^ (lanes - 1)
	if n == 0 {
		return 0
	}
	_, _ = w[n-1], grad[n-1]
	switch set {
	case avx512:
		sgdAVX512(&v[0], &w[0], &grad[0], lr, momentum, decay, n)
	case avx2:
		sgdAVX2(&v[0], &w[0], &grad[0], lr, momentum, decay, n)
	default:
		return 0
	}
	return n
}

func vecAdam(set set, m, v, w, grad []float32, b1, c1, b2, c2, keep, lr, root, eps float32) int {
	n := len(m) &^ (lanes - 1)
	if n == 0 {
		return 0
	}
	_, _, _ = v[n-1], w[n-1], grad[n-1]
	switch set {
	case avx512:
		adamAVX512(&m[0], &v[0], &w[0], &grad[0], b1, c1, b2, c2, keep, lr, root, eps, n)
	case avx2:
		adamAVX2(&m[0], &v[0], &w[0], &grad[0], b1, c1, b2, c2, keep, lr, root, eps, n)
	default:
		return 0
	}
	return n
}

func vecFocal(set set, y, z []float32, gamma float32) int {
	n := len(y) &^ (lanes - 1)
	if n == 0 {
		return 0
	}
	_ = z[n-1]
	switch set {
	case avx512:
		focalAVX512(&y[0], &z[0], gamma, n)
	case avx2:
		focalAVX2(&y[0], &z[0], gamma, n)
	default:
		return 0
	}
	return n
}

func vecFocalGrad(set set, y, z []float32, gamma float32) int {
	n := len(y) &^ (lanes - 1)
	if n == 0 {
		return 0
	}
	_ = z[n-1]
	switch set {
	case avx512:
		focalGradAVX512(&y[0], &z[0], gamma, n)
	case avx2:
		focalGradAVX2(&y[0], &z[0], gamma, n)
	default:
		return 0
	}
	return n
}

func vecMoments(set set, x []float32, m float32, out *[2]float32) int {
	n := len(x) &^ (lanes - 1)
	if n == 0 {
		return 0
	}
	switch set {
	case avx512:
		momentsAVX512(&x[0], m, n, &out[0])
	case avx2:
		momentsAVX2(&x[0], m, n, &out[0])
	default:
		return 0
	}
	return n
}

func vecProducts(set set, dy, x []float32, m float32, out *[2]float32) int {
	n := len(dy) &^ (lanes - 1)
	if n == 0 {
		return 0
	}
	_ = x[n-1]
	switch set {
	case avx512:
		productsAVX512(&dy[0], &x[0], m, n, &out[0])
	case avx2:
		productsAVX2(&dy[0], &x[0], m, n, &out[0])
	default:
		return 0
	}
	return n
}

func vecSquares(set set, x []float32, out *[lanes]float64) int {
	n := len(x) &^ (lanes - 1)
	if n == 0 {
		return 0
	}
	switch set {
	case avx512:
		squaresAVX512(&x[0], n, &out[0])
	case avx2:
		squaresAVX2(&x[0], n, &out[0])
	default:
		return 0
	}
	return n
}
