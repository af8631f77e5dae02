package report

import (
	"html/template"
	"io"
	"strings"
)

// htmlTable is a fragment that needs nothing around it: no style sheet, no script. A wide table
// scrolls within itself, by keyboard too.
var htmlTable = template.Must(template.New("table").Parse(`<div role="region" aria-label="{{.Label}}" tabindex="0" style="overflow-x:auto">
{{range .Sheets}}<table>
<caption>{{.Caption}}</caption>
<thead><tr>{{range .Heads}}<th scope="col" style="text-align:{{.Align}}">{{.Text}}</th>{{end}}</tr></thead>
{{range .Blocks}}<tbody>
{{if .Title}}<tr><th scope="rowgroup" colspan="{{.Span}}" style="text-align:left">{{.Title}}</th></tr>
{{end}}{{range .Rows}}<tr>{{range .}}{{if .Head}}<th scope="row" style="text-align:{{.Align}}">{{.Text}}</th>{{else}}<td style="text-align:{{.Align}}">{{if .Bold}}<strong>{{.Text}}</strong>{{else}}{{.Text}}{{end}}{{if .Mark}} <abbr title="not separated">{{.Mark}}</abbr>{{end}}</td>{{end}}{{end}}</tr>
{{end}}</tbody>
{{end}}</table>
{{end}}{{if .Notes}}<ul>
{{range .Notes}}<li>{{.}}</li>
{{end}}</ul>
{{end}}</div>
`))

type htmlCell struct {
	Text, Mark, Align string
	Head, Bold        bool
}

type htmlBlock struct {
	Title string
	Span  int
	Rows  [][]htmlCell
}

type htmlSheet struct {
	Caption string
	Heads   []htmlCell
	Blocks  []htmlBlock
}

func (t *Table) writeHTML(w io.Writer) error {
	s := t.sheet(0)
	page := struct {
		Label  string
		Sheets []htmlSheet
		Notes  []string
	}{t.title(), nil, t.notes(s, true)}
	if page.Label == "" {
		page.Label = t.ID
	}
	for i, s := range append([]*sheet{s}, t.perClass(0)...) {
		caption := page.Label
		if i > 0 {
			caption += ": " + s.title
		}
		page.Sheets = append(page.Sheets, s.html(caption))
	}
	var text strings.Builder // nothing is written of a table that fails
	if err := htmlTable.Execute(&text, page); err != nil {
		return err
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func (s *sheet) html(caption string) htmlSheet {
	out := htmlSheet{Caption: caption}
	align := func(i int) string {
		if i < s.left() {
			return "left"
		}
		return "right"
	}
	for i, c := range s.columns {
		out.Heads = append(out.Heads, htmlCell{Text: c.head, Align: align(i)})
	}
	for _, b := range s.blocks {
		block := htmlBlock{Title: b.title, Span: len(s.columns)}
		for at := b.from; at < b.to; at++ {
			var row []htmlCell
			for i, c := range s.columns {
				x := htmlCell{Text: c.cells[at].text, Bold: c.cells[at].bold, Head: i < s.left(), Align: align(i)}
				if text, ok := strings.CutSuffix(x.Text, " "+notSeparated); ok {
					x.Text, x.Mark = text, notSeparated
				}
				row = append(row, x)
			}
			block.Rows = append(block.Rows, row)
		}
		out.Blocks = append(out.Blocks, block)
	}
	return out
}
