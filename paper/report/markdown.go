package report

import (
	"bytes"
	"fmt"
	"strings"

	"focalgrid/columns"
	tables "focalgrid/results/report"
)

// Markdown writes the study as one page of Markdown: the claims, each with its verdict, numbers and commands, and the
// other tables.
func (s *Study) Markdown() ([]byte, error) {
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	commands := func(all ...string) {
		for _, c := range all {
			line("    %s", strings.ReplaceAll(c, "\n", "\n    "))
		}
	}
	undrawn := func(all []Undrawn) {
		for _, u := range all {
			line("\n%s", tables.MarkdownProse(u.String()))
		}
	}
	line("# Results\n\n%s\n\n%s\n\n%s", tables.Markdown(s.summary()), tables.MarkdownProse(s.Made.String()), commandNote)
	for i := range s.Parts {
		p := &s.Parts[i]
		if p.Exploratory() {
			continue
		}
		line("\n## Claims: %s\n", tables.Markdown(p.heading()))
		rows := p.claimRows()
		for _, row := range rows {
			row[0] = tables.Markdown(row[0])
		}
		if err := columns.Markdown(&b, claimHeads, rows, 2); err != nil {
			return nil, err
		}
		line("\n%s", tables.Markdown(p.claimNote()))
		for k := range p.Claims {
			j := &p.Claims[k]
			line("\n### %d. %s\n\n%s\n\n%s\n", k+1, tables.Markdown(j.Says), tables.MarkdownProse(j.Paragraph()), tables.MarkdownProse(p.published(j)))
			commands(j.Sweep, j.Report)
		}
	}
	for i := range s.Parts {
		p := &s.Parts[i]
		line("\n## %s\n\n%s", tables.Markdown(p.heading()), tables.Markdown(p.label()))
		if p.Finding != "" {
			line("\nThe paper's conclusion: %s.", tables.Markdown(p.Finding))
		}
		for _, f := range p.Figures {
			if f.Shows != "" {
				line("\nFigure: %s. %s", tables.Markdown(f.Shows), tables.Markdown(f.Caption))
			}
		}
		line("")
		if err := p.Table.Write(&b, "markdown"); err != nil {
			return nil, err
		}
		line("")
		commands(p.Sweep, p.Print)
		for _, f := range p.Figures {
			commands(f.Draw)
		}
		undrawn(p.Undrawn)
	}
	line("\n## Figures of no table\n")
	for _, f := range s.Figures {
		line("- %s: `%s`", tables.Markdown(f.Shows), f.Draw)
	}
	undrawn(s.Undrawn)
	line("\n## Where the numbers come from\n")
	for _, f := range s.Origin.Facts() {
		line("- %s: %s", f[0], tables.Markdown(f[1]))
	}
	if text := s.elsewhere(); text != "" {
		line("\n%s", tables.MarkdownProse(text))
	}
	for _, text := range s.Unread {
		line("\nNot read: %s.", tables.Markdown(text))
	}
	line("\n## Checklist\n")
	for _, item := range s.Checklist() {
		line("- **%s** %s %s. %s", item.Name, item.Question, item.Answer, tables.MarkdownProse(item.Why))
	}
	return []byte(strings.ReplaceAll(b.String(), "\n\n\n", "\n\n")), nil
}
