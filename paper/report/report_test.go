package report

import (
	"strings"
	"testing"
	"time"

	"focalgrid/page"
	"focalgrid/page/pagetest"
	"focalgrid/paper/claims"
	"focalgrid/results/record"
	tables "focalgrid/results/report"
)

// study has one part with one claim, of ten seeds that all say the same.
func study(t *testing.T) *Study {
	t.Helper()
	var sides [2]claims.Side
	var all []record.Trial
	for i := range sides {
		sides[i].Name = []string{"loss.type=focal", "loss.type=ce"}[i]
		for seed := range uint64(10) {
			trial := record.Trial{Seed: seed, Outcome: record.Outcome{Status: record.StatusDone, WallSeconds: 30, Metrics: map[string]float64{"AP": .2 + .01*float64(seed) - .05*float64(i)}}}
			sides[i].Trials, all = append(sides[i].Trials, trial), append(all, trial)
		}
	}
	judged, err := claims.Judge([]claims.Claim{{Says: "FL <is> better", At: "the common rate", Sides: sides, Sweep: "runner sweep claims", Report: "runner report -o report"}})
	if err != nil {
		t.Fatal(err)
	}
	table := &tables.Table{ID: "claims", Factors: []string{"loss.type"}, Blocks: []tables.Block{{Rows: []tables.Row{
		tables.NewRow(map[string]any{"loss.type": "focal"}, sides[0].Trials, nil), tables.NewRow(map[string]any{"loss.type": "ce"}, sides[1].Trials, nil),
	}}}}
	return &Study{DB: "a.db", Origin: originOf(all), Made: page.Made{Command: "runner report", Version: "v1", At: time.Date(2030, 5, 1, 9, 0, 0, 0, time.UTC)},
		Parts: []Part{{ID: "claims-mini", Name: "claims", Title: "Claims", Profile: "mini", Table: table, Claims: judged, Family: "1 claim", Origin: originOf(all)}}}
}

// TestPage: the page can be read by everybody, and text is escaped.
func TestPage(t *testing.T) {
	text, err := study(t).HTML()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range pagetest.Problems(text) {
		t.Error(problem)
	}
	if strings.Contains(string(text), "FL <is>") || !strings.Contains(string(text), "Shown: the rows are separated") {
		t.Error("a claim is not escaped, or has no verdict")
	}
}

// TestMarkdown: the table of claims has the verdict and the numbers: +5.0 in each of ten seeds, p = 2/2¹⁰.
func TestMarkdown(t *testing.T) {
	text, err := study(t).Markdown()
	if err != nil {
		t.Fatal(err)
	}
	if want := "| shown   | +5.0 |  +5.0 to +5.0 | 10 | 0.0020 |   0.0020 |     1.00 |"; !strings.Contains(string(text), want) {
		t.Errorf("no %s in\n%s", want, text)
	}
}

// TestMarkdownEscapes: what a grid file or a record says stays text, and a command stays one block of code.
func TestMarkdownEscapes(t *testing.T) {
	s := study(t)
	p := &s.Parts[0]
	p.Title, p.Sweep, p.Set = "<b> [x](y)", "runner sweep 'a\nb.yaml'", []string{"data.dir=*"}
	s.Unread = []string{"sweep <i> of 2030-05-01: $x$"}
	text, err := s.Markdown()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"## Claims: \\<b> [x]\\(y) (claims at mini, data.dir=\\*)\n", "| 1. FL \\<is> better |", "### 1. FL \\<is> better\n",
		"    runner sweep 'a\n    b.yaml'\n", "does not have: data.dir=\\*.", "Not read: sweep \\<i> of 2030-05-01: \\$x\\$.",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestChecklist: an item says Yes only where the records show it.
func TestChecklist(t *testing.T) {
	host := func(text string) func(*record.Trial) { return func(r *record.Trial) { r.Provenance = text } }
	const known = `{"revision": "abc", "cpu": "a processor", "threads": 2}`
	tests := []struct {
		name    string
		change  func(*record.Trial) // of every trial
		want    string              // the answers in order, but the one for the authors
		because string
	}{
		{"everything known", host(known), "Yes Yes Yes Yes", ""},
		{"no revision", host(`{"revision": "unknown", "cpu": "a processor", "threads": 2}`), "In part Yes Yes Yes", "Of 20 trials the revision of the code is unknown"},
		{"changed code", host(`{"revision": "abc", "dirty": true, "cpu": "a processor", "threads": 2}`), "In part Yes Yes Yes", "abc with changes"},
		{"no machine", host(`{"revision": "abc"}`), "Yes Yes Yes In part", "on unknown machine"},
	}
	for _, tt := range tests {
		s := study(t)
		var all []record.Trial
		for _, side := range s.Parts[0].Claims[0].Sides {
			for _, trial := range side.Trials {
				tt.change(&trial)
				all = append(all, trial)
			}
		}
		s.Origin = originOf(all)
		var answers []string
		text := ""
		for _, item := range s.Checklist() {
			text += item.Why
			if item.Answer != forAuthors {
				answers = append(answers, item.Answer)
			}
		}
		if got := strings.Join(answers, " "); got != tt.want || !strings.Contains(text, tt.because) {
			t.Errorf("%s: %s, want %s, because %q; it says %s", tt.name, got, tt.want, tt.because, text)
		}
		if !strings.Contains(text, "Whether the claims were written before the trials is not in the database") {
			t.Errorf("%s: the checklist claims to know when claims were written: %s", tt.name, text)
		}
	}
	one := study(t)
	one.Parts[0].Table.Blocks[0].Rows = nil
	if got := one.Checklist()[3].Answer; got != "No" {
		t.Errorf("error bars of a table without rows of two seeds: %s", got)
	}
	var empty Study
	for _, item := range empty.Checklist() {
		if item.Answer == "Yes" || item.Why != "No trial is recorded." {
			t.Errorf("of no trials: %+v", item)
		}
	}
}

// TestDifferences: rows that have the same settings with other values can be of one table, and no others.
func TestDifferences(t *testing.T) {
	a := map[string]any{"optim.lr": .1, "optim.warmup": 50}
	set, same := differences(a, map[string]any{"optim.lr": .05, "optim.warmup": 200})
	if !same || strings.Join(set, " ") != "optim.lr=0.05 optim.warmup=200" {
		t.Errorf("%v, %v", set, same)
	}
	if _, same := differences(a, map[string]any{"optim.lr": .1, "loss.gamma": 2}); same {
		t.Error("settings of another kind are the same")
	}
	if set, same := differences(a, a); !same || len(set) != 0 {
		t.Errorf("of itself: %v, %v", set, same)
	}
}

// TestUndrawn: each form of a report names a figure that it lacks, and why.
func TestUndrawn(t *testing.T) {
	s := study(t)
	s.Undrawn = []Undrawn{{"imbalance", "no trials, see `runner sweep imbalance`"}}
	s.Parts[0].Undrawn = []Undrawn{{"7", "too few rows"}}
	for form, write := range map[string]func() ([]byte, error){"HTML": s.HTML, "LaTeX": s.LaTeX, "Markdown": s.Markdown} {
		text, err := write()
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"Figure imbalance is not drawn: no trials, see ", "Figure 7 is not drawn: too few rows."} {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s lacks %q", form, want)
			}
		}
	}
}
