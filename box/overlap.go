package box

import (
	"math"

	"focalgrid/portable"
)

// Overlap names a measure of how well one box covers another, 1 where they are equal.
// Losses are 1 - overlap.
type Overlap string

// The overlaps: IoU alone, or less a penalty that grows as the boxes differ and has a
// gradient where they are apart.
const (
	PlainIoU Overlap = "iou"
	GIoU     Overlap = "giou" // less (hull-union)/hull, hull the smallest box around both (Rezatofighi et al., 2019)
	DIoU     Overlap = "diou" // less d²/c², d between the centres, c the diagonal of hull (Zheng et al., 2020)
	CIoU     Overlap = "ciou" // DIoU less α·v, v = 4/π²·(atan(w/h) of a - atan(w/h) of b)², α = v/(1-IoU+v)
)

// Of returns the overlap of a with b and its gradient by the coordinates of a. eps is
// added to what is divided by, and to heights that widths are divided by; with 0
// the value is exact, and a quotient of two zeros counts as 0. Where a side of
// a lies exactly on one of b the gradient is the mean of both sides'. CIoU's gradient
// takes α as constant, and so isn't the derivative of its value.
func (o Overlap) Of(a, b [4]float64, eps float64) (value float64, grad [4]float64) {
	w, h := a[2]-a[0], a[3]-a[1]
	iw, ih := min(a[2], b[2])-max(a[0], b[0]), min(a[3], b[3])-max(a[1], b[1])
	hw, hh := max(a[2], b[2])-min(a[0], b[0]), max(a[3], b[3])-min(a[1], b[1])
	inter := 0.0
	if iw > 0 && ih > 0 {
		inter = float64(iw * ih)
	}
	union := float64(w*h) + float64((b[2]-b[0])*(b[3]-b[1])) - inter
	value = ratio(inter, union+eps)
	byInter, byUnion := ratio(1, union+eps), -ratio(inter, float64((union+eps)*(union+eps)))
	byHullW, byHullH := 0.0, 0.0
	switch o {
	case GIoU:
		hull := float64(hw * hh)
		value -= ratio(hull-union, hull+eps)
		byUnion += ratio(1, hull+eps)
		byHull := -ratio(union+eps, float64((hull+eps)*(hull+eps)))
		byHullW, byHullH = byHull*hh, byHull*hw
	case DIoU, CIoU:
		x, y := ((a[0]+a[2])-(b[0]+b[2]))/2, ((a[1]+a[3])-(b[1]+b[3]))/2
		apart, diagonal := float64(x*x)+float64(y*y), float64(hw*hw)+float64(hh*hh)+eps
		if o == CIoU {
			grad = shape(w, h, b[2]-b[0], b[3]-b[1], eps, &value)
		}
		value -= ratio(apart, diagonal)
		byHullW, byHullH = ratio(2*apart*hw, diagonal*diagonal), ratio(2*apart*hh, diagonal*diagonal)
		for i, d := range [4]float64{x, y, x, y} {
			grad[i] -= ratio(d, diagonal)
		}
	}
	for i := range grad {
		// A growing x2 or y2 widens a, a growing x1 or y1 narrows it; other is the side across.
		sign, other, iOther, byHull := 1.0, h, ih, byHullW
		if i < 2 {
			sign = -1
		}
		if i%2 == 1 {
			other, iOther, byHull = w, iw, byHullH
		}
		inside := share(sign * (b[i] - a[i])) // 1 where a's side bounds the intersection
		dInter := 0.0
		if inter > 0 {
			dInter = float64(sign * inside * iOther)
		}
		dUnion := float64(sign*other) - dInter
		grad[i] += float64(byInter*dInter) + float64(byUnion*dUnion) + float64(byHull*sign*(1-inside))
	}
	return value, grad
}

// shape takes CIoU's α·v off value, which is the IoU, and returns the gradient by a's
// coordinates; w and h are a's, bw and bh b's.
func shape(w, h, bw, bh, eps float64, value *float64) (grad [4]float64) {
	const scale = 4 / (math.Pi * math.Pi)
	h += eps
	angle := portable.Atan(ratio(bw, bh+eps)) - portable.Atan(ratio(w, h))
	v := float64(scale * angle * angle)
	alpha := ratio(v, 1-*value+v+eps)
	*value -= float64(alpha * v)
	turn := 2 * alpha * scale * ratio(angle, float64(w*w)+float64(h*h))
	byW, byH := turn*h, -turn*w
	return [4]float64{-byW, -byH, byW, byH}
}

// ratio returns a/b, and 0 where b is 0.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// share returns 1 for positive d, 0 for negative, and a half at the tie.
func share(d float64) float64 {
	switch {
	case d > 0:
		return 1
	case d < 0:
		return 0
	}
	return .5
}
