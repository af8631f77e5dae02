package plan

import (
	"reflect"
	"strings"
	"testing"
)

// TestBaselineRow: the row that is the baseline itself is found, another is chosen by settings, and a choice of none
// or of several names the rows.
func TestBaselineRow(t *testing.T) {
	for _, tt := range []struct {
		name   string
		file   string
		sel    Selection
		want   int
		errors string
	}{
		{"the baseline", "gamma", Selection{}, 5, ""},
		{"the baseline with other settings", "gamma", Selection{Set: []string{"optim.lr=0.05"}}, 5, ""},
		{"the baseline is not among the rows", "gamma", Selection{Only: []string{"loss.gamma=0,1"}}, -1, ""},
		{"chosen", "gamma", Selection{Baseline: []string{"loss.gamma=0"}}, 0, ""},
		{"chosen by two", "gamma", Selection{Baseline: []string{"loss.alpha=0.75", "loss.gamma=0.2"}}, 2, ""},
		{"several", "gamma", Selection{Baseline: []string{"loss.alpha=0.75"}}, -1,
			"--baseline loss.alpha=0.75: 3 rows have this, want one; add another --baseline key=value to choose from: loss.gamma=0 loss.alpha=0.75; loss.gamma=0.1 loss.alpha=0.75; loss.gamma=0.2 loss.alpha=0.75"},
		{"none", "gamma", Selection{Baseline: []string{"loss.gamma=3"}}, -1, "--baseline loss.gamma=3: no row of the table has this; the rows are: loss.gamma=0 loss.alpha=0.75; "},
		{"a setting without meaning in other rows", "ohem", Selection{Baseline: []string{"loss.gamma=2"}}, 0, ""},
		{"rows named by what has meaning", "ohem", Selection{Only: []string{"sampler.type=ssd,all"}, Baseline: []string{"optim.lr=.1"}}, -1,
			`loss.type="ce" loss.alpha=0.75 sampler.type="all"; loss.type="ce" loss.alpha=none sampler.type="ssd" sampler.ratio=3`},
		{"left out by --only", "gamma", Selection{Only: []string{"loss.gamma=1,2"}, Baseline: []string{"loss.gamma=0"}}, -1, "no row of the table has this"},
		{"misspelt", "gamma", Selection{Baseline: []string{"loss.gama=0"}}, -1, "--baseline loss.gama=0: unknown key"},
	} {
		p, err := settings.Load(tt.file, tt.sel)
		switch {
		case tt.errors != "":
			if err == nil || !strings.Contains(err.Error(), tt.errors) {
				t.Errorf("%s: %v, want %q", tt.name, err, tt.errors)
			}
		case err != nil || p.Baseline != tt.want:
			t.Errorf("%s: row %v, want %d (%v)", tt.name, p, tt.want, err)
		}
	}
}

// TestApart: a row's settings are the table's own but for what it varies itself or --set changes; where the data lies
// and settings without meaning in the row do not count.
func TestApart(t *testing.T) {
	varied := func(key string) bool { return key == "loss.gamma" || key == "loss.alpha" }
	for _, tt := range []struct {
		set  []string
		want []string
	}{
		{nil, nil},
		{[]string{"optim.lr=0.1", "train.iters=600"}, nil}, // as in the profile
		{[]string{"optim.lr=0.05", "sampler.nms=0.6"}, []string{"optim.lr"}},
		{[]string{"eval.split=tune"}, []string{"eval.split"}},
		{[]string{"optim.type=adamw"}, []string{"optim.type"}},
	} {
		p, err := settings.Load("gamma", Selection{Set: tt.set})
		if err != nil {
			t.Fatal(err)
		}
		for i := range p.Rows {
			got := p.Apart(&p.Rows[i], varied)
			if len(tt.want) == 1 && tt.want[0] == "optim.type" { // which brings settings of its own
				got = got[len(got)-1:]
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("--set %v, row %d: %v, want %v", tt.set, i, got, tt.want)
			}
		}
	}
	p, err := settings.Load("gamma", Selection{Set: []string{"optim.lr=0.2", "optim.lr=0.05", "train.iters=600"}})
	if want := []string{"optim.lr=0.05 (in the file 0.1)"}; err != nil || !reflect.DeepEqual(p.Changed(), want) {
		t.Errorf("changed: %v, want %v (%v)", p.Changed(), want, err)
	}
}
