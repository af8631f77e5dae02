package loss

import "focalgrid/setting"

// l1 is the sum of absolute differences of the deltas: smooth L1 at beta 0, as
// the same graph, so that a sweep over both compiles once.
var l1 = Box{
	Name:    "l1",
	Target:  "deltas",
	Build:   buildSmoothL1,
	Scalars: func(setting.Values) map[string]float32 { return map[string]float32{"beta": 0} },
	Value: func(pred, target, _ [4]float64, _ setting.Values) (loss float64, grad [4]float64) {
		for i := range pred {
			l, g := SmoothL1(pred[i]-target[i], 0)
			loss, grad[i] = loss+l, g
		}
		return loss, grad
	},
}
