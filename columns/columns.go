// Package columns lays out rows of cells as text for people.
//
// Text stands in plain columns, Ruled has a line below the header, and Markdown is a
// table of that language. The first columns, which name the row, are aligned to the
// left; the others, which are numbers, to the right. What has no value is a Gap.
// Count and Duration spell a number with its unit. The package does not know what the cells mean.
package columns

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/pkg/twwidth"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

// Gap stands for a value that was not run, not published or is not defined.
const Gap = "–"

// AllLeft as the number of columns at the left means all.
const AllLeft = math.MaxInt

// Decimals prints a number with n decimals, or a Gap if it is not finite.
func Decimals(v float64, n int) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return Gap
	}
	return strconv.FormatFloat(v, 'f', n, 64)
}

// Percent prints a fraction as papers print AP: × 100, one decimal, or a Gap if it is
// not finite.
func Percent(v float64) string { return Decimals(100*v, 1) }

// OneLine joins the lines of a text, as an error or a name in foreign data may have
// several.
func OneLine(text string) string {
	if !strings.ContainsFunc(text, breaks) {
		return text
	}
	return strings.Join(strings.FieldsFunc(text, breaks), " ")
}

// breaks reports whether a character ends a line, or moves to another place in it.
func breaks(r rune) bool { return strings.ContainsRune("\t\n\v\f\r\u0085\u2028\u2029", r) }

// Width returns how many places a text takes in a line: a Chinese letter, say, takes two.
func Width(text string) int { return twwidth.Width(text) }

// Text writes rows in columns two spaces apart, each after the indent. Rows may be shorter
// than others.
func Text(w io.Writer, indent string, rows [][]string, left int) error {
	var width []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], Width(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		gap := indent
		for i, cell := range row {
			line.WriteString(gap)
			gap = "  "
			space := strings.Repeat(" ", width[i]-Width(cell))
			if i < left {
				line.WriteString(cell + space)
			} else {
				line.WriteString(space + cell)
			}
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(line.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// Ruled writes a header, a line below it, and rows as wide as the header. A heading may have several lines.
func Ruled(w io.Writer, header []string, rows [][]string, left int) error {
	return write(w, header, rows, left, renderer.NewBlueprint(tw.Rendition{
		Borders: tw.BorderNone,
		Symbols: tw.NewSymbols(tw.StyleLight),
		Settings: tw.Settings{
			Separators: tw.Separators{BetweenColumns: tw.Off, BetweenRows: tw.Off},
		},
	}))
}

// Markdown writes a header and rows as wide as it as a table of Markdown.
func Markdown(w io.Writer, header []string, rows [][]string, left int) error {
	escape := func(row []string) (escaped []string) {
		for _, cell := range row {
			escaped = append(escaped, strings.ReplaceAll(OneLine(cell), "|", `\|`))
		}
		return escaped
	}
	escaped := make([][]string, len(rows))
	for i, row := range rows {
		escaped[i] = escape(row)
	}
	return write(w, escape(header), escaped, left, renderer.NewMarkdown())
}

func write(w io.Writer, header []string, rows [][]string, left int, form tw.Renderer) error {
	align := make(tw.Alignment, len(header))
	for i := range align {
		align[i] = tw.AlignRight
		if i < left {
			align[i] = tw.AlignLeft
		}
	}
	var text bytes.Buffer
	table := tablewriter.NewTable(&text,
		tablewriter.WithHeaderAutoFormat(tw.Off), // headers are printed as they are typed
		tablewriter.WithHeaderAutoWrap(tw.WrapNone),
		tablewriter.WithRowAutoWrap(tw.WrapNone),
		tablewriter.WithHeaderAlignmentConfig(tw.CellAlignment{PerColumn: align}),
		tablewriter.WithRowAlignmentConfig(tw.CellAlignment{PerColumn: align}),
		tablewriter.WithRenderer(form),
	)
	table.Header(header)
	for _, row := range rows {
		row = slices.Clone(row)
		for i := range row {
			row[i] = OneLine(row[i])
		}
		if err := table.Append(row); err != nil {
			return fmt.Errorf("table: %w", err)
		}
	}
	if err := table.Render(); err != nil {
		return fmt.Errorf("table: %w", err)
	}
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}
