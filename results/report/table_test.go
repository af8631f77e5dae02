package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"focalgrid/results/record"
)

func near(a *float64, b float64) bool { return a != nil && math.Abs(*a-b) < 1e-12 }

func done(ap float64) record.Trial {
	return record.Trial{Outcome: record.Outcome{Status: record.StatusDone, Metrics: map[string]float64{
		"AP": ap, "AP50": ap + .2, "AP75": ap - .1, "APs": math.NaN(), "APm": ap / 2, "APl": ap + .1, "AP.001": ap + .01,
	}}}
}

func ended(status string) record.Trial {
	return record.Trial{Outcome: record.Outcome{Status: status}}
}

func paperRow(ap, ap50, ap75 float64) map[string]*float64 {
	return map[string]*float64{"AP": &ap, "AP50": &ap50, "AP75": &ap75, "APs": nil}
}

func TestNewRow(t *testing.T) {
	row := NewRow(nil, []record.Trial{done(.2), ended(record.StatusDiverged), done(.4), ended(record.StatusFailed), ended(record.StatusRunning), ended(record.StatusInterrupted)}, nil)
	if row.N != 3 || row.Status != (record.Counts{Done: 2, Diverged: 1, Failed: 1}) {
		t.Errorf("n %d, %+v; want 3: 2 done, 1 diverged, and 1 failed outside n", row.N, row.Status)
	}
	if ap := row.Metrics["AP"]; ap.N != 2 || !near(ap.Mean, .3) || !near(ap.SD, math.Sqrt(.02)) {
		t.Errorf("AP %+v, want the mean over the two that are done", ap)
	}
	if small := row.Metrics["APs"]; small.N != 0 || small.Mean != nil {
		t.Errorf("APs %+v, want none: it is defined in no trial", small)
	}
}

// gammaTable has every kind of row: several seeds, one, none, diverged in part
// and wholly, failed, published and not.
func gammaTable() *Table {
	factors := func(gamma, alpha any) map[string]any { return map[string]any{"loss.gamma": gamma, "loss.alpha": alpha} }
	return &Table{
		ID: "1b", Profile: "mini", Caption: "focal loss, the best α for each γ",
		Ours:    "synthetic scenes, 128 px, ResNet-18 of quarter width, 1,200 steps",
		Paper:   "COCO minival, 600 px, ResNet-50-FPN, 90,000 steps",
		Factors: []string{"loss.gamma", "loss.alpha"},
		Rows: []Row{
			NewRow(factors(0, .75), []record.Trial{done(.21), done(.23), ended(record.StatusDiverged)}, paperRow(.311, .494, .33)),
			NewRow(factors(.1, .75), []record.Trial{ended(record.StatusDiverged)}, paperRow(.314, .499, .331)),
			NewRow(factors(.5, .5), nil, paperRow(.329, .517, .352)),
			NewRow(factors(1., .25), []record.Trial{done(.27), done(.28), done(.29)}, paperRow(.337, .52, .362)),
			NewRow(factors(2., .25), []record.Trial{done(.28)}, paperRow(.34, .525, .365)),
			NewRow(factors(2., "none"), []record.Trial{ended(record.StatusFailed)}, nil),
		},
	}
}

func TestGolden(t *testing.T) {
	once := gammaTable()
	once.Rows = []Row{once.Rows[4], NewRow(map[string]any{"loss.gamma": 5, "loss.alpha": nil}, []record.Trial{done(.25)}, nil)}
	bare := &Table{ID: "anchors", Profile: "mini", Caption: "anchor scales", Factors: []string{"anchors.scales", "image.flip"}, Extra: []string{"AP.001"},
		Rows: []Row{NewRow(map[string]any{"anchors.scales": []float64{1, 1.26}, "image.flip": true}, []record.Trial{done(.3)}, nil)}}
	for name, table := range map[string]*Table{"gamma": gammaTable(), "once": once, "bare": bare, "empty": {ID: "none", Factors: []string{"loss.gamma"}}} {
		for _, format := range TableFormats() {
			var buf bytes.Buffer
			must(t, table.Write(&buf, format))
			golden(t, name+"."+format, buf.Bytes())
		}
	}
}

func TestUnknownFormat(t *testing.T) {
	err := gammaTable().Write(&bytes.Buffer{}, "latex")
	if want := `unknown table format "latex"; known: csv, json, markdown, text`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	for _, err := range []error{WriteList(&bytes.Buffer{}, nil, "csv"), WriteTrial(&bytes.Buffer{}, trialNamed("a"), nil, "csv")} {
		if err == nil || !strings.Contains(err.Error(), "known: json, text") {
			t.Errorf("got %v, want the known formats", err)
		}
	}
}

// TestJSONForm reads the JSON as a stranger would, by the names promised.
func TestJSONForm(t *testing.T) {
	var buf bytes.Buffer
	must(t, gammaTable().Write(&buf, "json"))
	var got struct {
		Table, Profile string
		Rows           []struct {
			Factors map[string]any
			N       int
			Status  map[string]int
			Metrics map[string]map[string]*float64
			Paper   map[string]float64
		}
	}
	must(t, json.Unmarshal(buf.Bytes(), &got))
	if got.Table != "1b" || got.Profile != "mini" || len(got.Rows) != 6 {
		t.Fatalf("table %q, profile %q, %d rows", got.Table, got.Profile, len(got.Rows))
	}
	for i, r := range got.Rows {
		if len(r.Metrics) != 6 || len(r.Status) != 3 || len(r.Factors) != 2 {
			t.Errorf("row %d has %d metrics, %d statuses, %d factors; want 6, 3, 2", i, len(r.Metrics), len(r.Status), len(r.Factors))
		}
	}
	ap := got.Rows[4].Metrics["AP"]
	if *ap["mean"] != .28 || ap["sd"] != nil || *ap["n"] != 1 {
		t.Errorf("one seed: AP %v, want mean .28, sd null, n 1", ap)
	}
	if ap := got.Rows[1].Metrics["AP"]; ap["mean"] != nil || *ap["n"] != 0 || got.Rows[1].N != 1 {
		t.Errorf("diverged: AP %v in n %d, want mean null over 0 in n 1", ap, got.Rows[1].N)
	}
	if got.Rows[4].Paper["AP"] != .34 || got.Rows[5].Paper != nil || !bytes.Contains(buf.Bytes(), []byte(`"paper": null`)) {
		t.Errorf("paper %v and %v, want .34 and null", got.Rows[4].Paper, got.Rows[5].Paper)
	}
	if text := buf.String(); strings.Index(text, `"loss.gamma"`) > strings.Index(text, `"loss.alpha"`) {
		t.Error("factors are not in the table's order")
	}
}

// TestCSVIsWhole: digits survive, and every line has the header's columns.
func TestCSVIsWhole(t *testing.T) {
	table := gammaTable()
	var buf bytes.Buffer
	must(t, table.Write(&buf, "csv"))
	lines, err := csv.NewReader(&buf).ReadAll()
	must(t, err)
	row := map[string]string{}
	for i, name := range lines[0] {
		row[name] = lines[4][i]
	}
	want := *table.Rows[3].Metrics["AP"].SD
	if row["loss.gamma"] != "1" || row["n"] != "3" || row["AP sd"] != digits(&want) || row["paper AP"] != "0.337" || row["APs"] != "" {
		t.Errorf("row %v", row)
	}
}

// TestBest: the highest AP as printed is bold, a diverged row and a lone one
// never are.
func TestBest(t *testing.T) {
	rows := func(trials ...[]record.Trial) *Table {
		table := &Table{}
		for _, tt := range trials {
			table.Rows = append(table.Rows, NewRow(nil, tt, nil))
		}
		return table
	}
	for _, tt := range []struct {
		name  string
		table *Table
		want  []bool
	}{
		{"highest", rows([]record.Trial{done(.2)}, []record.Trial{done(.3)}), []bool{false, true}},
		{"alike as printed", rows([]record.Trial{done(.3001)}, []record.Trial{done(.2999)}, []record.Trial{done(.1)}), []bool{true, true, false}},
		{"diverged once", rows([]record.Trial{done(.2)}, []record.Trial{done(.3), ended(record.StatusDiverged)}), []bool{true, false}},
		{"alone", rows([]record.Trial{done(.2)}, nil), []bool{false, false}},
		{"none", rows(nil, nil), []bool{false, false}},
		{"all zero", rows([]record.Trial{done(0)}, []record.Trial{done(0)}), []bool{true, true}},
	} {
		if got := tt.table.best(); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
