//go:build !amd64

package kernel

// There is no assembly here: each function leaves all elements to plain Go.

func vecAdd(set set, y, a, b []float32) int { return 0 }

func vecRelu(set set, y, x []float32) int { return 0 }

func vecReluGrad(set set, dx, dy, y []float32) int { return 0 }

func vecScale(set set, x []float32, a float32) int { return 0 }

func vecAffine(set set, y, x []float32, m, a, b, floor float32) int { return 0 }

func vecAffineAdd(set set, y, x, r []float32, m, a, b, floor float32) int { return 0 }

func vecNormGrad(set set, dx, dy, x []float32, m, a, b, k float32) int { return 0 }

func vecSgd(set set, v, w, grad []float32, lr, momentum, decay float32) int { return 0 }

func vecAdam(set set, m, v, w, grad []float32, b1, c1, b2, c2, keep, lr, root, eps float32) int {
	return 0
}

func vecFocal(set set, y, z []float32, gamma float32) int { return 0 }

func vecFocalGrad(set set, y, z []float32, gamma float32) int { return 0 }

func vecMoments(set set, x []float32, m float32, out *[2]float32) int { return 0 }

func vecProducts(set set, dy, x []float32, m float32, out *[2]float32) int { return 0 }

func vecSquares(set set, x []float32, out *[lanes]float64) int { return 0 }
