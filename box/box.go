// Package box is the geometry of axis-aligned boxes: overlap, the R-CNN encoding, clipping,
// non-maximum suppression, and the way from a detector's outputs to detections.
//
// A box is x1,y1,x2,y2 in pixels, and its width is x2-x1 (no "+1"). The functions accept
// float32 and float64 and compute in float64. COCO's x,y,w,h boxes and the overlap rules of
// its evaluation are the business of package metrics; losses on boxes are the business of
// package loss.
package box

import "focalgrid/portable"

// Float is the type of a coordinate.
type Float interface{ ~float32 | ~float64 }

// MaxLogSize bounds dw and dh in Decode: a box is at most 1000/16 = 62.5 times as wide or high
// as its anchor, so exp cannot overflow. The paper does not state a bound; every public code
// base uses this one.
const MaxLogSize = 4.135166556742356 // log(1000/16)

// Area returns width times height; 0 for a box whose sides are in the wrong order.
func Area[F Float](b [4]F) float64 {
	return float64(max(0, float64(b[2])-float64(b[0])) * max(0, float64(b[3])-float64(b[1])))
}

func intersection[F Float](a, b [4]F) float64 {
	w := float64(min(a[2], b[2])) - float64(max(a[0], b[0]))
	h := float64(min(a[3], b[3])) - float64(max(a[1], b[1]))
	if w <= 0 || h <= 0 {
		return 0
	}
	return float64(w * h)
}

// IoU returns intersection over union, in [0,1]. It is 0 if both boxes have no area (0/0 counts
// as no overlap).
func IoU[F Float](a, b [4]F) float64 {
	i := intersection(a, b)
	if i == 0 {
		return 0
	}
	return i / (Area(a) + Area(b) - i)
}

// GIoU returns IoU - (hull-union)/hull, in (-1,1], where hull is the area of the smallest box
// around both boxes (Rezatofighi et al., 2019). It is 0 if the hull has no area.
func GIoU[F Float](a, b [4]F) float64 {
	i := intersection(a, b)
	union := Area(a) + Area(b) - i
	hull := Area([4]float64{
		float64(min(a[0], b[0])), float64(min(a[1], b[1])),
		float64(max(a[2], b[2])), float64(max(a[3], b[3])),
	})
	if hull == 0 {
		return 0
	}
	iou := 0.0
	if union > 0 {
		iou = i / union
	}
	return iou - (hull-union)/hull
}

// PairwiseIoU returns the IoU of every a with every b, row-major [len(a),len(b)].
func PairwiseIoU[F Float](a, b [][4]F) []float64 {
	out := make([]float64, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			out = append(out, IoU(x, y))
		}
	}
	return out
}

// Encode returns the deltas that Decode turns into gt (§4 of the paper, after R-CNN, with all
// weights 1): dx = (centre x of gt - centre x of anchor) / anchor width,
// dw = log(gt width / anchor width), and dy and dh in the same way. Both boxes need width and
// height above 0; otherwise the deltas are not finite.
func Encode[F Float](anchor, gt [4]F) [4]F {
	ax, ay, aw, ah := centre(anchor)
	gx, gy, gw, gh := centre(gt)
	return [4]F{F((gx - ax) / aw), F((gy - ay) / ah), F(portable.Log(gw / aw)), F(portable.Log(gh / ah))}
}

// Decode returns the box that the deltas dx,dy,dw,dh describe at an anchor. dw and dh are limited
// to at most MaxLogSize.
func Decode[F Float](anchor, delta [4]F) [4]F {
	ax, ay, aw, ah := centre(anchor)
	x, y := ax+float64(float64(delta[0])*aw), ay+float64(float64(delta[1])*ah)
	w := portable.Exp(min(float64(delta[2]), MaxLogSize)) * aw
	h := portable.Exp(min(float64(delta[3]), MaxLogSize)) * ah
	w, h = float64(w/2), float64(h/2)
	return [4]F{F(x - w), F(y - h), F(x + w), F(y + h)}
}

func centre[F Float](b [4]F) (x, y, w, h float64) {
	w, h = float64(b[2])-float64(b[0]), float64(b[3])-float64(b[1])
	return float64(b[0]) + float64(w/2), float64(b[1]) + float64(h/2), w, h
}

// Clip moves the parts of b outside an image of the given size to its border.
func Clip[F Float](b [4]F, width, height int) [4]F {
	w, h := F(width), F(height)
	return [4]F{
		min(max(b[0], 0), w), min(max(b[1], 0), h),
		min(max(b[2], 0), w), min(max(b[3], 0), h),
	}
}
