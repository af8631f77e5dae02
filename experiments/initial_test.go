package experiments

import (
	"slices"
	"strings"
	"testing"
)

// TestInitialWeights: they depend on the seed, and hold every tensor of the network.
func TestInitialWeights(t *testing.T) {
	cfg, err := LoadBaseline("mini", Selection{Set: []string{"pretrain.type=none", "model.fpn=8"}})
	if err != nil {
		t.Fatal(err)
	}
	r := estimator(t, nil, Host{})
	a, err := r.InitialWeights(t.Context(), &cfg, 1)
	if err != nil {
		t.Fatal(err)
	}
	b, err := r.InitialWeights(t.Context(), &cfg, 2)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := cfg.Summary(128, 128)
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
		cfg, err := LoadBaseline("mini", Selection{Set: tt.set})
		if err == nil {
			_, err = (&Runner{}).initIdentity(&cfg)
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: %v; want %q", tt.set, err, tt.want)
		}
	}
}
