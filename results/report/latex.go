package report

import (
	"fmt"
	"io"
	"strings"

	"focalgrid/columns"
)

// writeLaTeX prints a table environment with the rules of the package booktabs, for pdfLaTeX of 2018 or later, XeLaTeX
// and LuaLaTeX. The notes stand below the rows.
func (t *Table) writeLaTeX(w io.Writer) error {
	s := t.sheet(pageWidth)
	var text strings.Builder
	text.WriteString("% in the preamble: \\usepackage{booktabs}\n\\begin{table}\n  \\centering\\small\n  \\setlength{\\tabcolsep}{4pt}\n")
	if title := t.title(); title != "" {
		fmt.Fprintf(&text, "  \\caption{%s}\n", LaTeX(title))
	}
	for i, s := range append([]*sheet{s}, t.perClass(pageWidth)...) {
		if i > 0 {
			fmt.Fprintf(&text, "  \\par\\medskip %s\\par\\smallskip\n", LaTeX(s.title))
		}
		s.writeLaTeX(&text)
	}
	if notes := t.notes(s, true); len(notes) > 0 {
		text.WriteString("  \\par\\smallskip\n  \\begin{minipage}{\\linewidth}\\footnotesize\\raggedright\n")
		for _, note := range notes {
			fmt.Fprintf(&text, "    %s\\par\n", LaTeX(note))
		}
		text.WriteString("  \\end{minipage}\n")
	}
	text.WriteString("\\end{table}\n")
	_, err := io.WriteString(w, text.String())
	return err
}

func (s *sheet) writeLaTeX(text *strings.Builder) {
	text.WriteString("  \\begin{tabular}{@{}")
	for i, c := range s.columns {
		switch {
		case c.wrap > 0:
			fmt.Fprintf(text, "p{%.1fem}", .5*float64(c.wrap))
		case i < s.left():
			text.WriteByte('l')
		default:
			text.WriteByte('r')
		}
	}
	text.WriteString("@{}}\n    \\toprule\n")
	var heads []string
	for _, c := range s.columns {
		var parts []string
		for _, line := range c.headLines() {
			parts = append(parts, LaTeX(line))
		}
		head := parts[0]
		if len(parts) > 1 {
			head = `\shortstack[l]{` + strings.Join(parts, `\\`) + "}"
		}
		heads = append(heads, head)
	}
	latexRow(text, heads)
	for _, b := range s.blocks {
		text.WriteString("    \\midrule\n")
		if b.title != "" {
			fmt.Fprintf(text, "    \\multicolumn{%d}{@{}l}{\\emph{%s}} \\\\\n", len(s.columns), LaTeX(b.title))
		}
		for at := b.from; at < b.to; at++ {
			cells := make([]string, len(s.columns))
			for i, c := range s.columns {
				cells[i] = LaTeX(c.cells[at].text)
				if c.cells[at].bold {
					cells[i] = `\textbf{` + cells[i] + "}"
				}
				if c.wrap > 0 {
					cells[i] = `\raggedright ` + cells[i]
				}
			}
			latexRow(text, cells)
		}
	}
	text.WriteString("    \\bottomrule\n  \\end{tabular}\n")
}

// latexRow writes a row. \raggedright changes \\, so the row ends with \tabularnewline.
func latexRow(text *strings.Builder, cells []string) {
	fmt.Fprintf(text, "    %s \\tabularnewline\n", strings.Join(cells, " & "))
}

// latexWords spell the characters that LaTeX reads otherwise, or that not every font has.
var latexWords = map[rune]string{
	'\\': `\textbackslash{}`, '{': `\{`, '}': `\}`, '$': `\$`, '&': `\&`, '#': `\#`, '%': `\%`, '_': `\_`,
	'~': `$\sim$`, '^': `\textasciicircum{}`, '<': `\textless{}`, '>': `\textgreater{}`, '|': `\textbar{}`,
	'"': "''", '`': "\\textasciigrave{}", '\'': `\textquotesingle{}`,
	'[': "{[}", ']': "{]}", '*': "{*}", // behind the end of a row these are its options

	'±': `$\pm$`, '×': `$\times$`, '·': `$\cdot$`, '≤': `$\leq$`, '≥': `$\geq$`, '−': `$-$`, '∞': `$\infty$`, '→': `$\rightarrow$`,
	'–': "--", '—': "---", '…': `\ldots{}`, '½': `$\frac12$`, '√': `$\surd$`, '°': `$^\circ$`, '§': `\S{}`,
	'‘': "`", '’': "'", '“': "``", '”': "''", '\u00a0': "~",
	'α': `$\alpha$`, 'β': `$\beta$`, 'γ': `$\gamma$`, 'δ': `$\delta$`, 'ε': `$\varepsilon$`, 'λ': `$\lambda$`, 'μ': `$\mu$`, 'µ': `$\mu$`,
	'π': `$\pi$`, 'σ': `$\sigma$`, 'τ': `$\tau$`, 'Δ': `$\Delta$`, 'Σ': `$\Sigma$`,
}

// LaTeX escapes a text. A character that pdfLaTeX knows no letter for is named by its number.
func LaTeX(text string) string {
	var b strings.Builder
	runes := []rune(columns.OneLine(text))
	for i, r := range runes {
		word, ok := latexWords[r]
		next := append(runes[i+1:len(runes):len(runes)], 0)[0]
		switch {
		case r == '-' && i == 0 && next >= '0' && next <= '9':
			b.WriteString("$-$")
		case r == '-' && (next == '-' || i > 0 && runes[i-1] == '-'): // which would be a dash
			b.WriteString("{-}")
		case ok:
			b.WriteString(word)
		case r >= ' ' && r < 0x7f, r >= 'À' && r <= 'ž' && r != 'ŉ' && r != 'ĸ' && r != 'Ħ' && r != 'ħ' && r != 'Ŧ' && r != 'ŧ' && r != 'Ŀ' && r != 'ŀ':
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, "{[}U+%04X{]}", r)
		}
	}
	return b.String()
}
