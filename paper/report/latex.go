package report

import (
	"bytes"
	"fmt"
	"strings"

	tables "focalgrid/results/report"
)

// preamble is all that a report needs of LaTeX: packages that every distribution has.
const preamble = `\documentclass[10pt]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{textcomp}
\usepackage[margin=2.5cm]{geometry}
\usepackage{booktabs}
\usepackage{graphicx}
\setlength{\parindent}{0pt}
\setlength{\parskip}{.5\baselineskip}
\sloppy
`

// LaTeX writes the study as a document that compiles beside the folder figures, which holds its pictures by name.
func (s *Study) LaTeX() ([]byte, error) {
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	b.WriteString(preamble)
	line("\\title{Report of %s}\n\\author{}\n\\date{%s}\n\\begin{document}\n\\maketitle\n", tables.LaTeX(s.DB), s.Made.Date())
	line("%s %s\n\n%s", tables.LaTeX(s.summary()), latexProse(s.Made.String()), latexProse(commandNote))
	for i := range s.Parts {
		if p := &s.Parts[i]; !p.Exploratory() {
			p.latexClaims(line)
		}
	}
	for i := range s.Parts {
		p := &s.Parts[i]
		line("\n\\section{%s}\n\n\\textbf{%s}", tables.LaTeX(p.heading()), tables.LaTeX(p.label()))
		if p.Finding != "" {
			line("\nThe paper's conclusion: %s.", tables.LaTeX(p.Finding))
		}
		line("")
		if err := p.Table.Write(&b, "latex"); err != nil {
			return nil, err
		}
		commands := []string{p.Sweep, p.Print}
		for _, f := range p.Figures {
			latexFigure(line, f)
			commands = append(commands, f.Draw)
		}
		latexCommands(line, commands)
		latexUndrawn(line, p.Undrawn)
		latexFacts(line, p.Origin.Facts())
		line("\\clearpage")
	}
	line("\n\\section{Figures of no table}")
	var commands []string
	for _, f := range s.Figures {
		latexFigure(line, f)
		commands = append(commands, f.Draw)
	}
	latexCommands(line, commands)
	latexUndrawn(line, s.Undrawn)
	line("\\clearpage")
	line("\n\\section{Checklist}\n\nThe items about reproducibility of the NeurIPS paper checklist, answered from the database.\n")
	for _, item := range s.Checklist() {
		line("\\textbf{%s} %s \\textbf{%s.} %s\n", tables.LaTeX(item.Name), tables.LaTeX(item.Question), tables.LaTeX(item.Answer), latexProse(item.Why))
	}
	line("\\section{Where the numbers come from}\n")
	latexFacts(line, s.Origin.Facts())
	if text := s.elsewhere(); text != "" {
		line("%s\n", latexProse(text))
	}
	for _, text := range s.Unread {
		line("Not read: %s.\n", tables.LaTeX(text))
	}
	line("\\end{document}")
	return b.Bytes(), nil
}

// latexClaims writes the table of the part's claims and a paragraph for each.
func (p *Part) latexClaims(line func(string, ...any)) {
	line("\n\\section{Claims: %s}\n\n{\\small\\setlength{\\tabcolsep}{4pt}\n\\begin{tabular}{@{}p{.3\\linewidth}lrrrrrr@{}}\n\\toprule", tables.LaTeX(p.heading()))
	latexCells(line, claimHeads)
	line("\\midrule")
	for _, row := range p.claimRows() {
		latexCells(line, row)
	}
	line("\\bottomrule\n\\end{tabular}\\par}\n\n%s", tables.LaTeX(p.claimNote()))
	for i := range p.Claims {
		j := &p.Claims[i]
		line("\n\\subsection*{%d. %s: %s}\n\n%s\n\n%s", i+1, tables.LaTeX(j.Says), j.Verdict, latexProse(j.Paragraph()), latexProse(p.published(j)))
		latexCommands(line, []string{j.Sweep, j.Report})
	}
}

func latexFigure(line func(string, ...any), f Figure) {
	caption := f.Title
	if f.Caption != "" {
		caption += ". " + f.Caption
	}
	line("\\begin{figure}\n  \\centering\n  \\includegraphics[width=.85\\linewidth,height=.8\\textheight,keepaspectratio]{figures/%s.png}\n"+
		"  \\caption{%s}\n\\end{figure}", f.Name, tables.LaTeX(caption))
}

func latexUndrawn(line func(string, ...any), all []Undrawn) {
	for _, u := range all {
		line("%s\n", latexProse(u.String()))
	}
}

func latexCells(line func(string, ...any), cells []string) {
	escaped := make([]string, len(cells))
	for i, c := range cells {
		escaped[i] = tables.LaTeX(c)
	}
	escaped[0] = `\raggedright ` + escaped[0]
	line("%s \\tabularnewline", strings.Join(escaped, " & "))
}

func latexCommands(line func(string, ...any), commands []string) {
	line("\n{\\raggedright\\small")
	for _, c := range commands {
		line("\\texttt{%s}\\par", tables.LaTeX(c))
	}
	line("}")
}

func latexFacts(line func(string, ...any), facts [][2]string) {
	line("\n{\\raggedright\\small")
	for _, f := range facts {
		line("%s: %s\\par", tables.LaTeX(f[0]), tables.LaTeX(f[1]))
	}
	line("}\n")
}

// latexProse escapes a text, with code between backticks.
func latexProse(text string) string {
	var b strings.Builder
	for i, part := range strings.Split(text, "`") {
		if i%2 == 1 {
			fmt.Fprintf(&b, `\texttt{%s}`, tables.LaTeX(part))
		} else {
			b.WriteString(tables.LaTeX(part))
		}
	}
	return b.String()
}
