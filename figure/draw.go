package figure

import (
	"image/color"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Sizes in points. At 600 pixels a point is a third more than a pixel, so that the smallest text is 12 pixels high.
const (
	width       = vg.Length(450)
	tall        = vg.Length(265) // a row of panels, if it is the only one
	short       = vg.Length(165) // a row of several
	margin      = vg.Length(6)
	small       = 9
	usual       = 10
	large       = 12
	thumb       = vg.Length(26)
	captionGap  = vg.Length(4)
	titleGap    = vg.Length(5)
	widthOfLine = vg.Length(1.5)
)

func textStyle(size float64, c color.Color) text.Style {
	return text.Style{
		Color:   c,
		Font:    font.Font{Typeface: "Liberation", Variant: "Sans", Size: font.Length(size)},
		Handler: plot.DefaultTextHandler,
		XAlign:  draw.XLeft, YAlign: draw.YTop,
	}
}

// layout is a figure with its texts broken into lines.
type layout struct {
	*Figure
	title, caption []string
	plots          [][]*plot.Plot
	names          plot.Legend
	legendWidth    vg.Length
	height         vg.Length
}

func (f *Figure) layout() (*layout, error) {
	l := &layout{Figure: f}
	l.title = wrap(textStyle(large, ink), f.Title, width-2*margin)
	l.caption = wrap(textStyle(small, muted), f.Caption, width-2*margin)
	l.makeLegend()
	n := f.columns()
	for i, p := range f.Panels {
		drawn, err := p.plot()
		if err != nil {
			return nil, err
		}
		if i%n == 0 {
			l.plots = append(l.plots, make([]*plot.Plot, n))
		}
		l.plots[len(l.plots)-1][i%n] = drawn
	}
	l.height = 2*margin + lineHeight(large)*vg.Length(len(l.title)) + lineHeight(small)*vg.Length(len(l.caption)) + captionGap
	switch rows := vg.Length(len(l.plots)); {
	case f.RowHeight > 0:
		l.height += vg.Length(f.RowHeight) * rows
	case rows == 1:
		l.height += tall
	default:
		l.height += short * rows
	}
	return l, nil
}

func lineHeight(size float64) vg.Length { return vg.Length(size * 1.3) }

// wrap breaks text into lines that are no wider than room.
func wrap(style text.Style, words string, room vg.Length) []string {
	var lines []string
	for _, word := range strings.Fields(words) {
		if last := len(lines) - 1; last >= 0 && style.Width(lines[last]+" "+word) <= room {
			lines[last] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}

// makeLegend makes the legend, if the figure has any names.
func (l *layout) makeLegend() {
	l.names = plot.NewLegend()
	l.names.TextStyle.Font, l.names.TextStyle.Color = textStyle(small, ink).Font, ink
	l.names.Top, l.names.Left = true, true
	l.names.Padding, l.names.ThumbnailWidth = 4, thumb
	for _, line := range l.Figure.legend() {
		l.legendWidth = max(l.legendWidth, thumb+4+textStyle(small, ink).Width(line.Name))
		l.names.Add(line.Name, line.thumbnails()...)
	}
	if l.legendWidth > 0 {
		l.legendWidth += margin
	}
}

// draw draws the figure on a canvas of width × height.
func (l *layout) draw(c draw.Canvas) {
	c.SetColor(color.White)
	c.Fill(c.Rectangle.Path())
	write := func(lines []string, size float64, ink color.Color, top vg.Length) vg.Length {
		for _, line := range lines {
			c.FillText(textStyle(size, ink), vg.Point{X: margin, Y: top}, line)
			top -= lineHeight(size)
		}
		return top
	}
	top := write(l.title, large, ink, l.height-margin)
	bottom := margin + lineHeight(small)*vg.Length(len(l.caption))
	write(l.caption, small, muted, bottom)
	area := draw.Crop(c, margin, -margin-l.legendWidth, bottom+captionGap, top-l.height-titleGap)
	tiles := draw.Tiles{Rows: len(l.plots), Cols: l.columns(), PadX: 8, PadY: 6}
	if len(l.plots) > 0 {
		for i, row := range plot.Align(l.plots, tiles, area) {
			for j, at := range row {
				if l.plots[i][j] != nil {
					l.plots[i][j].Draw(at)
				}
			}
		}
	}
	l.names.Draw(draw.Crop(c, width-margin-l.legendWidth+margin/2, 0, 0, top-l.height-titleGap-4))
}

// plot makes the panel.
func (p *Panel) plot() (*plot.Plot, error) {
	out := plot.New()
	out.BackgroundColor = nil
	out.Title.Text = p.Title
	out.Title.TextStyle.Font, out.Title.TextStyle.Color = textStyle(usual, ink).Font, ink
	out.Title.Padding = 3
	xs, ys := p.ranges()
	for _, a := range []struct {
		of   *Axis
		as   *plot.Axis
		ends [2]float64
	}{{&p.X, &out.X, xs}, {&p.Y, &out.Y, ys}} {
		a.as.Label.Text = a.of.Label
		a.as.Label.TextStyle.Font, a.as.Tick.Label.Font = textStyle(usual, ink).Font, textStyle(small, ink).Font
		a.as.Color, a.as.Tick.Color, a.as.Label.TextStyle.Color, a.as.Tick.Label.Color = ink, ink, ink, ink
		a.as.Tick.Length = 3
		a.as.Padding = 0
		if a.of.Log {
			a.as.Scale = plot.LogScale{}
		}
		a.as.Tick.Marker = plot.ConstantTicks(a.of.ticks(a.ends))
	}
	if p.X.Hidden {
		out.HideX()
	}
	if p.Y.Hidden {
		out.HideY()
	}
	if p.Heat == nil && !p.X.Hidden && !p.Y.Hidden {
		grid := plotter.NewGrid()
		grid.Horizontal.Color, grid.Vertical.Color = faint, faint
		grid.Horizontal.Width, grid.Vertical.Width = .5, .5
		out.Add(grid)
	}
	if err := p.add(out); err != nil {
		return nil, err
	}
	out.X.Min, out.X.Max, out.Y.Min, out.Y.Max = xs[0], xs[1], ys[0], ys[1] // Add widens them
	return out, nil
}
