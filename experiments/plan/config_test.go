package plan

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"focalgrid/ablations"
	"focalgrid/box"
	"focalgrid/dataset/synthetic"
	"focalgrid/experiments/catalogue"
	"focalgrid/model"
	"focalgrid/optim"
	"focalgrid/sampler"
	"focalgrid/setting"
)

// Every setting can be shown, and every value that a profile may be spared is a possible one.
func TestCatalogue(t *testing.T) {
	kinds := []setting.Kind{setting.Text, setting.Bool, setting.Int, setting.Seed, setting.Number, setting.Numbers}
	for _, fd := range settings.fields {
		for _, by := range fd.brought {
			p := by.param
			if !slices.Contains(kinds, p.Kind) || p.Doc == "" || strings.Contains(p.Doc, "\n") || p.Range() == "" {
				t.Errorf("%s: %+v", fd.key, p)
			}
			for name, v := range map[string]any{p.Default: fd.byDefault, p.Was: fd.was} {
				if err := p.Judge(v); name != "" && err != nil {
					t.Errorf("%s: a default or an earlier value %v", fd.key, err)
				}
			}
		}
	}
}

// A component with a setting that no profile mentions needs no change of a profile: the setting
// has its default where the component is not chosen by the profile, and is part of the identity
// of those trials that choose it.
func TestDefault(t *testing.T) {
	poly := setting.Param{Name: "epsilon", Kind: setting.Number, Min: -1, Max: 100, Default: "1", Doc: "weight of the added term"}
	groups := catalogue.Groups()
	for i, g := range groups {
		if g.Name == "loss" {
			groups[i].Params[0].Kinds["poly"] = []setting.Param{poly}
		}
	}
	with := NewCatalogue(groups)
	for want, set := range map[string][]string{
		"":                   {"loss.type=ce"},
		`"loss.epsilon":1,`:  {"loss.type=poly"},
		`"loss.epsilon":50,`: {"loss.type=poly", "loss.epsilon=50"},
	} {
		c, err := with.LoadBaseline("mini", Selection{Set: set})
		if err != nil {
			t.Fatal(err)
		}
		if text := string(Canonical(&c)); !strings.Contains(text, want) || want == "" && strings.Contains(text, "epsilon") {
			t.Errorf("%v: the identity is %s, expected %q in it", set, text, want)
		}
		recorded := miniConfig(t)
		if c, err = with.ParseResolved("a record", Resolved(&recorded)); err != nil || !bytes.Equal(Canonical(&c), Canonical(&recorded)) {
			t.Errorf("a record from before the component: %v", err)
		}
	}
	_, err := (&reader{in: with, file: "p.yaml"}).everySetting(bytes.Replace(mini(t), []byte("type: focal,"), []byte("type: poly,"), 1))
	if err == nil || err.Error() != "p.yaml: no value for loss.epsilon; a profile gives every setting" {
		t.Errorf("a profile that chooses the component and leaves out its setting: %v", err)
	}
	if _, err := with.LoadBaseline("mini", Selection{Set: []string{"loss.type=poly", "loss.epsilon=101"}}); err == nil ||
		err.Error() != "--set loss.epsilon=101: loss.epsilon is 101, must be from -1 to 100" {
		t.Errorf("an impossible value: %v", err)
	}
}

// TestSharedSetting: two components that share a setting cannot give it two defaults.
func TestSharedSetting(t *testing.T) {
	groups := catalogue.Groups()
	for i, g := range groups {
		if g.Name == "loss" {
			for name, value := range map[string]string{"one": "1", "other": "0.1"} {
				groups[i].Params[0].Kinds[name] = []setting.Param{{Name: "epsilon", Kind: setting.Number, Max: 100, Default: value}}
			}
		}
	}
	defer func() {
		if said := fmt.Sprint(recover()); !strings.Contains(said, "share the setting loss.epsilon") {
			t.Errorf("two defaults: %s", said)
		}
	}()
	NewCatalogue(groups)
}

func mini(t *testing.T) []byte {
	t.Helper()
	text, err := fs.ReadFile(ablations.Files, "profiles/mini.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// All profiles hold together, and the settings of mini and paper are those of their sources.
func TestProfiles(t *testing.T) {
	for _, name := range Profiles() {
		if _, err := settings.LoadBaseline(name, Selection{}); err != nil {
			t.Errorf("profile %s: %v", name, err)
		}
	}
	paper, err := settings.LoadBaseline("paper", Selection{})
	if err != nil {
		t.Fatal(err)
	}
	// §4, §4.1 of Lin et al.
	if paper.Int("model.depth") != 50 || paper.Int("model.fpn") != 256 || paper.Number("model.prior") != .01 || paper.Number("anchors.base") != 4 || paper.Number("optim.lr") != .01 ||
		paper.Number("optim.weight_decay") != 1e-4 || !slices.Equal(paper.stepsAt(), []int{60000, 80000}) || paper.Int("train.iters") != 90000 || paper.Int("train.batch") != 16 ||
		paper.Number("loss.gamma") != 2 || paper.Number("loss.alpha") != .25 || paper.Int("image.short") != 600 || paper.Transform().LongSide != 1000 {
		t.Errorf("paper is %+v", paper)
	}
	mini := miniConfig(t)
	if !slices.Equal(mini.stepsAt(), []int{402, 534}) || mini.Number("optim.lr") != .1 || mini.Int("train.iters") != 600 || mini.Int("train.batch") != 16 {
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

// A path wins over a name, an ablation over a profile; a folder is no file.
func TestSources(t *testing.T) {
	t.Chdir(t.TempDir())
	if p, err := settings.Load("gamma", Selection{}); err != nil || p.File != "ablations/gamma.yaml" || p.Name != "gamma" {
		t.Errorf("embedded gamma: %+v, %v", p, err)
	}
	if err := os.Mkdir("alpha", 0o755); err != nil {
		t.Fatal(err)
	}
	if p, err := settings.Load("alpha", Selection{}); err != nil || p.Table != "1a" {
		t.Errorf("beside a folder of its name: %v", err)
	}
	if err := os.WriteFile("gamma", []byte("profile: mini\ntitle: mine\nbaseline: {loss.gamma: 5}\nseeds: [0]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if p, err := settings.Load("gamma", Selection{}); err != nil || p.Title != "mine" || p.File != "gamma" {
		t.Errorf("path gamma: %+v, %v", p, err)
	}
	if c, err := settings.LoadBaseline("gamma", Selection{}); err != nil || c.Number("loss.gamma") != 5 {
		t.Errorf("baseline of the path: %v", err)
	}
	if c, err := settings.LoadBaseline("depth_scale", Selection{Profile: "paper", Set: []string{"train.iters=3"}}); err != nil || c.Int("image.short") != 600 || c.Int("train.iters") != 3 {
		t.Errorf("baseline of an ablation: %v", err)
	}
	_, err := settings.Load("gama", Selection{})
	if err == nil || err.Error() != "gama: no such file and no ablation of that name; known: "+strings.Join(Ablations(), ", ") {
		t.Errorf("unknown name: %v", err)
	}
	_, err = settings.LoadBaseline(filepath.Join("x", "gama.yaml"), Selection{})
	if err == nil || !strings.HasSuffix(err.Error(), "profiles: "+strings.Join(Profiles(), ", ")) {
		t.Errorf("unknown baseline: %v", err)
	}
	if err := os.WriteFile("bad.yaml", []byte("profile: mini\nbaseline: {loss.gamma: -1}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err = settings.LoadBaseline("bad.yaml", Selection{}); err == nil || !strings.HasPrefix(err.Error(), "bad.yaml:2: loss.gamma is -1, must be from 0") {
		t.Errorf("impossible baseline: %v", err)
	}
}

// A profile that leaves a setting out is refused: a default stands in one place.
func TestProfileIsWhole(t *testing.T) {
	_, err := (&reader{in: settings, file: "p.yaml"}).everySetting([]byte("loss: {gamma: 2}\n"))
	if err == nil || !strings.Contains(err.Error(), "p.yaml: no value for anchors.base; a profile gives every setting") {
		t.Errorf("got %v", err)
	}
}

// The nearest key of a key that is known is the key itself.
func TestNearest(t *testing.T) {
	for _, key := range settings.names {
		if got := setting.Nearest(key, settings.names); got != key {
			t.Errorf("Nearest(%s) is %s", key, got)
		}
	}
}

// No value of a setting makes validation panic, and what passes is accepted by every package.
func TestValidateTakesAnything(t *testing.T) {
	numbers := []float64{-1, 0, 1e-9, .3, 1, 1.5, 7, 1e9}
	rapid.Check(t, func(rt *rapid.T) {
		c := miniConfig(rt)
		for range rapid.IntRange(1, 4).Draw(rt, "changes") {
			fd := rapid.SampledFrom(settings.fields).Draw(rt, "field")
			x := rapid.SampledFrom(numbers).Draw(rt, "value")
			v := map[setting.Kind]any{
				setting.Text: rapid.SampledFrom([]string{"", "none", "group", "ohem", "ssd", "adamw", "cosine", "giou", "frozen"}).Draw(rt, "text"),
				setting.Bool: x > 0, setting.Int: int(x), setting.Seed: uint64(max(x, 0)), setting.Number: x,
				setting.Numbers: []float64{x, 1, 2}[:rapid.IntRange(0, 3).Draw(rt, "n")],
			}[fd.Kind]
			c.Set(fd.key, v)
		}
		Canonical(&c)
		if err := c.validate(); err == nil {
			model.New(c.Group("model"), c.Group("anchors"), 4)
			optim.New(c.Group("optim"))
			box.NewPost(c.Group("eval"))
			c.Transform()
			if Synthetic(&c) {
				synthetic.New(c.SynthConfig())
			}
			if Crops(&c) {
				synthetic.NewCrops(c.CropConfig())
			}
			sampler.New(c.Group("sampler"), box.Deltas[float32]{}, "deltas", 1)
			if _, err := settings.ParseResolved("r", Resolved(&c)); err != nil {
				rt.Fatal(err)
			}
		}
	})
}

// What is explained has the value that is computed with, and the place that gave it.
func TestExplain(t *testing.T) {
	all, err := settings.Explain("gamma", Selection{Set: []string{"sampler.type=ohem"}})
	if err != nil || len(all) != len(settings.fields) {
		t.Fatalf("%d of %d settings are explained (%v)", len(all), len(settings.fields), err)
	}
	byKey := map[string]Explained{}
	for _, e := range all {
		byKey[e.Key] = e
	}
	for key, want := range map[string]Explained{
		"sampler.type":  {Value: "ohem", From: "--set sampler.type=ohem", Matters: true},
		"sampler.ratio": {Value: "3", From: "ablations/profiles/mini.yaml:", Matters: true},
		"loss.beta":     {Value: "0", From: "ablations/profiles/mini.yaml:"},
		"loss.type":     {Value: "focal", From: "ablations/gamma.yaml:", Matters: true},
	} {
		if e := byKey[key]; e.Value != want.Value || !strings.HasPrefix(e.From, want.From) || e.Matters != want.Matters {
			t.Errorf("%s is explained as %+v, want %+v", key, e, want)
		}
	}
	if got := settings.Below("box_loss"); !slices.Equal(got, []string{"box_loss.beta", "box_loss.type", "box_loss.weight"}) {
		t.Errorf("box_loss has %v", got)
	}
	if got := settings.Choices("model.head_norm"); !slices.Equal(got, []string{"batch", "group", "none"}) {
		t.Errorf("choices of model.head_norm: %v", got)
	}
}
