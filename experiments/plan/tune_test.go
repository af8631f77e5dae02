package plan

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tuned is a grid of two rows with three candidates each.
const tuned = `
profile: mini
baseline: {optim.lr: 0.1}
list: [{loss.type: ce, loss.alpha: 0.75}, {loss.gamma: 2}]
seeds: [0, 1]
tune: {optim.lr: [0.05, 0.1, 0.2]}
`

func TestTuning(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"each row at each candidate, on seeds of its own", tuned, `t at mini, table "": 6 rows × seeds [100 101 102]
#   loss.type  loss.alpha  loss.gamma  optim.lr  seed
1   ce         0.75        -           0.05      100
2   ce         0.75        -           0.1       100
3   ce         0.75        -           0.2       100
4   focal      0.25        2           0.05      100
5   focal      0.25        2           0.1       100
6   focal      0.25        2           0.2       100
7   ce         0.75        -           0.05      101
8   ce         0.75        -           0.1       101
9   ce         0.75        -           0.2       101
10  focal      0.25        2           0.05      101
11  focal      0.25        2           0.1       101
12  focal      0.25        2           0.2       101
13  ce         0.75        -           0.05      102
14  ce         0.75        -           0.1       102
15  ce         0.75        -           0.2       102
16  focal      0.25        2           0.05      102
17  focal      0.25        2           0.1       102
18  focal      0.25        2           0.2       102
`},
		{"a product, nested, with seeds; what does not matter for a row makes no candidates of it", `
profile: mini
list: [{loss.type: ce}, {loss.type: focal}]
seeds: [0]
tune:
  optim: {lr: [0.05, 0.1]}
  loss.gamma: [1, 2]
  seeds: 7..7
`, `t at mini, table "": 6 rows × seeds [7]
#  loss.type  optim.lr  loss.gamma  seed
1  ce         0.05      -           7
2  ce         0.1       -           7
3  focal      0.05      1           7
4  focal      0.05      2           7
5  focal      0.1       1           7
6  focal      0.1       2           7
`},
		{"at: a profile has candidates of its own", `
profile: mini
seeds: [0]
tune: {optim.lr: [0.05, 0.1]}
at: {mini: {tune: {optim.lr: [0.4], seeds: [5]}}}
`, `t at mini, table "": 1 rows × seeds [5]
#  optim.lr  seed
1  0.4       5
`},
	}
	for _, tt := range tests {
		p := mustPlan(t, tt.text, Selection{})
		tuning, err := p.Tuning()
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := planText(tuning); got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, got, tt.want)
		}
		for i := range tuning.Rows {
			if c := &tuning.Rows[i].Config; c.EvalSplit() != "tune" {
				t.Errorf("%s: row %d is scored on %s", tt.name, i, c.EvalSplit())
			}
		}
	}
}

// The section tune changes no trial of the table.
func TestTuneLeavesTheTable(t *testing.T) {
	with, without := mustPlan(t, tuned, Selection{}), mustPlan(t, strings.Split(tuned, "tune:")[0], Selection{})
	if a, b := planText(with), planText(without); a != b {
		t.Errorf("with tune:\n%s\nwithout:\n%s", a, b)
	}
	for i := range with.Rows {
		if a, b := string(with.Rows[i].Canonical), string(without.Rows[i].Canonical); a != b {
			t.Errorf("row %d is %s with tune, and %s without", i, a, b)
		}
	}
}

func TestTuneOfChosenRows(t *testing.T) {
	p := mustPlan(t, tuned, Selection{Only: []string{"loss.type=focal"}, Set: []string{"optim.lr=0.4"}, Seeds: "5"})
	tuning, err := p.Tuning()
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Rows) != 1 || p.Rows[0].Config.Number("optim.lr") != .4 || len(tuning.Rows) != 3 || !slices.Equal(tuning.Seeds, []uint64{100, 101, 102}) {
		t.Errorf("%s\n%s", planText(p), planText(tuning))
	}
	for _, r := range tuning.Rows {
		if r.Index != 0 || r.Config.Text("loss.type") != "focal" {
			t.Errorf("a candidate of row %d has loss %s", r.Index, r.Config.Text("loss.type"))
		}
	}
}

func TestTuneRefused(t *testing.T) {
	const head = "profile: mini\nseeds: [0, 1]\ngrid: {loss.gamma: [0, 2]}\n"
	tests := []struct{ name, text, want string }{
		{"no section of settings", head + "tune: [0.1]\n", "t.yaml:4: tune must be key: value pairs, is a list"},
		{"nothing to choose", head + "tune: {seeds: [5]}\n", "t.yaml:4: tune: no setting to choose; give its candidates, such as optim.lr: [0.025, 0.05, 0.1]"},
		{"unknown setting", head + "tune: {optim.rl: [1]}\n", `t.yaml:4: unknown key "optim.rl"; nearest: optim.lr`},
		{"no list", head + "tune:\n  optim.lr: 0.1\n", `t.yaml:5: tune: optim.lr must be a list of values, is "0.1"`},
		{"no candidates", head + "tune: {optim.lr: []}\n", "t.yaml:4: tune: optim.lr has no values"},
		{"another type", head + "tune: {optim.lr: [fast]}\n", `t.yaml:4: optim.lr must be a number, is "fast"`},
		{"a candidate twice", head + "tune:\n  optim.lr: [0.1,\n    1e-1]\n", "t.yaml:6: tune: optim.lr: 0.1 is given twice"},
		{"varied by the rows", head + "tune:\n  optim.lr: [0.1]\n  loss.gamma: [1]\n", "t.yaml:6: tune: loss.gamma is varied by the rows of the table; a setting is varied or chosen, not both"},
		{"impossible value", head + "tune:\n  optim.lr: [0.1,\n    -0.1]\n", "t.yaml:6: optim.lr is -0.1, must be above 0"},
		{"impossible together", head + "tune:\n  sampler.positive: [0.5]\n  sampler.negative: [0.6]\n", "t.yaml:6: sampler.negative is 0.6, must be from 0 to 0.5"},
		{"other data", head + "tune: {data.images.train: [10, 20]}\n", "t.yaml:4: tune: data.images.train changes the data or the first weights, which all candidates share"},
		{"another split", head + "tune: {eval.split: [val]}\n", "t.yaml:4: tune: eval.split changes the data"},
		{"other first weights", head + "tune: {model.depth: [18, 34]}\n", "t.yaml:4: tune: model.depth changes the data or the first weights"},
		{"a seed of the table", head + "tune: {optim.lr: [0.1], seeds: 1..3}\n", "t.yaml:4: tune: seed 1 is a seed of the table too; settings are chosen with other seeds than the table reports"},
		{"a default seed in the table", "profile: mini\nseeds: 0..100\ntune: {optim.lr: [0.1]}\n", "t.yaml:3: tune: seed 100 is a seed of the table too"},
		{"no seeds", head + "tune: {optim.lr: [0.1], seeds: []}\n", "t.yaml:4: seeds is empty"},
		{"seeds twice", head + "tune:\n  optim.lr: [0.1]\n  seeds: [5]\n  seeds: [6]\n", `t.yaml:7: "seeds" is given twice, first in line 6`},
		{"under baseline", "baseline:\n  tune: {optim.lr: [0.1]}\n", "t.yaml:2: tune is no setting; it belongs at the top of the file, beside baseline"},
		{"too many trials", head + "tune: {optim.lr: [0.1, 0.2], seeds: 100..99999}\n", "t.yaml:4: tune: 4 candidates of the rows × 99900 seeds are more than 100000 trials"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { refused(t, tt.text, tt.want) })
	}
}

// Where the command line leaves nothing to choose with, a plan is made and choosing is refused.
func TestTuningRefused(t *testing.T) {
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "annotations"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "annotations", "instances_val.json"), []byte("{}"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, text, want string
		sel              Selection
	}{
		{"no section", "profile: mini\nseeds: [0]\n", "nothing to choose; add a line such as\ntune: {optim.lr: [0.025, 0.05, 0.1]}", Selection{}},
		{"its seeds reported", tuned, "t.yaml:6: tune: seed 101 is a seed of the table too", Selection{Seeds: "101"}},
		{"its split reported", tuned, "t.yaml:6: tune: settings are chosen on the split tune (data.tune)", Selection{Set: []string{"eval.split=tune"}}},
		{"its split reported under another name", tuned, "it trains on train and reports val", Selection{DataDir: folder, Set: []string{"data.tune=val"}}},
		{"its split trained on", tuned, "settings are chosen on the split train (data.tune)", Selection{DataDir: folder, Set: []string{"data.tune=train"}}},
	} {
		if _, err := mustPlan(t, tt.text, tt.sel).Tuning(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestWithBest(t *testing.T) {
	p := mustPlan(t, tuned, Selection{})
	p, err := p.WithBest([]string{`{"optim.lr":0.05}`, `{"optim.lr":0.1}`})
	if err != nil {
		t.Fatal(err)
	}
	want := `t at mini, table "": 3 rows × seeds [0 1]
#  loss.type  loss.alpha  loss.gamma  optim.lr  seed
1  ce         0.75        -           0.1       0
2  focal      0.25        2           0.1       0
3  ce         0.75        -           0.05      0
4  ce         0.75        -           0.1       1
5  focal      0.25        2           0.1       1
6  ce         0.75        -           0.05      1
`
	if got := planText(p); got != want || fmt.Sprint(p.Best) != "[2 1]" || p.Rows[2].Index != 0 {
		t.Errorf("own rows %v of\n%s\nwant [2 1] of\n%s", p.Best, got, want)
	}
	if wide := p.WithSeeds([]uint64{100, 3, 102}); !slices.Equal(wide.Seeds, []uint64{0, 1, 3}) {
		t.Errorf("the seeds are %v, want them without the seeds that chose", wide.Seeds)
	}
	p = mustPlan(t, tuned, Selection{})
	for _, none := range []string{`{"optim.lr":-1}`, `{"optim.speed":1}`, `{`, `[]`} {
		if _, err := p.WithBest([]string{none, ""}); err == nil || !strings.Contains(err.Error(), "a recorded choice") {
			t.Errorf("%s: %v, want an error about the recorded choice", none, err)
		}
	}
	if p, err = p.WithBest([]string{"", ""}); err != nil || len(p.Rows) != 2 || fmt.Sprint(p.Best) != "[-1 -1]" {
		t.Errorf("nothing chosen: own rows %v of %d, %v", p.Best, len(p.Rows), err)
	}
}

// What a choice is for depends on the candidates and their seeds, not on the common value, and tells rows apart.
func TestSubject(t *testing.T) {
	subjects := func(sel Selection, text string) (out []string) {
		p, err := mustPlan(t, text, sel).Tuning()
		if err != nil {
			t.Fatal(err)
		}
		var candidates []string
		for i := range p.Rows {
			if p.Rows[i].Index == 0 {
				candidates = append(candidates, p.Tune.Chosen(&p.Rows[i].Config))
			}
		}
		for i := range p.Rows {
			if s := string(p.Tune.Subject(&p.Rows[i].Config, candidates)); !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
		return out
	}
	first := subjects(Selection{}, tuned)
	if len(first) != 2 {
		t.Fatalf("two rows have the subjects %q", first)
	}
	for name, same := range map[string][]string{
		"another recipe":    subjects(Selection{Set: []string{"optim.lr=0.3"}}, tuned),
		"other table seeds": subjects(Selection{Seeds: "7"}, tuned),
	} {
		if !slices.Equal(same, first) {
			t.Errorf("%s: %q, want %q", name, same, first)
		}
	}
	for name, other := range map[string][]string{
		"other steps":      subjects(Selection{Set: []string{"train.iters=5"}}, tuned),
		"other candidates": subjects(Selection{}, strings.Replace(tuned, "[0.05, 0.1, 0.2]", "[0.8]", 1)),
		"other seeds":      subjects(Selection{}, strings.Replace(tuned, "tune: {", "tune: {seeds: [300], ", 1)),
	} {
		if slices.Contains(other, first[0]) {
			t.Errorf("%s have the same subject, %q", name, first[0])
		}
	}
}

func TestLess(t *testing.T) {
	p := mustPlan(t, "profile: mini\nseeds: [0]\ntune: {optim.schedule: [step, cosine], optim.lr: [0.2, 0.1]}\n", Selection{})
	at := func(schedule string, lr float64) *Config {
		c := p.Rows[0].Config
		c.Set("optim.schedule", schedule)
		c.Set("optim.lr", lr)
		return &c
	}
	for _, tt := range []struct {
		a, b *Config
		want bool
	}{
		{at("step", .1), at("step", .2), true},
		{at("step", .2), at("step", .1), false},
		{at("step", .1), at("step", .1), false},
		{at("cosine", .1), at("step", .2), false}, // the file lists step first
	} {
		if got := p.Tune.Less(tt.a, tt.b); got != tt.want {
			t.Errorf("%s before %s: %t", p.Tune.Chosen(tt.a), p.Tune.Chosen(tt.b), got)
		}
	}
}

func TestEdges(t *testing.T) {
	p := mustPlan(t, "profile: mini\nseeds: [0]\ntune: {optim.lr: [0.0125], optim.momentum: [0.9], train.iters: [100]}\n", Selection{})
	for _, tt := range []struct {
		name, best, want string
		candidates       []string
	}{
		{"inside", `{"optim.lr":0.1}`, "[]", []string{`{"optim.lr":0.05}`, `{"optim.lr":0.1}`, `{"optim.lr":0.2}`}},
		{"smallest", `{"optim.lr":0.0125}`, "[optim.lr=0.0125 is the smallest candidate: add 0.00625]", []string{`{"optim.lr":0.0125}`, `{"optim.lr":0.025}`}},
		{"largest", `{"optim.lr":0.1}`, "[optim.lr=0.1 is the largest candidate: add 0.333]", []string{`{"optim.lr":0.1}`, `{"optim.lr":0.03}`}},
		{"whole numbers", `{"train.iters":300}`, "[train.iters=300 is the largest candidate: add 450]", []string{`{"train.iters":300}`, `{"train.iters":200}`}},
		{"nothing beyond", `{"optim.momentum":0.9}`, "[optim.momentum=0.9 is the largest candidate]", []string{`{"optim.momentum":0.9}`, `{"optim.momentum":0.5}`}},
		{"one candidate", `{"optim.lr":0.1}`, "[]", []string{`{"optim.lr":0.1}`}},
	} {
		if got, err := p.Edges(0, tt.best, tt.candidates); err != nil || fmt.Sprint(got) != tt.want {
			t.Errorf("%s: %q, %v; want %s", tt.name, got, err, tt.want)
		}
	}
}
