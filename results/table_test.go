package results

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "rewrite the golden files; read the difference before committing")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		must(t, os.WriteFile(path, got, 0o666))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; got\n%s\nwant\n%s", name, got, want)
	}
}

func near(a *float64, b float64) bool { return a != nil && math.Abs(*a-b) < 1e-12 }

// TestSummarize: hand-computed. 1, 2, 3, 4 has mean 2.5 and squared deviations
// 2.25 + .25 + .25 + 2.25 = 5, over 3.
func TestSummarize(t *testing.T) {
	for _, tt := range []struct {
		name     string
		values   []float64
		n        int
		mean, sd float64 // NaN: nil
	}{
		{"none", nil, 0, math.NaN(), math.NaN()},
		{"one", []float64{.3}, 1, .3, math.NaN()},
		{"two", []float64{.2, .4}, 2, .3, math.Sqrt(.02)},
		{"four", []float64{1, 2, 3, 4}, 4, 2.5, math.Sqrt(5. / 3)},
		{"equal", []float64{.25, .25, .25}, 3, .25, 0},
		{"not defined in one", []float64{1, math.NaN(), 3}, 2, 2, math.Sqrt2},
		{"not defined in all", []float64{math.NaN()}, 0, math.NaN(), math.NaN()},
	} {
		got := Summarize(tt.values)
		ok := got.N == tt.n
		for _, p := range []struct {
			got  *float64
			want float64
		}{{got.Mean, tt.mean}, {got.SD, tt.sd}} {
			if math.IsNaN(p.want) {
				ok = ok && p.got == nil
			} else {
				ok = ok && near(p.got, p.want)
			}
		}
		if !ok {
			t.Errorf("%s: got n %d, mean %s, sd %s; want %d, %g, %g", tt.name, got.N, digits(got.Mean), digits(got.SD), tt.n, tt.mean, tt.sd)
		}
	}
}

// TestSummarizeShift: adding a constant moves the mean by it and leaves sd.
func TestSummarizeShift(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(0, 1), 2, 20).Draw(rt, "values")
		by := rapid.Float64Range(-1, 1).Draw(rt, "by")
		shifted := make([]float64, len(values))
		for i, v := range values {
			shifted[i] = v + by
		}
		a, b := Summarize(values), Summarize(shifted)
		if math.Abs(*a.Mean+by-*b.Mean) > 1e-12 || math.Abs(*a.SD-*b.SD) > 1e-12 || *a.SD < 0 {
			rt.Fatalf("mean %g to %g, sd %g to %g", *a.Mean, *b.Mean, *a.SD, *b.SD)
		}
	})
}

func done(ap float64) Trial {
	return Trial{Outcome: Outcome{Status: StatusDone, Metrics: map[string]float64{
		"AP": ap, "AP50": ap + .2, "AP75": ap - .1, "APs": math.NaN(), "APm": ap / 2, "APl": ap + .1, "AP.001": ap + .01,
	}}}
}

func ended(status string) Trial { return Trial{Outcome: Outcome{Status: status}} }

func paperRow(ap, ap50, ap75 float64) map[string]*float64 {
	return map[string]*float64{"AP": &ap, "AP50": &ap50, "AP75": &ap75, "APs": nil}
}

func TestNewRow(t *testing.T) {
	row := NewRow(nil, []Trial{done(.2), ended(StatusDiverged), done(.4), ended(StatusFailed), ended(StatusRunning), ended(StatusInterrupted)}, nil)
	if row.N != 3 || row.Status != (Counts{Done: 2, Diverged: 1, Failed: 1}) {
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
			NewRow(factors(0, .75), []Trial{done(.21), done(.23), ended(StatusDiverged)}, paperRow(.311, .494, .33)),
			NewRow(factors(.1, .75), []Trial{ended(StatusDiverged)}, paperRow(.314, .499, .331)),
			NewRow(factors(.5, .5), nil, paperRow(.329, .517, .352)),
			NewRow(factors(1., .25), []Trial{done(.27), done(.28), done(.29)}, paperRow(.337, .52, .362)),
			NewRow(factors(2., .25), []Trial{done(.28)}, paperRow(.34, .525, .365)),
			NewRow(factors(2., "none"), []Trial{ended(StatusFailed)}, nil),
		},
	}
}

func TestGolden(t *testing.T) {
	once := gammaTable()
	once.Rows = []Row{once.Rows[4], NewRow(map[string]any{"loss.gamma": 5, "loss.alpha": nil}, []Trial{done(.25)}, nil)}
	bare := &Table{ID: "anchors", Profile: "mini", Caption: "anchor scales", Factors: []string{"anchors.scales", "image.flip"}, Extra: []string{"AP.001"},
		Rows: []Row{NewRow(map[string]any{"anchors.scales": []float64{1, 1.26}, "image.flip": true}, []Trial{done(.3)}, nil)}}
	for name, table := range map[string]*Table{"gamma": gammaTable(), "once": once, "bare": bare, "empty": {ID: "none", Factors: []string{"loss.gamma"}}} {
		for _, format := range Formats() {
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
	rows := func(trials ...[]Trial) *Table {
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
		{"highest", rows([]Trial{done(.2)}, []Trial{done(.3)}), []bool{false, true}},
		{"alike as printed", rows([]Trial{done(.3001)}, []Trial{done(.2999)}, []Trial{done(.1)}), []bool{true, true, false}},
		{"diverged once", rows([]Trial{done(.2)}, []Trial{done(.3), ended(StatusDiverged)}), []bool{true, false}},
		{"alone", rows([]Trial{done(.2)}, nil), []bool{false, false}},
		{"none", rows(nil, nil), []bool{false, false}},
		{"all zero", rows([]Trial{done(0)}, []Trial{done(0)}), []bool{true, true}},
	} {
		if got := tt.table.best(); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestList(t *testing.T) {
	step := 40
	trials := []Trial{trialNamed("a"), trialNamed("b"), trialNamed("c"), trialNamed("d"), trialNamed("p")}
	trials[0].Outcome = finishDone().Outcome
	trials[1].Config = `{"loss":{"gamma":0.5,"type":"focal"},"profile":"mini"}`
	trials[1].Outcome = Outcome{Status: StatusDiverged, DivergedStep: &step, Error: "loss is +Inf", Finished: "2030-05-01T10:02:03Z", WallSeconds: 123.4}
	trials[2].Config = `{"loss":{"type":"ce"},"profile":"mini"}`
	trials[2].Outcome = Outcome{Status: StatusFailed, Error: "image 7: file is cut off\nmore", Finished: "2030-05-01T10:02:03Z"}
	trials[3].Outcome = Outcome{Status: StatusRunning}
	trials[3].Attempts = []Attempt{{Number: 1, EndStep: 200, Exit: ExitKilled}, {Number: 2, StartStep: 200, EndStep: 230}}
	trials[4].Kind, trials[4].Config, trials[4].Outcome = KindPretrain, `{"steps":300}`, Outcome{Status: StatusDone}
	for _, format := range []string{"text", "json"} {
		var buf bytes.Buffer
		must(t, WriteList(&buf, trials, format))
		golden(t, "list."+format, buf.Bytes())
	}
	var none bytes.Buffer
	must(t, WriteList(&none, nil, "json"))
	must(t, WriteList(&none, nil, "text"))
	if got := none.String(); got != "[]\nno trials\n" {
		t.Errorf("no trials: %q", got)
	}
	trials[0].Config = "{"
	if err := WriteList(&none, trials, "text"); err == nil || !strings.Contains(err.Error(), "configuration") {
		t.Errorf("a broken configuration: %v", err)
	}
}

func TestShow(t *testing.T) {
	trial := trialNamed("a")
	trial.Outcome = finishDone().Outcome
	trial.Attempts = []Attempt{
		{Number: 1, Host: "one", PID: 41, EndStep: 207, Started: "2030-05-01T09:00:00Z", Ended: "2030-05-01T09:30:00Z", WallSeconds: 61.24,
			Exit: StatusFailed, Error: "its process died: signal: killed\nlog", Environment: `{"go":"go1.26.7","threads":2,"gpu":"none"}`},
		{Number: 2, Host: "two", PID: 1234, StartStep: 200, EndStep: 230, Started: "2030-05-01T10:00:00Z", PeakBytes: 123e6, Environment: trial.Provenance},
	}
	for _, format := range []string{"text", "json"} {
		var buf bytes.Buffer
		must(t, WriteTrial(&buf, trial, finishDone().Classes, format))
		golden(t, "show."+format, buf.Bytes())
	}
}
