package figures

import (
	"math"

	"focalgrid/figure"
	"focalgrid/loss"
	"focalgrid/setting"
)

// focalLoss draws Figure 1: FL = -(1-p_t)^γ·log(p_t) over p_t for the paper's five γ, without α (eq. 4, §3.2).
func focalLoss(*Input) (*figure.Figure, error) {
	p := &figure.Panel{
		X:     figure.Axis{Label: "probability of the true class, p_t", Min: 0, Max: 1},
		Y:     figure.Axis{Label: "loss (nats)", Min: 0, Max: 5},
		Spans: []figure.Span{{From: .5, To: 1, Text: "well classified"}},
	}
	for i, gamma := range []float64{0, .5, 1, 2, 5} {
		line := figure.Line{Name: "γ = " + setting.Spell(gamma), Style: figure.Distinct(i)}
		if gamma == 0 {
			line.Name += " (CE)"
		}
		// Even steps of the logit are close together where the curve bends.
		xs, values := sample(-6, 9, func(x float64) float64 { value, _ := loss.Focal(x, true, gamma, 1); return value })
		for _, x := range xs {
			line.X = append(line.X, 1/(1+math.Exp(-x)))
		}
		line.Y = values
		p.Lines = append(p.Lines, line)
	}
	return &figure.Figure{
		Title:   "Figure 1. Focal loss against the probability of the true class",
		Caption: "FL = −(1 − p_t)^γ log p_t, in nats, without α; γ = 0 is cross entropy. " + formula,
		Description: "Five falling curves from 5 at the left to 0 at the right. The larger γ is, the lower is the curve, " +
			"most of all where p_t is above one half.",
		Panels: []*figure.Panel{p},
	}, nil
}

// formula ends the caption of a figure that nothing was measured for.
const formula = "Computed from the formula; nothing was trained or measured."
