package loss

import "focalgrid/setting"

// crossEntropy is alpha-balanced cross entropy (eq. 3): the focal loss at gamma 0, as
// the same graph, so that a sweep over both compiles once.
var crossEntropy = Classification{
	Name:   "ce",
	Params: []setting.Param{alphaParam},
	Build:  buildFocal,
	Scalars: func(v setting.Values) map[string]float32 {
		pos, neg := alphas(v)
		return map[string]float32{"gamma": 0, "alpha_pos": float32(pos), "alpha_neg": float32(neg)}
	},
	Value: func(x float64, positive bool, v setting.Values) (loss, grad float64) {
		return CrossEntropy(x, positive, alphaOf(positive, v))
	},
}

// CrossEntropy returns -a·log(p_t) and its derivative by the logit x (eq. 1
// and 3): a·softplus(-x_t), with x_t = x if positive, else -x.
func CrossEntropy(x float64, positive bool, a float64) (loss, grad float64) {
	y := sign(positive)
	return a * softplus(-y*x), -y * a * sigmoid(-y*x)
}
