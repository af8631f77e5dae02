package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"focalgrid/columns"
)

// tableFormats names every form a table can be written in. To add one, add a
// line.
var tableFormats = map[string]func(*Table, io.Writer) error{
	"text":     (*Table).writeText,
	"markdown": (*Table).writeMarkdown,
	"latex":    (*Table).writeLaTeX,
	"html":     (*Table).writeHTML,
	"csv":      (*Table).writeCSV,
	"json":     (*Table).writeJSON,
}

// TableFormats lists the formats of Table.Write.
func TableFormats() []string { return slices.Sorted(maps.Keys(tableFormats)) }

// ForPeople reports whether a table in that format is for people to read: it has notes and
// leaves out columns that say nothing.
func ForPeople(format string) bool { return format != "csv" && format != "json" }

// Write prints the table as text, markdown, latex or html for people (AP × 100, one
// decimal), as csv or json for programs (fractions). The error names the known
// formats if the format is unknown, or the known columns if the table lacks one of Columns.
func (t *Table) Write(w io.Writer, format string) error {
	write, ok := tableFormats[format]
	if !ok {
		return fmt.Errorf("unknown table format %q; known: %s", format, strings.Join(TableFormats(), ", "))
	}
	if err := t.CheckColumns(); err != nil {
		return err
	}
	return write(t, w)
}

// title is the heading of the table, in one line.
func (t *Table) title() string { return columns.OneLine(t.heading()) }

func (t *Table) heading() string {
	switch {
	case t.Published:
		return "Table " + t.ID + " of Lin et al. (2017), as published: " + t.Caption
	case t.Paper != "" && t.ID != "":
		return "Table " + t.ID + ": " + t.Caption
	}
	return t.Caption
}

func (t *Table) writeText(w io.Writer) error {
	s := t.sheet(pageWidth)
	var text strings.Builder
	if title := t.title(); title != "" {
		fmt.Fprintf(&text, "%s\n\n", title)
	}
	for i, s := range append([]*sheet{s}, t.perClass(pageWidth)...) {
		if i > 0 {
			fmt.Fprintf(&text, "\n%s\n\n", s.title)
		}
		if err := s.writePlain(&text, columns.Ruled, "", func(c cell) string { return c.text }); err != nil {
			return err
		}
	}
	for i, note := range t.notes(s, false) {
		if i == 0 {
			text.WriteByte('\n')
		}
		fmt.Fprintln(&text, note)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func (t *Table) writeMarkdown(w io.Writer) error {
	s := t.sheet(0)
	var text strings.Builder
	if title := t.title(); title != "" {
		fmt.Fprintf(&text, "**%s**\n\n", Markdown(title))
	}
	bold := func(c cell) string {
		if c.bold {
			return "**" + c.text + "**"
		}
		return Markdown(c.text)
	}
	for i, s := range append([]*sheet{s}, t.perClass(0)...) {
		if i > 0 {
			fmt.Fprintf(&text, "\n**%s**\n\n", Markdown(s.title))
		}
		if err := s.writePlain(&text, columns.Markdown, "**", bold); err != nil {
			return err
		}
	}
	for i, note := range t.notes(s, true) {
		if i == 0 {
			text.WriteByte('\n')
		}
		fmt.Fprintln(&text, MarkdownProse(note))
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// Markdown escapes what Markdown reads otherwise within a line. A lone ~ is plain text, but two in a line strike out what
// is between them; an underscore within a word is plain text, and so are brackets that no address follows. Two dollars
// enclose a formula. The bar is escaped where the table is written.
func Markdown(text string) string {
	return markdownSigns.Replace(columns.OneLine(text))
}

var markdownSigns = strings.NewReplacer(`\`, `\\`, "*", `\*`, "`", "\\`", "<", `\<`, "~", `\~`, "$", `\$`, "](", `]\(`, " _", ` \_`)

// MarkdownProse escapes a line of text for Markdown, but for the code that it has between backticks.
func MarkdownProse(text string) string {
	parts := strings.Split(columns.OneLine(text), "`")
	if len(parts)%2 == 0 { // a lone backtick encloses nothing
		return Markdown(text)
	}
	for i := 0; i < len(parts); i += 2 {
		parts[i] = Markdown(parts[i])
	}
	return strings.Join(parts, "`")
}

// writePlain writes the blocks of a sheet one below the other, each as a table of the form; around stands on both sides
// of a block's title.
func (s *sheet) writePlain(w io.Writer, form func(io.Writer, []string, [][]string, int) error, around string, spell func(cell) string) error {
	for i, b := range s.blocks {
		if b.title != "" {
			lead := ""
			if i > 0 {
				lead = "\n"
			}
			if _, err := fmt.Fprintf(w, "%s%s%s%s\n\n", lead, around, spell(cell{text: columns.OneLine(b.title)}), around); err != nil {
				return err
			}
		}
		var rows [][]string
		for at := b.from; at < b.to; at++ {
			rows = append(rows, s.lines(at, spell)...)
		}
		heads := s.heads()
		for i := range heads {
			heads[i] = spell(cell{text: heads[i]})
		}
		if err := form(w, heads, rows, s.left()); err != nil {
			return err
		}
	}
	return nil
}

// lines are the lines of a row: several where a cell is broken.
func (s *sheet) lines(row int, spell func(cell) string) [][]string {
	out := [][]string{make([]string, len(s.columns))}
	for i, c := range s.columns {
		for j, line := range broken(spell(c.cells[row]), c.wrap) {
			if j == len(out) {
				out = append(out, make([]string, len(s.columns)))
			}
			out[j][i] = line
		}
	}
	return out
}
