package plan

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"focalgrid/loss"
)

// Every field has a name and a kind, and every parameter of a loss a setting.
func TestSchema(t *testing.T) {
	for _, fd := range schema.fields {
		if fd.kind == "" || strings.HasSuffix(fd.key, ".") || strings.Contains(fd.key, "..") {
			t.Errorf("setting %q of kind %q: its field needs a yaml tag and a type listed in kinds", fd.key, fd.kind)
		}
	}
	if len(schema.byKey) != len(schema.fields) {
		t.Errorf("%d names for %d settings", len(schema.byKey), len(schema.fields))
	}
	for _, name := range loss.ClassificationNames() {
		l, err := loss.ClassificationByName(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range l.Params {
			if schema.byKey["loss."+p.Name] == nil {
				t.Errorf("loss %s has a parameter %s, and Loss no field for it", name, p.Name)
			}
		}
	}
	for _, name := range loss.BoxNames() {
		l, err := loss.BoxByName(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range l.Params {
			if schema.byKey["box_loss."+p.Name] == nil {
				t.Errorf("box loss %s has a parameter %s, and BoxLoss no field for it", name, p.Name)
			}
		}
	}
}

// Both profiles hold together, and their settings are those of their sources.
func TestProfiles(t *testing.T) {
	if got := Profiles(); !slices.Equal(got, []string{"mini", "paper"}) {
		t.Errorf("profiles %v", got)
	}
	paper, err := LoadBaseline("paper", Selection{})
	if err != nil {
		t.Fatal(err)
	}
	// §4, §4.1 of Lin et al.
	if paper.Model.Depth != 50 || paper.Model.FPN != 256 || *paper.Model.Prior != .01 || paper.Anchors.Base != 4 || paper.Optim.LR != .01 ||
		paper.Optim.WeightDecay != 1e-4 || !slices.Equal(paper.Optim.StepsAt(paper.Train.Iters), []int{60000, 80000}) || paper.Train != (Train{90000, 16}) ||
		paper.Loss.Gamma != 2 || *paper.Loss.Alpha != .25 || paper.Image.Short != 600 || paper.Image.LongSide() != 1000 {
		t.Errorf("paper is %+v", paper)
	}
	mini := miniConfig(t)
	if !slices.Equal(mini.Optim.StepsAt(mini.Train.Iters), []int{402, 534}) || mini.Optim.LR != .1 || mini.Train != (Train{600, 16}) {
		t.Errorf("mini is %+v", mini)
	}
	if err := mini.Missing(); err != nil {
		t.Errorf("mini needs nothing, says %v", err)
	}
	err = paper.Missing()
	for _, want := range []string{"pass --data DIR", "annotations/instances_train2017.json", "pass --set pretrain.file=resnet50.safetensors"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("paper without data and weights says %v, want %q", err, want)
		}
	}
}

// The longer side's cap where none is set: 600 with 1000 and 800 with 1333, as in Detectron.
func TestLongSide(t *testing.T) {
	for short, want := range map[int]int{400: 667, 500: 833, 600: 1000, 700: 1167, 800: 1333, 128: 213} {
		if im := (Image{Short: short}); im.LongSide() != want {
			t.Errorf("%d px: cap %d, want %d", short, im.LongSide(), want)
		}
	}
	if im := (Image{Short: 600, Long: 700}); im.LongSide() != 700 {
		t.Errorf("a given cap became %d", im.LongSide())
	}
}

// A path wins over a name, an ablation over a profile; a folder is no file.
func TestSources(t *testing.T) {
	t.Chdir(t.TempDir())
	if p, err := Load("gamma", Selection{}); err != nil || p.File != "ablations/gamma.yaml" || p.Name != "gamma" {
		t.Errorf("embedded gamma: %+v, %v", p, err)
	}
	if err := os.Mkdir("alpha", 0o755); err != nil {
		t.Fatal(err)
	}
	if p, err := Load("alpha", Selection{}); err != nil || p.Table != "1a" {
		t.Errorf("beside a folder of its name: %v", err)
	}
	if err := os.WriteFile("gamma", []byte("profile: mini\ntitle: mine\nbaseline: {loss.gamma: 5}\nseeds: [0]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if p, err := Load("gamma", Selection{}); err != nil || p.Title != "mine" || p.File != "gamma" {
		t.Errorf("path gamma: %+v, %v", p, err)
	}
	if c, err := LoadBaseline("gamma", Selection{}); err != nil || c.Loss.Gamma != 5 {
		t.Errorf("baseline of the path: %v", err)
	}
	if c, err := LoadBaseline("depth_scale", Selection{Profile: "paper", Set: []string{"train.iters=3"}}); err != nil || c.Image.Short != 600 || c.Train.Iters != 3 {
		t.Errorf("baseline of an ablation: %v", err)
	}
	_, err := Load("gama", Selection{})
	if err == nil || err.Error() != "gama: no such file and no ablation of that name; known: alpha, depth_scale, gamma, ohem, smoke" {
		t.Errorf("unknown name: %v", err)
	}
	_, err = LoadBaseline(filepath.Join("x", "gama.yaml"), Selection{})
	if err == nil || !strings.HasSuffix(err.Error(), "profiles: mini, paper") {
		t.Errorf("unknown baseline: %v", err)
	}
	if err := os.WriteFile("bad.yaml", []byte("profile: mini\nbaseline: {loss.gamma: -1}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err = LoadBaseline("bad.yaml", Selection{}); err == nil || !strings.HasPrefix(err.Error(), "bad.yaml:2: loss.gamma -1") {
		t.Errorf("impossible baseline: %v", err)
	}
}

// A profile that leaves a setting out is refused: a default stands in one place.
func TestProfileIsWhole(t *testing.T) {
	_, err := parseProfile("p.yaml", []byte("loss: {gamma: 2}\n"))
	if err == nil || !strings.Contains(err.Error(), "p.yaml: no value for anchors.base; a profile gives every setting") {
		t.Errorf("got %v", err)
	}
}

// nearest finds the name that one slip of the keyboard left, and distance is a metric.
func TestNearest(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		word := rapid.StringMatching(`[a-z.]{0,12}`)
		a, b, c := []rune(word.Draw(rt, "a")), []rune(word.Draw(rt, "b")), []rune(word.Draw(rt, "c"))
		ab := distance(a, b)
		if ab != distance(b, a) || (ab == 0) != (string(a) == string(b)) || ab > distance(a, c)+distance(c, b) {
			rt.Fatalf("%q %q %q: distance %d", string(a), string(b), string(c), ab)
		}
		key := rapid.SampledFrom(schema.names).Draw(rt, "key")
		if got := Nearest(key, schema.names); got != key {
			rt.Fatalf("Nearest(%s) is %s", key, got)
		}
	})
	for typo, want := range map[string]string{"kitten": "sitting", "loss.gmma": "loss.gamma", "optim.learning_rate": "optim.lr", "": "lr"} {
		if got := Nearest(typo, []string{"sitting", "loss.gamma", "optim.lr", "lr"}); got != want {
			t.Errorf("Nearest(%q) is %s, want %s", typo, got, want)
		}
	}
	if d := distance([]rune("kitten"), []rune("sitting")); d != 3 { // the textbook case
		t.Errorf("kitten to sitting: %d, want 3", d)
	}
}

// No value of a setting makes validation panic, and what passes is accepted by every package.
func TestValidateTakesAnything(t *testing.T) {
	numbers := []float64{-1, 0, 1e-9, .3, 1, 1.5, 7, 1e9}
	rapid.Check(t, func(rt *rapid.T) {
		c := miniConfig(rt)
		for range rapid.IntRange(1, 4).Draw(rt, "changes") {
			fd := rapid.SampledFrom(schema.fields).Draw(rt, "field")
			x := rapid.SampledFrom(numbers).Draw(rt, "value")
			v := map[kind]any{
				kindText: rapid.SampledFrom([]string{"", "none", "group", "ohem", "ssd", "adamw", "giou", "frozen"}).Draw(rt, "text"),
				kindBool: x > 0, kindInt: int(x), kindSeed: uint64(max(x, 0)), kindNumber: x, kindOptional: x, kindNumbers: []float64{x, 1, 2}[:rapid.IntRange(0, 3).Draw(rt, "n")],
			}[fd.kind]
			schema.set(&c, setting{key: fd.key, value: v})
		}
		Canonical(&c)
		if err := c.Validate(); err == nil {
			if p := c.partProblems(); len(p) > 0 {
				rt.Fatalf("valid, but %v", p)
			}
			if _, err := ParseResolved("r", Resolved(&c)); err != nil {
				rt.Fatal(err)
			}
		}
	})
}
