package kernel

import "focalgrid/portable"

// A BoxCode says how Values numbers at a prior mean a box, as package box's coders do;
// a prior is its corners x1, y1, x2, y2.
//
//	""             the corners themselves
//	"deltas"       dx, dy, dw, dh: centre of the prior + (dx·w, dy·h), size (w·e^dw, h·e^dh)
//	"distances"    l, t, r, b from the prior's centre to the sides
//	"distribution" 4·Bins logits; each distance is Σ bin·softmax
type BoxCode struct {
	Kind       string
	MaxLogSize float64 // of deltas: dw and dh count at most so much
	InSides    bool    // of distances: they count in the prior's sides, as those of distributions always do
	Bins       int     // of distributions
}

// Values is the number of values of a box.
func (c BoxCode) Values() int {
	if c.Kind == "distribution" {
		return 4 * c.Bins
	}
	return 4
}

// corners are a decoded box, or derivatives by its corners, per axis.
type corners struct{ lo, hi, side [2]float64 }

// decode returns the box that v means at a prior.
func (c BoxCode) decode(v, prior []float32) (b corners) {
	for a := range 2 {
		if c.Kind == "" {
			b.lo[a], b.hi[a] = float64(v[a]), float64(v[2+a])
			b.side[a] = b.hi[a] - b.lo[a]
			continue
		}
		size := float64(prior[2+a]) - float64(prior[a])
		centre := float64((float64(prior[2+a]) + float64(prior[a])) / 2)
		if c.Kind == "deltas" {
			centre += float64(float64(v[a]) * size)
			b.side[a] = size * portable.Exp(min(float64(v[2+a]), c.MaxLogSize))
			b.lo[a], b.hi[a] = centre-float64(b.side[a]/2), centre+float64(b.side[a]/2)
			continue
		}
		b.lo[a] = centre - float64(c.distance(v, a)*c.unit(size))
		b.hi[a] = centre + float64(c.distance(v, 2+a)*c.unit(size))
		b.side[a] = b.hi[a] - b.lo[a]
	}
	return b
}

// unit is what distances count in at a prior of that size.
func (c BoxCode) unit(size float64) float64 {
	if c.Kind == "distances" && !c.InSides {
		return 1
	}
	return size
}

// distance returns the distance of a side: left, top, right, bottom.
func (c BoxCode) distance(v []float32, side int) float64 {
	if c.Kind == "distances" {
		return float64(v[side])
	}
	x := v[side*c.Bins : (side+1)*c.Bins]
	l, mean := logSumExp(x), 0.
	for bin, v := range x {
		mean += float64(float64(bin) * portable.Exp(float64(v)-l))
	}
	return mean
}

// gradient turns by, the derivatives of a loss by the corners of the box b that v
// means, into derivatives by v.
func (c BoxCode) gradient(d []float64, v, prior []float32, b, by corners) {
	for a := range 2 {
		if c.Kind == "" {
			d[a], d[2+a] = by.lo[a], by.hi[a]
			continue
		}
		size := float64(prior[2+a]) - float64(prior[a])
		if c.Kind == "deltas" {
			d[a], d[2+a] = (by.hi[a]+by.lo[a])*size, 0
			if float64(v[2+a]) <= c.MaxLogSize {
				d[2+a] = (by.hi[a] - by.lo[a]) / 2 * b.side[a]
			}
			continue
		}
		c.distanceGradient(d, v, a, -by.lo[a]*c.unit(size))
		c.distanceGradient(d, v, 2+a, by.hi[a]*c.unit(size))
	}
}

func (c BoxCode) distanceGradient(d []float64, v []float32, side int, by float64) {
	if c.Kind == "distances" {
		d[side] = by
		return
	}
	x, d := v[side*c.Bins:(side+1)*c.Bins], d[side*c.Bins:]
	l, mean := logSumExp(x), c.distance(v, side)
	for bin, v := range x {
		d[bin] = portable.Exp(float64(v)-l) * (float64(bin) - mean) * by
	}
}

// Boxes are the predictions of Images images at Priors priors, one row a box.
type Boxes struct {
	BoxCode
	Images, Priors int
}

// boxRows is the number of rows of a task.
const boxRows = 512

func (q Boxes) rows() int  { return q.Images * q.Priors }
func (q Boxes) tasks() int { return (q.rows() + boxRows - 1) / boxRows }

// row returns the values and the prior of a row.
func (q Boxes) row(r int, values, priors []float32) (v, prior []float32) {
	n := q.Values()
	v = values[r*n : (r+1)*n]
	if q.Kind != "" {
		prior = priors[r%q.Priors*4:]
	}
	return v, prior
}

func (q Boxes) check(name string, values, priors []float32) {
	need(name, "values", values, q.rows()*q.Values())
	if q.Kind != "" {
		need(name, "priors", priors, 4*q.Priors)
	}
}

// Decode writes the boxes, y [Images, Priors, 4], that values [Images, Priors, Values()]
// mean at priors [Priors, 4].
func (q Boxes) Decode(p *Pool, y, values, priors []float32) {
	q.check("Boxes.Decode", values, priors)
	need("Boxes.Decode", "y", y, 4*q.rows())
	p.Run(q.tasks(), func(task int) {
		for r := task * boxRows; r < min(q.rows(), (task+1)*boxRows); r++ {
			b := q.decode(q.row(r, values, priors))
			for a := range 2 {
				y[4*r+a], y[4*r+2+a] = float32(b.lo[a]), float32(b.hi[a])
			}
		}
	})
}

// binsMargin keeps the distances of distributions below the last bin.
const binsMargin = .1

// Encode writes the values, y [Images, Priors, 4], that mean boxes [Images, Priors, 4] at priors [Priors, 4]: deltas or
// distances, and for distributions the distances that they should mean. The arithmetic is that of package box's coders.
func (q Boxes) Encode(p *Pool, y, boxes, priors []float32) {
	need("Boxes.Encode", "boxes", boxes, 4*q.rows())
	need("Boxes.Encode", "priors", priors, 4*q.Priors)
	need("Boxes.Encode", "y", y, 4*q.rows())
	p.Run(q.tasks(), func(task int) {
		for r := task * boxRows; r < min(q.rows(), (task+1)*boxRows); r++ {
			b, prior, to := boxes[4*r:4*r+4], priors[r%q.Priors*4:], y[4*r:4*r+4]
			for a := range 2 {
				lo, hi := float64(b[a]), float64(b[2+a])
				size := float64(prior[2+a]) - float64(prior[a])
				centre := float64(prior[a]) + float64(size/2)
				if q.Kind == "deltas" {
					side := hi - lo
					to[a] = float32((lo + float64(side/2) - centre) / size)
					to[2+a] = float32(portable.Log(side / size))
					continue
				}
				unit := q.unit(size)
				to[a], to[2+a] = float32((centre-lo)/unit), float32((hi-centre)/unit)
				if q.Kind == "distribution" {
					most := float32(float64(q.Bins-1) - binsMargin)
					to[a], to[2+a] = min(max(to[a], 0), most), min(max(to[2+a], 0), most)
				}
			}
		}
	})
}

// DecodeGrad computes d, the gradient by values, from dy, the gradient by the boxes.
func (q Boxes) DecodeGrad(p *Pool, d, values, priors, dy []float32) {
	need("Boxes.DecodeGrad", "dy", dy, 4*q.rows())
	q.grad("Boxes.DecodeGrad", p, d, values, priors, func(r int) float64 {
		if [4]float32(dy[4*r:]) == [4]float32{} {
			return 0
		}
		return 1
	}, func(r int, _ corners) (by corners) {
		for a := range 2 {
			by.lo[a], by.hi[a] = float64(dy[4*r+a]), float64(dy[4*r+2+a])
		}
		return by
	})
}

// grad computes d = factor·gradient by values, where by returns a row's derivatives by
// corners; rows of factor 0 get 0, whatever their values.
func (q Boxes) grad(name string, p *Pool, d, values, priors []float32, factor func(r int) float64, by func(r int, b corners) corners) {
	q.check(name, values, priors)
	n := q.Values()
	need(name, "d", d, q.rows()*n)
	p.Run(q.tasks(), func(task int) {
		g := p.wide.take(n)
		for r := task * boxRows; r < min(q.rows(), (task+1)*boxRows); r++ {
			f, to := factor(r), d[r*n:(r+1)*n]
			if f == 0 {
				clear(to)
				continue
			}
			v, prior := q.row(r, values, priors)
			b := q.decode(v, prior)
			q.gradient(g, v, prior, b, by(r, b))
			for i := range to {
				to[i] = float32(f * g[i])
			}
		}
		p.wide.give(g)
	})
}
