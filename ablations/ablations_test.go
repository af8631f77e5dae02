package ablations_test

import (
	"compress/gzip"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"focalgrid/ablations"
	"focalgrid/detector"
	"focalgrid/engine/gorgonia"
	"focalgrid/engine/kernel"
	"focalgrid/experiments"
	"focalgrid/experiments/plan"
	"focalgrid/experiments/sweep"
	"focalgrid/paper"
	"focalgrid/results"
)

// header returns the comment at the top of a grid file as paragraphs, each in one line. A line that begins with "At "
// or "Measured " begins a paragraph.
func header(t *testing.T, name string) []string {
	t.Helper()
	text, err := fs.ReadFile(ablations.Files, name+".yaml")
	if err != nil {
		t.Fatal(err)
	}
	paragraphs := []string{""}
	for line := range strings.Lines(string(text)) {
		line, comment := strings.CutPrefix(strings.TrimSpace(line), "#")
		if !comment {
			break
		}
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "At ") || strings.HasPrefix(line, "Measured ") {
			paragraphs = append(paragraphs, "")
		}
		last := &paragraphs[len(paragraphs)-1]
		*last = strings.TrimSpace(*last + " " + line)
	}
	return paragraphs
}

// find returns the paragraph that begins so, or "".
func find(paragraphs []string, start string) string {
	i := slices.IndexFunc(paragraphs, func(p string) bool { return strings.HasPrefix(p, start) })
	if i < 0 {
		return ""
	}
	return paragraphs[i]
}

var (
	gridFile = regexp.MustCompile(`\b([a-z_]+)\.yaml\b`)
	cited    = regexp.MustCompile(`Table (1[a-e]|[23])\b`)
	figure   = regexp.MustCompile(`\b\d+\.\d\b`)
	figures  = regexp.MustCompile(`\b\d+\.\d(?:, \d+\.\d)+\b`)
)

// Each grid file begins with what it shows, its command, the paper's result where it mirrors a table, and its cost,
// with as many trials as its command trains. Each figure in the paragraph about the paper is an AP of a table that the
// file mirrors or cites, or below 10 a difference of two; figures in a row are neighbours in the table.
func TestHeaders(t *testing.T) {
	for _, name := range plan.Ablations() {
		paragraphs := header(t, name)
		for _, start := range []string{"runner sweep " + name, "Cost"} {
			if find(paragraphs, start) == "" {
				t.Errorf("%s.yaml: no paragraph of the header begins with %q", name, start)
			}
		}
		for _, m := range gridFile.FindAllStringSubmatch(find(paragraphs, "Cost"), -1) {
			if !sharesRow(t, name, m[1]) {
				t.Errorf("%s.yaml: the cost counts rows of %s.yaml, which has no trial of the same identity", name, m[1])
			}
		}
		p, err := detector.Settings.Load(name, plan.Selection{})
		if err != nil {
			t.Fatal(err)
		}
		cost := find(paragraphs, "Cost")
		if want := fmt.Sprintf("Cost at mini: %d trials", len(p.Trials)); name != "smoke" && !strings.HasPrefix(cost, want) {
			t.Errorf("%s.yaml: want %q in %q", name, want, cost)
		}
		if strings.Contains(find(paragraphs, "runner sweep "+name), "--tune") {
			tuning, err := p.Tuning()
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf(" %d that choose ", len(tuning.Trials)); !strings.Contains(cost, want) {
				t.Errorf("%s.yaml: want %q in %q", name, want, cost)
			}
		}
		ids := []string{}
		if p.Table != "" {
			ids = append(ids, p.Table)
		}
		text := find(paragraphs, "In the paper (")
		if text == "" && p.Table == "" {
			continue
		}
		for _, m := range cited.FindAllStringSubmatch(text, -1) {
			ids = append(ids, m[1])
		}
		for _, wrong := range unpublished(t, text, ids) {
			t.Errorf("%s.yaml: in the paper, tables %v: %s", name, ids, wrong)
		}
		if len(figure.FindAllString(text, -1)) < 3 {
			t.Errorf("%s.yaml: %q has fewer than three figures of the paper", name, text)
		}
	}
}

// README.md says of each grid file inside the program what it is about.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range plan.Ablations() {
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("README.md does not name %s", name)
		}
	}
}

// sharesRow reports whether two grid files have a row that trains the same detector.
func sharesRow(t *testing.T, name, other string) bool {
	t.Helper()
	seen := map[string]bool{}
	for i, n := range []string{name, other} {
		p, err := detector.Settings.Load(n, plan.Selection{})
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range p.Rows {
			if i == 1 && seen[string(row.Canonical)] {
				return true
			}
			seen[string(row.Canonical)] = i == 0
		}
	}
	return false
}

// unpublished lists what is wrong about the figures of a text, beside those of the paper's tables.
func unpublished(t *testing.T, text string, ids []string) []string {
	t.Helper()
	var columns [][]float64
	for _, id := range ids {
		table, err := paper.Load(id)
		if err != nil {
			t.Fatal(err)
		}
		var aps []float64
		for _, row := range table.Rows {
			aps = append(aps, *row.Metrics["AP"])
		}
		columns = append(columns, aps)
	}
	return astray(text, columns)
}

// astray lists the figures of a text that are neither an AP in a column of a table nor, below 10, a difference of two in
// one column; and the figures in a row that are no neighbours in a column.
func astray(text string, columns [][]float64) []string {
	var lists, all []string // AP as it is printed: "31.1, 31.4, ..."
	gains := map[string]bool{}
	for _, aps := range columns {
		var list []string
		for _, ap := range aps {
			list = append(list, printed(ap))
			for _, other := range aps {
				gains[printed(math.Abs(ap-other))] = true
			}
		}
		lists, all = append(lists, strings.Join(list, ", ")), append(all, list...)
	}
	var wrong []string
	for _, f := range figure.FindAllString(text, -1) {
		x, err := strconv.ParseFloat(f, 64)
		if !slices.Contains(all, f) && (err != nil || x >= 10 || !gains[f]) {
			wrong = append(wrong, f+" is not there")
		}
	}
	for _, list := range figures.FindAllString(text, -1) {
		if !slices.ContainsFunc(lists, func(row string) bool { return strings.Contains(row, list) }) {
			wrong = append(wrong, list+" do not stand side by side there")
		}
	}
	return wrong
}

func printed(fraction float64) string { return fmt.Sprintf("%.1f", fraction*100) }

// A wrong figure, two that are swapped and a wrong gain are found.
func TestUnpublished(t *testing.T) {
	for text, want := range map[string]int{
		"AP 31.1, 31.4, 31.9 for γ 0, .1, .2; it gains 2.9": 0,
		"AP 31.1, 31.9, 31.4":                               1,
		"AP 31.2 for γ = 0":                                 1,
		"it gains 3.4":                                      1,
		"AP 31.1, 31.5":                                     2, // not there, and not beside 31.1
	} {
		if got := unpublished(t, text, []string{"1b"}); len(got) != want {
			t.Errorf("%s: %d mistakes %q, want %d", text, len(got), got, want)
		}
	}
}

var measured = regexp.MustCompile(`^Measured at mini, seeds? (\d+)(?: to (\d+))?: `)

// TestMeasured: a grid file says what came out at mini. Each figure in that paragraph is an AP of the file's table, made
// from the committed export of the study with the seeds that the paragraph names, or below 10 a difference of two.
func TestMeasured(t *testing.T) {
	export, err := os.Open("../paper/mini/results.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer export.Close()
	lines, err := gzip.NewReader(export)
	if err != nil {
		t.Fatal(err)
	}
	store, err := results.Open(filepath.Join(t.TempDir(), "study.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := store.Import(results.KeepNone, sweep.KeyOf(), results.Source{Name: export.Name(), Reader: lines}); err != nil {
		t.Fatal(err)
	}
	e := gorgonia.New(kernel.NewPool(1), gorgonia.Options{})
	defer e.Close()
	trainer := &experiments.Trainer{Data: experiments.Data{Cache: t.TempDir()}, Engine: e, Now: time.Now}
	defer trainer.Close()
	records := sweep.Records{Trainer: trainer, Store: store}
	for _, name := range plan.Ablations() {
		text := find(header(t, name), "Measured at mini, seed")
		m := measured.FindStringSubmatch(text)
		if m == nil {
			if name != "smoke" { // which shows that everything works, and no result
				t.Errorf("%s.yaml does not say what was measured at mini", name)
			}
			continue
		}
		seeds := m[1]
		if m[2] != "" {
			seeds += ".." + m[2]
		}
		p, err := detector.Settings.Load(name, plan.Selection{Seeds: seeds})
		if err != nil {
			t.Fatal(err)
		}
		table, err := records.Table(t.Context(), p, sweep.TableOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var columns [][]float64
		for _, b := range table.Blocks {
			var aps []float64
			for _, row := range b.Rows {
				if row.N != len(p.Seeds) {
					t.Errorf("%s.yaml: a row of %q has %d trials in the export, want %d", name, b.Title, row.N, len(p.Seeds))
				}
				aps = append(aps, row.Metric("AP").Mean)
			}
			columns = append(columns, aps)
		}
		for _, wrong := range astray(text, columns) {
			t.Errorf("%s.yaml: measured: %s", name, wrong)
		}
		if len(figure.FindAllString(text, -1)) < 2 {
			t.Errorf("%s.yaml: %q has fewer than two figures", name, text)
		}
	}
}
