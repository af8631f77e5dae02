package experiments

import (
	"context"
	"slices"
	"strings"
	"testing"

	"focalgrid/detector"
	"focalgrid/engine"
	"focalgrid/experiments/plan"
	"focalgrid/weights"
)

// TestInitialWeights: they depend on the seed, and hold every tensor of the network.
func TestInitialWeights(t *testing.T) {
	cfg, err := detector.Settings.LoadBaseline("mini", plan.Selection{Set: []string{"pretrain.type=none", "model.fpn=8"}})
	if err != nil {
		t.Fatal(err)
	}
	r := newLab(t, 1)
	a, err := r.InitialWeights(t.Context(), &cfg, 1)
	if err != nil {
		t.Fatal(err)
	}
	b, err := r.InitialWeights(t.Context(), &cfg, 2)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := detector.Summary(&cfg, 128, 128)
	if err != nil {
		t.Fatal(err)
	}
	values, differ := int64(0), false
	for i := range a {
		values += int64(len(a[i].Data))
		differ = differ || !slices.Equal(a[i].Data, b[i].Data)
	}
	if want := sum.Total.Params + sum.Total.Buffers; values != want {
		t.Errorf("%d values, want %d", values, want)
	}
	if !differ {
		t.Error("seeds 1 and 2 give the same weights")
	}
}

// TestInitialIdentityRefuses: what a trial cannot start from is refused when its identity is computed.
func TestInitialIdentityRefuses(t *testing.T) {
	for _, tt := range []struct {
		set  []string
		want string
	}{
		{[]string{"pretrain.type=file", "pretrain.file=nowhere.pth"}, "nowhere.pth: no such file"},
		{[]string{"pretrain.type=crops", "pretrain.file=nowhere.pth"}, "pretrain.file is set, but pretrain.type is crops"},
	} {
		cfg, err := detector.Settings.LoadBaseline("mini", plan.Selection{Set: tt.set})
		if err == nil {
			_, err = (&Trainer{}).InitIdentity(&cfg)
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: %v; want %q", tt.set, err, tt.want)
		}
	}
}

// TestInitialFileIsTheBackbone: a trial starts with every tensor that a file of torchvision gives its backbone.
func TestInitialFileIsTheBackbone(t *testing.T) {
	const file = "../weights/testdata/resnet18.pth"
	f, err := weights.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	r := newLab(t, 1)
	cfg, err := detector.Settings.LoadBaseline("mini", plan.Selection{Set: []string{
		"model.width=0.125", "model.fpn=16", "pretrain.type=file", "pretrain.file=" + file, "model.norm=frozen",
	}})
	if err != nil {
		t.Fatal(err)
	}
	begun, err := r.InitialWeights(context.Background(), &cfg, 0)
	if err != nil {
		t.Fatal(err)
	}
	given, checked := detector.ByName(f), 0
	for _, v := range begun {
		if name, ok := strings.CutPrefix(v.Name, "backbone.body."); ok {
			checked++
			if !slices.Equal(v.Data, given[name].Data) {
				t.Errorf("%s is not the file's", v.Name)
			}
		}
	}
	if checked != 100 {
		t.Errorf("%d tensors of the backbone, want 100", checked)
	}
	if v := given["layer3.1.bn2.running_var"].Data; v[0] == 1 {
		t.Error("the file's statistics are those of a new network: the test proves nothing")
	}
}

// renamed is an engine of another name.
type renamed struct {
	engine.Engine
	name string
}

func (r renamed) Info() engine.Info {
	i := r.Engine.Info()
	i.Name = r.name
	return i
}

// TestEmbeddedOnEveryEngine: trials of the settings that an embedded backbone was made from start from it whatever
// computes; other pretrainings are each engine's own.
func TestEmbeddedOnEveryEngine(t *testing.T) {
	own, other := newLab(t, 1), newLab(t, 1)
	other.Engine = renamed{other.Engine, "another"}
	cfg, err := detector.Settings.LoadBaseline("gamma", plan.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	_, p, err := other.pretrained(t.Context(), &cfg)
	if err != nil {
		t.Fatal(err)
	}
	if key := own.PretrainKey(&cfg); p.Key != key || p.Where != "embedded in the program" || !other.HasPretrained(&cfg) {
		t.Errorf("%+v, want the embedded backbone %s", p, key)
	}
	exact := newLab(t, 1)
	exact.Engine = renamed{exact.Engine, ownBackbone}
	if exact.PretrainKey(&cfg) == p.Key {
		t.Error("trials recorded on " + ownBackbone + " lose their identity")
	}
	cfg.Set("pretrain.seed", uint64(1))
	if own.PretrainKey(&cfg) == other.PretrainKey(&cfg) || other.HasPretrained(&cfg) {
		t.Error("a pretraining on another engine counts as this one's")
	}
}
