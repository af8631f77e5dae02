package figure

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// marks draw the lines of a figure in text, one each in the order of the legend.
const marks = "*o+x#@%&"

// Text draws the figure in characters, that many columns wide, or as many as it needs: panels below each other, then
// the legend and the caption.
func (f *Figure) Text(columns int) string {
	columns = max(columns, 40)
	var b strings.Builder
	b.WriteString(f.Title + "\n")
	legend := f.legend()
	mark := func(name string, i int) rune {
		for k, l := range legend {
			if l.Name == name {
				i = k
			}
		}
		return rune(marks[i%len(marks)])
	}
	panels := f.Panels
	if f.Plain != "" {
		b.WriteString("\n" + f.Plain)
		panels = nil
	}
	for _, p := range panels {
		b.WriteString("\n")
		if p.Title != "" {
			b.WriteString(p.Title + "\n")
		}
		if p.Heat != nil {
			p.writeHeat(&b)
			continue
		}
		p.writeText(&b, columns, mark)
	}
	b.WriteString("\n")
	for i, l := range legend {
		fmt.Fprintf(&b, "  %c %s\n", mark(l.Name, i), l.Name)
	}
	line := 0
	for _, word := range strings.Fields(f.Caption) {
		switch n := utf8.RuneCountInString(word); {
		case line == 0:
		case line+1+n > columns:
			b.WriteString("\n")
			line = 0
		default:
			b.WriteString(" ")
			line++
		}
		b.WriteString(word)
		line += utf8.RuneCountInString(word)
	}
	b.WriteString("\n")
	return b.String()
}

// grid is a panel in characters.
type grid struct {
	cells  [][]rune
	xs, ys [2]float64 // the ends of the axes, as drawn
	p      *Panel
}

// at returns the column and the row of a place, and whether the panel has it.
func (g *grid) at(x, y float64) (column, row int, ok bool) {
	if !g.p.drawn(x, y) {
		return 0, 0, false
	}
	place := func(a *Axis, v float64, ends [2]float64, n int) int {
		low, high := ends[0], ends[1]
		if a.Log {
			v, low, high = math.Log(v), math.Log(low), math.Log(high)
		}
		return int(math.Round((v - low) / (high - low) * float64(n-1)))
	}
	height, width := len(g.cells), len(g.cells[0])
	column, row = place(&g.p.X, x, g.xs, width), height-1-place(&g.p.Y, y, g.ys, height)
	return column, row, column >= 0 && column < width && row >= 0 && row < height
}

func (g *grid) set(x, y float64, r rune) {
	if column, row, ok := g.at(x, y); ok {
		g.cells[row][column] = r
	}
}

// write writes text from a place on, as much as fits.
func (g *grid) write(x, y float64, side Side, text string) {
	column, row, ok := g.at(x, y)
	if !ok {
		return
	}
	switch side {
	case Right:
		column += 2
	case Left:
		column -= 1 + utf8.RuneCountInString(text)
	case Above:
		row--
	case Below:
		row++
	}
	for _, r := range text {
		if row >= 0 && row < len(g.cells) && column >= 0 && column < len(g.cells[0]) {
			g.cells[row][column] = r
		}
		column++
	}
}

// writeText draws a panel with axes.
func (p *Panel) writeText(b *strings.Builder, columns int, mark func(name string, i int) rune) {
	g := &grid{p: p}
	g.xs, g.ys = p.ranges()
	height, left := 20, 0
	labels := p.Y.ticks(g.ys)
	for _, t := range labels {
		lines := strings.Split(t.Label, "\n")
		if p.Y.Names != nil { // so that no two touch
			height = max(height, len(labels)*len(lines)+1)
		}
		for _, line := range lines {
			left = max(left, utf8.RuneCountInString(line))
		}
	}
	columns = max(columns, left+3+20)
	for range height {
		g.cells = append(g.cells, []rune(strings.Repeat(" ", columns-left-3)))
	}
	ys := map[int]string{} // labels by row
	for _, t := range labels {
		if _, row, ok := g.at(g.xs[0], t.Value); ok {
			lines := strings.Split(t.Label, "\n")
			for i, line := range lines {
				ys[row-(len(lines)-1)/2+i] = line
			}
		}
	}
	for i := range p.Bars {
		g.bar(&p.Bars[i])
	}
	for i := range p.Lines {
		g.line(&p.Lines[i], mark(p.Lines[i].Name, i))
	}
	for _, l := range p.Labels {
		g.write(l.X, l.Y, l.Side, l.Text)
	}
	if strings.TrimSpace(p.Y.Label) != "" {
		b.WriteString(p.Y.Label + "\n")
	}
	for row, cells := range g.cells {
		fmt.Fprintf(b, "%*s │%s\n", left, ys[row], strings.TrimRight(string(cells), " "))
	}
	fmt.Fprintf(b, "%*s └%s\n", left, "", strings.Repeat("─", columns-left-3))
	under := []rune(strings.Repeat(" ", columns))
	for _, t := range p.X.ticks(g.xs) {
		column, _, ok := g.at(t.Value, g.ys[0])
		label := []rune(strings.ReplaceAll(t.Label, "\n", " "))
		from := min(max(0, left+2+column-len(label)/2), columns-len(label))
		if ok && from > 0 && strings.TrimSpace(string(under[max(0, from-1):min(columns, from+len(label)+1)])) == "" {
			copy(under[from:], label)
		}
	}
	fmt.Fprintf(b, "%s\n%*s%s\n", strings.TrimRight(string(under), " "), max(0, (columns-utf8.RuneCountInString(p.X.Label))/2), "", p.X.Label)
}

func (g *grid) bar(bar *Bar) {
	for column := range g.cells[0] {
		x := g.xs[0] + (g.xs[1]-g.xs[0])*float64(column)/float64(len(g.cells[0])-1)
		if x < bar.From || x > bar.To {
			continue
		}
		for row := range g.cells {
			if y := g.ys[1] - (g.ys[1]-g.ys[0])*float64(row)/float64(len(g.cells)-1); y <= bar.Height && y > 0 {
				g.cells[row][column] = '▒'
			}
		}
	}
}

func (g *grid) line(l *Line, mark rune) {
	for i := range l.X {
		if l.Low == nil || l.Mark == Curve || !finite(l.Low[i]) || !finite(l.High[i]) {
			continue
		}
		const pieces = 40
		for k := range pieces + 1 {
			if at := l.Low[i] + (l.High[i]-l.Low[i])*float64(k)/pieces; l.Across {
				g.set(at, l.Y[i], '-')
			} else {
				g.set(l.X[i], at, '|')
			}
		}
	}
	for _, piece := range l.pieces(g.p) {
		for i := piece[0]; i < piece[1]; i++ {
			if l.Mark == Curve && i+1 < piece[1] { // a mark in each column between the points
				const between = 100
				for k := range between {
					share := float64(k) / between
					g.set(l.X[i]*(1-share)+l.X[i+1]*share, l.Y[i]*(1-share)+l.Y[i+1]*share, mark)
				}
			}
			g.set(l.X[i], l.Y[i], mark)
		}
	}
}

// writeHeat writes the numbers of a heat map.
func (p *Panel) writeHeat(b *strings.Builder) {
	name := func(a *Axis, i int) string { return strings.ReplaceAll(a.Names[i], "\n", " ") }
	left := utf8.RuneCountInString(p.Y.Label)
	for i := range p.Y.Names {
		left = max(left, utf8.RuneCountInString(name(&p.Y, i)))
	}
	fmt.Fprintf(b, "%-*s", left, p.Y.Label)
	for k := range p.X.Names {
		fmt.Fprintf(b, " %8s", name(&p.X, k))
	}
	fmt.Fprintf(b, "  %s\n", p.X.Label)
	for r := len(p.Heat.Values) - 1; r >= 0; r-- {
		fmt.Fprintf(b, "%-*s", left, name(&p.Y, r))
		for k, v := range p.Heat.Values[r] {
			text := "–"
			if finite(v) {
				text = p.Heat.Print(v)
				if p.Heat.Ring != nil && p.Heat.Ring[r][k] {
					text = "[" + text + "]"
				}
			}
			fmt.Fprintf(b, " %8s", text)
		}
		b.WriteString("\n")
	}
}
