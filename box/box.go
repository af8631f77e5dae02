// Package box computes with axis-aligned boxes: overlap, the coders between boxes and what heads
// predict, clipping, non-maximum suppression, and the way from a detector's outputs to detections.
//
// A box is x1,y1,x2,y2 in pixels, and its width is x2-x1 (no "+1"). The functions accept
// float32 and float64 and compute in float64. COCO's x,y,w,h boxes and the overlap rules of
// its evaluation are the business of package metrics; losses on boxes are the business of
// package loss.
package box

// Float is the type of a coordinate.
type Float interface{ ~float32 | ~float64 }

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

// Clip moves the parts of b outside an image of the given size to its border.
func Clip[F Float](b [4]F, width, height int) [4]F {
	w, h := F(width), F(height)
	return [4]F{
		min(max(b[0], 0), w), min(max(b[1], 0), h),
		min(max(b[2], 0), w), min(max(b[3], 0), h),
	}
}
