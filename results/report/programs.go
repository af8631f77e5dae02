package report

import (
	"io"
	"math"
	"slices"
	"strconv"

	"focalgrid/safecsv"
	"focalgrid/stats"
)

// writeCSV prints fractions with all their digits; what is absent is empty.
func (t *Table) writeCSV(w io.Writer) error {
	published := t.published()
	out := safecsv.NewWriter(w)
	var header []string
	var titled, timed, judged bool
	verdicts := t.judge()
	for i, b := range t.Blocks {
		titled = titled || b.Title != ""
		judged = judged || verdicts[i].baseline >= 0
		timed = timed || slices.ContainsFunc(b.Rows, func(r Row) bool { return r.Millis != nil })
	}
	if titled {
		header = append(header, "block")
	}
	header = append(header, t.Factors...)
	estimate := func(name string) {
		header = append(header, name, name+" low", name+" high", name+" sd", name+" n")
	}
	var metrics, classes []string
	if !t.Published {
		metrics = t.metrics()
		header = append(header, "n", "done", "diverged", "failed")
		for _, name := range metrics {
			estimate(name)
		}
		if judged {
			estimate(differenceColumn)
			header = append(header, "p", "adjusted p", "separated")
		}
		if t.PerClass {
			classes = t.classes()
			for _, name := range classes {
				estimate("AP of " + name)
			}
		}
	}
	for _, name := range published {
		header = append(header, "paper "+name)
	}
	if timed {
		header = append(header, "paper ms")
	}
	if err := out.Write(header); err != nil {
		return err
	}
	for i, b := range t.Blocks {
		for j, r := range b.Rows {
			var line []string
			if titled {
				line = append(line, b.Title)
			}
			for _, key := range t.Factors {
				text, _ := r.factor(key)
				line = append(line, text)
			}
			if !t.Published {
				for _, n := range []int{r.N, r.Status.Done, r.Status.Diverged, r.Status.Failed} {
					line = append(line, strconv.Itoa(n))
				}
				for _, name := range metrics {
					line = append(line, estimateDigits(r.Metric(name))...)
				}
				if judged {
					line = append(line, differenceDigits(verdicts[i].differences[j])...)
				}
				for _, name := range classes {
					line = append(line, estimateDigits(r.class(name))...)
				}
			}
			for _, name := range published {
				line = append(line, pointerDigits(r.Paper[name]))
			}
			if timed {
				line = append(line, pointerDigits(r.Millis))
			}
			if err := out.Write(line); err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}

func estimateDigits(e stats.Estimate) []string {
	return []string{digits(e.Mean), digits(e.Low), digits(e.High), digits(e.SD), strconv.Itoa(e.N)}
}

func differenceDigits(d *stats.Difference) []string {
	if d == nil {
		return make([]string, 8)
	}
	return append(estimateDigits(d.Estimate), digits(d.P), digits(d.Adjusted), strconv.FormatBool(d.Separated()))
}

// digits spells a number with all its digits; what is not defined is empty.
func digits(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return ""
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

func pointerDigits(v *float64) string {
	if v == nil {
		return ""
	}
	return digits(*v)
}

// jsonCounts and its neighbours fix the names and order of the JSON form.
type jsonCounts struct {
	Done     int `json:"done"`
	Diverged int `json:"diverged"`
	Failed   int `json:"failed"`
}

type jsonRow struct {
	Block      string            `json:"block,omitempty"`
	Factors    ordered           `json:"factors"`
	Baseline   bool              `json:"baseline"`
	N          int               `json:"n"`
	Status     jsonCounts        `json:"status"`
	Metrics    ordered           `json:"metrics"`
	Difference *stats.Difference `json:"difference"` // in AP, to the baseline
	Best       bool              `json:"best"`       // separated from the second
	Classes    ordered           `json:"classes,omitempty"`
	Paper      ordered           `json:"paper"`
	Millis     *float64          `json:"paper_ms,omitempty"`
}

type jsonTable struct {
	Table     string    `json:"table"`
	Profile   string    `json:"profile"`
	Published bool      `json:"published,omitempty"` // the paper's figures alone
	Rows      []jsonRow `json:"rows"`
}

func (t *Table) writeJSON(w io.Writer) error {
	out := jsonTable{Table: t.ID, Profile: t.Profile, Published: t.Published, Rows: []jsonRow{}}
	verdicts := t.judge()
	for i, b := range t.Blocks {
		for j, r := range b.Rows {
			row := jsonRow{
				Block: b.Title, Baseline: r.Baseline, N: r.N, Status: jsonCounts(r.Status), Factors: ordered{},
				Difference: verdicts[i].differences[j], Best: verdicts[i].best == j, Millis: r.Millis,
			}
			for _, key := range t.Factors {
				row.Factors = append(row.Factors, member{key, r.Factors[key]})
			}
			for _, name := range t.metrics() {
				if !t.Published {
					row.Metrics = append(row.Metrics, member{name, r.Metric(name)})
				}
				if v := r.Paper[name]; v != nil {
					row.Paper = append(row.Paper, member{name, v})
				}
			}
			if t.PerClass {
				for _, c := range r.Classes {
					row.Classes = append(row.Classes, member{c.Name, c.Estimate})
				}
			}
			out.Rows = append(out.Rows, row)
		}
	}
	return writeIndented(w, out)
}
