package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strings"

	"focalgrid/figure"
	"focalgrid/page"
)

//go:embed report.html
var pageText string

var pageTemplate = template.Must(template.New("report").Funcs(page.Functions).Funcs(template.FuncMap{"prose": prose}).Parse(pageText))

// prose escapes a text, with code between backticks.
func prose(text string) template.HTML {
	var b strings.Builder
	for i, part := range strings.Split(text, "`") {
		if i%2 == 1 {
			fmt.Fprintf(&b, "<code>%s</code>", template.HTMLEscapeString(part))
		} else {
			b.WriteString(template.HTMLEscapeString(part))
		}
	}
	return template.HTML(b.String())
}

// view is what the page shows, spelled.
type view struct {
	*Study
	Summary, Elsewhere string
	Heads              []string
	Parts              []partView
	Figures            []figureView
	Commands           []string
	CommandNote        string
	Facts              [][2]string
	Items              []Item
}

type partView struct {
	ID                            string
	Heading, Label, Finding, Note string
	Exploratory                   bool
	ClaimRows                     [][]string
	Claims                        []claimView
	Table                         template.HTML // escaped by its writer
	Figures                       []figureView
	Facts                         [][2]string
	Commands                      []string
	Undrawn                       []Undrawn
}

type claimView struct {
	ID, Says, Verdict, Paragraph, Published string
	Commands                                []string
}

type figureView struct {
	SVG     template.HTML // escaped by its writer
	Caption string
}

// HTML writes the study as one page that needs no other file and no network.
func (s *Study) HTML() ([]byte, error) {
	v := view{Study: s, Summary: s.summary(), Elsewhere: s.elsewhere(), Heads: claimHeads, Facts: s.Origin.Facts(), Items: s.Checklist(), CommandNote: commandNote}
	for i := range s.Parts {
		part, err := s.Parts[i].view(fmt.Sprintf("part-%d", i+1))
		if err != nil {
			return nil, err
		}
		v.Parts = append(v.Parts, part)
	}
	var err error
	if v.Figures, v.Commands, err = drawings(s.Figures); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = pageTemplate.Execute(&b, v)
	return b.Bytes(), err
}

func (p *Part) view(id string) (partView, error) {
	v := partView{
		ID: id, Heading: p.heading(), Label: p.label(), Finding: p.Finding, Exploratory: p.Exploratory(),
		Facts: p.Origin.Facts(), Undrawn: p.Undrawn,
	}
	if !p.Exploratory() {
		v.ClaimRows, v.Note = p.claimRows(), p.claimNote()
	}
	for i := range p.Claims {
		j := &p.Claims[i]
		v.Claims = append(v.Claims, claimView{
			ID: fmt.Sprintf("%s-claim-%d", id, i+1), Says: fmt.Sprintf("%d. %s", i+1, j.Says), Verdict: string(j.Verdict),
			Paragraph: j.Paragraph(), Published: p.published(j), Commands: []string{j.Sweep, j.Report},
		})
	}
	var table bytes.Buffer
	if err := p.Table.Write(&table, "html"); err != nil {
		return v, err
	}
	v.Table = template.HTML(table.String())
	drawn, commands, err := drawings(p.Figures)
	v.Figures, v.Commands = drawn, append([]string{p.Sweep, p.Print}, commands...)
	return v, err
}

// drawings returns the figures with the commands that draw them.
func drawings(all []Figure) (drawn []figureView, commands []string, err error) {
	for _, f := range all {
		svg, err := f.SVG(figure.Width)
		if err != nil {
			return nil, nil, fmt.Errorf("figure %s: %w", f.Name, err)
		}
		drawn = append(drawn, figureView{template.HTML(svg), f.Title})
		commands = append(commands, f.Draw)
	}
	return drawn, commands, nil
}
