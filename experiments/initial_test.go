package experiments

import (
	"slices"
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
