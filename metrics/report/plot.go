package report

import (
	"bytes"
	"fmt"
	"image/color"
	"io"
	"math"
	"path/filepath"

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

// figure is a plot of the unit square with its legend at the right.
type figure struct {
	plot   *plot.Plot
	legend plot.Legend
}

const (
	figureWidth  = 12 * vg.Centimeter
	figureHeight = 8 * vg.Centimeter
	legendWidth  = 2.9 * vg.Centimeter
)

var (
	ink   = color.Gray{0x30}
	faint = color.Gray{0xd0}
	blue  = color.RGBA{0x1f, 0x6f, 0xb4, 0xff}
	amber = color.RGBA{0xd9, 0x7b, 0x0f, 0xff}
)

func newFigure(x, y string) *figure {
	p := plot.New()
	p.BackgroundColor = nil
	p.X.Label.Text, p.Y.Label.Text = x, y
	f := &figure{plot: p, legend: plot.NewLegend()}
	sans := font.Font{Typeface: "Liberation", Variant: "Sans", Size: 9}
	f.legend.TextStyle.Font = sans
	f.legend.Top = true
	f.legend.Padding, f.legend.ThumbnailWidth = 3, 14
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Min, a.Max = 0, 1
		a.Label.TextStyle.Font, a.Tick.Label.Font = sans, sans
		a.Color, a.Tick.Color, a.Label.TextStyle.Color, a.Tick.Label.Color = ink, ink, ink, ink
		a.Tick.Marker = plot.ConstantTicks{{Value: 0, Label: "0"}, {Value: .2, Label: "0.2"}, {Value: .4, Label: "0.4"}, {Value: .6, Label: "0.6"}, {Value: .8, Label: "0.8"}, {Value: 1, Label: "1"}}
		a.Padding = 0
	}
	f.legend.TextStyle.Color = ink
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = faint, faint
	p.Add(grid)
	return f
}

func (f *figure) add(line *plotter.Line, name string) {
	f.plot.Add(line)
	f.legend.Add(name, line)
}

func (f *figure) draw(c draw.Canvas) {
	f.plot.Draw(draw.Crop(c, 2, -legendWidth, 0, -4))
	f.legend.Draw(draw.Crop(c, figureWidth-legendWidth, -2, 0, -6))
}

// svg returns the figure as an element of HTML.
func (f *figure) svg() (string, error) {
	var b bytes.Buffer
	if err := f.writeSVG(&b); err != nil {
		return "", err
	}
	from := bytes.Index(b.Bytes(), []byte("<svg")) // after the XML header
	return string(b.Bytes()[from:]), nil
}

func (f *figure) writeSVG(w io.Writer) error {
	c := vgsvg.New(figureWidth, figureHeight)
	f.draw(draw.New(c))
	_, err := c.WriteTo(w)
	return err
}

func (f *figure) writePNG(w io.Writer) error {
	c := vgimg.NewWith(vgimg.UseWH(figureWidth, figureHeight), vgimg.UseDPI(200), vgimg.UseBackgroundColor(color.White))
	f.draw(draw.New(c))
	_, err := vgimg.PngCanvas{Canvas: c}.WriteTo(w)
	return err
}

// plotForms are the forms of a plot's file, by how its name ends.
var plotForms = map[string]func(*figure, io.Writer) error{".png": (*figure).writePNG, ".svg": (*figure).writeSVG}

// CheckPlot tells what is wrong with the name of a file for WritePlot.
func CheckPlot(path string) error {
	if plotForms[filepath.Ext(path)] == nil {
		return fmt.Errorf("%s: a plot is drawn as .png or .svg", path)
	}
	return nil
}

// WritePlot draws precision over recall, the mean of the classes at each IoU
// threshold, to a file, by its name as PNG or SVG.
func (r *Report) WritePlot(path string) error {
	if err := CheckPlot(path); err != nil {
		return err
	}
	f, err := r.curvesFigure()
	if err != nil {
		return err
	}
	return atomicfile.Write(path, func(w io.Writer) error { return plotForms[filepath.Ext(path)](f, w) })
}

func (r *Report) curvesFigure() (*figure, error) {
	f := newFigure("recall", "precision")
	f.legend.Add("IoU: AP")
	curves := r.Details.Curves
	for t, iou := range curves.IoU {
		if err := f.addCurve(curves.Recall, curves.Mean[t], shade(t, len(curves.IoU)), fmt.Sprintf("%.2f: %s", iou, fraction(r.Result.ByIoU[t]))); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// addCurve draws y over x where y is a number.
func (f *figure) addCurve(x, y []float64, c color.Color, name string) error {
	var points plotter.XYs
	for i := range x {
		if !math.IsNaN(y[i]) {
			points = append(points, plotter.XY{X: x[i], Y: y[i]})
		}
	}
	if len(points) == 0 {
		f.legend.Add(name)
		return nil
	}
	line, err := plotter.NewLine(points)
	if err != nil {
		return err
	}
	line.Color, line.Width = c, 1.2
	f.add(line, name)
	return nil
}

// shade is colour i of n from blue over green to amber.
func shade(i, n int) color.Color {
	const from, to = .58, .08 // hues
	hue := from
	if n > 1 {
		hue += (to - from) * float64(i) / float64(n-1)
	}
	return palette.HSVA{H: hue, S: .9, V: .65, A: 1}
}

// reliabilityFigure shows precision over score, bin by bin.
func (d *Details) reliabilityFigure() (*figure, error) {
	f := newFigure("score", "precision")
	for _, b := range d.Calibration.Bins {
		if b.Detections == 0 {
			continue
		}
		bar, err := plotter.NewPolygon(plotter.XYs{{X: b.From}, {X: b.From, Y: b.Precision}, {X: b.To, Y: b.Precision}, {X: b.To}})
		if err != nil {
			return nil, err
		}
		bar.Color = color.RGBA{0x9c, 0xc4, 0xe4, 0xff}
		bar.LineStyle.Color, bar.LineStyle.Width = blue, .8
		f.plot.Add(bar)
	}
	ideal, err := plotter.NewLine(plotter.XYs{{X: 0, Y: 0}, {X: 1, Y: 1}})
	if err != nil {
		return nil, err
	}
	ideal.Color, ideal.Width, ideal.Dashes = amber, 1, []vg.Length{3, 2}
	f.add(ideal, "calibrated")
	return f, nil
}
