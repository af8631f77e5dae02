package experiments

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"focalgrid/experiments/plan"
	"focalgrid/metrics"
	"focalgrid/results/record"
	"focalgrid/weights"
)

// A done trial is equal to itself on any number of threads, from the start and
// from the middle, to all that was recorded.
func TestVerifyEqual(t *testing.T) {
	b := newLab(t, 2)
	o := b.order(t, plan.Selection{Set: []string{"sampler.normalizer=ema"}})
	r := b.recorded(o, b.run(t.Context(), t, o))
	r.Work = filepath.Join(b.dir, "gone")
	for _, from := range []int{0, 4} {
		v, err := b.Verify(t.Context(), r, from)
		if err != nil || v.Differs != nil {
			t.Fatalf("from %d: %+v, %v", from, v, err)
		}
		// Rows before the checkpoint are compared on the way to it.
		if v.From != from || v.To != 6 || v.Rows != 6 || v.Tensors == 0 || v.Metrics != len(r.Metrics) || len(r.Metrics) < len(metrics.StatNames) {
			t.Errorf("from %d: compared %+v", from, v)
		}
	}
	if _, err := os.Stat(r.Work); err == nil {
		t.Error("verifying left a work folder")
	}
}

// Of a trial that was stopped the log and the kept checkpoints are compared.
func TestVerifyInterrupted(t *testing.T) {
	b := newLab(t, 2)
	o := b.order(t, plan.Selection{})
	r := b.recorded(o, b.stopAt(t, o, 4))
	for _, tt := range []struct{ from, rows int }{{0, 4}, {3, 1}, {2, 4}} {
		v, err := b.Verify(t.Context(), r, tt.from)
		if err != nil || v.Differs != nil || v.To != 4 || v.Rows != tt.rows {
			t.Errorf("from %d: %+v, %v; want %d rows up to step 4", tt.from, v, err, tt.rows)
		}
	}
	c, _, err := lastCheckpoint(r.Work, o.Key)
	if err != nil {
		t.Fatal(err)
	}
	c.tensors[0].Data[1]++
	if err := c.Write(r.Work, o.Key); err != nil {
		t.Fatal(err)
	}
	v, err := b.Verify(t.Context(), r, 0)
	if err != nil || v.Differs == nil || v.Differs.Step != 4 || !strings.HasPrefix(v.Differs.What, "tensor "+c.tensors[0].Name+"[") {
		t.Errorf("one value of a checkpoint changed: %+v, %v", v, err)
	}
	if _, err := b.Verify(t.Context(), r, 4); err == nil || !strings.Contains(err.Error(), "can be compared from 0 to 4") {
		t.Errorf("from its last step: %v", err)
	}
	if err := os.RemoveAll(r.Work); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Verify(t.Context(), r, 0); err == nil || !strings.Contains(err.Error(), "nothing to compare with") {
		t.Errorf("without a checkpoint: %v", err)
	}
}

// What differs is named: the first step of the log, the first value of the first
// tensor, a metric; and what would be another trial is refused.
func TestVerifyDiffers(t *testing.T) {
	b := newLab(t, 2)
	o := b.order(t, plan.Selection{})
	original := b.recorded(o, b.run(t.Context(), t, o))
	original.Work = filepath.Join(b.dir, "gone")
	verify := func(change func(*record.Trial)) (*Verification, error) {
		tr, r := *original.Trial, original
		change(&tr)
		r.Trial, r.Weights = &tr, FinalPath(b.work(o), tr.Weights)
		return b.Verify(t.Context(), r, 0)
	}

	v, err := verify(func(tr *record.Trial) {
		tr.Metrics = map[string]float64{"AP": tr.Metrics["AP"] + 1e-12}
	})
	if err != nil || v.Differs == nil || v.Differs.What != "AP" || v.Rows != 6 {
		t.Errorf("another AP: %+v, %v", v, err)
	}

	path := original.Weights
	f, err := weights.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	var name string
	for i := range f.Tensors {
		if w := &f.Tensors[i]; len(w.Shape) == 4 {
			name = w.Name
			w.Data[w.Shape[1]*w.Shape[2]*w.Shape[3]+1] *= 2
			break
		}
	}
	other, err := weights.Hash(f.Tensors)
	if err != nil {
		t.Fatal(err)
	}
	if err := weights.Write(FinalPath(b.work(o), other), f.Tensors, nil); err != nil {
		t.Fatal(err)
	}
	v, err = verify(func(tr *record.Trial) { tr.Weights = other })
	if err != nil || v.Differs == nil || v.Differs.What != "tensor "+name+"[1 0 0 1]" || v.Differs.Step != 6 {
		t.Errorf("another value of %s: %+v, %v", name, v.Differs, err)
	}
	v, err = verify(func(tr *record.Trial) { tr.Weights = strings.Repeat("0", 64) })
	if err != nil || v.Differs == nil || v.Differs.What != "the final weights' hash" {
		t.Errorf("another hash of weights that are no longer kept: %+v, %v", v, err)
	}

	// Settings that keep the identity of data and first weights: the log differs.
	v, err = verify(func(tr *record.Trial) {
		tr.Config = strings.Replace(tr.Config, `"loss.gamma":2`, `"loss.gamma":2.5`, 1)
	})
	if err != nil || v.Differs == nil || v.Differs.Step != 1 || v.Differs.What != "the class loss of step 0" {
		t.Errorf("another gamma: %+v, %v", v, err)
	}

	for _, tt := range []struct {
		change func(*record.Trial)
		want   string
	}{
		{func(tr *record.Trial) { tr.Numerics = "1" }, fmt.Sprint("it had numerics 1, here is ", plan.Numerics)},
		{func(tr *record.Trial) { tr.Engine = "xla" }, "it had engine xla, here is gorgonia"},
		{func(tr *record.Trial) { tr.Dataset = "other" }, "it had the dataset other, here is "},
		{func(tr *record.Trial) { tr.Init = "other" }, "it had the initial weights other, here is "},
		{func(tr *record.Trial) { tr.Kind = record.KindPretrain }, "only trainings can be verified"},
	} {
		if _, err := verify(tt.change); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
}

// A diverged trial is verified by its log and the step it ended at.
func TestVerifyDiverged(t *testing.T) {
	b := newLab(t, 2)
	o := b.order(t, plan.Selection{Set: []string{"optim.lr=1e6", "train.iters=40"}})
	r := b.recorded(o, b.run(t.Context(), t, o))
	v, err := b.Verify(t.Context(), r, 0)
	if err != nil || v.Differs != nil || v.Rows != *r.DivergedStep+1 {
		t.Errorf("%+v, %v; want %d equal rows", v, err, *r.DivergedStep+1)
	}
	later := *r.DivergedStep + 1
	r.DivergedStep = &later
	if v, err = b.Verify(t.Context(), r, 0); err != nil || v.Differs == nil || v.Differs.What != "the step that diverged" {
		t.Errorf("recorded as diverged a step later: %+v, %v", v, err)
	}
}
