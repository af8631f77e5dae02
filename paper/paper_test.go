package paper

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func load(t *testing.T, id string) *Table {
	t.Helper()
	tab, err := Load(id)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

// factorColumns names our columns for those of testdata/transcription.md, which
// was made from the paper independently of tables/*.csv.
var factorColumns = map[string]string{
	"alpha": "loss.alpha", "gamma": "loss.gamma", "beta": "loss.beta",
	"#scales": "anchors.scales", "#ratios": "anchors.ratios",
	"batch": "sampler.batch", "nms thr": "sampler.nms",
	"depth": "model.depth", "scale": "image.short",
	"backbone": "backbone",
	"AP":       "AP", "AP50": "AP50", "AP75": "AP75", "APS": "APs", "APM": "APm", "APL": "APl", "ms": "ms",
}

// transcribed reads the markdown tables under "### Table <id>." as id -> rows
// of column -> cell.
func transcribed(t *testing.T) map[string][]map[string]string {
	t.Helper()
	text, err := os.ReadFile("testdata/transcription.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]map[string]string{}
	var id string
	var header []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "### "); ok {
			id, header = "", nil
			if rest, ok := strings.CutPrefix(rest, "Table "); ok {
				id, _, _ = strings.Cut(rest, ".")
			}
			continue
		}
		if id == "" || !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|--") {
			continue
		}
		var cells []string
		for _, c := range strings.Split(strings.Trim(line, "|"), "|") {
			cells = append(cells, strings.TrimSpace(c))
		}
		if header == nil {
			header = cells
			continue
		}
		row := map[string]string{}
		for i, c := range cells {
			row[header[i]] = c
		}
		out[id] = append(out[id], row)
	}
	return out
}

// TestEveryFigure compares each published number with the transcription, to the
// printed digit, and each factor with its value.
func TestEveryFigure(t *testing.T) {
	want := transcribed(t)
	if len(want) != len(IDs()) {
		t.Fatalf("the transcription has %d tables, the package %d", len(want), len(IDs()))
	}
	compared := 0
	for _, id := range IDs() {
		tab := load(t, id)
		if len(tab.Rows) != len(want[id]) {
			t.Errorf("table %s: %d rows, want %d", id, len(tab.Rows), len(want[id]))
			continue
		}
		for i, row := range tab.Rows {
			for column, cell := range want[id][i] {
				name := factorColumns[column]
				got := "-"
				switch v := row.Factors[name].(type) {
				case float64:
					got = fmt.Sprint(v)
				case []float64:
					got = fmt.Sprint(len(v))
				case string:
					got = v
				}
				switch {
				case column == "method" || column == "loss":
					got = row.Label
					if id == "2" {
						got = row.Factors["method"].(string)
					}
				case column == "A": // arithmetic: scales × ratios
					got = fmt.Sprint(len(row.Factors["anchors.scales"].([]float64)) * len(row.Factors["anchors.ratios"].([]float64)))
				case name == "ms":
					got = fmt.Sprint(*row.Millis)
				case row.Metrics[name] != nil:
					got = strconv.FormatFloat(*row.Metrics[name]*100, 'f', 1, 64)
				}
				w := cell
				if w == "n/a" {
					w = "-"
				}
				if f, err := strconv.ParseFloat(cell, 64); err == nil && !strings.HasPrefix(column, "AP") {
					w = fmt.Sprint(f)
				}
				if got != w {
					t.Errorf("table %s row %d: %s is %s, the paper prints %s", id, i+1, column, got, cell)
				}
				compared++
			}
		}
	}
	if want := 7*4 + 7*5 + 7*6 + 10*6 + 10*9 + 9*8 + 4*6; compared != want {
		t.Errorf("%d cells compared, want %d", compared, want)
	}
}

func TestFiguresAreNearestFractions(t *testing.T) {
	got := load(t, "1b").Rows[0].Metrics["AP"]
	if got == nil || *got != 0.311 {
		t.Errorf("AP of gamma 0 is %v, want the float nearest to .311", *got)
	}
	for _, id := range IDs() {
		for i, row := range load(t, id).Rows {
			if len(row.Metrics) != len(Metrics) {
				t.Errorf("table %s row %d has %d metrics, want %d, nil where not published", id, i+1, len(row.Metrics), len(Metrics))
			}
		}
	}
}

// TestStatedDifferences checks the gains that the paper's text claims (§5.1,
// §5.2, §5.3, appendix A) and the rows it says are the same run.
func TestStatedDifferences(t *testing.T) {
	ap := func(id string, row int) float64 { return *load(t, id).Rows[row].Metrics["AP"] }
	for _, tt := range []struct {
		name         string
		gain         float64
		hi, lo       string
		hiRow, loRow int
	}{
		{"focal over balanced cross entropy (§5.1)", .029, "1b", "1b", 5, 0},
		{"focal over the best OHEM (§5.1)", .032, "1d", "1d", 9, 3},
		{"alpha .75 over .5 at gamma 0 (§5.1)", .009, "1a", "1a", 3, 2},
		{"nine anchors over one (§5.2)", .037, "1c", "1c", 5, 0},
		{"longer training with scale jitter (§5.3)", .013, "2", "1e", 7, 9},
		{"table 3's CE is table 1a's alpha .75", 0, "3", "1a", 0, 3},
		{"table 1b's gamma 0 is table 1a's alpha .75", 0, "1b", "1a", 0, 3},
		{"table 3's FL is table 1b's gamma 2", 0, "3", "1b", 1, 5},
		{"table 1c's default anchors are table 1b's gamma 2", 0, "1c", "1b", 5, 5},
	} {
		if got := ap(tt.hi, tt.hiRow) - ap(tt.lo, tt.loRow); math.Abs(got-tt.gain) > 1e-9 {
			t.Errorf("%s: %+.3f, want %+.3f", tt.name, got, tt.gain)
		}
	}
}

func TestLoadUnknown(t *testing.T) {
	_, err := Load("1f")
	if !errors.Is(err, ErrNoTable) {
		t.Fatalf("got %v, want ErrNoTable", err)
	}
	if want := `table "1f": no such table in the paper; known: 1a, 1b, 1c, 1d, 1e, 2, 3`; err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}

func TestLoadGivesACopy(t *testing.T) {
	a := load(t, "1a")
	a.Fixed["loss.gamma"] = 7.0
	*a.Rows[0].Metrics["AP"] = 1
	b := load(t, "1a")
	if b.Fixed["loss.gamma"] != 0.0 || *b.Rows[0].Metrics["AP"] != 0 {
		t.Error("changing a loaded table changed the next one")
	}
}

func TestAboutIsWhole(t *testing.T) {
	for _, id := range IDs() {
		tab := load(t, id)
		if tab.Caption == "" || tab.Finding == "" || tab.Backbone == "" || tab.Split == "" || strings.Contains(tab.Finding, "\n") {
			t.Errorf("table %s lacks a caption, split, backbone or one-line finding", id)
		}
	}
}

func TestSetting(t *testing.T) {
	for id, want := range map[string]string{"1b": "COCO minival, ResNet-50-FPN, 600 px", "1d": "COCO minival, ResNet-101-FPN, 600 px", "1e": "COCO test-dev"} {
		if got := load(t, id).Setting(); got != want {
			t.Errorf("table %s: %q, want %q", id, got, want)
		}
	}
}

func TestLookup(t *testing.T) {
	octave3 := []float64{1, 1.2599, 1.5874}
	for _, tt := range []struct {
		name     string
		table    string
		settings map[string]any
		ap       float64 // × 100; -1: no row
	}{
		{"gamma 2", "1b", map[string]any{"loss.type": "focal", "loss.gamma": 2, "loss.alpha": .25, "sampler.type": "all"}, 34.0},
		{"other keys do not matter", "1b", map[string]any{"loss.type": "focal", "loss.gamma": 2.0, "loss.alpha": .25, "model.depth": 18, "image.short": 128}, 34.0},
		{"gamma 0 as focal", "1b", map[string]any{"loss.type": "focal", "loss.gamma": 0, "loss.alpha": .75}, 31.1},
		{"gamma 0 as ce, whatever the unused gamma", "1b", map[string]any{"loss.type": "ce", "loss.gamma": 2, "loss.alpha": .75}, 31.1},
		{"minus zero is zero", "1b", map[string]any{"loss.type": "focal", "loss.gamma": math.Copysign(0, -1), "loss.alpha": .75}, 31.1},
		{"ce without a gamma", "1b", map[string]any{"loss.type": "ce", "loss.alpha": .75}, 31.1},
		{"another alpha", "1b", map[string]any{"loss.type": "focal", "loss.gamma": 2, "loss.alpha": .5}, -1},
		{"no alpha", "1b", map[string]any{"loss.type": "focal", "loss.gamma": 2, "loss.alpha": nil}, -1},
		{"alpha not stated", "1b", map[string]any{"loss.type": "focal", "loss.gamma": 2}, -1},
		{"another loss", "1b", map[string]any{"loss.type": "focal_star", "loss.gamma": 2, "loss.alpha": .25}, -1},
		{"mined examples", "1b", map[string]any{"loss.type": "focal", "loss.gamma": 2, "loss.alpha": .25, "sampler.type": "ssd"}, -1},
		{"nothing set", "1b", nil, -1},

		{"ce", "1a", map[string]any{"loss.type": "ce", "loss.alpha": .25}, 10.8},
		{"focal gamma 0", "1a", map[string]any{"loss.type": "focal", "loss.gamma": 0.0, "loss.alpha": .999}, 25.1},
		{"table 1a is about gamma 0", "1a", map[string]any{"loss.type": "focal", "loss.gamma": 2.0, "loss.alpha": .25}, -1},

		{"default anchors", "1c", map[string]any{"anchors.scales": octave3, "anchors.ratios": []float64{.5, 1, 2}}, 34.0},
		{"two scales, exact", "1c", map[string]any{"anchors.scales": []float64{1, math.Sqrt2}, "anchors.ratios": []float64{1}}, 31.9},
		{"by count", "1c", map[string]any{"anchors.scales": 4, "anchors.ratios": 3}, 33.8},
		{"other scales, same count", "1c", map[string]any{"anchors.scales": []float64{1, 2, 4}, "anchors.ratios": []float64{.5, 1, 2}}, -1},

		{"ohem", "1d", map[string]any{"loss.type": "ce", "sampler.type": "ohem", "sampler.ratio": 0, "sampler.batch": 128, "sampler.nms": .5}, 32.8},
		{"ohem as focal gamma 0", "1d", map[string]any{"loss.type": "focal", "loss.gamma": 0, "sampler.type": "ohem", "sampler.ratio": 0, "sampler.batch": 128, "sampler.nms": .7}, 31.1},
		{"ohem 1:3", "1d", map[string]any{"loss.type": "ce", "sampler.type": "ohem", "sampler.ratio": 3, "sampler.batch": 512, "sampler.nms": .5}, 24.0},
		{"focal, its sampler knobs unused", "1d", map[string]any{"loss.type": "focal", "loss.gamma": 2, "loss.alpha": .25, "sampler.type": "all", "sampler.batch": 256, "sampler.nms": .7, "sampler.ratio": 0}, 36.0},
		{"focal gamma 5", "1d", map[string]any{"loss.type": "focal", "loss.gamma": 5, "loss.alpha": .25, "sampler.type": "all"}, -1},
		{"ce over all anchors", "1d", map[string]any{"loss.type": "ce", "loss.alpha": .75, "sampler.type": "all"}, -1},
		{"ssd", "1d", map[string]any{"loss.type": "ce", "sampler.type": "ssd", "sampler.ratio": 3, "sampler.batch": 0, "sampler.nms": 0}, -1},
		{"ohem on focal loss", "1d", map[string]any{"loss.type": "focal", "loss.gamma": 2, "loss.alpha": .25, "sampler.type": "ohem", "sampler.ratio": 0, "sampler.batch": 128, "sampler.nms": .5}, -1},

		{"depth and scale", "1e", map[string]any{"model.depth": 101, "image.short": 800}, 37.8},
		{"a depth the paper has not", "1e", map[string]any{"model.depth": 18, "image.short": 600}, -1},

		{"another detector", "2", map[string]any{"method": "RetinaNet", "backbone": "ResNet-101-FPN"}, 39.1},
		{"a trial has no method", "2", map[string]any{"model.depth": 101, "image.short": 800}, -1},

		{"ce", "3", map[string]any{"loss.type": "ce", "loss.alpha": .75}, 31.1},
		{"fl", "3", map[string]any{"loss.type": "focal", "loss.gamma": 2, "loss.alpha": .25, "loss.beta": 0}, 34.0},
		{"fl*", "3", map[string]any{"loss.type": "focal_star", "loss.gamma": 4, "loss.beta": 0, "loss.alpha": .25}, 33.9},
	} {
		t.Run(tt.table+" "+tt.name, func(t *testing.T) {
			row := load(t, tt.table).Lookup(tt.settings)
			got := -1.0
			if row != nil {
				got = *row.Metrics["AP"] * 100
			}
			if math.Abs(got-tt.ap) > 1e-9 {
				t.Errorf("AP %.1f, want %.1f", got, tt.ap)
			}
		})
	}
}

// TestLookupFindsItself: the factors and fixed settings of each row find that
// row, except where the paper has two rows of the same settings.
func TestLookupFindsItself(t *testing.T) {
	for _, id := range IDs() {
		tab := load(t, id)
		for i := range tab.Rows {
			settings := map[string]any{}
			for k, v := range tab.Fixed {
				settings[k] = v
			}
			for k, v := range tab.Rows[i].Factors {
				settings[k] = v
			}
			if got := tab.Lookup(settings); got != &tab.Rows[i] {
				t.Errorf("table %s: row %d does not find itself", id, i+1)
			}
		}
	}
}

// TestLookupIgnoresOthers: settings that a table does not speak of never change which row is found.
func TestLookupIgnoresOthers(t *testing.T) {
	tab := load(t, "1b")
	rapid.Check(t, func(rt *rapid.T) {
		gamma := rapid.SampledFrom([]float64{0, .1, .2, .5, 1, 2, 5, 7}).Draw(rt, "gamma")
		alpha := rapid.SampledFrom([]float64{.25, .5, .75, .9}).Draw(rt, "alpha")
		plain := tab.Lookup(map[string]any{"loss.type": "focal", "loss.gamma": gamma, "loss.alpha": alpha})
		other := tab.Lookup(map[string]any{
			"loss.type": "focal", "loss.gamma": gamma, "loss.alpha": alpha,
			rapid.StringMatching(`x\.[a-z]{1,8}`).Draw(rt, "key"): rapid.Float64().Draw(rt, "value"),
		})
		if plain != other {
			rt.Fatalf("gamma %g alpha %g: another setting changed the row", gamma, alpha)
		}
	})
}

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "no header line"},
		{"not a number", "loss.gamma,AP\n2,high\n", `line 2: AP is "high", want a number from 0 to 100`},
		{"too large", "loss.gamma,AP\n2,134\n", `line 2: AP is "134", want a number from 0 to 100`},
		{"ratios", "anchors.ratios,AP\n2,30\n", "line 2: anchors.ratios: 2 ratios, the paper has 1 or 3"},
		{"ragged", "loss.gamma,AP\n2\n", "record on line 2: wrong number of fields"},
	} {
		var tab Table
		if err := tab.parse(tt.text); err == nil || err.Error() != tt.want {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}
