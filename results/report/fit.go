package report

import (
	"fmt"
	"slices"
	"strings"

	"focalgrid/columns"
)

// hidden gathers the columns that are not shown, by reason.
type hidden struct {
	constant, empty, alike, wide []string
}

// silent leaves out the columns that say nothing: a factor that is the same in all of several rows, what has no value
// in any row, and AP.001 where it is AP as printed.
func (h *hidden) silent(all []tableColumn, rows int) []tableColumn {
	varies := func(c tableColumn) bool {
		return slices.ContainsFunc(c.cells, func(x cell) bool { return x.text != c.cells[0].text })
	}
	several := rows > 1 && slices.ContainsFunc(all, func(c tableColumn) bool { return c.kind == factor && varies(c) })
	var ap tableColumn
	var out []tableColumn
	for _, c := range all {
		if c.name == "AP" {
			ap = c
		}
		switch {
		case c.kind == factor && several && !varies(c):
			h.constant = append(h.constant, c.head+"="+c.cells[0].text)
		case c.name == differenceColumn && !slices.ContainsFunc(c.cells, func(x cell) bool { return x.text != columns.Gap && x.text != isBaseline }):
			// There is nothing to compare yet.
		case c.kind == detail && !slices.ContainsFunc(c.cells, func(x cell) bool { return x.text != columns.Gap }):
			h.empty = append(h.empty, c.head)
		case c.name == lowScore && slices.EqualFunc(c.cells, ap.cells, func(x, y cell) bool { return lead(x.text) == lead(y.text) }):
			h.alike = append(h.alike, c.head)
		default:
			out = append(out, c)
		}
	}
	return out
}

// lead is the mean in the text of an estimate.
func lead(text string) string {
	mean, _, _ := strings.Cut(text, " ")
	return strings.TrimSuffix(mean, ",")
}

// fit makes the columns fit into a line. Where the factors leave no room for what is essential, their headings are
// broken, and then long texts; if that is not enough, one column has the settings of each row in place of them. Of the
// details those follow that find room, the first first. A table of the paper makes room for its details too.
func (h *hidden) fit(t *Table, all []tableColumn, width int) []tableColumn {
	all = slices.Clone(all)
	if t.Published {
		narrow(all, width, detail)
	} else {
		narrow(all, width, essential)
	}
	essentials := widths(all, essential, essential)
	if n := slices.IndexFunc(all, func(c tableColumn) bool { return c.kind != factor }); !t.Published && n > 1 && widths(all, factor, essential) > width {
		settings := t.settings(all[:n])
		settings.wrap = max(width-essentials-2, minWrap)
		all = append([]tableColumn{settings}, all[n:]...)
	}
	room := width - widths(all, factor, essential)
	full := false
	return slices.DeleteFunc(all, func(c tableColumn) bool {
		if c.kind != detail {
			return false
		}
		if full = full || c.width() > room; full {
			h.wide = append(h.wide, c.head)
		} else {
			room -= c.width()
		}
		return full
	})
}

// widths is how wide the columns of the kinds from one to another are together.
func widths(all []tableColumn, from, to columnKind) (total int) {
	for _, c := range all {
		if c.kind >= from && c.kind <= to {
			total += c.width()
		}
	}
	return total
}

// minWrap is the narrowest that a column of text is made.
const minWrap = 16

// narrow breaks the headings of the columns that name the row, and then the texts in the widest of them, until all
// columns up to a kind fit or nothing can be narrowed.
func narrow(all []tableColumn, width int, upTo columnKind) {
	tooWide := widths(all, factor, upTo) > width
	for i := range all {
		all[i].split = tooWide && all[i].kind == factor
	}
	for widths(all, factor, upTo) > width {
		widest := -1
		for i, c := range all {
			if c.kind == factor && c.width() > minWrap+2 && (widest < 0 || c.width() > all[widest].width()) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		all[widest].wrap = all[widest].width() - 3
	}
}

// width is how many characters the column takes in a line of text, with the space around it.
func (c *tableColumn) width() int {
	widest := 0
	for _, line := range c.headLines() {
		widest = max(widest, columns.Width(line))
	}
	for _, x := range c.cells {
		widest = max(widest, columns.Width(x.text))
	}
	if c.wrap > 0 {
		widest = min(widest, c.wrap)
	}
	return widest + 2
}

// settingsColumn is the name and heading of the column that stands for all factors.
const settingsColumn = "settings"

// settings joins factors in one column: each row names the settings in which it differs from the baseline, or from the
// first row, which names all.
func (t *Table) settings(factors []tableColumn) tableColumn {
	out := tableColumn{name: settingsColumn, head: settingsColumn, kind: factor}
	at := 0
	for _, b := range t.Blocks {
		reference := at + max(0, slices.IndexFunc(b.Rows, func(r Row) bool { return r.Baseline }))
		for range b.Rows {
			var parts []string
			for _, f := range factors {
				value := f.cells[at].text
				if value != columns.Gap && (at == reference || value != f.cells[reference].text) {
					parts = append(parts, f.head+"="+value)
				}
			}
			out.cells = append(out.cells, cell{text: strings.Join(parts, " ")})
			at++
		}
	}
	return out
}

// note names the columns that are not shown and says why.
func (h *hidden) note(width int) string {
	var parts []string
	for _, reason := range []struct {
		heads []string
		why   string
	}{
		{h.constant, "in all rows"},
		{h.empty, "no value"},
		{h.alike, "nowhere visibly different from AP"},
		{h.wide, fmt.Sprintf("wider than %d columns", width)},
	} {
		if len(reason.heads) > 0 {
			parts = append(parts, fmt.Sprintf("%s (%s)", strings.Join(reason.heads, ", "), reason.why))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return fmt.Sprintf("Not shown: %s; --columns %s shows all.", strings.Join(parts, "; "), AllColumns)
}

// broken breaks a text into lines that take at most that many places, at spaces and behind hyphens where there are any.
func broken(text string, width int) []string {
	var out []string
	rest := []rune(text)
	for width > 0 && len(rest) > 1 && columns.Width(string(rest)) > width {
		most := 1 // letters that find room
		for columns.Width(string(rest[:most+1])) <= width {
			most++
		}
		end, next := most, most
		for i := most; i > 0; i-- {
			if rest[i] == ' ' {
				end, next = i, i+1
				break
			}
			if rest[i-1] == '-' || rest[i-1] == ',' {
				end, next = i, i
				break
			}
		}
		out = append(out, string(rest[:end]))
		rest = rest[next:]
	}
	return append(out, string(rest))
}
