package report

import (
	"slices"

	"focalgrid/results/record"
	"focalgrid/setting"
	"focalgrid/stats"
)

// tableMetrics are the metrics of every table, in order.
var tableMetrics = []string{"AP", "AP50", "AP75", "APs", "APm", "APl"}

// lowScore is AP with the detections of low scores, which a table of ours shows beside AP.
const lowScore = "AP.001"

// Table is a printed table before it is printed: one row a setting, its
// measured metrics, and the published ones beside them.
type Table struct {
	ID      string // of the published table it mirrors, or the sweep's name
	Profile string
	Caption string // one line: what is varied

	// Published says that the table is the paper's alone: its rows have published
	// figures and nothing of ours.
	Published bool

	// Ours and Paper describe the setting in which each side's figures were
	// measured (data, scale, backbone, schedule). The notes print both, so that
	// nobody compares what cannot be compared. Paper is empty where no
	// published table is mirrored.
	Ours  string
	Paper string

	Changed []string // settings that differ from the grid file's own in all rows: "optim.lr=0.05 (in the file 0.1)"
	Apart   []string // settings in which rows differ from the file's own, so that no published figure stands beside them

	List string // the command that lists the trials, for the notes; empty: `runner ls`

	Remarks []string // further notes: how the trials were found

	Factors []string // keys of Row.Factors, in column order
	Extra   []string // metrics beyond AP, AP50, AP75, APs, APm and APl, such as AP.001

	// Columns are the columns to print for people, by name (see ColumnNames), or AllColumns alone. Without
	// any, a table leaves out columns that say nothing, and in text and LaTeX those that do
	// not fit. CSV and JSON always have every column.
	Columns  []string
	PerClass bool // print AP by class too, from Row.Classes

	Blocks []Block
}

// Block is a group of rows under one title, such as the rows at a common learning rate.
type Block struct {
	Title string // empty where it is the only block
	Rows  []Row
}

// Row is one setting over its seeds.
type Row struct {
	// Factors has numbers, text, booleans, lists of these, or nil for none. A factor without
	// meaning in the row is not there.
	Factors  map[string]any
	Baseline bool // the differences of its block's other rows are taken to this row

	N       int // done + diverged
	Status  record.Counts
	Metrics map[string]stats.Estimate // over the trials that are done
	Runs    []stats.Value             // AP of each trial that is done or diverged
	Classes []ClassEstimate           // AP by class, where it was asked for

	Paper  map[string]*float64 // published figures as fractions; nil: none for this row
	Millis *float64            // published milliseconds for an image
}

// ClassEstimate is the AP of a class over the trials of a row that are done.
type ClassEstimate struct {
	Name string
	stats.Estimate
}

// NewRow gathers the trials of one setting. A metric is averaged over those
// that are done: a diverged trial has no AP, but is counted in N.
func NewRow(factors map[string]any, trials []record.Trial, paper map[string]*float64) Row {
	row := Row{Factors: factors, Paper: paper, Metrics: map[string]stats.Estimate{}, Runs: record.Values(trials, "AP")}
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
		row.Metrics[name] = stats.Mean(v)
	}
	return row
}

// AddClasses sets the AP by class from the classes of the trials that are done, one list a trial.
func (r *Row) AddClasses(trials [][]record.ClassMetric) {
	values := map[string][]float64{}
	var names []string
	for _, classes := range trials {
		for _, c := range classes {
			if _, ok := values[c.Name]; !ok {
				names = append(names, c.Name)
			}
			values[c.Name] = append(values[c.Name], c.AP)
		}
	}
	r.Classes = nil
	for _, name := range names {
		r.Classes = append(r.Classes, ClassEstimate{name, stats.Mean(values[name])})
	}
}

// metrics are the columns measured by us.
func (t *Table) metrics() []string { return append(slices.Clone(tableMetrics), t.Extra...) }

// rows are the rows of all blocks.
func (t *Table) rows() []Row {
	var rows []Row
	for _, b := range t.Blocks {
		rows = append(rows, b.Rows...)
	}
	return rows
}

// published are the metrics that the paper gives for at least one row.
func (t *Table) published() []string {
	rows := t.rows()
	return slices.DeleteFunc(t.metrics(), func(name string) bool {
		return !slices.ContainsFunc(rows, func(r Row) bool { return r.Paper[name] != nil })
	})
}

// classes are the names of the classes of any row.
func (t *Table) classes() []string {
	var names []string
	seen := map[string]bool{}
	for _, r := range t.rows() {
		for _, c := range r.Classes {
			if !seen[c.Name] {
				seen[c.Name] = true
				names = append(names, c.Name)
			}
		}
	}
	return names
}

// class returns the AP of a class; an Estimate of nothing where the row has none.
func (r Row) class(name string) stats.Estimate {
	for _, c := range r.Classes {
		if c.Name == name {
			return c.Estimate
		}
	}
	return stats.Mean(nil)
}

// Metric returns a metric; an Estimate of nothing where no trial has it.
func (r Row) Metric(name string) stats.Estimate {
	if e, ok := r.Metrics[name]; ok {
		return e
	}
	return stats.Mean(nil)
}

// factor spells a factor; ok is false where the factor has no meaning in the row.
func (r Row) factor(key string) (text string, ok bool) {
	v, ok := r.Factors[key]
	if !ok {
		return "", false
	}
	return setting.Spell(v), true
}
