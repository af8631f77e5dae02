package sweep

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"

	"focalgrid/detector"
	"focalgrid/experiments"
	"focalgrid/experiments/plan"
	"focalgrid/results/record"
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
	recorded := func() *record.Trial {
		return &record.Trial{Kind: record.KindTrain, Config: string(plan.Resolved(&cfg)), Seed: 3, Dataset: "d", Init: "i", Engine: "gorgonia", Numerics: strconv.Itoa(plan.Numerics)}
	}
	other := cfg
	other.Set("optim.lr", 2*cfg.Number("optim.lr"))
	keyOf := KeyOf()
	for _, tt := range []struct {
		name   string
		change func(*record.Trial)
		same   bool
	}{
		{"as it is", func(*record.Trial) {}, true},
		{"another folder of the data", func(r *record.Trial) {
			c := cfg
			c.Set("data.dir", "/elsewhere")
			r.Config = string(plan.Resolved(&c))
		}, true},
		{"a setting", func(r *record.Trial) { r.Config = string(plan.Resolved(&other)) }, false},
		{"seed", func(r *record.Trial) { r.Seed = 4 }, false},
		{"data", func(r *record.Trial) { r.Dataset = "e" }, false},
		{"first weights", func(r *record.Trial) { r.Init = "" }, false},
		{"engine", func(r *record.Trial) { r.Engine = "other" }, false},
	} {
		r := recorded()
		tt.change(r)
		key, err := keyOf(r)
		if err != nil || (key == id.Key()) != tt.same {
			t.Errorf("%s: key %s, %v; that of the trial is %s", tt.name, key, err, id.Key())
		}
	}
	for name, change := range map[string]func(*record.Trial){
		"unknown settings": func(r *record.Trial) { r.Config = `{"loss.delta":1}` },
		"other numerics":   func(r *record.Trial) { r.Numerics = "2" },
		"a pretraining":    func(r *record.Trial) { r.Kind = record.KindPretrain },
	} {
		r := recorded()
		change(r)
		if key, err := keyOf(r); err == nil {
			t.Errorf("%s: key %s, want an error", name, key)
		}
	}
}

// Every attempt says what it ran with, and the change of the code is kept once.
func TestAttemptEnvironment(t *testing.T) {
	b := newBench(t, 2)
	b.Host.Dirty, b.Host.Diff, b.Host.Changes = true, "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5", []byte("12345")
	if _, err := b.Sweep(t.Context(), b.plan(t, tiny, plan.Selection{Seeds: "0"})); err != nil {
		t.Fatal(err)
	}
	for _, tr := range b.trials(t) {
		a := tr.Attempts[0]
		if diff, err := CodeDiff(b.Store, &tr); err != nil || string(diff) != "12345" {
			t.Errorf("the change of the code: %s, %v", diff, err)
		}
		var h experiments.Host
		if err := json.Unmarshal([]byte(a.Environment), &h); err != nil {
			t.Fatal(err)
		}
		if h.Go == "" || h.CPU == "" || h.GPU == "" || h.Kernels != "test" || h.Threads != 2 || h.Revision == "" || h.Diff != b.Host.Diff {
			t.Errorf("environment %s", a.Environment)
		}
		if a.PeakBytes < 1<<20 || a.WallSeconds <= 0 || a.PID != os.Getpid() || a.Host != b.Host.Name {
			t.Errorf("attempt %+v", a)
		}
	}
	for provenance, want := range map[string]string{
		`{"revision":"abc"}`:                    "was as in revision abc",
		`{"revision":"abc","dirty":true}`:       "the change was not kept",
		`{"revision":"unknown"}`:                "unknown revision",
		`{"revision":"abc","diff":"123456789"}`: "no such file",
	} {
		if _, err := CodeDiff(b.Store, &record.Trial{Key: "k", Provenance: provenance}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", provenance, err, want)
		}
	}
}
