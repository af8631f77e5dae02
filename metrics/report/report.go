// Package report writes an evaluation for people and for programs.
//
// Text has the twelve lines that COCO's own tool prints; markdown has tables;
// JSON has every figure with all its bits. In text and JSON a quantity with no
// ground truth behind it is -1, as in pycocotools, elsewhere a dash. AP and
// recall are fractions in [0,1] everywhere. What the numbers mean is package
// metrics' business.
package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode"

	"focalgrid/columns"
	"focalgrid/metrics"
	"focalgrid/page"
)

// Report is what is written.
type Report struct {
	GroundTruth, Detections string // what the page calls the two files
	Images                  int    // in the ground truth
	Result                  *metrics.Result
	Options                 metrics.Options // those of Result
	// PerClass adds a table of the categories to text and markdown; JSON has
	// it always.
	PerClass bool
	// Details are what curves, plot and page show; text, markdown and JSON too
	// if ShowDetails. Details and Comparison are left out where nil.
	Details     *Details
	ShowDetails bool
	Comparison  *Comparison
	Made        page.Made // for the page
}

// Comparison is one with another results file.
type Comparison struct {
	metrics.Comparison
	With string // name of the other file
	Seed uint64
}

// formats names every form that Write knows. To add one, add a line.
var formats = map[string]func(*Report, io.Writer) error{
	"text":     (*Report).writeText,
	"markdown": (*Report).writeMarkdown,
	"json":     (*Report).writeJSON,
}

// Formats lists the formats of Write.
func Formats() []string { return slices.Sorted(maps.Keys(formats)) }

// Write writes r in a format of Formats.
func (r *Report) Write(w io.Writer, format string) error {
	write, ok := formats[format]
	if !ok {
		return fmt.Errorf("unknown format %q; known: %s", format, strings.Join(Formats(), ", "))
	}
	return write(r, w)
}

// line describes one of the twelve numbers.
type line struct{ name, iou, area, maxDets string }

func (r *Report) lines() [len(metrics.StatNames)]line {
	o := &r.Options
	maxDets := o.MaxDets
	slices.Sort(maxDets[:])
	ious := fmt.Sprintf("%.2f:%.2f", o.IoUThresholds[0], o.IoUThresholds[len(o.IoUThresholds)-1])
	var lines [len(metrics.StatNames)]line
	for i := range lines {
		l := line{"Average Precision  (AP)", ious, o.AreaRanges[0].Name, fmt.Sprint(maxDets[2])}
		switch {
		case i == 0:
		case i == 1:
			l.iou = "0.50"
		case i == 2:
			l.iou = "0.75"
		case i < 6:
			l.area = o.AreaRanges[i-2].Name
		case i < 9:
			l.maxDets = fmt.Sprint(maxDets[i-6])
		default:
			l.area = o.AreaRanges[i-8].Name
		}
		if i >= 6 {
			l.name = "Average Recall     (AR)"
		}
		lines[i] = l
	}
	return lines
}

func (r *Report) writeText(w io.Writer) error {
	var b strings.Builder
	stats := r.Result.COCO().Stats
	for i, l := range r.lines() {
		fmt.Fprintf(&b, " %s @[ IoU=%-9s | area=%6s | maxDets=%3s ] = %.3f\n", l.name, l.iou, l.area, l.maxDets, stats[i])
	}
	for _, t := range r.tables() {
		fmt.Fprintf(&b, "\n%s\n\n", t.title)
		if err := columns.Text(&b, "  ", t.rows, t.left); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) writeMarkdown(w io.Writer) error {
	var b strings.Builder
	var rows [][]string
	for i, l := range r.lines() {
		name, _, _ := strings.Cut(l.name, "  ")
		rows = append(rows, []string{metrics.StatNames[i], name, l.iou, l.area, l.maxDets, fraction(r.Result.Stats[i])})
	}
	if err := columns.Markdown(&b, []string{"", "metric", "IoU", "area", "max. detections", "value"}, rows, 4); err != nil {
		return err
	}
	for _, t := range r.tables() {
		fmt.Fprintf(&b, "\n**%s**\n\n", t.title)
		if err := columns.Markdown(&b, t.rows[0], t.rows[1:], t.left); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// table is a header and rows of cells, the first columns of which name the row.
type table struct {
	title string
	left  int
	rows  [][]string
}

// tables are those that follow the twelve numbers.
func (r *Report) tables() []table {
	var tables []table
	if r.PerClass {
		tables = append(tables, r.classTable())
	}
	if d := r.Details; d != nil && r.ShowDetails {
		tables = append(tables, r.iouTable(), d.errorTable(), d.calibrationTable(), d.f1Table())
	}
	if r.Comparison != nil {
		tables = append(tables, r.Comparison.table())
	}
	return tables
}

func (r *Report) classTable() table {
	header := []string{"class", "objects"}
	t := table{title: "Classes", left: 1, rows: [][]string{append(header, metrics.StatNames[:]...)}}
	for i := range r.Result.PerCategory {
		c := &r.Result.PerCategory[i]
		row := []string{oneLine(c.Name, c.ID), fmt.Sprint(c.Objects)}
		for _, v := range c.Stats() {
			row = append(row, fraction(v))
		}
		t.rows = append(t.rows, row)
	}
	return t
}

// oneLine is a category's name in one line, or its id if it has none.
func oneLine(name string, id int64) string {
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, name))
	if name == "" {
		return fmt.Sprint(id)
	}
	return name
}

// fraction writes v with three decimals.
func fraction(v float64) string { return columns.Decimals(v, 3) }
