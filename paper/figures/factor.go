package figures

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"focalgrid/figure"
)

const apLabel = "AP × 100"

// Results draws the AP of a grid file's rows in the form that suits what the file varies: lines over the learning rate,
// a heat map of two numbers, or else one point a row.
func Results(in *Input) (*figure.Figure, error) {
	g := in.Grid
	if err := g.require(); err != nil {
		return nil, err
	}
	keys := g.varied()
	switch {
	case slices.Contains(keys, "optim.lr"):
		return rates(in)
	case len(keys) == 2 && g.product(keys[0], keys[1]):
		return g.heat(keys[0], keys[1])
	}
	return g.points(keys), nil
}

// points draws one point a row, and the published figures in a panel of their own.
func (g *Grid) points(keys []string) *figure.Figure {
	f := &figure.Figure{
		Title:   g.title("AP by row"),
		Caption: g.caption("AP × 100, " + g.spread() + "."),
	}
	names, fit := g.names(keys)
	axis := figure.Axis{Label: strings.Join(symbolsOf(keys), ", below it "), Names: names}
	if len(keys) == 0 {
		axis.Label = "row"
	}
	if !fit {
		axis.Label = " "
	}
	measured := &figure.Panel{Title: "measured", X: axis, Y: figure.Axis{Label: apLabel}}
	line := figure.Line{Mark: figure.Points, Style: figure.Distinct(0)}
	if fit && len(keys) > 0 && g.numbers(keys[0]) {
		line.Mark = figure.Joined
	}
	published := &figure.Panel{Title: "published", X: axis, Y: figure.Axis{Label: apLabel}}
	theirs := figure.Line{Mark: line.Mark, Style: figure.Muted()}
	for i := range g.Rows {
		e := g.Rows[i].ap()
		line.X, line.Y = append(line.X, float64(i)), append(line.Y, e.Mean)
		line.Low, line.High = append(line.Low, e.Low), append(line.High, e.High)
		value := math.NaN()
		if p := g.Rows[i].Published; p != nil {
			value = 100 * *p
		}
		theirs.X, theirs.Y = append(theirs.X, float64(i)), append(theirs.Y, value)
	}
	measured.Lines, published.Lines = []figure.Line{line}, []figure.Line{theirs}
	f.Panels = []*figure.Panel{measured}
	if slices.ContainsFunc(theirs.Y, func(v float64) bool { return !math.IsNaN(v) }) {
		f.Panels = append(f.Panels, published)
		f.Caption += " Published, in a panel of its own: " + g.Published + "; compare the order of rows and the gaps, not the heights."
	}
	f.Description = g.describe()
	if !fit {
		lie(f)
	}
	return f
}

// names are the names of rows at an axis: their values below each other where these fit under a picture, or else a
// line each.
func (g *Grid) names(keys []string) (names []string, fit bool) {
	fit = len(keys) <= 3
	for i := range g.Rows {
		var lines []string
		for _, key := range keys {
			lines = append(lines, g.Rows[i].spell(key))
		}
		names = append(names, strings.Join(lines, "\n"))
		fit = fit && !slices.ContainsFunc(lines, func(l string) bool { return (utf8.RuneCountInString(l)+1)*len(g.Rows) > 76 })
	}
	if fit {
		return names, true
	}
	for i := range g.Rows {
		names[i] = broken(g.Rows[i].name(keys))
	}
	return names, false
}

// broken breaks a name into lines that leave room for panels beside it.
func broken(name string) string {
	const room = 26
	out, line := "", 0
	for i, part := range strings.Split(name, ", ") {
		n := utf8.RuneCountInString(part) + 2
		switch {
		case i == 0:
		case line+n > room:
			out, line = out+",\n", 0
		default:
			out += ", "
		}
		out, line = out+part, line+n
	}
	return out
}

// lie turns the panels of a figure by a quarter, with the first row at the top, and puts them beside each other.
func lie(f *figure.Figure) {
	for i, p := range f.Panels {
		p.X, p.Y = p.Y, p.X
		p.Y.Names = slices.Clone(p.Y.Names)
		slices.Reverse(p.Y.Names)
		if i > 0 { // the names are at the left
			p.Y.Names = make([]string, len(p.Y.Names))
		}
		for k := range p.Lines {
			l := &p.Lines[k]
			for j := range l.X {
				l.X[j] = float64(len(l.X)-1) - l.X[j]
			}
			l.X, l.Y, l.Across = l.Y, l.X, true
		}
	}
	f.Columns = len(f.Panels)
	f.RowHeight = 60
	for _, name := range f.Panels[0].Y.Names {
		f.RowHeight += 10 + 11*float64(1+strings.Count(name, "\n"))
	}
}

// numbers reports whether a factor has a number in every row.
func (g *Grid) numbers(key string) bool {
	return !slices.ContainsFunc(g.Rows, func(r Row) bool { _, ok := number(r.Factors[key]); return !ok })
}

// number returns a setting as a number.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

func symbolsOf(keys []string) []string {
	var out []string
	for _, key := range keys {
		out = append(out, symbol(key))
	}
	return out
}

// describe lists the AP of each row, for those who do not see the figure.
func (g *Grid) describe() string {
	keys := g.varied()
	var parts []string
	for i := range g.Rows {
		if e := g.Rows[i].ap(); e.N > 0 {
			parts = append(parts, fmt.Sprintf("%s: %.1f", g.Rows[i].name(keys), e.Mean))
		}
	}
	return "AP × 100 by row. " + strings.Join(parts, "; ") + "."
}
