package kernel

import "focalgrid/portable"

// maxLogRatio bounds the predicted log of a size ratio, log(1000/16), as all
// public RetinaNet code does, so that exp stays finite.
var maxLogRatio = portable.Log(1000.0 / 16)

// giouEps keeps the quotients finite for boxes without area.
const giouEps = 1e-7

// A GIoU is the generalised-IoU loss of predicted box deltas (Rezatofighi et al.,
// CVPR 2019), one row an anchor:
//
//	b = decode(pred, anchor), loss = 1 - |b∩t|/|b∪t| + (|hull|-|b∪t|)/|hull|
//
// decode takes (dx, dy, dw, dh) to the box with centre anchor centre + (dx·aw, dy·ah)
// and size (aw·e^dw, ah·e^dh), dw and dh at most log(1000/16).
type GIoU struct {
	Images, Anchors int
}

// Sum is Σ weight·loss. pred and target are [Images, Anchors, 4], anchors is
// [Anchors, 4] (corners x1, y1, x2, y2, like target), weight is [Images, Anchors].
func (q GIoU) Sum(pred, anchors, target, weight []float32) float64 {
	q.check("GIoU.Sum", pred, anchors, target, weight)
	var sum float64
	for r := range q.Images * q.Anchors {
		if weight[r] != 0 {
			l, _ := giou(pred[4*r:], anchors[r%q.Anchors*4:], target[4*r:])
			sum += float64(float64(weight[r]) * l)
		}
	}
	return sum
}

// Grad computes d = scale·weight·dloss/dpred, zero in rows of weight 0.
func (q GIoU) Grad(d, pred, anchors, target, weight []float32, scale float32) {
	q.check("GIoU.Grad", pred, anchors, target, weight)
	need("GIoU.Grad", "d", d, 4*q.Images*q.Anchors)
	for r := range q.Images * q.Anchors {
		var g [4]float64
		if weight[r] != 0 {
			_, g = giou(pred[4*r:], anchors[r%q.Anchors*4:], target[4*r:])
		}
		for i, v := range g {
			d[4*r+i] = float32(float64(scale) * float64(weight[r]) * v)
		}
	}
}

func (q GIoU) check(name string, pred, anchors, target, weight []float32) {
	rows := q.Images * q.Anchors
	need(name, "pred", pred, 4*rows)
	need(name, "anchors", anchors, 4*q.Anchors)
	need(name, "target", target, 4*rows)
	need(name, "weight", weight, rows)
}

// giou returns the loss of one row and its gradient to the four deltas.
func giou(pred, anchor, target []float32) (loss float64, grad [4]float64) {
	var lo, hi, dlo, dhi [2]float64 // the decoded box's corners and the loss's derivatives to them
	var inter, hull, outer = 1.0, 1.0, 1.0
	var in, hu, side [2]float64 // sides of intersection, hull and box
	var size [2]float64         // the anchor's
	for a := range 2 {
		size[a] = float64(anchor[2+a]) - float64(anchor[a])
		c := float64((float64(anchor[2+a])+float64(anchor[a]))/2) + float64(float64(pred[a])*size[a])
		side[a] = size[a] * portable.Exp(min(float64(pred[2+a]), maxLogRatio))
		lo[a], hi[a] = c-float64(side[a]/2), c+float64(side[a]/2)
		t1, t2 := float64(target[a]), float64(target[2+a])
		in[a] = max(0, min(hi[a], t2)-max(lo[a], t1))
		hu[a] = max(hi[a], t2) - min(lo[a], t1)
		inter = float64(inter * in[a])
		hull = float64(hull * hu[a])
		outer = float64(outer * (t2 - t1))
	}
	union := float64(side[0]*side[1]) + outer - inter
	iou := inter / (union + giouEps)
	loss = 1 - iou + (hull-union)/(hull+giouEps)

	dInter := -1 / (union + giouEps)
	dUnion := inter/((union+giouEps)*(union+giouEps)) - 1/(hull+giouEps)
	dHull := (union + giouEps) / ((hull + giouEps) * (hull + giouEps))
	for a := range 2 {
		b := 1 - a
		t1, t2 := float64(target[a]), float64(target[2+a])
		dSide := float64(dUnion * side[b])
		dhi[a], dlo[a] = dSide, -dSide
		if in[a] > 0 {
			di := float64((dInter - dUnion) * in[b])
			if hi[a] < t2 {
				dhi[a] += di
			}
			if lo[a] > t1 {
				dlo[a] -= di
			}
		}
		dh := float64(dHull * hu[b])
		if hi[a] > t2 {
			dhi[a] += dh
		}
		if lo[a] < t1 {
			dlo[a] -= dh
		}
		grad[a] = (dhi[a] + dlo[a]) * size[a]
		if float64(pred[2+a]) <= maxLogRatio {
			grad[2+a] = (dhi[a] - dlo[a]) / 2 * side[a]
		}
	}
	return loss, grad
}
