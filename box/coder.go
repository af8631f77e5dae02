package box

import "focalgrid/portable"

// Coder decodes the values that a head predicts at a prior to a box, and encodes the box of an
// object to the values that the head should predict. A prior is an anchor, or for a point a
// square box around it, as wide as the stride of its level.
type Coder[F Float] interface {
	// Values returns the number of values that Decode reads.
	Values() int
	// Encode returns the targets of a head whose box is gt. Sides of the prior, and with
	// Deltas sides of gt, must be above 0; else targets are not finite.
	Encode(prior, gt [4]F) [4]F
	// Decode returns the box of the values.
	Decode(prior [4]F, values []F) [4]F
}

// MaxLogSize bounds dw and dh when Deltas are decoded: a box is at most 1000/16 = 62.5
// times as wide or high as its anchor, so that exp cannot overflow. The paper is
// silent; every public code base uses this bound.
const MaxLogSize = 4.135166556742356 // log(1000/16)

// Deltas is the coder of R-CNN with all weights 1 (§4 of the paper): dx = (centre x of
// the box - centre x of the prior) / prior width, dw = log(width / prior width), dy and
// dh alike. Decode clips dw and dh from above at MaxLogSize.
type Deltas[F Float] struct{}

// Values returns 4: dx, dy, dw and dh.
func (Deltas[F]) Values() int { return 4 }

// Encode returns the deltas that Decode turns into gt.
func (Deltas[F]) Encode(prior, gt [4]F) [4]F {
	ax, ay, aw, ah := centre(prior)
	gx, gy, gw, gh := centre(gt)
	return [4]F{F((gx - ax) / aw), F((gy - ay) / ah), F(portable.Log(gw / aw)), F(portable.Log(gh / ah))}
}

// Decode returns the box of the deltas at a prior.
func (Deltas[F]) Decode(prior [4]F, deltas []F) [4]F {
	ax, ay, aw, ah := centre(prior)
	x, y := ax+float64(float64(deltas[0])*aw), ay+float64(float64(deltas[1])*ah)
	w := portable.Exp(min(float64(deltas[2]), MaxLogSize)) * aw
	h := portable.Exp(min(float64(deltas[3]), MaxLogSize)) * ah
	w, h = float64(w/2), float64(h/2)
	return [4]F{F(x - w), F(y - h), F(x + w), F(y + h)}
}

// Distances is the coder of FCOS (Tian et al., 2019): from the prior's centre left to x1,
// up to y1, right to x2 and down to y2. A distance is negative where the centre lies
// outside; a head that predicts none keeps its boxes in order.
type Distances[F Float] struct {
	InSides bool // distances count in the prior's width and height, for a point its stride; else in pixels
}

// Values returns 4: left, top, right and bottom.
func (Distances[F]) Values() int { return 4 }

// Encode returns the distances that Decode turns into gt.
func (c Distances[F]) Encode(prior, gt [4]F) [4]F {
	x, y, w, h := c.origin(prior)
	return [4]F{
		F((x - float64(gt[0])) / w), F((y - float64(gt[1])) / h),
		F((float64(gt[2]) - x) / w), F((float64(gt[3]) - y) / h),
	}
}

// Decode returns the box whose sides are so far from the prior's centre.
func (c Distances[F]) Decode(prior [4]F, d []F) [4]F {
	x, y, w, h := c.origin(prior)
	return [4]F{
		F(x - float64(float64(d[0])*w)), F(y - float64(float64(d[1])*h)),
		F(x + float64(float64(d[2])*w)), F(y + float64(float64(d[3])*h)),
	}
}

// origin returns the prior's centre and the units of distances.
func (c Distances[F]) origin(prior [4]F) (x, y, w, h float64) {
	if x, y, w, h = centre(prior); !c.InSides {
		w, h = 1, 1
	}
	return x, y, w, h
}

// Distribution is the coder of generalised focal loss (Li et al., 2020): each distance,
// in sides of the prior, is the mean of the numbers 0 to Bins-1, weighted with the softmax
// of as many logits. The logits of the left side come first, then top, right and bottom.
type Distribution[F Float] struct{ Bins int }

// binsMargin keeps targets below the last bin, so that both bins beside one exist.
const binsMargin = .1

// Values returns 4·Bins.
func (c Distribution[F]) Values() int { return 4 * c.Bins }

// Encode returns distances, at least 0 and at most Bins-1.1.
func (c Distribution[F]) Encode(prior, gt [4]F) [4]F {
	d := Distances[F]{InSides: true}.Encode(prior, gt)
	for i, v := range d {
		d[i] = F(min(max(float64(v), 0), float64(c.Bins-1)-binsMargin))
	}
	return d
}

// Decode returns the box whose distances are the means.
func (c Distribution[F]) Decode(prior [4]F, logits []F) [4]F {
	var d [4]F
	for side := range d {
		x := logits[side*c.Bins : (side+1)*c.Bins]
		most := x[0]
		for _, v := range x {
			most = max(most, v)
		}
		var total, mean float64
		for bin, v := range x {
			e := portable.Exp(float64(v) - float64(most))
			total += e
			mean += float64(e * float64(bin))
		}
		d[side] = F(mean / total)
	}
	return Distances[F]{InSides: true}.Decode(prior, d[:])
}

func centre[F Float](b [4]F) (x, y, w, h float64) {
	w, h = float64(b[2])-float64(b[0]), float64(b[3])-float64(b[1])
	return float64(b[0]) + float64(w/2), float64(b[1]) + float64(h/2), w, h
}
