package figures

import (
	"cmp"
	"fmt"
	"slices"

	"focalgrid/figure"
	"focalgrid/setting"
)

// rates draws AP over the learning rate, with one line for each combination of the other factors.
func rates(in *Input) (*figure.Figure, error) {
	g := in.Grid
	if err := g.require(); err != nil {
		return nil, err
	}
	const key = "optim.lr"
	others := slices.DeleteFunc(g.varied(), func(k string) bool { return k == key })
	ticks := g.values(key)
	if len(ticks) == 0 {
		return nil, fmt.Errorf("%s: no row names %s, which is the horizontal axis", g.Name, key)
	}
	p := &figure.Panel{
		X: figure.Axis{Label: "learning rate", Log: true, Ticks: ticks},
		Y: figure.Axis{Label: apLabel},
	}
	rows := slices.Clone(g.Rows)
	slices.SortStableFunc(rows, func(a, b Row) int {
		x, _ := setting.NumberOf(a.Factors[key])
		y, _ := setting.NumberOf(b.Factors[key])
		return cmp.Compare(x, y)
	})
	var names []string
	for i := range g.Rows {
		if name := g.Rows[i].name(others); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for i, name := range names {
		line := figure.Line{Name: name, Mark: figure.Joined, Style: style(i, len(names))}
		for k := range rows {
			x, ok := setting.NumberOf(rows[k].Factors[key])
			if e := rows[k].ap(); ok && rows[k].name(others) == name && e.N > 0 {
				// Whiskers of several lines would cover each other at one place.
				x *= 1 + .03*(float64(i)-float64(len(names)-1)/2)
				line.X, line.Y = append(line.X, x), append(line.Y, e.Mean)
				line.Low, line.High = append(line.Low, e.Low), append(line.High, e.High)
			}
		}
		p.Lines = append(p.Lines, line)
	}
	return &figure.Figure{
		Title:       g.title("AP against the learning rate"),
		Caption:     g.caption("AP × 100, " + g.spread() + ". Points of one rate are set a little apart."),
		Description: g.describe(),
		Panels:      []*figure.Panel{p},
	}, nil
}

// style is the style of line i of n.
func style(i, n int) figure.Style {
	if n > 7 {
		return figure.Ordered(i, n)
	}
	return figure.Distinct(i)
}
