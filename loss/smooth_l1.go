package loss

import (
	"math"

	"focalgrid/engine"
	"focalgrid/setting"
)

// smoothL1 is the box loss of the paper, "the standard smooth L1" (§4.1).
var smoothL1 = Box{
	Name:   "smooth_l1",
	Target: "deltas",
	Params: []setting.Param{{Name: "beta", Kind: setting.Number, Max: math.MaxFloat32, Doc: "where the parabola ends; 0 is L1"}},
	Build:  buildSmoothL1,
	Scalars: func(v setting.Values) map[string]float32 {
		return map[string]float32{"beta": float32(v.Number("beta"))}
	},
	Value: func(pred, target, _ [4]float64, v setting.Values) (loss float64, grad [4]float64) {
		for i := range pred {
			l, g := SmoothL1(pred[i]-target[i], v.Number("beta"))
			loss, grad[i] = loss+l, g
		}
		return loss, grad
	},
}

// SmoothL1 returns d²/(2·beta) for |d| < beta, else |d| - beta/2, and its
// derivative by d. With beta 0 it is |d|, with derivative 0 at 0.
func SmoothL1(d, beta float64) (loss, grad float64) {
	if math.Abs(d) < beta {
		return d * d / (2 * beta), d / beta
	}
	switch {
	case d > 0:
		return d - beta/2, 1
	case d < 0:
		return -d - beta/2, -1
	}
	return 0, 0
}

func buildSmoothL1(g *engine.Graph, in BoxInputs, p func(name string) *engine.Node) *engine.Node {
	return g.SmoothL1(in.Pred, in.Target, in.Weight, p("beta"))
}
