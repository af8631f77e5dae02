package report

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestLaTeXCompiles compiles the LaTeX of every golden table, each on a page of its own, and looks whether anything ran
// over its line by more than a few characters.
func TestLaTeXCompiles(t *testing.T) {
	program, args := "pdflatex", []string{"-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape"}
	if _, err := exec.LookPath(program); err != nil {
		program, args = "tectonic", []string{"--untrusted"}
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("neither pdflatex nor tectonic is here, so no LaTeX is compiled (Debian: apt-get install texlive-latex-base texlive-latex-recommended)")
		}
	}
	for name, table := range goldenTables() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var page bytes.Buffer
			page.WriteString("\\documentclass{article}\n\\usepackage[margin=2.5cm]{geometry}\n\\usepackage{booktabs}\n\\begin{document}\n")
			must(t, table.Write(&page, "latex"))
			fmt.Fprintln(&page, "\\end{document}")
			dir := t.TempDir()
			must(t, os.WriteFile(filepath.Join(dir, "table.tex"), page.Bytes(), 0o666))
			cmd := exec.Command(program, append(args, "table.tex")...)
			cmd.Dir = dir
			log, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %v\n%s", program, err, log)
			}
			if name == "hostile" { // whose one name is wider than a page
				return
			}
			for line := range strings.Lines(string(log)) {
				var wide float64
				if _, err := fmt.Sscanf(line, "Overfull \\hbox (%fpt", &wide); err == nil && wide > 5 {
					t.Errorf("wider than the page: %s", line)
				}
			}
		})
	}
}

// TestLaTeX: what LaTeX reads otherwise is escaped, and a letter that pdfLaTeX lacks is named by its number.
func TestLaTeX(t *testing.T) {
	for text, want := range map[string]string{
		"a_b & 5 %":    `a\_b \& 5 \%`,
		"-8.5 ± 4.2 ~": `$-$8.5 $\pm$ 4.2 $\sim$`,
		"a-b --all":    "a-b {-}{-}all",
		"γ, größer":    `$\gamma$, größer`,
		"中":            "{[}U+4E2D{]}",
		"[1,2]":        "{[}1,2{]}",
		`\end{x}`:      `\textbackslash{}end\{x\}`,
	} {
		if got := LaTeX(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
