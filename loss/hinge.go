package loss

import (
	"focalgrid/engine"
	"focalgrid/setting"
)

// hinge is the loss on p_t that the paper reports to have tried without success (§5.1).
var hinge = Classification{
	Name: "hinge",
	Params: []setting.Param{
		{Name: "margin", Kind: setting.Number, Above: true, Max: 1, Default: "0.5",
			Doc: "probability of the truth from which an example costs nothing; the paper does not state its own"},
		alphaParam,
	},
	Build: buildHinge,
	Scalars: func(v setting.Values) map[string]float32 {
		pos, neg := alphas(v)
		return map[string]float32{"margin": float32(v.Number("margin")), "alpha_pos": float32(pos), "alpha_neg": float32(neg)}
	},
	Value: func(x float64, positive bool, v setting.Values) (loss, grad float64) {
		return Hinge(x, positive, v.Number("margin"), alphaOf(positive, v))
	},
}

// Hinge returns a·max(0, margin - p_t) and its derivative by the logit x, with p_t = sigmoid(x) if
// positive, else sigmoid(-x). §5.1 of Lin et al. says that a hinge loss on p_t, which sets the loss to 0
// above a certain value of p_t, trained unstably and gave no useful result. The paper states neither that
// value nor the slope: the margin and the slope of -1 by p_t are chosen here.
//
// The loss is at most a·margin. Its gradient, -y·a·p_t·(1-p_t), vanishes towards p_t = 0 as well: unlike in
// the other losses, the examples that are most wrong teach least.
func Hinge(x float64, positive bool, margin, a float64) (loss, grad float64) {
	y := sign(positive)
	pt := sigmoid(y * x)
	if pt >= margin {
		return 0, 0
	}
	return a * (margin - pt), -y * a * pt * sigmoid(-y*x)
}

// buildHinge composes the loss from elementary ops. ReLU has no slope at 0, which is at p_t = margin.
func buildHinge(g *engine.Graph, in Inputs, p func(name string) *engine.Node) *engine.Node {
	e := elementwise(g, in, p)
	short := g.ReLU(g.Neg(g.Sub(g.Sigmoid(e.x), p("margin"))))
	return g.Sum(g.Mul(short, e.weight))
}
