package experiments

import (
	"strconv"
	"testing"

	"focalgrid/detector"
	"focalgrid/experiments/plan"
	"focalgrid/results"
)

// TestKeyOf: a recorded trial's key is computed anew from its record, and is another one as
// soon as a setting that matters, the seed, the data or the rest is another.
func TestKeyOf(t *testing.T) {
	p, err := detector.Settings.Load("gamma", plan.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	cfg := p.Trials[0].Config
	id := plan.Identity{Config: plan.Canonical(&cfg), Seed: 3, Data: "d", Init: "i", Engine: "gorgonia", Numerics: plan.Numerics}
	record := func() *results.Trial {
		return &results.Trial{Kind: results.KindTrain, Config: string(plan.Resolved(&cfg)), Seed: 3, Dataset: "d", Init: "i", Engine: "gorgonia", Numerics: strconv.Itoa(plan.Numerics)}
	}
	other := cfg
	other.Set("optim.lr", 2*cfg.Number("optim.lr"))
	keyOf := KeyOf()
	for _, tt := range []struct {
		name   string
		change func(*results.Trial)
		same   bool
	}{
		{"as it is", func(*results.Trial) {}, true},
		{"another folder of the data", func(r *results.Trial) {
			c := cfg
			c.Set("data.dir", "/elsewhere")
			r.Config = string(plan.Resolved(&c))
		}, true},
		{"a setting", func(r *results.Trial) { r.Config = string(plan.Resolved(&other)) }, false},
		{"seed", func(r *results.Trial) { r.Seed = 4 }, false},
		{"data", func(r *results.Trial) { r.Dataset = "e" }, false},
		{"first weights", func(r *results.Trial) { r.Init = "" }, false},
		{"engine", func(r *results.Trial) { r.Engine = "other" }, false},
	} {
		r := record()
		tt.change(r)
		key, err := keyOf(r)
		if err != nil || (key == id.Key()) != tt.same {
			t.Errorf("%s: key %s, %v; that of the trial is %s", tt.name, key, err, id.Key())
		}
	}
	for name, change := range map[string]func(*results.Trial){
		"unknown settings": func(r *results.Trial) { r.Config = `{"loss.delta":1}` },
		"other numerics":   func(r *results.Trial) { r.Numerics = "2" },
		"a pretraining":    func(r *results.Trial) { r.Kind = results.KindPretrain },
	} {
		r := record()
		change(r)
		if key, err := keyOf(r); err == nil {
			t.Errorf("%s: key %s, want an error", name, key)
		}
	}
}
