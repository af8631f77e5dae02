package loss

import (
	"math"

	"focalgrid/engine"
	"focalgrid/setting"
)

// focal is the paper's loss (§3.2, eq. 5).
var focal = Classification{
	Name: "focal",
	Params: []setting.Param{
		{Name: "gamma", Kind: setting.Number, Max: math.MaxFloat32, Doc: "focusing parameter; 0 is cross entropy"},
		alphaParam,
	},
	Build: buildFocal,
	Scalars: func(v setting.Values) map[string]float32 {
		pos, neg := alphas(v)
		return map[string]float32{"gamma": float32(v.Number("gamma")), "alpha_pos": float32(pos), "alpha_neg": float32(neg)}
	},
	Value: func(x float64, positive bool, v setting.Values) (loss, grad float64) {
		return Focal(x, positive, v.Number("gamma"), alphaOf(positive, v))
	},
}

// Focal returns -a·(1-p_t)^gamma·log(p_t) and its derivative by the logit x:
// eq. 5, §3.2 of Lin et al., "Focal Loss for Dense Object Detection", with a
// the alpha_t of this logit, p = sigmoid(x), and p_t = p if positive, else 1-p.
//
// With x_t = ±x it is a·e^(-gamma·softplus(x_t))·softplus(-x_t). The paper's derivative
// (eq. 10) has the factor (1-p_t)^gamma·(gamma·p_t·log(p_t) + p_t - 1); both
// are finite for every finite x and gamma >= 0, while a chain rule through
// (1-p_t)^gamma meets (1-p_t)^(gamma-1), infinite for gamma < 1 where the
// sigmoid saturates.
func Focal(x float64, positive bool, gamma, a float64) (loss, grad float64) {
	y := sign(positive)
	hard, easy := softplus(-y*x), softplus(y*x) // -log(p_t) and -log(1-p_t)
	modulator := a * math.Exp(-gamma*easy)
	pt, rest := math.Exp(-hard), math.Exp(-easy)
	return modulator * hard, -y * modulator * (gamma*pt*hard + rest)
}

func buildFocal(g *engine.Graph, in Inputs, p func(name string) *engine.Node) *engine.Node {
	return g.Focal(in.Logits, in.Labels, in.Weight, p("gamma"), p("alpha_pos"), p("alpha_neg"))
}

// FocalComposed is the focal loss from elementary ops, whose gradient an
// engine derives by itself: what the one-op form is tested against. It takes the
// same scalars as the loss "focal".
func FocalComposed(g *engine.Graph, in Inputs, p func(name string) *engine.Node) *engine.Node {
	e := elementwise(g, in, p)
	modulator := g.Exp(g.Neg(g.Mul(g.Softplus(e.x), p("gamma"))))
	return g.Sum(g.Mul(g.Mul(modulator, g.Softplus(g.Neg(e.x))), e.weight))
}
