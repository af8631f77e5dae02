package figures

import (
	"fmt"
	"math"
	"slices"

	"focalgrid/figure"
	"focalgrid/setting"
)

// alphaGamma draws AP over every pair of α and γ.
func alphaGamma(in *Input) (*figure.Figure, error) {
	if err := in.Grid.require(); err != nil {
		return nil, err
	}
	return in.Grid.heat("loss.alpha", "loss.gamma")
}

// product reports whether the rows are numbers in two factors, with no pair twice and more than one value of each.
func (g *Grid) product(a, b string) bool {
	seen := map[[2]float64]bool{}
	for i := range g.Rows {
		x, okX := setting.NumberOf(g.Rows[i].Factors[a])
		y, okY := setting.NumberOf(g.Rows[i].Factors[b])
		if !okX || !okY || seen[[2]float64{x, y}] {
			return false
		}
		seen[[2]float64{x, y}] = true
	}
	n, m := len(g.values(a)), len(g.values(b))
	return n > 1 && m > 1 && 2*len(seen) > n*m
}

// values lists the numbers of a factor, ascending.
func (g *Grid) values(key string) []float64 {
	var out []float64
	for i := range g.Rows {
		if v, ok := setting.NumberOf(g.Rows[i].Factors[key]); ok && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return out
}

// heat draws AP over the pairs of two factors, with a frame around the best of each column.
func (g *Grid) heat(up, across string) (*figure.Figure, error) {
	ys, xs := g.values(up), g.values(across)
	if len(ys) == 0 || len(xs) == 0 {
		return nil, fmt.Errorf("%s: a heat map needs rows with %s and %s", g.Name, up, across)
	}
	h := &figure.Heat{Print: func(v float64) string { return fmt.Sprintf("%.1f", v) }}
	for range ys {
		row := slices.Repeat([]float64{math.NaN()}, len(xs))
		h.Values, h.Ring = append(h.Values, row), append(h.Ring, make([]bool, len(xs)))
	}
	for i := range g.Rows {
		r := &g.Rows[i]
		x, okX := setting.NumberOf(r.Factors[across])
		y, okY := setting.NumberOf(r.Factors[up])
		if okX && okY {
			h.Values[slices.Index(ys, y)][slices.Index(xs, x)] = r.ap().Mean
		}
	}
	for k := range xs {
		best := -1
		for j := range ys {
			if v := h.Values[j][k]; !math.IsNaN(v) && (best < 0 || v > h.Values[best][k]) {
				best = j
			}
		}
		if best >= 0 {
			h.Ring[best][k] = true
		}
	}
	text := func(values []float64) (out []string) {
		for _, v := range values {
			out = append(out, fmt.Sprintf("%g", v))
		}
		return out
	}
	return &figure.Figure{
		Title: g.title(fmt.Sprintf("AP over %s and %s", symbol(up), symbol(across))),
		Caption: g.caption(fmt.Sprintf("AP × 100, mean over seeds (%s); a lighter cell is better. Framed: the highest mean of each %s, which chance may have chosen.",
			g.seeds(), symbol(across))),
		Description: g.describe(),
		Panels: []*figure.Panel{{
			X:    figure.Axis{Label: symbol(across), Names: text(xs)},
			Y:    figure.Axis{Label: symbol(up), Names: text(ys)},
			Heat: h,
		}},
	}, nil
}
