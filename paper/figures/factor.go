package figures

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"focalgrid/figure"
	"focalgrid/setting"
	"focalgrid/stats"
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
		f.Caption += " What a row does not name is as in the first row."
	}
	mark := figure.Points
	if fit && len(keys) > 0 && g.ascends(keys[0]) {
		mark = figure.Joined
	}
	panel := func(title string, style figure.Style, of func(r *Row) stats.Estimate) {
		line, any := figure.Line{Mark: mark, Style: style}, false
		for i := range g.Rows {
			e := of(&g.Rows[i])
			line.X, line.Y = append(line.X, float64(i)), append(line.Y, e.Mean)
			line.Low, line.High = append(line.Low, e.Low), append(line.High, e.High)
			any = any || !math.IsNaN(e.Mean)
		}
		if any {
			f.Panels = append(f.Panels, &figure.Panel{Title: title, X: axis, Y: figure.Axis{Label: apLabel}, Lines: []figure.Line{line}})
		}
	}
	none := stats.Mean(nil)
	panel("measured", figure.Distinct(0), (*Row).ap)
	panel("measured, own best recipes", figure.Distinct(1), func(r *Row) stats.Estimate {
		if r.Own == nil {
			return none
		}
		return r.Own.ap()
	})
	measured := len(f.Panels)
	shareHeights(f.Panels)
	panel("published", figure.Muted(), func(r *Row) stats.Estimate {
		if r.Published == nil {
			return none
		}
		e := none
		e.Mean = 100 * *r.Published
		return e
	})
	if len(f.Panels) > measured {
		f.Caption += " Published, in a panel of its own: " + g.Published + "; compare the order of rows and the gaps, not the heights."
	}
	f.Description = g.describe()
	if !fit {
		lie(f)
	}
	return f
}

// shareHeights gives panels with one kind of values the same vertical axis, so that they can be compared by eye.
func shareHeights(panels []*figure.Panel) {
	var all []float64
	for _, p := range panels {
		for _, l := range p.Lines {
			all = slices.Concat(all, l.Y, l.Low, l.High)
		}
	}
	for _, p := range panels {
		p.Y.Also = all
	}
}

// names are the names of rows at an axis: their values below each other where these fit under a picture, or else as a
// list of settings, of which all rows but the first have those that differ from it.
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
		name := g.Rows[i].name(keys)
		if i > 0 { // most settings are those of the first row, and would be read in vain
			name = g.Rows[i].nameBeside(&g.Rows[0], keys)
		}
		names[i] = broken(name)
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
	lines, most := make([]int, len(f.Panels[0].Y.Names)), 0
	for i, name := range f.Panels[0].Y.Names {
		lines[i] = 1 + strings.Count(name, "\n")
		if i > 0 {
			most = max(most, lines[i-1]+lines[i])
		}
	}
	// Rows are equally far apart, and no two names below each other may touch.
	f.RowHeight = 60 + float64(len(lines))*(10+11*float64(most)/2)
}

// ascends reports whether a factor is a larger number in each row than in the row before: then a line joins the rows.
func (g *Grid) ascends(key string) bool {
	last := math.Inf(-1)
	for i := range g.Rows {
		v, ok := setting.NumberOf(g.Rows[i].Factors[key])
		if !ok || v <= last {
			return false
		}
		last = v
	}
	return true
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
