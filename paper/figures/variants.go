package figures

import (
	"fmt"

	"focalgrid/figure"
	"focalgrid/loss"
)

// variant is a loss that Figures 5 and 6 show, for a positive and without α: its value and its derivative by the logit.
type variant struct {
	name string
	of   func(x float64) (value, derivative float64)
}

// variants are cross entropy, focal loss and the two settings of FL* in Table 3.
func variants() []variant {
	star := func(gamma, beta float64) variant {
		return variant{fmt.Sprintf("FL* γ=%g β=%g", gamma, beta), func(x float64) (float64, float64) { return loss.FocalStar(x, true, gamma, beta, 1) }}
	}
	return []variant{
		{"CE", func(x float64) (float64, float64) { return loss.CrossEntropy(x, true, 1) }},
		{"FL γ=2", func(x float64) (float64, float64) { return loss.Focal(x, true, 2, 1) }},
		star(2, 1), star(4, 0),
	}
}

// variantLines returns a line for each variant, of what pick takes of its loss and derivative.
func variantLines(from, to float64, pick func(value, slope float64) float64) []figure.Line {
	var lines []figure.Line
	for i, v := range variants() {
		line := figure.Line{Name: v.name, Style: figure.Distinct(i)}
		line.X, line.Y = sample(from, to, func(x float64) float64 { return pick(v.of(x)) })
		lines = append(lines, line)
	}
	return lines
}

// variantLosses draws Figure 5: the losses over x_t (Appendix A).
func variantLosses(*Input) (*figure.Figure, error) {
	p := &figure.Panel{
		X: figure.Axis{Label: "x_t = y·x, the logit for the true class", Min: -5, Max: 5},
		Y: figure.Axis{Label: "loss (nats)", Max: 5},
	}
	p.Lines = variantLines(-5, 5, func(value, _ float64) float64 { return value })
	return &figure.Figure{
		Title:   "Figure 5. Cross entropy, FL and FL* over x_t",
		Caption: "In nats, without α. To the right of 0 an example is classified correctly. " + formula,
		Description: "Four falling curves. Where x_t is above 0, focal loss and both forms of FL* are far below " +
			"cross entropy; to the left all rise, cross entropy and focal loss with slope −1.",
		Panels: []*figure.Panel{p},
	}, nil
}

// variantGradients draws Figure 6: the derivatives of the losses by the logit (eq. 9 to 11).
func variantGradients(*Input) (*figure.Figure, error) {
	p := &figure.Panel{
		X: figure.Axis{Label: "x_t, the logit for the true class", Min: -10, Max: 10},
		Y: figure.Axis{Label: "derivative of the loss by x", Min: -1.2, Max: 0},
	}
	p.Lines = variantLines(-10, 10, func(_, slope float64) float64 { return slope })
	return &figure.Figure{
		Title:   "Figure 6. Derivatives of cross entropy, FL and FL* by the logit",
		Caption: "For y = +1, without α; no unit. Focal loss passes −1 at the left: its gradient is not always the smaller. " + formula,
		Description: "Four curves that rise from about −1 at the left to 0 at the right. Those of focal loss and FL* " +
			"are near 0 already where x_t is a little above 0; focal loss dips to −1.13 near x_t = −2.8.",
		Panels: []*figure.Panel{p},
	}, nil
}

// sample evaluates a function at evenly spaced places.
func sample(from, to float64, f func(x float64) float64) (xs, ys []float64) {
	const pieces = 120
	for i := 0; i <= pieces; i++ {
		x := from + (to-from)*float64(i)/pieces
		xs, ys = append(xs, x), append(ys, f(x))
	}
	return xs, ys
}
