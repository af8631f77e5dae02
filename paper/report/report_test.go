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
