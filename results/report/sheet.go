package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"focalgrid/columns"
	"focalgrid/stats"
)

// pageWidth is how many characters a line of text has room for, and about as many a page of LaTeX.
const pageWidth = 80

// AllColumns as the only name in Table.Columns means every column.
const AllColumns = "all"

// differenceColumn is the name of the column of differences to the baseline.
const differenceColumn = "difference"

// isBaseline stands in the column of differences in the row of the baseline itself.
const isBaseline = "baseline"

// notSeparated marks a difference that chance may explain.
const notSeparated = "~"

// tableColumn is a column of a table for people, with the cells of all rows of all blocks.
type tableColumn struct {
	name  string // by which Table.Columns asks for it
	head  string
	kind  columnKind
	cells []cell
	wrap  int  // characters at which its cells are broken into lines; 0: never
	split bool // the heading is broken behind its dots
}

type cell struct {
	text string
	bold bool
}

// columnKind says what a column is for. Where a table is too wide, columns of kind detail are left out, the last first.
type columnKind int

const (
	factor    columnKind = iota // names the row
	essential                   // always shown if it has a value
	detail
)

// sheet is a table for people as it is laid out.
type sheet struct {
	title   string // of a table beside the main one
	columns []tableColumn
	blocks  []block
	hidden  string // the note about columns that are not shown
}

// block is a group of consecutive rows of a sheet.
type block struct {
	title    string
	from, to int
}

// left is the number of columns that name the row.
func (s *sheet) left() int {
	n := slices.IndexFunc(s.columns, func(c tableColumn) bool { return c.kind != factor })
	if n < 0 {
		return len(s.columns)
	}
	return n
}

// heads are the headings of the columns; one that is broken has a line break.
func (s *sheet) heads() []string {
	heads := make([]string, len(s.columns))
	for i, c := range s.columns {
		heads[i] = strings.Join(c.headLines(), "\n")
	}
	return heads
}

// headLines are the lines of the heading.
func (c *tableColumn) headLines() []string {
	if !c.split {
		return []string{columns.OneLine(c.head)}
	}
	return strings.SplitAfter(columns.OneLine(c.head), ".")
}

// ColumnNames are the names of the table's columns, by which Columns asks for them.
func (t *Table) ColumnNames() []string {
	var names []string
	for _, c := range t.columns() {
		names = append(names, c.name)
	}
	return names
}

// CheckColumns returns an error if Columns asks for a column that the table does not have, or for one twice.
func (t *Table) CheckColumns() error {
	if len(t.Columns) == 0 {
		return nil
	}
	known := t.ColumnNames()
	for i, name := range t.Columns {
		if slices.Contains(t.Columns[:i], name) {
			return fmt.Errorf("column %q is named twice", name)
		}
		if !slices.Contains(known, name) && (name != AllColumns || len(t.Columns) > 1) {
			return fmt.Errorf("the table has no column %q; it has %s, or %s alone", name, strings.Join(known, ", "), AllColumns)
		}
	}
	return nil
}

// columns are all columns in their order.
func (t *Table) columns() []tableColumn {
	rows := t.rows()
	gaps := func(name, head string, kind columnKind, text func(Row) string) tableColumn {
		c := tableColumn{name: name, head: head, kind: kind, cells: make([]cell, len(rows))}
		for i, r := range rows {
			if c.cells[i].text = text(r); c.cells[i].text == "" {
				c.cells[i].text = columns.Gap
			}
		}
		return c
	}
	var out []tableColumn
	for _, key := range t.Factors {
		out = append(out, gaps(key, key, factor, func(r Row) string { return r.shortFactor(key) }))
	}
	kindOf := func(name string) columnKind {
		if name == "AP" {
			return essential
		}
		return detail
	}
	if !t.Published {
		out = append(out, gaps("n", "n", essential, func(r Row) string { return strconv.Itoa(r.N) }))
		for _, name := range t.metrics() {
			c := gaps(name, name, kindOf(name), func(r Row) string { return r.cell(name) })
			if name != "AP" {
				out = append(out, c)
				continue
			}
			verdicts := t.judge()
			at := 0
			differences := tableColumn{name: differenceColumn, head: "Δ AP", kind: essential, cells: make([]cell, len(rows))}
			against := false
			for i, b := range t.Blocks {
				for j := range b.Rows {
					c.cells[at].bold = verdicts[i].best == j
					differences.cells[at].text = differenceText(verdicts[i], j)
					against = against || b.Rows[j].Baseline
					at++
				}
			}
			if out = append(out, c); against {
				out = append(out, differences)
			}
		}
	}
	lead := "paper "
	if t.Published {
		lead = ""
	}
	for _, name := range t.published() {
		out = append(out, gaps(lead+name, lead+name, kindOf(name), func(r Row) string {
			if v := r.Paper[name]; v != nil {
				return columns.Percent(*v)
			}
			return ""
		}))
	}
	if slices.ContainsFunc(rows, func(r Row) bool { return r.Millis != nil }) {
		out = append(out, gaps(lead+"ms", lead+"ms", essential, func(r Row) string {
			if r.Millis != nil {
				return strconv.FormatFloat(*r.Millis, 'g', -1, 64)
			}
			return ""
		}))
	}
	return out
}

// shortFactor spells a factor for people: of the numbers in a list, such as the scales of anchors, four digits.
func (r Row) shortFactor(key string) string {
	if list, ok := r.Factors[key].([]float64); ok {
		short := make([]string, len(list))
		for i, v := range list {
			short[i] = strconv.FormatFloat(v, 'g', 4, 64)
		}
		return "[" + strings.Join(short, ",") + "]"
	}
	text, _ := r.factor(key)
	return text
}

// differenceText prints the difference of a row to the baseline: "+1.2 ± 0.4", with a mark where it is not separated.
func differenceText(v verdict, row int) string {
	d := v.differences[row]
	switch {
	case row == v.baseline:
		return isBaseline
	case d == nil:
		return columns.Gap
	}
	text := plusMinus(d.Mean, d.HalfWidth(), true)
	if !d.Separated() {
		text += " " + notSeparated
	}
	return text
}

// estimateText prints a mean: "28.4", or "28.4 ± 0.3" with half the width of its interval, or a gap.
func estimateText(e stats.Estimate) string { return plusMinus(e.Mean, e.HalfWidth(), false) }

// cell prints one measured metric: "28.4", "28.4 ± 0.3", "28.4 ± 0.3, 1/3
// diverged", "2/2 diverged", or a gap. Only the AP column spells the word out.
func (r Row) cell(name string) string {
	e := r.Metric(name)
	if r.Status.Diverged == 0 {
		return estimateText(e)
	}
	died := fmt.Sprintf("%d/%d", r.Status.Diverged, r.N)
	if name == "AP" {
		died += " diverged"
	}
	if e.N == 0 {
		return died
	}
	return estimateText(e) + ", " + died
}

// sheet lays the table out for lines of that many characters; 0: of any length.
func (t *Table) sheet(width int) *sheet {
	s := &sheet{}
	at := 0
	for _, b := range t.Blocks {
		s.blocks = append(s.blocks, block{b.Title, at, at + len(b.Rows)})
		at += len(b.Rows)
	}
	all := t.columns()
	switch {
	case len(t.Columns) == 1 && t.Columns[0] == AllColumns:
		s.columns = all
	case len(t.Columns) > 0:
		for _, name := range t.Columns {
			if i := slices.IndexFunc(all, func(c tableColumn) bool { return c.name == name }); i >= 0 {
				s.columns = append(s.columns, all[i])
			}
		}
	default:
		var h hidden
		s.columns = h.silent(all, at)
		if width > 0 {
			s.columns = h.fit(t, s.columns, width)
		}
		s.hidden = h.note(width)
	}
	return s
}
