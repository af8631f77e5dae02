package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"focalgrid/experiments/catalogue"
	"focalgrid/setting"
)

// settings are those of all components.
var settings = NewCatalogue(catalogue.Groups())

// miniConfig is the mini profile with settings over it, as --set gives them.
func miniConfig(t interface {
	Helper()
	Fatal(...any)
}, set ...string) Config {
	t.Helper()
	c, err := settings.LoadBaseline("mini", Selection{Set: set})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The text is one JSON object, keys sorted, and nothing that has no meaning.
func TestCanonicalText(t *testing.T) {
	c := miniConfig(t, "loss.alpha=none", "optim.weight_decay=0", "pretrain.type=none", "optim.lr=1e-7", "train.iters=100")
	text := string(Canonical(&c))
	for _, want := range []string{
		`{"anchors.base":2,"anchors.offset":0.5,"anchors.ratios":[0.5,1,2],"anchors.round":"none",`,
		`"loss.alpha":null,"loss.gamma":2,"loss.type":"focal",`,
		`"optim.lr":1e-07,`, `"optim.steps":[67,89],`, `"optim.weight_decay":0,"pretrain.type":"none",`, `"train.iters":100}`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("canonical text lacks %s:\n%s", want, text)
		}
	}
	for _, no := range []string{"data.dir", "loss.beta", "sampler.batch", "optim.beta1", "optim.decay_bias", "pretrain.iters", "data.images.tune"} {
		if strings.Contains(text, `"`+no+`"`) {
			t.Errorf("canonical text has %s:\n%s", no, text)
		}
	}
	var keys []string
	dec := json.NewDecoder(strings.NewReader(text))
	for depth := 0; ; {
		tok, err := dec.Token()
		if err != nil {
			break
		}
		if d, ok := tok.(json.Delim); ok {
			depth += map[json.Delim]int{'{': 1, '[': 1, '}': -1, ']': -1}[d]
		} else if s, ok := tok.(string); ok && depth == 1 && strings.Contains(s, ".") {
			keys = append(keys, s)
		}
	}
	if !json.Valid([]byte(text)) || !slices.IsSorted(keys) || len(keys) < 30 {
		t.Errorf("not one JSON object with sorted keys: %s", text)
	}
}

// Every rule beside the catalogue is about a setting that exists.
func TestKeysExist(t *testing.T) {
	for key := range across {
		if settings.byKey[key] == nil {
			t.Errorf("across speaks of %s, which is not a setting", key)
		}
	}
	for key := range bodySettings {
		if settings.byKey[key] == nil {
			t.Errorf("bodySettings speaks of %s, which is not a setting", key)
		}
	}
}

// other gives a different value of the same type.
func other(v any, i int) any {
	switch v := v.(type) {
	case nil:
		return .125
	case bool:
		return !v
	case int:
		return v + 1 + i
	case uint64:
		return v + 1 + uint64(i)
	case float64:
		return v + .0625 + float64(i)
	case []float64:
		return append(slices.Clone(v), 7)
	case string:
		return v + fmt.Sprint("x", i)
	}
	panic(fmt.Sprintf("no other value for %T", v))
}

// A setting changes the identity exactly where it matters, for all kinds of trial.
func TestSensitivity(t *testing.T) {
	kinds := [][]string{
		nil,
		{"loss.type=ce"},
		{"loss.type=focal_star", "box_loss.type=l1"},
		{"sampler.type=ssd", "loss.alpha=none"},
		{"sampler.type=ohem", "sampler.ratio=0"},
		{"sampler.type=ohem", "sampler.score=class+box", "sampler.nms=1"},
		{"optim.type=adamw", "optim.weight_decay=0", "optim.warmup=0"},
		{"pretrain.type=none", "model.head_norm=none", "eval.split=tune"},
		{"pretrain.type=file", "data.name=coco", "eval.split=tune"},
		{"pretrain.type=file", "data.name=coco", "eval.split=val"},
	}
	for _, fd := range settings.fields {
		for kind := range fd.Kinds {
			kinds = append(kinds, []string{fd.key + "=" + kind})
		}
	}
	mattered := map[string]bool{}
	for _, set := range kinds {
		c := miniConfig(t, set...)
		before := Canonical(&c)
		for i, key := range settings.sorted {
			if strings.HasSuffix(key, ".type") || key == "data.name" || key == "eval.split" {
				continue // decides what else matters
			}
			d := c
			d.Set(key, other(c.Value(key), i))
			changed := !bytes.Equal(before, Canonical(&d))
			if changed != matters(&c, key) {
				t.Errorf("%v: changing %s changes the identity: %v; it matters: %v", set, key, changed, matters(&c, key))
			}
			mattered[key] = mattered[key] || changed
		}
	}
	for _, key := range settings.sorted {
		switch {
		case key == "data.dir", key == "pretrain.file":
			if mattered[key] {
				t.Errorf("%s is a path and changed an identity", key)
			}
		case !mattered[key] && !strings.HasSuffix(key, ".type") && key != "data.name" && key != "eval.split":
			t.Errorf("%s never matters", key)
		}
	}
}

// However a file orders, nests and spells its settings, the identity is the same.
func TestIdentityIgnoresSpelling(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		var lines []string
		for _, key := range rapid.Permutation(settings.sorted).Draw(rt, "keys")[:10] {
			fd := settings.byKey[key]
			mini := miniConfig(t)
			v := spelling(rt, mini.Value(key))
			name, nest := fd.key, rapid.Bool().Draw(rt, "nested")
			group, leaf, _ := strings.Cut(name, ".")
			if nest && !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "  "+group+":") }) {
				lines = append(lines, fmt.Sprintf("  %s: {%s: %s}", group, leaf, v))
			} else {
				lines = append(lines, fmt.Sprintf("  %s: %s", name, v))
			}
		}
		p, err := gridText(rt, dir, "profile: mini\nseeds: [0]\nbaseline:\n"+strings.Join(lines, "\n")+"\n", Selection{})
		if err != nil {
			rt.Fatal(err)
		}
		mini := miniConfig(t)
		if got, want := Canonical(&p.Rows[0].Config), Canonical(&mini); !bytes.Equal(got, want) {
			rt.Fatalf("%s\ngives %s\nwant  %s", strings.Join(lines, "\n"), got, want)
		}
	})
}

// spelling writes v in one of the ways a file may.
func spelling(rt *rapid.T, v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("%q", v)
	case float64:
		return rapid.SampledFrom([]string{
			setting.Spell(v), fmt.Sprintf("%e", v), "+" + setting.Spell(v), strings.TrimPrefix(setting.Spell(v), "0"), fmt.Sprintf("%.12f", v),
		}).Filter(func(s string) bool { return s != "" && !setting.LeadingZero(s) }).Draw(rt, "spelling")
	}
	return setting.Spell(v)
}

// All settings survive being written and read, none and odd numbers too.
func TestResolvedRoundTrip(t *testing.T) {
	for _, source := range append(Profiles(), Ablations()...) {
		c, err := settings.LoadBaseline(source, Selection{Set: []string{"loss.alpha=none", "optim.lr=1.2345678901234567e-5", "data.seed=18446744073709551615"}})
		if err != nil {
			t.Fatal(err)
		}
		c.Set("data.dir", `a "b" <é>: #c`)
		got, err := settings.ParseResolved("stored", Resolved(&c))
		if err != nil {
			t.Errorf("%s: %v", source, err)
		} else if !reflect.DeepEqual(got, c) {
			t.Errorf("%s: got %+v, want %+v", source, got, c)
		}
	}
	if _, err := settings.ParseResolved("stored", []byte(`{"loss.gamma":2}`)); err == nil || !strings.Contains(err.Error(), "stored: no value for anchors.base") {
		t.Errorf("incomplete settings: %v", err)
	}
}

// Each part of an identity counts, and the parts can't run into each other.
func TestKey(t *testing.T) {
	id := Identity{Config: []byte(`{"loss.gamma":2}`), Seed: 1, Data: "d", Init: "i", Engine: "e", Numerics: 1}
	// printf '{"loss.gamma":2}\n{"Data":"d","Engine":"e","Init":"i","Numerics":1,"Seed":1}' | sha256sum
	const want = "e358dc0d402a749c5ae973fb6ff9654611c269a25de9fe8e444ce103cc6b4c1d"
	if got := id.Key(); got != want {
		t.Errorf("key is %s, want %s: trials recorded before would be done again", got, want)
	}
	seen := map[string]bool{id.Key(): true}
	for _, change := range []func(*Identity){
		func(i *Identity) { i.Config = []byte(`{"loss.gamma":1}`) },
		func(i *Identity) { i.Seed = 2 },
		func(i *Identity) { i.Data = "" },
		func(i *Identity) { i.Init = "" },
		func(i *Identity) { i.Data, i.Init = "di", "" },
		func(i *Identity) { i.Engine = "x" },
		func(i *Identity) { i.Numerics++ },
		func(i *Identity) { i.Seed = math.MaxUint64 },
	} {
		other := id
		change(&other)
		if seen[other.Key()] {
			t.Errorf("%+v has the key of another", other)
		}
		seen[other.Key()] = true
	}
}

// Trials that differ only in loss or schedule share one pretraining.
func TestPretrainKey(t *testing.T) {
	key := func(set ...string) string {
		c := miniConfig(t, set...)
		return PretrainKey(&c, "crops 1", "gorgonia", 1)
	}
	mini := key()
	for _, same := range []string{"loss.gamma=0", "optim.lr=.2", "model.fpn=32", "model.freeze_stages=2", "image.short=96", "data.images.train=10", "sampler.type=ssd"} {
		if key(same) != mini {
			t.Errorf("%s asks for another pretraining", same)
		}
	}
	for _, differs := range []string{"model.depth=34", "model.width=.5", "model.norm=frozen", "pretrain.seed=1", "pretrain.iters=10", "image.std=[.2,.2,.2]", "data.noise=8"} {
		if key(differs) == mini {
			t.Errorf("%s gets the same pretraining", differs)
		}
	}
	c := miniConfig(t)
	for _, k := range []string{PretrainKey(&c, "crops 2", "gorgonia", 1), PretrainKey(&c, "crops 1", "xla", 1), PretrainKey(&c, "crops 1", "gorgonia", 2)} {
		if k == mini {
			t.Error("crops, engine and numerics must count")
		}
	}
}

// withWas is the groups with a value from before for one setting, wherever it is declared.
func withWas(groups []setting.Group, key, was string) []setting.Group {
	var edit func(group string, params []setting.Param) []setting.Param
	edit = func(group string, params []setting.Param) []setting.Param {
		out := slices.Clone(params)
		for i := range out {
			if p := &out[i]; group+"."+p.Name == key {
				p.Was = was
			} else if p.Kinds != nil {
				p.Kinds = maps.Clone(p.Kinds)
				for kind, brought := range p.Kinds {
					p.Kinds[kind] = edit(group, brought)
				}
			}
		}
		return out
	}
	for i, g := range groups {
		groups[i].Params = edit(g.Name, g.Params)
	}
	return groups
}

// A setting that was added later leaves what was recorded before it as it was: the
// identity of a trial that has the value from before, and the reading of its record.
func TestAddedSetting(t *testing.T) {
	for key, was := range map[string]string{"model.p6": "c5", "loss.alpha": "0.25", "optim.steps": "[0.67,0.89]", "eval.topk": "1000"} {
		before := miniConfig(t)
		recorded, identity := Resolved(&before), Canonical(&before)
		entry := regexp.MustCompile(`"` + regexp.QuoteMeta(key) + `":(\[[^]]*\]|[^,}]*),?`)
		older := entry.ReplaceAll(recorded, nil) // as written when there was no such setting
		if bytes.Equal(older, recorded) {
			t.Fatalf("%s is not in %s", key, recorded)
		}
		if _, err := settings.ParseResolved("a record", older); err == nil {
			t.Fatalf("%s: a record without it is read although it was always there", key)
		}

		later := NewCatalogue(withWas(catalogue.Groups(), key, was))
		before.in = later

		c, err := later.ParseResolved("a record", older)
		if err != nil || !reflect.DeepEqual(c, before) {
			t.Errorf("%s: the older record is read as %+v (%v)", key, c, err)
		}
		if now := Canonical(&before); !bytes.Equal(now, entry.ReplaceAll(identity, nil)) {
			t.Errorf("%s: at the value from before it is part of the identity: %s", key, now)
		}
		changed := before
		changed.Set(key, other(before.Value(key), 0))
		if now := Canonical(&changed); !entry.Match(now) {
			t.Errorf("%s: at another value it is no part of the identity: %s", key, now)
		}
		again, err := later.ParseResolved("a record", Resolved(&changed))
		if err != nil && !strings.Contains(err.Error(), key) || err == nil && !reflect.DeepEqual(again, changed) {
			t.Errorf("%s: the newer record is read as %+v (%v)", key, again, err)
		}
	}
}
