package enginetest

import (
	"fmt"
	"math"
	"testing"

	"focalgrid/engine"
)

// boxes compares decoding and box losses with float64 arithmetic, and their gradients with
// differences of it: of the decoder alone, the loss alone, and both together.
func boxes(t *testing.T, e *suite) {
	const n, a = 2, 5
	type nodes = map[string]*engine.Node
	weight := tensor{[]int{n, a}, []float32{.5, .5, .25, 0, 1, 1, .5, .5, 0, 2}}
	priors, target := tensor{[]int{a, 4}, nil}, tensor{[]int{n, a, 4}, nil}
	for i := range a {
		priors.values = append(priors.values, float32(i), 2, float32(i)+10, 14)
	}
	for i := range n * a {
		target.values = append(target.values, float32(i%3)+1, 3.25, float32(i%3)+9.5, 12.5)
	}
	predicted := random("boxes", n, a, 4)
	for i, v := range target.values {
		predicted.values[i] += v
	}
	copy(predicted.values[4:], []float32{20, 21, 23, 25}) // apart from its target
	fixed := map[string]tensor{"priors": priors, "target": target, "weight": weight}

	for _, c := range []engine.BoxCode{
		{}, {Kind: "deltas", MaxLogSize: 2}, {Kind: "distances"}, {Kind: "distances", InSides: true}, {Kind: "distribution", Bins: 3},
	} {
		values := predicted
		switch c.Kind {
		case "deltas":
			values = random("deltas", n, a, 4)
			values.values[2] = 9 // beyond the clip of dw
		case "distances":
			values = random("distances", n, a, 4)
			for i := range values.values {
				if values.values[i] += 4; c.InSides {
					values.values[i] /= 8
				}
			}
		case "distribution":
			values = random("distribution", n, a, 4*c.Bins)
		}
		decode := func(v []float64) []float64 { return decodeBoxes(c, v, priors.values, n*a) }
		build := func(g *engine.Graph, in nodes) *engine.Node {
			if c.Kind == "" {
				return in["x"]
			}
			return g.DecodeBoxes(c, in["x"], in["priors"])
		}
		if c.Kind != "" {
			t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
				gy := random("gy", n, a, 4).values
				p := probe{params: map[string]tensor{"x": values}, fixed: fixed, gy: gy, build: build}
				oracle(t, e, p, decode)
			})
		}
		for _, overlap := range []string{"iou", "giou", "diou", "ciou"} {
			t.Run(fmt.Sprintf("%s of %+v", overlap, c), func(t *testing.T) {
				p := probe{params: map[string]tensor{"x": values}, fixed: fixed, gy: []float32{2}, build: func(g *engine.Graph, in nodes) *engine.Node {
					return g.BoxIoULoss(overlap, build(g, in), in["target"], in["weight"])
				}}
				shape := make([]float64, n*a) // α of each box, which the gradient takes as constant
				for r := range shape {
					shape[r] = math.NaN()
				}
				oracle(t, e, p, func(v []float64) []float64 {
					b, sum := decode(v), 0.
					for r := range n * a {
						if weight.values[r] != 0 {
							sum += float64(weight.values[r]) * overlapLoss(overlap, b[4*r:4*r+4], to64(target.values[4*r:4*r+4]), &shape[r])
						}
					}
					return []float64{sum}
				})
			})
		}
	}
}

// oracle compares the output of a probe with f of its parameter x, and the gradient with
// differences of f.
func oracle(t *testing.T, e *suite, p probe, f func(x []float64) []float64) {
	t.Helper()
	got, x := p.run(t, e), to64(p.params["x"].values)
	e.close32(t, "output", got.y, f(x), 1e-5)
	want := make([]float64, len(x))
	const h = 1e-5
	for i, v := range x {
		x[i] = v + h
		up := f(x)
		x[i] = v - h
		down := f(x)
		x[i] = v
		for j, g := range p.gy {
			want[i] += float64(g) * (up[j] - down[j]) / (2 * h)
		}
	}
	e.close32(t, "gradient", got.grads["x"], want, 2e-5)
}

// decodeBoxes is DecodeBoxes in float64, and the values themselves without a code.
func decodeBoxes(c engine.BoxCode, v []float64, priors []float32, rows int) []float64 {
	if c.Kind == "" {
		return v
	}
	var out []float64
	for r := range rows {
		p := to64(priors[r%(len(priors)/4)*4:][:4])
		v := v[len(v)/rows*r:][:len(v)/rows]
		var box [4]float64
		for axis := range 2 {
			size, centre := p[2+axis]-p[axis], (p[2+axis]+p[axis])/2
			unit := 1.0
			if c.InSides || c.Kind == "distribution" {
				unit = size
			}
			switch c.Kind {
			case "deltas":
				half := size * math.Exp(math.Min(v[2+axis], c.MaxLogSize)) / 2
				box[axis], box[2+axis] = centre+v[axis]*size-half, centre+v[axis]*size+half
			case "distances":
				box[axis], box[2+axis] = centre-v[axis]*unit, centre+v[2+axis]*unit
			case "distribution":
				box[axis] = centre - mean(v[axis*c.Bins:][:c.Bins])*unit
				box[2+axis] = centre + mean(v[(2+axis)*c.Bins:][:c.Bins])*unit
			}
		}
		out = append(out, box[:]...)
	}
	return out
}

// mean is Σ i·softmax(x)ᵢ.
func mean(x []float64) float64 {
	var sum, total float64
	for i, v := range x {
		sum += float64(i) * math.Exp(v)
		total += math.Exp(v)
	}
	return sum / total
}

// overlapLoss is the loss of one box in float64. It computes CIoU's α where alpha is NaN, and
// takes that of the first call afterwards.
func overlapLoss(overlap string, b, t []float64, alpha *float64) float64 {
	const eps = 1e-7
	inter, hull, diagonal, apart := 1.0, 1.0, 0.0, 0.0
	for a := range 2 {
		inter *= math.Max(0, math.Min(b[2+a], t[2+a])-math.Max(b[a], t[a]))
		side := math.Max(b[2+a], t[2+a]) - math.Min(b[a], t[a])
		hull *= side
		diagonal += side * side
		apart += (b[a] + b[2+a] - t[a] - t[2+a]) * (b[a] + b[2+a] - t[a] - t[2+a]) / 4
	}
	w, h, tw, th := b[2]-b[0], b[3]-b[1], t[2]-t[0], t[3]-t[1]
	union := w*h + tw*th - inter
	loss := 1 - inter/(union+eps)
	switch overlap {
	case "giou":
		return loss + (hull-union)/(hull+eps)
	case "diou":
		return loss + apart/(diagonal+eps)
	case "ciou":
		v := 4 / (math.Pi * math.Pi) * math.Pow(math.Atan(tw/(th+eps))-math.Atan(w/(h+eps)), 2)
		if math.IsNaN(*alpha) {
			*alpha = v / (loss + v + eps)
		}
		return loss + apart/(diagonal+eps) + *alpha*v
	}
	return loss
}
