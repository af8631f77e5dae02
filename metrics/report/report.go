// Package report writes an evaluation for people and for programs.
//
// Text has the twelve lines that COCO's own tool prints; markdown has tables;
// JSON has every figure with all its bits. In text and JSON a quantity with no
// ground truth behind it is -1, as in pycocotools, elsewhere a dash. AP and
// recall are fractions in [0,1] everywhere. What the numbers mean is package
// metrics' business.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"

	"focalgrid/metrics"
)

// Report is what is written.
type Report struct {
	Result  *metrics.Result
	Options metrics.Options // those of Result
	// PerClass adds a table of the categories to text and markdown; JSON has
	// it always.
	PerClass bool
}

// gap stands for a quantity with no ground truth behind it.
const gap = "–"

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
	if r.PerClass {
		b.WriteString("\n")
		writeColumns(&b, r.classTable())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) writeMarkdown(w io.Writer) error {
	var b strings.Builder
	t := table{left: 4, rows: [][]string{{"", "metric", "IoU", "area", "max. detections", "value"}}}
	for i, l := range r.lines() {
		name, _, _ := strings.Cut(l.name, "  ")
		t.rows = append(t.rows, []string{metrics.StatNames[i], name, l.iou, l.area, l.maxDets, fraction(r.Result.Stats[i])})
	}
	writeMarkdownTable(&b, t)
	if r.PerClass {
		b.WriteString("\n")
		writeMarkdownTable(&b, r.classTable())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// table is a header and rows of cells, the first columns aligned to the left.
type table struct {
	left int
	rows [][]string
}

func (r *Report) classTable() table {
	header := []string{"class", "objects"}
	t := table{left: 1, rows: [][]string{append(header, metrics.StatNames[:]...)}}
	for i := range r.Result.PerCategory {
		c := &r.Result.PerCategory[i]
		row := []string{className(c), fmt.Sprint(c.Objects)}
		for _, v := range c.Stats() {
			row = append(row, fraction(v))
		}
		t.rows = append(t.rows, row)
	}
	return t
}

// className is a category's name in one line, or its id if it has none.
func className(c *metrics.CategoryResult) string {
	name := strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, c.Name))
	if name == "" {
		return fmt.Sprint(c.ID)
	}
	return name
}

// fraction writes v with three decimals.
func fraction(v float64) string {
	if math.IsNaN(v) {
		return gap
	}
	return fmt.Sprintf("%.3f", v)
}

func writeColumns(b *strings.Builder, t table) {
	tw := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	width := 0
	for _, row := range t.rows {
		width = max(width, len([]rune(row[0])))
	}
	for _, row := range t.rows {
		for i, cell := range row {
			if i < t.left {
				cell += strings.Repeat(" ", width-len([]rune(cell)))
			}
			fmt.Fprintf(tw, "%s\t", cell)
		}
		fmt.Fprintln(tw)
	}
	tw.Flush() // to memory
}

func writeMarkdownTable(b *strings.Builder, t table) {
	for i, row := range t.rows {
		for _, cell := range row {
			fmt.Fprintf(b, "| %s ", strings.ReplaceAll(cell, "|", `\|`))
		}
		b.WriteString("|\n")
		if i > 0 {
			continue
		}
		for j := range row {
			if j < t.left {
				b.WriteString("|:--")
			} else {
				b.WriteString("|--:")
			}
		}
		b.WriteString("|\n")
	}
}

// document is the JSON form: the numbers of pycocotools, -1 where it has -1.
type document struct {
	Stats       [12]float64     `json:"stats"`
	StatNames   [12]string      `json:"stat_names"`
	PerCategory []categoryStats `json:"per_category"`
}

type categoryStats struct {
	ID    int64   `json:"category_id"`
	Name  string  `json:"name"`
	AP    float64 `json:"AP"`
	AP50  float64 `json:"AP50"`
	AP75  float64 `json:"AP75"`
	APs   float64 `json:"APs"`
	APm   float64 `json:"APm"`
	APl   float64 `json:"APl"`
	AR1   float64 `json:"AR1"`
	AR10  float64 `json:"AR10"`
	AR100 float64 `json:"AR100"`
	ARs   float64 `json:"ARs"`
	ARm   float64 `json:"ARm"`
	ARl   float64 `json:"ARl"`
}

func (r *Report) writeJSON(w io.Writer) error {
	c := r.Result.COCO()
	d := document{Stats: c.Stats, StatNames: metrics.StatNames, PerCategory: []categoryStats{}}
	for _, k := range c.PerCategory {
		d.PerCategory = append(d.PerCategory, categoryStats{
			k.ID, k.Name, k.AP, k.AP50, k.AP75, k.APs, k.APm, k.APl, k.AR1, k.AR10, k.AR100, k.ARs, k.ARm, k.ARl,
		})
	}
	return json.NewEncoder(w).Encode(d)
}
