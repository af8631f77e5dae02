// Package figure draws plots in one theme, as SVG or PNG.
//
// A Figure shows the unit square, with its legend at the right. What is drawn and what it
// means is the caller's business.
package figure

import (
	"bytes"
	"fmt"
	"image/color"
	"io"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"focalgrid/atomicfile"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/palette"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Figure is a plot and its legend.
type Figure struct {
	plot   *plot.Plot
	legend plot.Legend
}

const (
	width       = 12 * vg.Centimeter
	height      = 8 * vg.Centimeter
	legendWidth = 2.9 * vg.Centimeter
)

var (
	ink   = color.Gray{0x30}
	faint = color.Gray{0xd0}
	blue  = color.RGBA{0x1f, 0x6f, 0xb4, 0xff}
	pale  = color.RGBA{0x9c, 0xc4, 0xe4, 0xff}
	amber = color.RGBA{0xd9, 0x7b, 0x0f, 0xff}
)

// New returns an empty figure with the names of its axes.
func New(x, y string) *Figure {
	p := plot.New()
	p.BackgroundColor = nil
	p.X.Label.Text, p.Y.Label.Text = x, y
	f := &Figure{plot: p, legend: plot.NewLegend()}
	sans := font.Font{Typeface: "Liberation", Variant: "Sans", Size: 9}
	f.legend.TextStyle.Font = sans
	f.legend.Top = true
	f.legend.Padding, f.legend.ThumbnailWidth = 3, 14
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Min, a.Max = 0, 1
		a.Label.TextStyle.Font, a.Tick.Label.Font = sans, sans
		a.Color, a.Tick.Color, a.Label.TextStyle.Color, a.Tick.Label.Color = ink, ink, ink, ink
		a.Tick.Marker = plot.ConstantTicks{
			{Value: 0, Label: "0"}, {Value: .2, Label: "0.2"}, {Value: .4, Label: "0.4"},
			{Value: .6, Label: "0.6"}, {Value: .8, Label: "0.8"}, {Value: 1, Label: "1"},
		}
		a.Padding = 0
	}
	f.legend.TextStyle.Color = ink
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = faint, faint
	p.Add(grid)
	return f
}

// Note adds a line of text to the legend.
func (f *Figure) Note(text string) { f.legend.Add(text) }

// Line draws y over x where y is a number, as number i of n lines: from blue over green to
// amber. The legend has its name also where there is nothing to draw.
func (f *Figure) Line(x, y []float64, name string, i, n int) error {
	var points plotter.XYs
	for k := range x {
		if !math.IsNaN(y[k]) {
			points = append(points, plotter.XY{X: x[k], Y: y[k]})
		}
	}
	if len(points) == 0 {
		f.Note(name)
		return nil
	}
	line, err := plotter.NewLine(points)
	if err != nil {
		return err
	}
	line.Color, line.Width = shade(i, n), 1.2
	f.add(line, name)
	return nil
}

// Diagonal draws a dashed line from corner to corner.
func (f *Figure) Diagonal(name string) error {
	line, err := plotter.NewLine(plotter.XYs{{X: 0, Y: 0}, {X: 1, Y: 1}})
	if err != nil {
		return err
	}
	line.Color, line.Width, line.Dashes = amber, 1, []vg.Length{3, 2}
	f.add(line, name)
	return nil
}

// Bar draws a bar as high as y between two places of the x axis.
func (f *Figure) Bar(from, to, y float64) error {
	bar, err := plotter.NewPolygon(plotter.XYs{{X: from}, {X: from, Y: y}, {X: to, Y: y}, {X: to}})
	if err != nil {
		return err
	}
	bar.Color = pale
	bar.LineStyle.Color, bar.LineStyle.Width = blue, .8
	f.plot.Add(bar)
	return nil
}

func (f *Figure) add(line *plotter.Line, name string) {
	f.plot.Add(line)
	f.legend.Add(name, line)
}

// shade returns colour i of n.
func shade(i, n int) color.Color {
	const from, to = .58, .08 // hues
	hue := from
	if n > 1 {
		hue += (to - from) * float64(i) / float64(n-1)
	}
	return palette.HSVA{H: hue, S: .9, V: .65, A: 1}
}

func (f *Figure) draw(c draw.Canvas) {
	f.plot.Draw(draw.Crop(c, 2, -legendWidth, 0, -4))
	f.legend.Draw(draw.Crop(c, width-legendWidth, -2, 0, -6))
}

// SVG returns the figure as an element of HTML.
func (f *Figure) SVG() (string, error) {
	var b bytes.Buffer
	if err := f.writeSVG(&b); err != nil {
		return "", err
	}
	from := bytes.Index(b.Bytes(), []byte("<svg")) // after the XML header
	return string(b.Bytes()[from:]), nil
}

func (f *Figure) writeSVG(w io.Writer) error {
	c := vgsvg.New(width, height)
	f.draw(draw.New(c))
	_, err := c.WriteTo(w)
	return err
}

func (f *Figure) writePNG(w io.Writer) error {
	c := vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(200), vgimg.UseBackgroundColor(color.White))
	f.draw(draw.New(c))
	_, err := vgimg.PngCanvas{Canvas: c}.WriteTo(w)
	return err
}

// forms are the forms of a file, by how its name ends. To add one, add a line.
var forms = map[string]func(*Figure, io.Writer) error{".png": (*Figure).writePNG, ".svg": (*Figure).writeSVG}

// CheckName returns an error if a figure cannot be written to a file of that name.
func CheckName(path string) error {
	if forms[filepath.Ext(path)] == nil {
		return fmt.Errorf("%s: a plot is drawn as %s", path, strings.Join(slices.Sorted(maps.Keys(forms)), " or "))
	}
	return nil
}

// Write draws the figure to a file, in the form that its name ends with.
func (f *Figure) Write(path string) error {
	if err := CheckName(path); err != nil {
		return err
	}
	return atomicfile.Write(path, func(w io.Writer) error { return forms[filepath.Ext(path)](f, w) })
}
