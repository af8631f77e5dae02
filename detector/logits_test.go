package detector

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"focalgrid/dataset"
	"focalgrid/engine"
	"focalgrid/engine/gorgonia"
	"focalgrid/engine/kernel"
	"focalgrid/experiments/plan"
	"focalgrid/sampler"
)

// TestSplitLogits: of three classes, an anchor of class 2 gives its own logit, a background anchor all three of its
// logits, and an ignored anchor none.
func TestSplitLogits(t *testing.T) {
	labels := []float32{2, sampler.Background, sampler.Ignored, sampler.Background}
	logits := []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	l, background := &Logits{}, sample{most: 100, limit: math.MaxUint64}
	l.split(labels, logits, Drawer(0), 7, &background)
	if want := []float32{3}; !slices.Equal(l.Foreground, want) {
		t.Errorf("foreground is %v, want %v", l.Foreground, want)
	}
	got := slices.Sorted(slices.Values(background.values()))
	if want := []float32{4, 5, 6, 10, 11, 12}; !slices.Equal(got, want) || l.Pairs != len(want) || l.Images != 1 {
		t.Errorf("background is %v of %d pairs and %d images, want %v", got, l.Pairs, l.Images, want)
	}
}

// TestSample: the sample is the values with the smallest keys, in whatever order they come.
func TestSample(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	all := make([]keyed, 10_000)
	for i := range all {
		all[i] = keyed{random.Uint64(), float32(i)}
	}
	for _, most := range []int{1, 7, 500, 9_999, 10_000, 20_000} {
		sorted := slices.SortedFunc(slices.Values(all), func(a, b keyed) int { return cmp.Compare(a.key, b.key) })
		var want []float32
		for _, k := range sorted[:min(most, len(sorted))] {
			want = append(want, k.value)
		}
		for range 3 {
			s := sample{most: most, limit: math.MaxUint64}
			for _, k := range all {
				s.add(k.key, k.value)
			}
			if cap(s.kept) > 4*most {
				t.Errorf("memory for %d values, want at most %d for a sample of %d", cap(s.kept), 4*most, most)
			}
			if got := s.values(); !slices.Equal(got, want) {
				t.Errorf("sample of %d: %d values, of which not all have the smallest keys", most, len(got))
			}
			random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		}
	}
}

// TestLogits: there are as many logits as the anchors of a set give when they are counted without a network, with
// mining too; and a sample is the same in another order of images, in which batches differ.
func TestLogits(t *testing.T) {
	run := func(mining string, most int, order []int) (*Logits, AnchorStats) {
		t.Helper()
		cfg, err := Settings.LoadBaseline("mini", plan.Selection{Set: []string{
			"data.pixels=64", "image.short=64", "image.long=64", "data.min_size=0.2", "data.images.train=4", "data.images.tune=1", "data.images.val=13",
			"model.width=0.125", "model.fpn=16", "pretrain.type=none", "sampler.type=" + mining,
		}})
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "set")
		if _, err := dataset.Generate(t.Context(), dir, cfg.SynthConfig(), dataset.GenerateOptions{}); err != nil {
			t.Fatal(err)
		}
		set, err := OpenSplit(&cfg, dir, "val")
		if err != nil {
			t.Fatal(err)
		}
		pool := kernel.NewPool(2)
		defer pool.Close()
		d := New(cfg, len(set.Classes), gorgonia.New(pool, gorgonia.Options{}), engine.NewState(), Drawer(3))
		defer d.Close()
		loader, err := dataset.NewLoader(set, cfg.Transform(), dataset.LoaderOptions{Batch: EvalBatch, Images: order}, d.Draw)
		if err != nil {
			t.Fatal(err)
		}
		defer loader.Close()
		done := 0
		l, err := d.Logits(t.Context(), loader, set, most, func(n int) { done = n })
		if err != nil {
			t.Fatal(err)
		}
		if done != len(set.Images) || l.Images != done {
			t.Errorf("%d images, of which %d were reported, want %d", l.Images, done, len(set.Images))
		}
		st, err := CountAnchors(t.Context(), &cfg, set, 0)
		if err != nil {
			t.Fatal(err)
		}
		st.Background *= len(set.Classes)
		return l, st
	}
	in, other := make([]int, 13), make([]int, 13)
	for i := range in {
		in[i], other[12-i] = i, i
	}
	for _, mining := range []string{"all", "ohem"} {
		l, st := run(mining, 1_000_000, in)
		if st.Positive == 0 || len(l.Foreground) != st.Positive || l.Pairs != st.Background || len(l.Background) != l.Pairs {
			t.Errorf("%s: %d logits of foreground, %d of %d of background; want %d and %d",
				mining, len(l.Foreground), len(l.Background), l.Pairs, st.Positive, st.Background)
		}
	}
	a, _ := run("all", 1000, in)
	b, _ := run("all", 1000, other)
	if len(a.Background) != 1000 || !slices.Equal(a.Background, b.Background) {
		t.Errorf("a sample of %d logits in one order of images is not the sample of %d in another", len(a.Background), len(b.Background))
	}
	if fmt.Sprint(slices.Sorted(slices.Values(a.Foreground))) != fmt.Sprint(slices.Sorted(slices.Values(b.Foreground))) {
		t.Error("the foreground depends on the order of images")
	}
}
