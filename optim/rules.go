package optim

import (
	"math"

	"focalgrid/engine"
	"focalgrid/portable"
)

// Slots is what an optimiser remembers of one parameter, zero before the first step.
type Slots struct {
	Momentum []float64 // sgd: v
	M, V     []float64 // adamw: running means of the gradient and of its square
	Steps    int       // adamw: steps done
}

// NewSlots is the memory for a parameter of n values.
func NewSlots(n int) *Slots {
	return &Slots{Momentum: make([]float64, n), M: make([]float64, n), V: make([]float64, n)}
}

// Step moves one parameter against its gradient, in place; the gradient is
// already clipped. decay says whether weight decay applies to this parameter (engine.Update.Decays).
//
//	sgd    g += wd·p; v = momentum·v + g; p -= lr·v
//	adamw  p -= lr·wd·p; m = β1·m + (1-β1)·g; v = β2·v + (1-β2)·g²;
//	       p -= lr·m̂/(sqrt(v̂)+eps), m̂ = m/(1-β1^t), v̂ = v/(1-β2^t), t = 1, 2, …
//
// These are PyTorch's forms: the learning rate multiplies the momentum, not
// the gradient inside it, and a drop of the rate acts at once on all of v.
func Step(u engine.Update, param, grad []float64, s *Slots, lr float64, decay bool) {
	wd := 0.0
	if decay {
		wd = u.WeightDecay
	}
	if u.Kind == "sgd" {
		for i, g := range grad {
			s.Momentum[i] = float64(u.Momentum*s.Momentum[i]) + g + float64(wd*param[i])
			param[i] -= float64(lr * s.Momentum[i])
		}
		return
	}
	s.Steps++
	c1, c2 := 1-portable.Pow(u.Beta1, float64(s.Steps)), 1-portable.Pow(u.Beta2, float64(s.Steps))
	for i, g := range grad {
		s.M[i] = float64(u.Beta1*s.M[i]) + float64((1-u.Beta1)*g)
		s.V[i] = float64(u.Beta2*s.V[i]) + float64((1-u.Beta2)*g*g)
		param[i] -= float64(lr*wd*param[i]) + lr*(s.M[i]/c1)/(math.Sqrt(s.V[i]/c2)+u.Eps)
	}
}
