package figures

import (
	"fmt"

	"focalgrid/figure"
	"focalgrid/loss"
	"focalgrid/setting"
	"focalgrid/stats"
)

// near is by how much AP × 100 of FL* may be below focal loss's for Figure 7 to count it as effective. The paper has
// .5 (33.5 against 34.0 AP), which is less than what seeds of a small profile differ by.
const near = 2

// effective draws Figure 7: the curves of FL* for pairs of γ and β, by whether a detector that is trained with the
// pair is as good as one with focal loss (Appendix A). The paper does not publish its list of pairs.
func effective(in *Input) (*figure.Figure, error) {
	g := in.Grid
	if err := g.require(); err != nil {
		return nil, err
	}
	var reference *Row
	for i := range g.Rows {
		r := &g.Rows[i]
		if e := r.ap(); r.Settings["loss.type"] == "focal" && e.N > 0 && (reference == nil || e.Mean > reference.ap().Mean) {
			reference = r
		}
	}
	if reference == nil {
		return nil, fmt.Errorf("%s: no row of focal loss is done, which the others are compared with: `%s` trains it", g.Name, g.Sweep)
	}
	p := &figure.Panel{
		X: figure.Axis{Label: "x_t, the logit for the true class", Min: -5, Max: 5},
		Y: figure.Axis{Label: "FL* (nats)", Max: 5},
	}
	good, bad := figure.Distinct(0), figure.Distinct(1)
	bad.Width, bad.Dashes = 1, []float64{4, 3}
	count := 0
	for i := range g.Rows {
		r := &g.Rows[i]
		e := r.ap()
		tried := e.N > 0 || len(r.runs()) > 0
		gamma, okG := setting.NumberOf(r.Settings["loss.gamma"])
		beta, okB := setting.NumberOf(r.Settings["loss.beta"])
		if setting.Spell(r.Settings["loss.type"]) != "focal_star" || !okG || !okB || !tried {
			continue
		}
		line := figure.Line{Name: "not effective", Style: bad}
		below := reference.ap().Mean - e.Mean
		if d := stats.Paired(r.runs(), reference.runs()); d.N > 0 { // other seeds of focal loss are no match
			below = d.Mean
		}
		if e.N == len(r.runs()) && below <= near {
			line.Name, line.Style = "effective", good
			count++
		}
		line.X, line.Y = sample(-5, 5, func(x float64) float64 { v, _ := loss.FocalStar(x, true, gamma, beta, 1); return v })
		p.Lines = append(p.Lines, line)
	}
	if len(p.Lines) == 0 {
		return nil, fmt.Errorf("%s: no row of FL* is done: `%s` trains them", g.Name, g.Sweep)
	}
	return &figure.Figure{
		Title: "Figure 7. FL* by γ and β: which are as good as focal loss",
		Caption: g.caption(fmt.Sprintf("Curves without α. Effective: every seed converged and AP × 100 is on average at most %d below that of focal loss with the same seeds (%s): "+
			"%d of %d curves. The pairs are ours: the paper does not list its own.", near, g.seeds(), count, len(p.Lines))),
		Description: fmt.Sprintf("%d curves of FL*: %d effective, %d not. %s", len(p.Lines), count, len(p.Lines)-count, g.describe()),
		Panels:      []*figure.Panel{p},
	}, nil
}
