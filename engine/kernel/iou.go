package kernel

import (
	"math"

	"focalgrid/portable"
)

// iouEps keeps the quotients finite for boxes without area.
const iouEps = 1e-7

// An IoULoss is 1 less the overlap of predicted boxes with their targets, summed with a
// weight for each row. Overlap is "iou", "giou", "diou" or "ciou"; package box's Overlap
// is their definition and their plain form. Where a side of a box lies exactly on one of its
// target, the derivative is that of the box's other sides alone.
//
// A box decoded for its loss stays in float64, as do the derivatives by its corners.
type IoULoss struct {
	Boxes
	Overlap string
}

// Sum is Σ weight·loss. target is [Images, Priors, 4], corners x1, y1, x2, y2, and weight
// [Images, Priors]; rows of weight 0 are left out.
func (q IoULoss) Sum(p *Pool, values, priors, target, weight []float32) float64 {
	q.Boxes.check("IoULoss.Sum", values, priors)
	q.check("IoULoss.Sum", target, weight)
	return rowSum(p, q.rows(), boxRows, func(r int) float64 {
		if weight[r] == 0 {
			return 0
		}
		loss, _ := q.loss(q.decode(q.row(r, values, priors)), target[4*r:])
		return float64(weight[r]) * loss
	})
}

// Grad computes d = factor·weight·gradient by values, zero in rows of weight 0.
func (q IoULoss) Grad(p *Pool, d, values, priors, target, weight []float32, factor float32) {
	q.check("IoULoss.Grad", target, weight)
	q.grad("IoULoss.Grad", p, d, values, priors, func(r int) float64 {
		return float64(factor) * float64(weight[r])
	}, func(r int, b corners) corners {
		_, by := q.loss(b, target[4*r:])
		return by
	})
}

func (q IoULoss) check(name string, target, weight []float32) {
	need(name, "target", target, 4*q.rows())
	need(name, "weight", weight, q.rows())
}

// loss returns the loss of one box and its derivatives by the corners.
func (q IoULoss) loss(b corners, target []float32) (loss float64, by corners) {
	var inter, hull, outer = 1.0, 1.0, 1.0
	var in, hu, tside [2]float64 // sides of intersection, hull and target
	for a := range 2 {
		t1, t2 := float64(target[a]), float64(target[2+a])
		tside[a] = t2 - t1
		in[a] = max(0, min(b.hi[a], t2)-max(b.lo[a], t1))
		hu[a] = max(b.hi[a], t2) - min(b.lo[a], t1)
		inter = float64(inter * in[a])
		hull = float64(hull * hu[a])
		outer = float64(outer * tside[a])
	}
	union := float64(b.side[0]*b.side[1]) + outer - inter
	iou := inter / (union + iouEps)
	loss = 1 - iou

	dInter := -1 / (union + iouEps)
	dUnion := inter / ((union + iouEps) * (union + iouEps))
	var dHull, dShape [2]float64 // derivatives by the sides of the hull, and of the box
	switch q.Overlap {
	case "giou":
		loss += (hull - union) / (hull + iouEps)
		dUnion -= 1 / (hull + iouEps)
		dArea := (union + iouEps) / ((hull + iouEps) * (hull + iouEps))
		dHull = [2]float64{dArea * hu[1], dArea * hu[0]}
	case "diou", "ciou":
		if q.Overlap == "ciou" {
			loss, dShape = shape(loss, iou, b.side, tside)
		}
		var off [2]float64 // from centre to centre
		apart, diagonal := 0.0, iouEps
		for a := range 2 {
			off[a] = (b.lo[a] + b.hi[a] - float64(target[a]) - float64(target[2+a])) / 2
			apart += float64(off[a] * off[a])
			diagonal += float64(hu[a] * hu[a])
		}
		loss += apart / diagonal
		for a := range 2 {
			by.lo[a], by.hi[a] = off[a]/diagonal, off[a]/diagonal
			dHull[a] = -2 * apart / diagonal * hu[a] / diagonal
		}
	}
	for a := range 2 {
		t1, t2 := float64(target[a]), float64(target[2+a])
		dSide := float64(dUnion*b.side[1-a]) + dShape[a]
		by.hi[a] += dSide
		by.lo[a] -= dSide
		if in[a] > 0 {
			di := float64((dInter - dUnion) * in[1-a])
			if b.hi[a] < t2 {
				by.hi[a] += di
			}
			if b.lo[a] > t1 {
				by.lo[a] -= di
			}
		}
		if b.hi[a] > t2 {
			by.hi[a] += dHull[a]
		}
		if b.lo[a] < t1 {
			by.lo[a] -= dHull[a]
		}
	}
	return loss, by
}

// shape adds CIoU's penalty α·v to a loss, and returns its derivatives by the box's sides.
func shape(loss, iou float64, side, target [2]float64) (float64, [2]float64) {
	const scale = 4 / (math.Pi * math.Pi)
	w, h := side[0], side[1]+iouEps
	angle := portable.Atan(target[0]/(target[1]+iouEps)) - portable.Atan(w/h)
	v := float64(scale * angle * angle)
	alpha := v / (1 - iou + v + iouEps)
	turn := 2 * alpha * scale * angle / (float64(w*w) + float64(h*h))
	return loss + float64(alpha*v), [2]float64{-turn * h, turn * w}
}
