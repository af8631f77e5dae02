package loss

import (
	"math"

	"focalgrid/engine"
	"focalgrid/setting"
)

// giou compares boxes, not deltas: 1 - GIoU of the decoded prediction and the
// object (Rezatofighi et al., 2019). Not in the paper; later detectors use it.
var giou = Box{
	Name:   "giou",
	Target: "boxes",
	Build: func(g *engine.Graph, in BoxInputs, _ func(name string) *engine.Node) *engine.Node {
		return g.GIoU(in.Pred, in.Anchors, in.Target, in.Weight)
	},
	Scalars: func(setting.Values) map[string]float32 { return map[string]float32{} },
	Value: func(pred, target, anchor [4]float64, _ setting.Values) (loss float64, grad [4]float64) {
		return GIoUDeltas(pred, anchor, target)
	},
}

// giouEps keeps divisions by a union or hull of no area finite.
const giouEps = 1e-7

// maxLogSize bounds dw and dh when deltas are decoded, as box.MaxLogSize.
const maxLogSize = 4.135166556742356 // log(1000/16)

// GIoU returns 1 - (inter/(union+eps) - (hull-union)/(hull+eps)) for two boxes
// x1,y1,x2,y2 with x1 <= x2 and y1 <= y2, and its gradient by the coordinates of pred;
// eps is 1e-7. Where a side of pred lies exactly on that of target the gradient is the mean
// of both sides'.
func GIoU(pred, target [4]float64) (loss float64, grad [4]float64) {
	w, h := pred[2]-pred[0], pred[3]-pred[1]
	iw := math.Min(pred[2], target[2]) - math.Max(pred[0], target[0])
	ih := math.Min(pred[3], target[3]) - math.Max(pred[1], target[1])
	hw := math.Max(pred[2], target[2]) - math.Min(pred[0], target[0])
	hh := math.Max(pred[3], target[3]) - math.Min(pred[1], target[1])
	inter := 0.0
	if iw > 0 && ih > 0 {
		inter = iw * ih
	}
	union := w*h + (target[2]-target[0])*(target[3]-target[1]) - inter
	hull := hw * hh
	loss = 1 - inter/(union+giouEps) + (hull-union)/(hull+giouEps)

	byInter := -1 / (union + giouEps)
	byUnion := inter/((union+giouEps)*(union+giouEps)) - 1/(hull+giouEps)
	byHull := (union + giouEps) / ((hull + giouEps) * (hull + giouEps))
	for i := range grad {
		// A growing x2 or y2 widens pred, a growing x1 or y1 narrows it; other is the side across.
		sign, other, iOther, hOther := 1.0, h, ih, hh
		if i < 2 {
			sign = -1
		}
		if i%2 == 1 {
			other, iOther, hOther = w, iw, hw
		}
		inside := share(sign * (target[i] - pred[i])) // 1 where pred's side bounds the intersection
		dInter := 0.0
		if inter > 0 {
			dInter = sign * inside * iOther
		}
		dUnion := sign*other - dInter
		dHull := sign * (1 - inside) * hOther
		grad[i] = byInter*dInter + byUnion*dUnion + byHull*dHull
	}
	return loss, grad
}

// share is 1 for positive d, 0 for negative, and a half at the tie.
func share(d float64) float64 {
	switch {
	case d > 0:
		return 1
	case d < 0:
		return 0
	}
	return .5
}

// GIoUDeltas is GIoU of the box that deltas mean at an anchor, with the
// gradient by the deltas. dw and dh have no gradient above the clip at
// log(1000/16).
func GIoUDeltas(deltas, anchor, target [4]float64) (loss float64, grad [4]float64) {
	aw, ah := anchor[2]-anchor[0], anchor[3]-anchor[1]
	x, y := anchor[0]+aw/2+deltas[0]*aw, anchor[1]+ah/2+deltas[1]*ah
	w, h := aw*math.Exp(math.Min(deltas[2], maxLogSize)), ah*math.Exp(math.Min(deltas[3], maxLogSize))
	loss, b := GIoU([4]float64{x - w/2, y - h/2, x + w/2, y + h/2}, target)
	grad = [4]float64{(b[0] + b[2]) * aw, (b[1] + b[3]) * ah, (b[2] - b[0]) * w / 2, (b[3] - b[1]) * h / 2}
	if deltas[2] > maxLogSize {
		grad[2] = 0
	}
	if deltas[3] > maxLogSize {
		grad[3] = 0
	}
	return loss, grad
}
