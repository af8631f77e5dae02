package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"focalgrid/columns"
	"focalgrid/safecsv"
	"focalgrid/setting"
)

// tableFormats names every form a table can be written in. To add one, add a
// line.
var tableFormats = map[string]func(*Table, io.Writer) error{
	"text":     (*Table).writeText,
	"markdown": (*Table).writeMarkdown,
	"csv":      (*Table).writeCSV,
	"json":     (*Table).writeJSON,
}

// TableFormats lists the formats of Table.Write.
func TableFormats() []string { return slices.Sorted(maps.Keys(tableFormats)) }

// Write prints the table as text or markdown for people (AP × 100, one
// decimal), as csv or json for programs (fractions). The error names the known
// formats if the format is unknown.
func (t *Table) Write(w io.Writer, format string) error {
	write, ok := tableFormats[format]
	if !ok {
		return fmt.Errorf("unknown table format %q; known: %s", format, strings.Join(TableFormats(), ", "))
	}
	return write(t, w)
}

func (t *Table) writeText(w io.Writer) error {
	if t.Caption != "" {
		if _, err := fmt.Fprintf(w, "%s\n\n", t.title()); err != nil {
			return err
		}
	}
	header, rows := t.cells(false)
	if err := columns.Ruled(w, header, rows, len(t.Factors)); err != nil {
		return err
	}
	for i, note := range t.notes() {
		lead := ""
		if i == 0 {
			lead = "\n"
		}
		if _, err := fmt.Fprintf(w, "%s%s\n", lead, note); err != nil {
			return err
		}
	}
	return nil
}

func (t *Table) writeMarkdown(w io.Writer) error {
	if t.Caption != "" {
		if _, err := fmt.Fprintf(w, "**%s**\n\n", t.title()); err != nil {
			return err
		}
	}
	header, rows := t.cells(true)
	if err := columns.Markdown(w, header, rows, len(t.Factors)); err != nil {
		return err
	}
	if notes := t.notes(); len(notes) > 0 {
		if _, err := fmt.Fprintf(w, "\n%s\n", strings.Join(notes, "\n")); err != nil {
			return err
		}
	}
	return nil
}

func (t *Table) title() string {
	if t.Paper != "" && t.ID != "" {
		return "Table " + t.ID + ": " + t.Caption
	}
	return t.Caption
}

// cells are the header and lines for people. The rows with the best AP are
// bold if asked.
func (t *Table) cells(bold bool) (header []string, lines [][]string) {
	metrics, published := t.metrics(), t.published()
	header = append(header, t.Factors...)
	header = append(header, "n")
	header = append(header, metrics...)
	for _, name := range published {
		header = append(header, "paper "+name)
	}
	best := t.best()
	for i, r := range t.Rows {
		var line []string
		for _, key := range t.Factors {
			line = append(line, setting.Spell(r.Factors[key]))
		}
		line = append(line, strconv.Itoa(r.N))
		for _, name := range metrics {
			cell := r.cell(name)
			if bold && name == "AP" && best[i] {
				cell = "**" + cell + "**"
			}
			line = append(line, cell)
		}
		for _, name := range published {
			cell := columns.Gap
			if v := r.Paper[name]; v != nil {
				cell = columns.Percent(*v)
			}
			line = append(line, cell)
		}
		lines = append(lines, line)
	}
	return header, lines
}

// cell prints one measured metric: "28.4", "28.4 ± 0.3", "28.4 ± 0.3, 1/3
// diverged", "2/2 diverged", or a gap. Only the AP column spells the word out.
func (r Row) cell(name string) string {
	cell := columns.Gap
	s := r.Metrics[name]
	if s.Mean != nil {
		cell = columns.Percent(*s.Mean)
		if s.SD != nil {
			cell += " ± " + columns.Percent(*s.SD)
		}
	}
	if r.Status.Diverged == 0 {
		return cell
	}
	died := fmt.Sprintf("%d/%d", r.Status.Diverged, r.N)
	if name == "AP" {
		died += " diverged"
	}
	if s.Mean == nil {
		return died
	}
	return cell + ", " + died
}

// writeCSV prints fractions with all their digits; what is absent is empty.
func (t *Table) writeCSV(w io.Writer) error {
	metrics, published := t.metrics(), t.published()
	out := safecsv.NewWriter(w)
	header := append(slices.Clone(t.Factors), "n", "done", "diverged", "failed")
	for _, name := range metrics {
		header = append(header, name, name+" sd", name+" n")
	}
	for _, name := range published {
		header = append(header, "paper "+name)
	}
	if err := out.Write(header); err != nil {
		return err
	}
	for _, r := range t.Rows {
		var line []string
		for _, key := range t.Factors {
			line = append(line, setting.Spell(r.Factors[key]))
		}
		for _, n := range []int{r.N, r.Status.Done, r.Status.Diverged, r.Status.Failed} {
			line = append(line, strconv.Itoa(n))
		}
		for _, name := range metrics {
			s := r.Metrics[name]
			line = append(line, digits(s.Mean), digits(s.SD), strconv.Itoa(s.N))
		}
		for _, name := range published {
			line = append(line, digits(r.Paper[name]))
		}
		if err := out.Write(line); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func digits(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'g', -1, 64)
}

// jsonCounts and its neighbours fix the names and order of the JSON form.
type jsonCounts struct {
	Done     int `json:"done"`
	Diverged int `json:"diverged"`
	Failed   int `json:"failed"`
}

type jsonRow struct {
	Factors ordered    `json:"factors"`
	N       int        `json:"n"`
	Status  jsonCounts `json:"status"`
	Metrics ordered    `json:"metrics"`
	Paper   ordered    `json:"paper"`
}

type jsonTable struct {
	Table   string    `json:"table"`
	Profile string    `json:"profile"`
	Rows    []jsonRow `json:"rows"`
}

func (t *Table) writeJSON(w io.Writer) error {
	out := jsonTable{Table: t.ID, Profile: t.Profile, Rows: []jsonRow{}}
	for _, r := range t.Rows {
		row := jsonRow{N: r.N, Status: jsonCounts(r.Status), Factors: ordered{}}
		for _, key := range t.Factors {
			row.Factors = append(row.Factors, member{key, r.Factors[key]})
		}
		for _, name := range t.metrics() {
			row.Metrics = append(row.Metrics, member{name, r.Metrics[name]})
		}
		for _, name := range t.metrics() {
			if v := r.Paper[name]; v != nil {
				row.Paper = append(row.Paper, member{name, v})
			}
		}
		out.Rows = append(out.Rows, row)
	}
	return writeIndented(w, out)
}
