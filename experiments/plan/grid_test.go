package plan

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"pgregory.net/rapid"

	"focalgrid/paper"
	"focalgrid/setting"
)

var updatePlans = flag.Bool("update-plans", false, "rewrite testdata/plans")

// planText is a plan as a table that a person can check by eye.
func planText(p *Plan) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s at %s, table %q: %d rows × seeds %v\n", p.Name, p.Profile, p.Table, len(p.Rows), p.Seeds)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "#\t%s\tseed\n", strings.Join(p.Factors, "\t"))
	for i, t := range p.Trials {
		fmt.Fprint(w, i+1)
		for _, key := range p.Factors {
			cell := "-"
			if v, ok := p.Rows[t.Row].Factors[key]; ok {
				cell = setting.Spell(v)
			}
			fmt.Fprint(w, "\t", cell)
		}
		fmt.Fprintf(w, "\t%d\n", t.Seed)
	}
	w.Flush()
	for _, c := range p.Claims {
		fmt.Fprintf(&b, "claim: %s (rows %d and %d, same %v, rate %s)\n", c.Says, c.Rows[0]+1, c.Rows[1]+1, c.Same, c.Rate)
	}
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// gridText writes text to a file and loads it.
func gridText(t interface{ Fatal(...any) }, dir, text string, sel Selection) (*Plan, error) {
	path := filepath.Join(dir, "t.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return settings.Load(path, sel)
}

// refused wants an error about a grid file, t.yaml, that has this in it.
func refused(t *testing.T, text, want string) {
	t.Helper()
	dir := t.TempDir()
	_, err := gridText(t, dir, text, Selection{})
	if err == nil {
		t.Fatalf("no error; want %q", want)
	}
	if got := strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), ""); !strings.Contains(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func mustPlan(t *testing.T, text string, sel Selection) *Plan {
	t.Helper()
	p, err := gridText(t, t.TempDir(), text, sel)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Every embedded grid file expands under every profile to the rows recorded in
// testdata/plans, and each of a table's rows at paper finds its published row.
func TestEmbeddedPlans(t *testing.T) {
	for _, name := range Ablations() {
		for _, profile := range Profiles() {
			p, err := settings.Load(name, Selection{Profile: profile})
			if err != nil {
				t.Errorf("%s at %s: %v", name, profile, err)
				continue
			}
			got := planText(p)
			golden := filepath.Join("testdata", "plans", name+"."+profile+".txt")
			if *updatePlans {
				if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Error(err)
			} else if got != string(want) {
				t.Errorf("%s: got\n%s\nwant\n%s", golden, got, want)
			}
			if p.Table == "" || profile != "paper" {
				continue
			}
			published, err := paper.Load(p.Table)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range p.Rows {
				if published.Lookup(Settings(&r.Config)) == nil {
					t.Errorf("%s at %s: table %s has no row for %v", name, profile, p.Table, r.Factors)
				}
			}
			if len(p.Rows) != len(published.Rows) {
				t.Errorf("%s at %s: %d rows, table %s has %d", name, profile, len(p.Rows), p.Table, len(published.Rows))
			}
		}
	}
}

// One case of each block by hand, apart from the recorded files.
func TestBlocks(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"grid: a product, the last key fastest", `
profile: mini
grid:
  loss.alpha: [.25, none]
  loss: {gamma: [0, 2, 5]}
seeds: [0]
`, `t at mini, table "": 6 rows × seeds [0]
#  loss.alpha  loss.gamma  seed
1  0.25        0           0
2  0.25        2           0
3  0.25        5           0
4  none        0           0
5  none        2           0
6  none        5           0
`},
		{"zip: side by side", `
profile: mini
zip: {loss.gamma: [0, 2], loss.alpha: [.75, .25]}
seeds: [3, 1]
`, `t at mini, table "": 2 rows × seeds [3 1]
#  loss.gamma  loss.alpha  seed
1  0           0.75        3
2  2           0.25        3
3  0           0.75        1
4  2           0.25        1
`},
		{"ablate: the baseline, then each other value alone", `
profile: mini
baseline: {model.p6: p5}
ablate:
  model.p6: [c5, p5]
  optim.lr: [0.05, 0.1, 0.2]
seeds: [0]
`, `t at mini, table "": 4 rows × seeds [0]
#  model.p6  optim.lr  seed
1  p5        0.1       0
2  c5        0.1       0
3  p5        0.05      0
4  p5        0.2       0
`},
		{"list: rows written out; what has no meaning in a row is left blank", `
profile: mini
list:
  - {}
  - {loss.type: ce}
  - {loss: {type: ce, alpha: none}, sampler: {type: ssd}}
seeds: 0..1
`, `t at mini, table "": 3 rows × seeds [0 1]
#  loss.type  loss.alpha  sampler.type  seed
1  focal      0.25        all           0
2  ce         0.25        all           0
3  ce         none        ssd           0
4  focal      0.25        all           1
5  ce         0.25        all           1
6  ce         none        ssd           1
`},
		{"blocks multiply in file order", `
profile: mini
zip: {loss.gamma: [0, 2], loss.alpha: [.75, .25]}
grid: {optim.lr: [.05, .1]}
seeds: [0]
`, `t at mini, table "": 4 rows × seeds [0]
#  loss.gamma  loss.alpha  optim.lr  seed
1  0           0.75        0.05      0
2  0           0.75        0.1       0
3  2           0.25        0.05      0
4  2           0.25        0.1       0
`},
		{"exclude leaves out what it matches", `
profile: mini
grid: {loss.gamma: [0, 2], optim.lr: [.05, .1]}
exclude: [{loss.gamma: 0, optim.lr: 1e-1}]
seeds: [0]
`, `t at mini, table "": 3 rows × seeds [0]
#  loss.gamma  optim.lr  seed
1  0           0.05      0
2  2           0.05      0
3  2           0.1       0
`},
		{"no block: the baseline alone", "profile: mini\nseeds: [7]\n", `t at mini, table "": 1 rows × seeds [7]
#    seed
1  7
`},
		{"lists of numbers are values", `
profile: mini
grid: {anchors.ratios: [[1], [.5, 1, 2]]}
seeds: [0]
`, `t at mini, table "": 2 rows × seeds [0]
#  anchors.ratios  seed
1  [1]             0
2  [0.5,1,2]       0
`},
		{"at: the profile's own keys replace", `
table: 1b
profile: mini
grid: {loss.gamma: [0, 2]}
seeds: [0, 1]
at:
  mini: {table: 1a, seeds: [5], grid: {loss.gamma: [1]}, baseline: {loss.alpha: none}}
  paper: {seeds: [9]}
`, `t at mini, table "1a": 1 rows × seeds [5]
#  loss.gamma  seed
1  1           5
`},
		{"at: an empty block takes the file's away, a new one is added", `
profile: mini
zip: {loss.gamma: [0, 2]}
list: [{}, {optim.lr: .2}]
exclude: [{loss.gamma: 0}]
seeds: [0]
at:
  mini: {title: a, description: b, zip: {}, list: [], exclude: [], grid: {loss.alpha: [.5, none]}}
`, `t at mini, table "": 2 rows × seeds [0]
#  loss.alpha  seed
1  0.5         0
2  none        0
`},
	}
	for _, tt := range tests {
		if got := planText(mustPlan(t, tt.text, Selection{})); got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
}

// Layers: profile, baseline, --set and --data, row.
func TestLayers(t *testing.T) {
	text := "profile: mini\nbaseline: {optim.lr: .3, train.iters: 20}\ngrid: {loss.gamma: [1]}\nseeds: [0]\n"
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "annotations"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "annotations", "instances_val.json"), []byte("{}"), 0o666); err != nil {
		t.Fatal(err)
	}
	p := mustPlan(t, text, Selection{Set: []string{"train.iters=10", "image.mean=[.1, .2, .3]", "data.dir="}, DataDir: folder, Seeds: "4..5"})
	c := p.Rows[0].Config
	if c.Number("optim.lr") != .3 || c.Int("train.iters") != 10 || c.Number("loss.gamma") != 1 || c.Int("train.batch") != 16 || c.Text("data.dir") != folder || c.Text("data.name") != "coco" || !slices.Equal(c.Group("image").Numbers("mean"), []float64{.1, .2, .3}) {
		t.Errorf("layers give %+v", c)
	}
	if !slices.Equal(p.Seeds, []uint64{4, 5}) || len(p.Trials) != 2 || p.Trials[1].Seed != 5 || p.Trials[1].Config.Int("train.iters") != 10 {
		t.Errorf("seeds %v, trials %d", p.Seeds, len(p.Trials))
	}
	if len(p.FileHash) != 64 || p.Name != "t" {
		t.Errorf("name %q, hash %q", p.Name, p.FileHash)
	}
}

// What is wrong is said with file, line and what to do.
func TestStrictness(t *testing.T) {
	known := strings.Join(Profiles(), ", ")
	tests := []struct{ name, text, want string }{
		{"empty file", "", "t.yaml: file is empty"},
		{"only comments", "# nothing\n", "t.yaml: file is empty"},
		{"only a marker", "---\n", "t.yaml: file is empty"},
		{"a list", "- 1\n", "t.yaml:1: must be a list of key: value, is a list"},
		{"broken YAML", "profile: mini\ngrid: {loss.gamma: [0, 2\n", "t.yaml:2: not valid YAML"},
		{"broken YAML, counted otherwise", "profile: mini\nseeds: [0]\n\tgrid: {}\n", "t.yaml:3: not valid YAML"},
		{"broken YAML in the first line", "grid: ]\n", "t.yaml:1: not valid YAML"},
		{"second document", "profile: mini\nseeds: [0]\n---\nprofile: mini\n", "t.yaml:3: a second document; one file is one grid"},
		{"unknown key of the file", "profil: mini\n", `t.yaml:1: unknown key "profil"; nearest: profile`},
		{"unknown swept key", "grid: {loss.gama: [0, 2]}\n", `t.yaml:1: unknown key "loss.gama"; nearest: loss.gamma`},
		{"unknown nested key", "profile: mini\nbaseline:\n  loss:\n    tipe: ce\n", `t.yaml:4: unknown key "loss.tipe"; nearest: loss.type`},
		{"unknown group", "baseline: {los: {gamma: 2}}\n", `t.yaml:1: unknown key "los"; nearest: loss`},
		{"unknown key in exclude", "exclude:\n- {optim.l: 1}\n", `t.yaml:2: unknown key "optim.l"; nearest: optim.lr`},
		{"unknown key in at", "at:\n  paper: {seed: [1]}\n", `t.yaml:2: unknown key "seed" in at; nearest: seeds`},
		{"settings at the top", "profile: mini\ndata: {dir: leaves}\n", `t.yaml:2: "data" is a setting; it belongs under baseline, or under grid, zip, ablate or list to vary it`},
		{"a dotted setting at the top", "loss.gamma: 2\n", `t.yaml:1: "loss.gamma" is a setting; it belongs under baseline`},
		{"settings in at", "at: {mini: {optim: {lr: 1}}}\n", `t.yaml:1: "optim" is a setting; it belongs under baseline`},
		{"the file's keys under baseline", "baseline:\n  seeds: [0]\n", "t.yaml:2: seeds is no setting; it belongs at the top of the file, beside baseline"},
		{"unknown profile", "profile: minni\n", `t.yaml:1: unknown profile "minni"; known: ` + known},
		{"unknown profile in at", "at: {big: {}}\n", `t.yaml:1: unknown profile "big"; known: ` + known},
		{"no profile", "seeds: [0]\n", "t.yaml: no profile; add profile: mini"},
		{"unknown table", "table: 9z\n", `t.yaml:1: the paper has no table "9z"; it has 1a, 1b, 1c, 1d, 1e, 2, 3`},
		{"group as a value", "baseline: {loss: focal}\n", "t.yaml:1: loss is a group of settings, not a value; it has type, alpha, gamma, beta"},
		{"key twice", "profile: mini\nprofile: mini\n", `t.yaml:2: "profile" is given twice, first in line 1`},
		{"setting twice, dotted and nested", "baseline:\n  loss.gamma: 1\n  loss: {gamma: 2}\n", "t.yaml:3: loss.gamma is given twice, first in line 2"},
		{"value twice in a swept block", "profile: mini\ngrid:\n  loss.gamma: [0,\n   2, 2.0]\nseeds: [0]\n", "t.yaml:4: row 3 is row 2 again: loss.gamma=2"},
		{"rows that differ only in what has no meaning", "profile: mini\nbaseline: {loss.type: ce}\ngrid: {loss.gamma: [0, 2]}\nseeds: [0]\n", "t.yaml:3: row 2 is row 1 again"},
		{"equal steps, spelled as shares and iterations", "profile: mini\ngrid: {optim.steps: [[.5], [300]]}\nseeds: [0]\n", "row 2 is row 1 again"},
		{"list entry twice", "profile: mini\nlist:\n- {}\n- {loss.gamma: 2}\nseeds: [0]\n", "t.yaml:4: row 2 is row 1 again"},
		{"key in two blocks", "profile: mini\ngrid: {loss.gamma: [0]}\nlist: [{loss.gamma: 1}]\nseeds: [0]\n", "t.yaml:3: loss.gamma is varied by list and by the block of line 2"},
		{"text for a number", "baseline: {loss.gamma: two}\n", `t.yaml:1: loss.gamma must be a number, is "two"`},
		{"quoted number", "baseline: {loss.gamma: \"2\"}\n", `t.yaml:1: loss.gamma must be a number, is the text "2"; take the quotes away`},
		{"list for a number", "baseline: {loss.gamma: [1, 2]}\n", "t.yaml:1: loss.gamma must be a number, is a list"},
		{"number for a list", "baseline: {anchors.ratios: 1}\n", `t.yaml:1: anchors.ratios must be a list of numbers, is "1"`},
		{"text in a list", "baseline: {anchors.ratios: [1, a]}\n", `t.yaml:1: anchors.ratios (value 2) must be a number, is "a"`},
		{"fraction for a whole number", "baseline: {train.iters: 1.5}\n", `t.yaml:1: train.iters must be a whole number, is "1.5"`},
		{"exponent for a whole number", "baseline: {train.iters: 1e3}\n", `t.yaml:1: train.iters must be a whole number, is "1e3"`},
		{"word for true or false", "baseline: {optim.decay_bias: yes}\n", `t.yaml:1: optim.decay_bias must be true or false, is "yes"`},
		{"null for a number", "baseline:\n  loss.gamma:\n", "t.yaml:2: loss.gamma has no value, must be a number"},
		{"null for none", "baseline: {loss.alpha: null}\n", "t.yaml:1: loss.alpha is null; write none, or a number"},
		{"none where it has no meaning", "baseline: {loss.gamma: none}\n", `t.yaml:1: loss.gamma must be a number, is "none"`},
		{"leading zero", "baseline: {train.iters: 010}\n", `t.yaml:1: train.iters must be a whole number without leading zeros or quotes, is "010"`},
		{"leading zero of a number", "baseline: {loss.gamma: 010}\n", `t.yaml:1: loss.gamma is "010"; leave out the leading zero`},
		{"hexadecimal", "baseline: {loss.gamma: 0x10}\n", `t.yaml:1: loss.gamma must be a number, is "0x10"`},
		{"underscore", "baseline: {train.iters: 1_000}\n", `t.yaml:1: train.iters must be a whole number, is "1_000"`},
		{"not finite", "baseline: {loss.gamma: .inf}\n", `t.yaml:1: loss.gamma must be a number, is ".inf"`},
		{"out of range", "baseline: {loss.gamma: 1e999}\n", `t.yaml:1: loss.gamma is "1e999", which is out of range`},
		{"tag", "baseline: {loss.gamma: !!float 2}\n", "t.yaml:1: loss.gamma has a tag"},
		{"alias", "baseline: {loss.gamma: &g 2, loss.beta: *g}\n", "t.yaml:1: \"loss.gamma\": anchors and aliases are not read; write the value out"},
		{"merge key", "baseline: {<<: {loss.gamma: 2}}\n", "t.yaml:1: baseline: a key must be plain text"},
		{"anchor on a swept value", "grid:\n  loss.gamma: [&g 1]\n", "t.yaml:2: loss.gamma is an anchor or alias, which is not read; write the value out"},
		{"a list as a key", "baseline: {[a]: 1}\n", "t.yaml:1: baseline: a key must be plain text, is a list"},
		{"no text", "table: [1a]\n", "t.yaml:1: table must be text, is a list"},
		{"list without entries of its own", "list: {loss.gamma: 1}\n", "t.yaml:1: list must be a list, is key: value pairs"},
		{"empty baseline", "baseline:\n", "t.yaml:1: baseline must be key: value pairs, is empty"},
		{"no number at all", "baseline: {anchors.ratios: [{a: 1}]}\n", "t.yaml:1: anchors.ratios (value 1) must be a number, is key: value pairs"},
		{"seeds of another kind", "seeds: {a: 1}\n", "t.yaml:1: seeds must be a list of whole numbers or a range such as 0..9, is key: value pairs"},
		{"seeds out of range", "seeds: 5..1\n", "t.yaml:1: seeds: the range 5..1 falls"},
		{"swept value without a list", "grid: {loss.gamma: 2}\n", `t.yaml:1: grid: loss.gamma must be a list of values, is "2"`},
		{"no values", "grid: {loss.gamma: []}\n", "t.yaml:1: grid: loss.gamma has no values"},
		{"unequal zip", "zip:\n  loss.gamma: [0, 1]\n  loss.alpha: [.5]\n", "t.yaml:3: zip: loss.alpha has 1 values, loss.gamma has 2"},
		{"exclude matches nothing", "profile: mini\ngrid: {loss.gamma: [0]}\nseeds: [0]\nexclude:\n- {loss.gamma: 3}\n", "t.yaml:5: exclude: no row has these settings"},
		{"exclude matches everything", "profile: mini\ngrid: {loss.gamma: [0]}\nseeds: [0]\nexclude: [{loss.gamma: 0}]\n", "t.yaml: exclude leaves no row"},
		{"empty exclusion", "exclude: [{}]\n", "t.yaml:1: exclude: an empty entry would leave out every row"},
		{"no seeds", "profile: mini\n", "t.yaml: no seeds; add seeds: [0]"},
		{"empty seeds", "seeds: []\n", "t.yaml:1: seeds is empty"},
		{"seed twice", "seeds: [1, 1]\n", "t.yaml:1: seeds: 1 is given twice"},
		{"seed above all", "seeds: [0, 9223372036854775808]\n", "t.yaml:1: seeds: seed 9223372036854775808 is too large"},
		{"range of seeds above all", "seeds: 9223372036854775807..9223372036854775808\n", "t.yaml:1: seeds: seed 9223372036854775808 is too large"},
		{"negative seed", "seeds: [-1]\n", `t.yaml:1: seeds must be a whole number from 0, is "-1"`},
		{"impossible value, baseline", "profile: mini\nbaseline:\n  loss.gamma: -1\nseeds: [0]\n", "t.yaml:3: loss.gamma is -1, must be from 0"},
		{"impossible value, one of a grid", "profile: mini\ngrid:\n  loss.alpha: [.5,\n    1.5]\nseeds: [0]\n", "t.yaml:4: loss.alpha is 1.5, must be from 0 to 1, or none"},
		{"impossible together", "profile: mini\nbaseline: {sampler.negative: .6}\nseeds: [0]\n", "t.yaml:2: sampler.negative is 0.6, must be from 0 to 0.5"},
		{"detections scored that are not kept", "profile: mini\nbaseline: {eval.score: 1e-4}\nseeds: [0]\n", "t.yaml:2: eval.score is 0.0001, must be at least low_score"},
		{"no such schedule", "profile: mini\nbaseline: {optim.schedule: poly}\nseeds: [0]\n", `t.yaml:2: optim.schedule is "poly", must be one of cosine, step`},
		{"settings that have no meaning", "profile: mini\nbaseline: {optim.schedule: cosine}\ngrid: {optim.factor: [.1, .2]}\nseeds: [0]\n", "t.yaml:3: row 2 is row 1 again"},
		{"unknown choice", "profile: mini\nbaseline: {loss.type: huber}\nseeds: [0]\n", "t.yaml:2: loss.type is \"huber\", must be one of ce, "},
		{"a part's own rule", "profile: mini\nbaseline: {model.group_channels: 7}\nseeds: [0]\n", "t.yaml:2: model.group_channels is 7, must divide fpn, 64, beside head_norm group"},
		{"mixed steps", "profile: mini\nbaseline: {optim.steps: [.5, 500]}\nseeds: [0]\n", "t.yaml:2: optim.steps is [0.5,500], must rise, and be all iterations or all shares"},
		{"too many trials", "profile: mini\ngrid: {loss.gamma: [0, 1]}\nseeds: 0..99999\n", "2 rows × 100000 seeds are more than 100000 trials"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { refused(t, tt.text, tt.want) })
	}
}

// All that is wrong is said at once.
func TestEveryProblemAtOnce(t *testing.T) {
	_, err := gridText(t, t.TempDir(), "profile: mini\nbaseline: {loss.gama: 1, loss.alpha: two}\nseeds: [-1]\n", Selection{})
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("want three problems, got %v", err)
	}
	_, err = gridText(t, t.TempDir(), "profile: mini\nbaseline: {loss.gamma: -1, optim.lr: 0}\nseeds: [0]\n", Selection{})
	if err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("want two problems, got %v", err)
	}
}

// Values that YAML could read as something else are read as written.
func TestSpellings(t *testing.T) {
	p := mustPlan(t, `
profile: mini
baseline:
  loss.alpha: none
  model.prior: .01
  optim.lr: 1e-1
  optim.eps: 1.e-8
  optim.clip: -0
  data: {name: coco, dir: 010}
  anchors.ratios: [1., +2]
seeds: [9223372036854775807]
`, Selection{})
	c := p.Rows[0].Config
	if c.Value("loss.alpha") != nil || c.Number("model.prior") != .01 || c.Number("optim.lr") != .1 || c.Number("optim.eps") != 1e-8 || filepath.Base(c.Text("data.dir")) != "010" ||
		!slices.Equal(c.Group("anchors").Numbers("ratios"), []float64{1, 2}) || math.Signbit(c.Number("optim.clip")) || p.Seeds[0] != math.MaxInt64 {
		t.Errorf("read %+v, seeds %v", c, p.Seeds)
	}
}

// A grid has the product of its axes as rows, and row i has the values that an
// odometer shows at i.
func TestGridIsTheProduct(t *testing.T) {
	dir := t.TempDir()
	keys := []string{"loss.gamma", "optim.lr", "image.flip", "train.iters"}
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, len(keys)).Draw(rt, "axes")
		order := rapid.Permutation(keys).Draw(rt, "keys")[:n]
		text, product := "profile: mini\nseeds: [0, 1]\ngrid:\n", 1
		var axes [][]string
		for _, key := range order {
			var values []string
			for i := range rapid.IntRange(1, 5).Draw(rt, "values") {
				if key == "train.iters" {
					values = append(values, fmt.Sprint(i+1))
				} else {
					values = append(values, fmt.Sprint(float64(i+1)/8))
				}
			}
			axes = append(axes, values)
			text += "  " + key + ": [" + strings.Join(values, ", ") + "]\n"
			product *= len(values)
		}
		p, err := gridText(rt, dir, text, Selection{})
		if err != nil {
			rt.Fatal(err)
		}
		if len(p.Rows) != product || len(p.Trials) != 2*product || !slices.Equal(p.Factors, order) {
			rt.Fatalf("%d rows, %d trials, factors %v; want %d, %d, %v", len(p.Rows), len(p.Trials), p.Factors, product, 2*product, order)
		}
		for i, row := range p.Rows {
			rest := i
			for a := n - 1; a >= 0; a-- {
				if got, want := setting.Spell(row.Factors[order[a]]), axes[a][rest%len(axes[a])]; got != want {
					rt.Fatalf("row %d: %s is %s, want %s", i, order[a], got, want)
				}
				rest /= len(axes[a])
			}
			if tr := p.Trials[product+i]; tr.Row != i || tr.Seed != 1 || !reflect.DeepEqual(tr.Config, row.Config) {
				rt.Fatalf("trial %d is row %d seed %d", product+i, tr.Row, tr.Seed)
			}
		}
	})
}

// large is a grid of ten thousand rows.
func large() string {
	axis := make([]string, 100)
	for i := range axis {
		axis[i] = fmt.Sprint(float64(i) / 100)
	}
	list := "[" + strings.Join(axis, ",") + "]"
	return "profile: mini\nseeds: [0]\ngrid: {loss.gamma: " + list + ", loss.alpha: " + list + "}\n"
}

func TestLargePlan(t *testing.T) {
	if p := mustPlan(t, large(), Selection{}); len(p.Trials) != 10_000 {
		t.Errorf("%d trials", len(p.Trials))
	}
}

// BenchmarkLargePlan measures the planning of ten thousand trials.
func BenchmarkLargePlan(b *testing.B) {
	dir, text := b.TempDir(), large()
	for b.Loop() {
		if _, err := gridText(b, dir, text, Selection{}); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzGrid: no text makes Load panic or hang; an error names the file; a plan
// that loads has distinct trials and loads the same again.
func FuzzGrid(f *testing.F) {
	for _, name := range Ablations() {
		if _, text, err := read(name); err == nil {
			f.Add(string(text))
		}
	}
	for _, s := range []string{
		"profile: mini\nseeds: 0..3\nablate: {loss.gamma: [0, 2], model.p6: [p5]}\n",
		"profile: mini\nlist: [{loss: {type: ce}}, {}]\nexclude: [{loss.type: ce}]\nat: {mini: {list: []}}\n",
		"profile: mini\nseeds: [0]\ntune: {optim.lr: [0.05]}\ngrid: {loss.gamma: [0, 2]}\nclaims: [{says: a, better: {loss.gamma: 2}, than: {loss.gamma: 0}, rate: best}]\n",
		"profile: mini\nseeds: [0]\ngrid: {loss.gamma: [0, 2]}\nclaims:\n  - {says: \"\", same: [{loss.gamma: 2}, {loss: 0}]}\n  - 3\n",
		"a: &a [*a]\n", "? {a: b}\n: c\n", "grid: {<<: 1}\n", "seeds: 1,2,3\n", "%YAML 1.1\n---\n", "\xff\xfe", "a: !!binary x\n",
		"profile: mini\nseeds: [0]\ntune: {optim.lr: [.1, .2], loss: {gamma: [0]}, seeds: 5..6}\nat: {mini: {tune: {seeds: [1]}}}\n",
		"list: [{sampler.type: \"two\\nlines\"}, {sampler.type: \"two\\nlines\"}]\nseeds: [0]\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		plan := func() (*Plan, error) {
			b, _, profile, err := settings.grid("f.yaml", []byte(text), "mini")
			if err != nil {
				return nil, err
			}
			return b.plan(profile, parsedSelection{})
		}
		p, err := plan()
		if err != nil {
			for _, line := range strings.Split(err.Error(), "\n") {
				if !strings.HasPrefix(line, "f.yaml") && !strings.HasPrefix(line, "ablations/profiles/mini.yaml") {
					t.Errorf("an error names no file: %q", line)
				}
			}
			return
		}
		if len(p.Trials) == 0 || len(p.Trials) > MaxTrials || len(p.Trials) != len(p.Rows)*len(p.Seeds) {
			t.Errorf("%d trials of %d rows and %d seeds", len(p.Trials), len(p.Rows), len(p.Seeds))
		}
		again, err := plan()
		if err != nil || planText(again) != planText(p) {
			t.Errorf("read again: %v", err)
		}
	})
}
