package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// studies are the folders that hold a RESULTS.md beside the exports that it is made from: the committed study, and a
// small one of twelve trials of the profile mini, on the split tune, with one claim.
var studies = []string{"../../paper/mini", "testdata/study"}

// imported makes a database of the exports in a folder.
func imported(t *testing.T, folder string) string {
	t.Helper()
	exports, err := filepath.Glob(filepath.Join(folder, "*.jsonl*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(exports) == 0 {
		t.Fatalf("%s has no export", folder)
	}
	db := filepath.Join(t.TempDir(), "study.db")
	must(t, append([]string{"db", "import", "--db", db}, exports...)...)
	return db
}

// differs returns the first lines in which two reports differ, but for the line that says how each was made; "" if none.
func differs(a, b string) string {
	lines := func(text string) (kept []string) {
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, "Made by `runner report ") {
				kept = append(kept, strings.TrimSuffix(line, "\n"))
			}
		}
		return kept
	}
	x, y := lines(a), lines(b)
	for i := range max(len(x), len(y)) {
		switch {
		case i >= len(x):
			return "the first ends before " + y[i]
		case i >= len(y):
			return "the second ends before " + x[i]
		case x[i] != y[i]:
			return fmt.Sprintf("line %d: %s\n    against %s", i+1, x[i], y[i])
		}
	}
	return ""
}

// TestResults makes each RESULTS.md again from the exports beside it. After a change of what a report says, make it anew:
// runner db import --db study.db *.jsonl* && runner report study.db -o RESULTS.md.
func TestResults(t *testing.T) {
	t.Setenv("FOCALGRID_CACHE", t.TempDir())
	for _, folder := range studies {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			file := filepath.Join(folder, "RESULTS.md")
			committed, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			db := imported(t, folder)
			out := filepath.Join(t.TempDir(), "RESULTS.md")
			must(t, "report", db, "-o", out, "--engine", "cpu")
			made, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			if d := differs(string(committed), string(made)); d != "" {
				t.Errorf("%s is not what the exports give: %s", file, d)
			}
		})
	}
}

// TestStudyPictures draws the committed pictures of the study again from its export. Figure 4 is left out: it is drawn from
// weights, which no export has.
func TestStudyPictures(t *testing.T) {
	t.Setenv("FOCALGRID_CACHE", t.TempDir())
	db := imported(t, "../../paper/mini")
	pictures, err := filepath.Glob("../../paper/mini/figures/*.svg")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range pictures {
		name := strings.TrimSuffix(filepath.Base(file), ".svg")
		if name == "4" {
			continue
		}
		committed, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		again := filepath.Join(t.TempDir(), filepath.Base(file))
		must(t, "plot", name, "--db", db, "-o", again)
		if drawn, err := os.ReadFile(again); err != nil || string(drawn) != string(committed) {
			t.Errorf("%s is not what `runner plot %s` draws from the export", file, name)
		}
	}
}

// TestStudyPage: every AP and difference that the page of the study names is one that its RESULTS.md has.
func TestStudyPage(t *testing.T) {
	page, err := os.ReadFile("../../paper/mini/README.md")
	if err != nil {
		t.Fatal(err)
	}
	results, err := os.ReadFile("../../paper/mini/RESULTS.md")
	if err != nil {
		t.Fatal(err)
	}
	number := regexp.MustCompile(`\b\d+\.\d\b`)
	has := map[string]bool{}
	for _, n := range number.FindAllString(string(results), -1) {
		has[n] = true
	}
	named := number.FindAllString(string(page), -1)
	if len(named) < 10 {
		t.Errorf("the page names %q, fewer than the study has claims", named)
	}
	for _, n := range named {
		if !has[n] {
			t.Errorf("the page names %s, which RESULTS.md does not have", n)
		}
	}
}

// TestReadmeTable: the table that the README shows is the one that the command beside it prints from the study's export.
func TestReadmeTable(t *testing.T) {
	t.Setenv("FOCALGRID_CACHE", t.TempDir())
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	const columns = "loss.gamma,loss.alpha,n,AP,difference,paper AP"
	out := must(t, "table", "gamma", "--db", imported(t, "../../paper/mini"), "--seeds", "0..9", "--format", "markdown", "--columns", columns)
	from, to := strings.Index(out, "\n|")+1, strings.LastIndex(out, "|\n")+2
	if table := out[from:to]; !strings.Contains(string(readme), table) {
		t.Errorf("README.md lacks the table\n%s", table)
	}
}

// TestResultsHaveNumbers: the small study's claim has the numbers that its twelve trials give by hand. The six
// differences in AP × 100 have one sign, so p is 2/2⁶. With one of the trials gone, the report is another one.
func TestResultsHaveNumbers(t *testing.T) {
	t.Setenv("FOCALGRID_CACHE", t.TempDir())
	committed, err := os.ReadFile("testdata/study/RESULTS.md")
	if err != nil {
		t.Fatal(err)
	}
	const row = "| 1. Focal loss is better than cross entropy | shown   | +5.8 |  +5.3 to +6.2 | 6 | 0.031 |    0.031 |     1.00 |"
	if !strings.Contains(string(committed), row) {
		t.Errorf("no row %s", row)
	}
	export, err := os.ReadFile("testdata/study/trials.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	lines := strings.SplitAfter(strings.TrimSuffix(string(export), "\n"), "\n")
	if err := os.WriteFile(filepath.Join(folder, "fewer.jsonl"), []byte(strings.Join(lines[:len(lines)-1], "")), 0o666); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(folder, "RESULTS.md")
	must(t, "report", imported(t, folder), "-o", out, "--engine", "cpu")
	made, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if d := differs(string(committed), string(made)); !strings.Contains(d, "too few seeds") && !strings.Contains(d, "11 trials") {
		t.Errorf("a report of fewer trials differs by %q", d)
	}
	if !strings.Contains(string(made), "| too few seeds | +5.") {
		t.Errorf("five pairs give a verdict:\n%s", made)
	}
}

// TestCommandsOfFigures: each figure of a table is drawn by a command of its own.
func TestCommandsOfFigures(t *testing.T) {
	t.Setenv("FOCALGRID_CACHE", t.TempDir())
	out := filepath.Join(t.TempDir(), "RESULTS.md")
	must(t, "report", imported(t, studies[0]), "-o", out, "--engine", "cpu")
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "    runner plot ") {
			if seen[line] {
				t.Errorf("twice: %s", line)
			}
			seen[line] = true
		}
	}
	if len(seen) == 0 {
		t.Error("no figure has a command")
	}
}

// TestReportCompiles compiles report.tex of the small study with all figures, and looks whether anything is wider than
// its line by more than a few characters.
func TestReportCompiles(t *testing.T) {
	program, args := "pdflatex", []string{"-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "report.tex"}
	if _, err := exec.LookPath(program); err != nil {
		program, args = "tectonic", []string{"--untrusted", "report.tex"}
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("neither pdflatex nor tectonic is here, so no LaTeX is compiled (Debian: apt-get install texlive-latex-base texlive-latex-recommended)")
		}
	}
	t.Setenv("FOCALGRID_CACHE", t.TempDir())
	dir := filepath.Join(t.TempDir(), "report")
	must(t, "report", imported(t, "testdata/study"), "-o", dir)
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	log, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, log)
	}
	for line := range strings.Lines(string(log)) {
		var wide float64
		if _, err := fmt.Sscanf(line, "Overfull \\hbox (%fpt", &wide); err == nil && wide > 5 {
			t.Errorf("wider than the page: %s", line)
		}
	}
}
