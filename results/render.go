package results

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

// gap stands for what was not run or not published.
const gap = "–"

// tableFormats names every form a table can be written in. To add one, add a
// line.
var tableFormats = map[string]func(*Table, io.Writer) error{
	"text":     (*Table).writeText,
	"markdown": (*Table).writeMarkdown,
	"csv":      (*Table).writeCSV,
	"json":     (*Table).writeJSON,
}

// Formats lists the formats of Table.Write.
func Formats() []string { return slices.Sorted(maps.Keys(tableFormats)) }

// Write prints the table as text or markdown for people (AP × 100, one
// decimal), as csv or json for programs (fractions). The error names the known
// formats if there is no such one.
func (t *Table) Write(w io.Writer, format string) error {
	write, ok := tableFormats[format]
	if !ok {
		return fmt.Errorf("unknown table format %q; known: %s", format, strings.Join(Formats(), ", "))
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
	if err := writeGrid(w, header, rows, len(t.Factors), false); err != nil {
		return err
	}
	for i, note := range t.Notes() {
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
	if err := writeGrid(w, header, rows, len(t.Factors), true); err != nil {
		return err
	}
	if notes := t.Notes(); len(notes) > 0 {
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
			line = append(line, factorText(r.Factors[key]))
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
			cell := gap
			if v := r.Paper[name]; v != nil {
				cell = percent(*v)
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
	cell := gap
	s := r.Metrics[name]
	if s.Mean != nil {
		cell = percent(*s.Mean)
		if s.SD != nil {
			cell += " ± " + percent(*s.SD)
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

// percent prints a fraction as papers print AP: × 100, one decimal; a gap for what is no
// number.
func percent(v float64) string {
	if finite(v) == nil {
		return gap
	}
	return strconv.FormatFloat(v*100, 'f', 1, 64)
}

// oneLine prints a text that may have line breaks, as an error or a name of another's data may,
// in one.
func oneLine(text string) string {
	if !strings.ContainsFunc(text, breaks) {
		return text
	}
	return strings.Join(strings.FieldsFunc(text, breaks), " ")
}

// breaks tells whether a character ends a line, or moves to another place in it.
func breaks(r rune) bool { return strings.ContainsRune("\t\n\v\f\r\u0085\u2028\u2029", r) }

// factorText prints a setting in its shortest form; a list in brackets.
func factorText(v any) string {
	switch rv := reflect.ValueOf(v); rv.Kind() {
	case reflect.Invalid:
		return "none"
	case reflect.Float32:
		return strconv.FormatFloat(rv.Float(), 'g', -1, 32)
	case reflect.Float64:
		return strconv.FormatFloat(rv.Float(), 'g', -1, 64)
	case reflect.Pointer:
		if rv.IsNil() {
			return "none"
		}
		return factorText(rv.Elem().Interface())
	case reflect.Slice, reflect.Array:
		parts := make([]string, rv.Len())
		for i := range parts {
			parts[i] = factorText(rv.Index(i).Interface())
		}
		return "[" + strings.Join(parts, " ") + "]"
	}
	return fmt.Sprint(v)
}

// writeGrid lays out the cells of a text or markdown table: the first columns,
// which name the row, to the left, the others, which are numbers, to the right.
func writeGrid(w io.Writer, header []string, lines [][]string, left int, markdown bool) error {
	align := make(tw.Alignment, len(header))
	for i := range align {
		align[i] = tw.AlignRight
		if i < left {
			align[i] = tw.AlignLeft
		}
	}
	var buf bytes.Buffer
	options := []tablewriter.Option{
		tablewriter.WithHeaderAutoFormat(tw.Off), // keys are printed as they are typed
		tablewriter.WithHeaderAutoWrap(tw.WrapNone),
		tablewriter.WithRowAutoWrap(tw.WrapNone),
		tablewriter.WithHeaderAlignmentConfig(tw.CellAlignment{PerColumn: align}),
		tablewriter.WithRowAlignmentConfig(tw.CellAlignment{PerColumn: align}),
	}
	if markdown {
		options = append(options, tablewriter.WithRenderer(renderer.NewMarkdown()))
	} else {
		options = append(options,
			tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{
				Borders: tw.BorderNone,
				Symbols: tw.NewSymbols(tw.StyleLight),
				Settings: tw.Settings{
					Separators: tw.Separators{BetweenColumns: tw.Off, BetweenRows: tw.Off},
				},
			})))
	}
	table := tablewriter.NewTable(&buf, options...)
	table.Header(header)
	for _, line := range lines {
		line = slices.Clone(line)
		for i := range line {
			line[i] = oneLine(line[i])
			if markdown {
				line[i] = strings.ReplaceAll(line[i], "|", `\|`)
			}
		}
		if err := table.Append(line); err != nil {
			return fmt.Errorf("table: %w", err)
		}
	}
	if err := table.Render(); err != nil {
		return fmt.Errorf("table: %w", err)
	}
	for line := range strings.Lines(buf.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// writeCSV prints fractions with all their digits; what is absent is empty.
func (t *Table) writeCSV(w io.Writer) error {
	metrics, published := t.metrics(), t.published()
	out := csv.NewWriter(w)
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
			line = append(line, factorText(r.Factors[key]))
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

// jsonStat and its neighbours fix the names and order of the JSON form.
type jsonStat struct {
	Mean *float64 `json:"mean"`
	SD   *float64 `json:"sd"`
	N    int      `json:"n"`
}

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

// ordered is a JSON object whose keys keep their order; nil is null.
type ordered []member

type member struct {
	key   string
	value any
}

// MarshalJSON writes the members in order.
func (o ordered) MarshalJSON() ([]byte, error) {
	if o == nil {
		return []byte("null"), nil
	}
	var buf bytes.Buffer
	buf.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			buf.WriteByte(',')
		}
		key, err := json.Marshal(m.key)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.key, err)
		}
		buf.Write(key)
		buf.WriteByte(':')
		buf.Write(value)
	}
	buf.WriteByte('}')
	return buf.Bytes(), nil
}

func (t *Table) writeJSON(w io.Writer) error {
	out := jsonTable{Table: t.ID, Profile: t.Profile, Rows: []jsonRow{}}
	for _, r := range t.Rows {
		row := jsonRow{N: r.N, Status: jsonCounts(r.Status), Factors: ordered{}}
		for _, key := range t.Factors {
			row.Factors = append(row.Factors, member{key, r.Factors[key]})
		}
		for _, name := range t.metrics() {
			row.Metrics = append(row.Metrics, member{name, jsonStat(r.Metrics[name])})
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

func writeIndented(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
