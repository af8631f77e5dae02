package report

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"

	"focalgrid/atomicfile"
	"focalgrid/columns"
	"focalgrid/figure"
	"focalgrid/metrics"
	"focalgrid/page"
)

//go:embed report.html
var pageText string

var pageTemplate = template.Must(template.New("report").Funcs(page.Functions).Parse(pageText))

// WriteHTML writes everything to one page that needs no other file and no network.
// Details must be there.
func (r *Report) WriteHTML(path string) error {
	v, err := r.view()
	if err != nil {
		return err
	}
	return atomicfile.Write(path, func(w io.Writer) error { return pageTemplate.Execute(w, v) })
}

// view is what the page shows, formatted.
type view struct {
	GroundTruth, Results string
	Made                 page.Made
	Facts                []tile
	Warnings             []string
	Numbers              []tile
	Difference           *difference
	ByIoU, BySize        []bar
	Curves, Reliability  template.HTML // drawn by us
	Foreground           string
	Background           string
	ErrorAP              string
	Errors, AllErrors    []bar
	IoU                  string // of calibration, F1 and the classes' curves
	ECE                  string
	Bins                 [][]string
	Classes              [][]string // header first
	ClassCurves          []string   // lines in a box of 100 x 30, by row of Classes
}

// tile is a figure with its name and, smaller, what it is.
type tile struct{ Name, Value, Meaning string }

// bar is a value and its length in per cent.
type bar struct {
	Name, Count, Value string
	Percent            float64
}

// difference is a comparison; From, To, At and Zero are places on its axis in per cent.
type difference struct {
	With                         string
	A, B, Value, Low, High       string
	StdErr                       string
	Resamples                    int
	Seed                         uint64
	Verdict                      string
	Numbers                      [][]string // the twelve, here and there
	Drawn                        bool
	From, To, At, Zero, Distance float64
}

func (r *Report) view() (*view, error) {
	d, res := r.Details, r.Result
	v := &view{
		GroundTruth: r.GroundTruth, Results: r.Detections, Made: r.Made, Warnings: res.Warnings,
		Foreground: columns.Decimals(d.Errors.Foreground, 2), Background: columns.Decimals(d.Errors.Background, 2), ErrorAP: fraction(d.Errors.AP),
		IoU: columns.Decimals(d.IoU, 2), ECE: fraction(d.Calibration.ECE), Bins: d.calibrationTable().rows,
	}
	objects, detections := 0, 0
	for i := range res.PerCategory {
		objects += res.PerCategory[i].Objects
		detections += res.PerCategory[i].Detections
	}
	v.Facts = []tile{
		{Name: "images", Value: grouped(r.Images)}, {Name: "classes", Value: grouped(len(res.PerCategory))},
		{Name: "objects", Value: grouped(objects)}, {Name: "detections", Value: grouped(detections)},
	}
	for i, l := range r.lines() {
		meaning := "IoU " + l.iou
		if i >= 3 {
			meaning = l.area
		}
		if i >= 6 && i < 9 {
			meaning = "at most " + l.maxDets
		}
		v.Numbers = append(v.Numbers, tile{metrics.StatNames[i], fraction(res.Stats[i]), meaning})
	}
	for i, iou := range res.IoUThresholds {
		v.ByIoU = append(v.ByIoU, bar{Name: columns.Decimals(iou, 2), Value: fraction(res.ByIoU[i]), Percent: percent(res.ByIoU[i], 1)})
	}
	for i, a := range r.Options.AreaRanges[1:] {
		ap := res.Stats[3+i]
		v.BySize = append(v.BySize, bar{Name: a.Name, Value: fraction(ap), Percent: percent(ap, 1)})
	}
	v.errors(d.Errors)
	if r.Comparison != nil {
		v.Difference = r.Comparison.difference()
	}
	v.classes(r)

	for _, f := range []struct {
		*figure.Figure
		to *template.HTML
	}{{r.curvesFigure(), &v.Curves}, {d.reliabilityFigure(), &v.Reliability}} {
		svg, err := f.SVG(figure.Width)
		if err != nil {
			return nil, err
		}
		*f.to = template.HTML(svg)
	}
	return v, nil
}

func (v *view) errors(e *metrics.Errors) {
	all := [2]metrics.ErrorCost{e.FalsePositives, e.FalseNegatives}
	longest := 0.0
	for _, c := range slices.Concat(e.Kinds[:], all[:]) {
		if c.DAP > longest {
			longest = c.DAP
		}
	}
	lost := func(name string, c metrics.ErrorCost) bar {
		return bar{name, grouped(c.Count), fraction(c.DAP), percent(c.DAP, longest)}
	}
	for k, c := range e.Kinds {
		v.Errors = append(v.Errors, lost(metrics.ErrorKind(k).String(), c))
	}
	v.AllErrors = []bar{lost("false positives", all[0]), lost("false negatives", all[1])}
}

// classes fills the table of classes, the best AP first, those without objects last.
func (v *view) classes(r *Report) {
	header := []string{"class", "objects", "AP", "AP50", "AP75", "APs", "APm", "APl", "AR100", "F1", "from score", "ECE"}
	for k := range r.Details.Errors.Kinds {
		header = append(header, metrics.ErrorKind(k).String())
	}
	v.Classes = [][]string{header}
	v.ClassCurves = []string{""}
	order := make([]int, len(r.Result.PerCategory))
	for k := range order {
		order[k] = k
	}
	ap := func(k int) float64 { return r.Result.PerCategory[k].AP }
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(ap(b), ap(a)) }) // NaN is below all
	curves := r.Details.Curves
	t := slices.Index(curves.IoU, r.Details.IoU)
	for _, k := range order {
		c, f1 := &r.Result.PerCategory[k], r.Details.BestF1[k]
		row := []string{oneLine(c.Name, c.ID), grouped(c.Objects)}
		for _, x := range []float64{c.AP, c.AP50, c.AP75, c.APs, c.APm, c.APl, c.AR100, f1.F1, f1.Score, r.Details.Calibration.PerCategory[k]} {
			row = append(row, fraction(x))
		}
		for _, n := range r.Details.Errors.PerCategory[k] {
			row = append(row, grouped(n))
		}
		v.Classes = append(v.Classes, row)
		v.ClassCurves = append(v.ClassCurves, sparkline(curves.PerCategory[k*len(curves.IoU)+t].Precision))
	}
}

// sparkline is precision over recall as the points of a line in a box of 100 x 30,
// y downwards; empty without objects.
func sparkline(precision []float64) string {
	var b strings.Builder
	for i, p := range precision {
		if math.IsNaN(p) {
			return ""
		}
		inner := i > 0 && i+1 < len(precision) && precision[i-1] == p && precision[i+1] == p
		if !inner {
			fmt.Fprintf(&b, "%.0f,%.1f ", 100*float64(i)/float64(len(precision)), 30*(1-p))
		}
	}
	return strings.TrimSpace(b.String())
}

func (c *Comparison) difference() *difference {
	four := func(x float64) string { return columns.Decimals(x, 4) }
	d := &difference{
		With: c.With, A: four(c.A[0]), B: four(c.B[0]), Value: four(c.Difference), Low: four(c.Low), High: four(c.High),
		StdErr: four(c.StdErr), Resamples: c.Resamples, Seed: c.Seed,
	}
	for _, row := range c.table().rows[1:] {
		d.Numbers = append(d.Numbers, row[:4])
	}
	switch {
	case c.Low > 0:
		d.Verdict = "These results are better: the interval lies above 0."
	case c.High < 0:
		d.Verdict = "These results are worse: the interval lies below 0."
	case math.IsNaN(c.Low):
		d.Verdict = "There is nothing to compare."
		return d
	default:
		d.Verdict = "The interval holds 0: the images do not tell which is better."
	}
	d.Drawn = true
	low, high := min(c.Low, c.Difference, 0), max(c.High, c.Difference, 0)
	place := func(x float64) float64 {
		if high == low {
			return 50
		}
		return 5 + percent(x-low, high-low)*.9
	}
	d.From, d.To, d.At, d.Zero = place(c.Low), place(c.High), place(c.Difference), place(0)
	d.Distance = d.To - d.From
	return d
}

// percent is the part of whole that x is; 0 for what has no value.
func percent(x, whole float64) float64 {
	if math.IsNaN(x) || whole <= 0 {
		return 0
	}
	return math.Round(1000*max(x, 0)/whole) / 10
}

// grouped writes n with its thousands apart.
func grouped(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:] // narrow, and no line breaks there
	}
	return s
}
