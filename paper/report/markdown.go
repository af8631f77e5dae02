package report

import (
	"bytes"
	"fmt"
	"strings"

	"focalgrid/columns"
)

// Markdown writes the study as one page of Markdown: the claims, each with its verdict, numbers and commands, and the
// other tables.
func (s *Study) Markdown() ([]byte, error) {
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	undrawn := func(all []Undrawn) {
		for _, u := range all {
			line("\n%s", u)
		}
	}
	line("# Results\n\n%s\n\n%s\n\n%s", s.summary(), s.Made, commandNote)
	for i := range s.Parts {
		p := &s.Parts[i]
		if p.Exploratory() {
			continue
		}
		line("\n## Claims: %s\n", p.heading())
		if err := columns.Markdown(&b, claimHeads, p.claimRows(), 2); err != nil {
			return nil, err
		}
		line("\n%s", p.claimNote())
		for k := range p.Claims {
			j := &p.Claims[k]
			line("\n### %d. %s\n\n%s\n\n%s\n", k+1, j.Says, j.Paragraph(), p.published(j))
			line("    %s\n    %s", j.Sweep, j.Report)
		}
	}
	for i := range s.Parts {
		p := &s.Parts[i]
		line("\n## %s\n\n%s", p.heading(), p.label())
		if p.Finding != "" {
			line("\nThe paper's conclusion: %s.", p.Finding)
		}
		for _, f := range p.Figures {
			if f.Shows != "" {
				line("\nFigure: %s. %s", f.Shows, f.Caption)
			}
		}
		line("")
		if err := p.Table.Write(&b, "markdown"); err != nil {
			return nil, err
		}
		line("\n    %s\n    %s", p.Sweep, p.Print)
		for _, f := range p.Figures {
			line("    %s", f.Draw)
		}
		undrawn(p.Undrawn)
	}
	line("\n## Figures of no table\n")
	for _, f := range s.Figures {
		line("- %s: `%s`", f.Shows, f.Draw)
	}
	undrawn(s.Undrawn)
	line("\n## Where the numbers come from\n")
	for _, f := range s.Origin.Facts() {
		line("- %s: %s", f[0], f[1])
	}
	if text := s.elsewhere(); text != "" {
		line("\n%s", text)
	}
	for _, text := range s.Unread {
		line("\nNot read: %s.", text)
	}
	line("\n## Checklist\n")
	for _, item := range s.Checklist() {
		line("- **%s** %s %s. %s", item.Name, item.Question, item.Answer, item.Why)
	}
	return []byte(strings.ReplaceAll(b.String(), "\n\n\n", "\n\n")), nil
}
