package loss

import (
	"math"

	"focalgrid/engine"
	"focalgrid/setting"
)

// focalStar is the paper's other form (Appendix A).
var focalStar = Classification{
	Name: "focal_star",
	Params: []setting.Param{
		{Name: "gamma", Kind: setting.Number, Min: 1e-6, Max: math.MaxFloat32, Doc: "steepness of the loss"},
		{Name: "beta", Kind: setting.Number, Min: -math.MaxFloat32, Max: math.MaxFloat32, Doc: "shift of the loss"},
		alphaParam,
	},
	Build: buildFocalStar,
	Scalars: func(v setting.Values) map[string]float32 {
		pos, neg := alphas(v)
		return map[string]float32{
			"gamma": float32(v.Number("gamma")), "inv_gamma": float32(1 / v.Number("gamma")), "beta": float32(v.Number("beta")),
			"alpha_pos": float32(pos), "alpha_neg": float32(neg),
		}
	},
	Value: func(x float64, positive bool, v setting.Values) (loss, grad float64) {
		return FocalStar(x, positive, v.Number("gamma"), v.Number("beta"), alphaOf(positive, v))
	},
}

// FocalStar returns FL* = -a·log(p_t*)/gamma with p_t* = sigmoid(gamma·x_t +
// beta), and its derivative by the logit x (Appendix A, eq. 7, 8 and 11);
// x_t = x if positive, else -x. gamma is above 0; gamma 1 and beta 0 give
// cross entropy.
func FocalStar(x float64, positive bool, gamma, beta, a float64) (loss, grad float64) {
	y := sign(positive)
	t := gamma*y*x + beta
	return a * softplus(-t) / gamma, -y * a * sigmoid(-t)
}

// buildFocalStar composes FL* from elementary ops; nothing in its gradient can overflow.
func buildFocalStar(g *engine.Graph, in Inputs, p func(name string) *engine.Node) *engine.Node {
	e := elementwise(g, in, p)
	t := g.Add(g.Mul(e.x, p("gamma")), p("beta"))
	return g.Mul(g.Sum(g.Mul(g.Softplus(g.Neg(t)), e.weight)), p("inv_gamma"))
}

func sigmoid(x float64) float64 { return math.Exp(-softplus(-x)) }
