package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"focalgrid/columns"
	"focalgrid/results/record"
	"focalgrid/stats"
)

// tableMetrics are the metrics of every table, in order.
var tableMetrics = []string{"AP", "AP50", "AP75", "APs", "APm", "APl"}

// Table is a printed table before it is printed: one row a setting, its
// measured metrics, and the published ones beside them.
type Table struct {
	ID      string // of the published table it mirrors, or the sweep's name
	Profile string
	Caption string // one line: what is varied

	// Ours and Paper describe the setting in which each side's figures were
	// measured (data, scale, backbone, schedule). The notes print both, so that
	// nobody compares what cannot be compared. Paper is empty where no
	// published table is mirrored.
	Ours  string
	Paper string

	List string // the command that lists the trials, for the notes; empty: `runner ls`

	Remarks []string // further notes: how the trials were found

	Factors []string // keys of Row.Factors, in column order
	Extra   []string // metrics beyond AP, AP50, AP75, APs, APm and APl, such as AP.001
	Rows    []Row
}

// Row is one setting over its seeds.
type Row struct {
	Factors map[string]any // numbers, text, booleans, lists of these or nil
	N       int            // done + diverged
	Status  record.Counts
	Metrics map[string]stats.Summary // over the trials that are done
	Paper   map[string]*float64      // published figures as fractions; nil: none for this row
}

// NewRow gathers the trials of one setting. A metric is averaged over those
// that are done: a diverged trial has no AP, but is counted in N.
func NewRow(factors map[string]any, trials []record.Trial, paper map[string]*float64) Row {
	row := Row{Factors: factors, Paper: paper, Metrics: map[string]stats.Summary{}}
	values := map[string][]float64{}
	for _, t := range trials {
		row.Status.Add(t.Status)
		if t.Status != record.StatusDone {
			continue
		}
		for name, v := range t.Metrics {
			values[name] = append(values[name], v)
		}
	}
	row.N = row.Status.Done + row.Status.Diverged
	for name, v := range values {
		row.Metrics[name] = stats.Summarize(v)
	}
	return row
}

// metrics are the columns measured by us.
func (t *Table) metrics() []string { return append(slices.Clone(tableMetrics), t.Extra...) }

// published are the metrics that the paper gives for at least one row.
func (t *Table) published() []string {
	var names []string
	for _, name := range t.metrics() {
		if slices.ContainsFunc(t.Rows, func(r Row) bool { return r.Paper[name] != nil }) {
			names = append(names, name)
		}
	}
	return names
}

// best reports which rows share the highest AP as it is printed. A row of which
// a trial diverged is never best, and a single measured row is not either:
// there is nothing that it is better than.
func (t *Table) best() []bool {
	best := make([]bool, len(t.Rows))
	top, measured := "", 0
	var topMean float64
	for _, r := range t.Rows {
		if m := r.Metrics["AP"].Mean; m != nil {
			measured++
			if r.Status.Diverged == 0 && (top == "" || *m > topMean) {
				top, topMean = columns.Percent(*m), *m
			}
		}
	}
	if measured < 2 {
		return best
	}
	for i, r := range t.Rows {
		m := r.Metrics["AP"].Mean
		best[i] = m != nil && r.Status.Diverged == 0 && columns.Percent(*m) == top
	}
	return best
}

// notes are the sentences under a table: what the figures are, how far they
// can be trusted and compared, and what is missing.
func (t *Table) notes() []string {
	var once, several, diverged, failed int
	for _, r := range t.Rows {
		switch {
		case r.N == 1:
			once++
		case r.N > 1:
			several++
		}
		if r.Status.Diverged > 0 {
			diverged++
		}
		failed += r.Status.Failed
	}
	var notes []string
	add := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	ours := t.Ours
	if t.Profile != "" {
		ours = strings.TrimSuffix("profile "+t.Profile+", "+ours, ", ")
	}
	switch {
	case t.Paper != "":
		add("Ours: %s.", ours)
		add("Paper: %s.", t.Paper)
		add("The settings differ: compare the order of rows and the gaps between them, not the figures.")
	case ours != "":
		add("Ours: %s.", ours)
	}
	switch {
	case several > 0:
		s := "AP × 100; " + stats.Spread + " over n seeds"
		if once > 0 {
			s += "; where n is 1 no noise can be told"
		}
		add("%s.", s)
	case once > 0:
		add("AP × 100. One seed: %s; add seeds with --seeds 0..4.", stats.Summary{N: 1}.Caveat())
	}
	if diverged > 0 {
		add("k/n diverged: in k of n runs the loss became not finite; the mean is over the others.")
	}
	_, lines := t.cells(false)
	if slices.ContainsFunc(lines, func(line []string) bool { return slices.Contains(line, columns.Gap) }) {
		add("%s: not run, not published, or not defined (no such object in the data).", columns.Gap)
	}
	notes = append(notes, t.Remarks...)
	list := cmp.Or(t.List, "runner ls")
	if failed == 1 {
		add("1 trial failed; `%s` says why.", list)
	} else if failed > 1 {
		add("%d trials failed; `%s` says why.", failed, list)
	}
	return notes
}
