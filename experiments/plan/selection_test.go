package plan

import (
	"slices"
	"strings"
	"testing"

	"focalgrid/setting"
)

const threeByTwo = "profile: mini\ngrid: {loss.gamma: [0, 1, 2], model.p6: [c5, p5]}\nseeds: [0]\n"

// --only keeps rows: several values of a key are alternatives, several keys must all hold.
func TestOnly(t *testing.T) {
	tests := []struct {
		only []string
		want []int // rows of the whole grid
	}{
		{[]string{"loss.gamma=2"}, []int{4, 5}},
		{[]string{"loss.gamma=2.0", "model.p6=c5"}, []int{4}},
		{[]string{"loss.gamma=0,2"}, []int{0, 1, 4, 5}},
		{[]string{"loss.gamma=0", "loss.gamma=1"}, []int{0, 1, 2, 3}},
		{[]string{"optim.lr=.1"}, []int{0, 1, 2, 3, 4, 5}}, // not swept, but a setting all the same
		{[]string{"anchors.ratios=[.5, 1, 2]", "loss.alpha=.25", "model.p6=p5"}, []int{1, 3, 5}},
	}
	all := mustPlan(t, threeByTwo, Selection{})
	for _, tt := range tests {
		p := mustPlan(t, threeByTwo, Selection{Only: tt.only})
		var got []int
		for _, r := range p.Rows {
			got = append(got, slices.IndexFunc(all.Rows, func(a Row) bool {
				return string(Canonical(&a.Config)) == string(Canonical(&r.Config))
			}))
		}
		if !slices.Equal(got, tt.want) || len(p.Trials) != len(tt.want) {
			t.Errorf("--only %v keeps rows %v, want %v", tt.only, got, tt.want)
		}
		for i, r := range p.Rows {
			if r.Index != i || p.Trials[i].Row != i {
				t.Errorf("--only %v: row %d has index %d", tt.only, i, r.Index)
			}
		}
	}
}

// A flag that makes no sense is named, with what would.
func TestBadFlags(t *testing.T) {
	tests := []struct {
		sel  Selection
		want string
	}{
		{Selection{Set: []string{"train.iter=5"}}, `--set train.iter=5: unknown key "train.iter"; nearest: train.iters`},
		{Selection{Set: []string{"train.iters"}}, "--set train.iters: want key=value, such as loss.gamma=2"},
		{Selection{Set: []string{"train=5"}}, "--set train=5: train is a group of settings; it has iters, batch"},
		{Selection{Set: []string{"train.iters=many"}}, `--set train.iters=many: train.iters must be a whole number, is "many"`},
		{Selection{Set: []string{"train.iters="}}, `--set train.iters=: train.iters must be a whole number`},
		{Selection{Set: []string{"train.iters=1: 2"}}, "--set train.iters=1: 2: train.iters must be a whole number, is key: value pairs"},
		{Selection{Set: []string{"optim.lr=-1"}}, "--set optim.lr=-1: optim.lr is -1, must be above 0"},
		{Selection{Set: []string{"sampler.positive=0"}}, "--set sampler.positive=0: sampler.positive is 0, must be above 0 and at most 1"},
		{Selection{Set: []string{"sampler.positive=2"}}, "--set sampler.positive=2: sampler.positive is 2, must be above 0 and at most 1"},
		{Selection{Set: []string{"loss.gamma=1"}}, "--set loss.gamma=1: loss.gamma is varied by the file; choose rows with --only, or edit the file"},
		{Selection{Only: []string{"loss.gama=1"}}, `--only loss.gama=1: unknown key "loss.gama"; nearest: loss.gamma`},
		{Selection{Only: []string{"loss.gamma=x"}}, `--only loss.gamma=x: loss.gamma must be a number, is "x"`},
		{Selection{Only: []string{"loss.gamma=3"}}, "--only loss.gamma=3: no row left; in the file loss.gamma is 0 or 1 or 2"},
		{Selection{Seeds: "a"}, `--seeds a: "a" is no seed; want a whole number from 0`},
		{Selection{Seeds: "3..1"}, "--seeds 3..1: the range 3..1 falls"},
		{Selection{Seeds: "1,1"}, "--seeds 1,1: seed 1 is given twice"},
		{Selection{Profile: "big"}, `unknown profile "big"; known: ` + strings.Join(Profiles(), ", ")},
	}
	for _, tt := range tests {
		_, err := gridText(t, t.TempDir(), threeByTwo, tt.sel)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got %v, want %s", tt.sel, err, tt.want)
		}
	}
}

func TestParseSeeds(t *testing.T) {
	for text, want := range map[string][]uint64{
		"3":       {3},
		"0..3":    {0, 1, 2, 3},
		"5..5":    {5},
		"1,2,5":   {1, 2, 5},
		" 2 , 1 ": {2, 1},
		"9223372036854775806..9223372036854775807": {1<<63 - 2, 1<<63 - 1},
	} {
		if got, err := parseSeeds(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", ",", "1,", "-1", "+1", "1.5", "01", "0..", "..3", "0..1..2", "0x1", "0..100000", "9223372036854775808", "9223372036854775807..9223372036854775808", "18446744073709551616"} {
		if got, err := parseSeeds(text); err == nil {
			t.Errorf("%q gives %v, want an error", text, got)
		}
	}
}

// FuzzFlags: no text of a flag makes parsing panic, and what is read is written back the same.
func FuzzFlags(f *testing.F) {
	for _, s := range []string{"loss.gamma=2", "anchors.ratios=[1,2]", "loss.alpha=none", "data.dir=", "=", "loss=1", "loss.gamma=&a 1", "0..9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if seeds, err := parseSeeds(text); err == nil && len(seeds) == 0 {
			t.Error("no seeds and no error")
		}
		s := Selection{Set: []string{text}, Only: []string{text}}
		p, err := s.parse(settings)
		if err != nil {
			return
		}
		again, err := settings.parseSet(p.set[0].key + "=" + setting.Spell(p.set[0].value))
		if err != nil || setting.Spell(again.value) != setting.Spell(p.set[0].value) {
			t.Errorf("%q: read %v, then %v, %v", text, p.set[0].value, again.value, err)
		}
	})
}
