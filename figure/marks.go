package figure

import (
	"cmp"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// add adds what is drawn in a panel.
func (p *Panel) add(to *plot.Plot) error {
	for _, s := range p.Spans {
		to.Add(drawing(s.draw))
	}
	for _, b := range p.Bars {
		to.Add(drawing(b.draw))
	}
	if p.Heat != nil {
		to.Add(drawing(p.Heat.draw))
	}
	for _, s := range p.Shapes {
		to.Add(drawing(s.draw))
	}
	for _, l := range p.Lines {
		if err := l.add(to, p); err != nil {
			return err
		}
	}
	for _, l := range p.Labels {
		to.Add(drawing(l.draw))
	}
	return nil
}

// drawing is a plotter of one function.
type drawing func(c draw.Canvas, at func(x, y float64) vg.Point)

// Plot implements plot.Plotter.
func (d drawing) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	d(c, func(a, b float64) vg.Point { return vg.Point{X: x(above0(&p.X, a)), Y: y(above0(&p.Y, b))} })
}

// above0 moves what is not above 0 to a place far below a logarithmic axis: an interval may reach so far.
func above0(a *plot.Axis, v float64) float64 {
	if _, log := a.Scale.(plot.LogScale); log {
		return max(v, a.Min/1e3)
	}
	return v
}

// outline is a style as a line.
func (s Style) outline() draw.LineStyle {
	out := draw.LineStyle{Color: s.color(), Width: widthOfLine}
	if s.Width > 0 {
		out.Width = vg.Length(s.Width)
	}
	for _, d := range s.Dashes {
		out.Dashes = append(out.Dashes, vg.Length(d))
	}
	return out
}

func (s Style) color() color.Color { return cmp.Or(s.Color, color.Color(ink)) }

// markers are the forms of points. To add one, add a line.
var markers = map[Marker]draw.GlyphDrawer{
	Circle: draw.CircleGlyph{}, Square: draw.SquareGlyph{}, Triangle: draw.TriangleGlyph{}, Ring: draw.RingGlyph{},
	Box: draw.BoxGlyph{}, Pyramid: draw.PyramidGlyph{}, Cross: draw.CrossGlyph{}, Plus: draw.PlusGlyph{},
}

func (s Style) glyph() draw.GlyphStyle {
	return draw.GlyphStyle{Color: s.color(), Radius: 3, Shape: markers[s.Marker]}
}

// pieces are the unbroken parts of a line, as indices from and to.
func (l *Line) pieces(p *Panel) (out [][2]int) {
	from := -1
	for i := 0; i <= len(l.X); i++ {
		ok := i < len(l.X) && p.drawn(l.X[i], l.Y[i])
		switch {
		case ok && from < 0:
			from = i
		case !ok && from >= 0:
			out, from = append(out, [2]int{from, i}), -1
		}
	}
	return out
}

func (l *Line) add(to *plot.Plot, p *Panel) error {
	for _, piece := range l.pieces(p) {
		points := make(plotter.XYs, 0, piece[1]-piece[0])
		for i := piece[0]; i < piece[1]; i++ {
			points = append(points, plotter.XY{X: l.X[i], Y: l.Y[i]})
		}
		if l.Low != nil {
			to.Add(l.interval(piece))
		}
		if l.Mark != Points && len(points) > 1 {
			line, err := plotter.NewLine(points)
			if err != nil {
				return err
			}
			line.LineStyle = l.Style.outline()
			to.Add(line)
		}
		if l.Mark != Curve || len(points) == 1 {
			dots, err := plotter.NewScatter(points)
			if err != nil {
				return err
			}
			dots.GlyphStyle = l.Style.glyph()
			to.Add(dots)
		}
	}
	return nil
}

// interval draws the band or the whiskers of a piece of a line.
func (l *Line) interval(piece [2]int) drawing {
	if l.Mark != Curve {
		return func(c draw.Canvas, at func(x, y float64) vg.Point) {
			for i := piece[0]; i < piece[1]; i++ {
				if finite(l.Low[i]) && finite(l.High[i]) {
					l.whisker(c, at, i)
				}
			}
		}
	}
	return func(c draw.Canvas, at func(x, y float64) vg.Point) {
		var above, below []vg.Point
		flush := func() {
			if len(above) > 1 {
				for i := len(below) - 1; i >= 0; i-- {
					above = append(above, below[i])
				}
				c.FillPolygon(transparent(l.Style.color()), c.ClipPolygonXY(above))
			}
			above, below = nil, nil
		}
		for i := piece[0]; i < piece[1]; i++ {
			if !finite(l.Low[i]) || !finite(l.High[i]) {
				flush()
				continue
			}
			above, below = append(above, at(l.X[i], l.High[i])), append(below, at(l.X[i], l.Low[i]))
		}
		flush()
	}
}

// whisker draws the interval of a point, with a short line at each end that is an end and not the edge of the panel.
func (l *Line) whisker(c draw.Canvas, at func(x, y float64) vg.Point, i int) {
	low, high := at(l.X[i], l.Low[i]), at(l.X[i], l.High[i])
	end := vg.Point{X: 3}
	if l.Across {
		low, high = at(l.Low[i], l.Y[i]), at(l.High[i], l.Y[i])
		end = vg.Point{Y: 3}
	}
	c.StrokeLines(draw.LineStyle{Color: l.Style.color(), Width: 1}, c.ClipLinesXY(
		[]vg.Point{low, high}, []vg.Point{low.Sub(end), low.Add(end)}, []vg.Point{high.Sub(end), high.Add(end)})...)
}

// transparent is a colour through which lines are seen.
func transparent(c color.Color) color.Color {
	r, g, b, _ := c.RGBA()
	return color.NRGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), 0x33}
}

// thumbnails show a line in the legend.
func (l *Line) thumbnails() []plot.Thumbnailer {
	var out []plot.Thumbnailer
	if l.Mark != Points {
		out = append(out, &plotter.Line{LineStyle: l.Style.outline()})
	}
	if l.Mark != Curve {
		out = append(out, &plotter.Scatter{GlyphStyle: l.Style.glyph()})
	}
	return out
}

func (s Span) draw(c draw.Canvas, at func(x, y float64) vg.Point) {
	from, to := at(s.From, 0).X, at(s.To, 0).X
	ground := []vg.Point{{X: from, Y: c.Min.Y}, {X: from, Y: c.Max.Y}, {X: to, Y: c.Max.Y}, {X: to, Y: c.Min.Y}}
	c.FillPolygon(tint, c.ClipPolygonXY(ground))
	style := textStyle(small, muted)
	style.XAlign = draw.XCenter
	c.FillText(style, vg.Point{X: (from + to) / 2, Y: c.Max.Y - 4}, s.Text)
}

func (b Bar) draw(c draw.Canvas, at func(x, y float64) vg.Point) {
	low, high := at(b.From, 0), at(b.To, b.Height)
	bar := c.ClipPolygonXY([]vg.Point{low, {X: low.X, Y: high.Y}, high, {X: high.X, Y: low.Y}})
	if len(bar) == 0 {
		return
	}
	c.FillPolygon(pale, bar)
	c.StrokeLines(draw.LineStyle{Color: blue, Width: .8}, append(bar, bar[0]))
}

func (l Label) draw(c draw.Canvas, at func(x, y float64) vg.Point) {
	style := textStyle(small, cmp.Or(l.Color, color.Color(ink)))
	place := at(l.X, l.Y)
	const gap = 5
	style.XAlign, style.YAlign = draw.XCenter, draw.YCenter
	switch l.Side {
	case Right:
		style.XAlign, place.X = draw.XLeft, place.X+gap
	case Left:
		style.XAlign, place.X = draw.XRight, place.X-gap
	case Above:
		style.YAlign, place.Y = draw.YBottom, place.Y+gap
	case Below:
		style.YAlign, place.Y = draw.YTop, place.Y-gap
	}
	c.FillText(style, place, l.Text)
}

func (s Shape) draw(c draw.Canvas, at func(x, y float64) vg.Point) {
	var points []vg.Point
	for i := range s.X {
		points = append(points, at(s.X[i], s.Y[i]))
	}
	if s.Fill != nil {
		c.FillPolygon(s.Fill, points)
	}
	if !s.Open && len(points) > 0 {
		points = append(points, points[0])
	}
	c.StrokeLines(s.Style.outline(), points)
	if n := len(points); s.Arrow && n > 1 {
		tip, from := points[n-1], points[n-2]
		dx, dy := float64(tip.X-from.X), float64(tip.Y-from.Y)
		if length := math.Hypot(dx, dy); length > 0 {
			back := func(along, aside float64) vg.Point {
				return vg.Point{X: tip.X - vg.Length((dx*along-dy*aside)/length), Y: tip.Y - vg.Length((dy*along+dx*aside)/length)}
			}
			c.FillPolygon(s.Style.color(), []vg.Point{tip, back(6, 2.5), back(6, -2.5)})
		}
	}
}

// draw draws the cells, dark for the lowest value and light for the highest.
func (h *Heat) draw(c draw.Canvas, at func(x, y float64) vg.Point) {
	low, high := math.Inf(1), math.Inf(-1)
	for _, row := range h.Values {
		for _, v := range row {
			if finite(v) {
				low, high = min(low, v), max(high, v)
			}
		}
	}
	style := textStyle(usual, ink)
	style.XAlign, style.YAlign = draw.XCenter, draw.YCenter
	for r, row := range h.Values {
		for k, v := range row {
			x, y := float64(k), float64(r)
			cell := []vg.Point{at(x-.5, y-.5), at(x-.5, y+.5), at(x+.5, y+.5), at(x+.5, y-.5)}
			text, fill := "–", color.RGBA{0xff, 0xff, 0xff, 0xff}
			if finite(v) {
				place := 1.0
				if high > low {
					place = (v - low) / (high - low)
				}
				text, fill = h.Print(v), shade(.1+.9*place)
			}
			style.Color = ink
			if luminance(fill) < .45 {
				style.Color = color.White
			}
			c.FillPolygon(fill, cell)
			c.StrokeLines(draw.LineStyle{Color: color.White, Width: 1}, append(cell, cell[0]))
			if h.Ring != nil && h.Ring[r][k] {
				for i := range cell { // inside the cell, so that neighbours do not cover it
					cell[i].X += vg.Length([]float64{2, 2, -2, -2}[i])
					cell[i].Y += vg.Length([]float64{2, -2, -2, 2}[i])
				}
				c.StrokeLines(draw.LineStyle{Color: style.Color, Width: 1.5}, append(cell, cell[0]))
			}
			c.FillText(style, at(x, y), text)
		}
	}
}
