//go:build long

package sweep

import (
	"testing"

	"focalgrid/detector"
	"focalgrid/experiments"
	"focalgrid/experiments/plan"
)

// Eight images without flips are learnt by heart: class loss below .01 and AP
// above .9 on them. A bug in targets, losses, decoding or evaluation shows here.
func TestOverfit(t *testing.T) {
	b := newBench(t, 2)
	p := b.plan(t, `
profile: mini
baseline:
  data: {images: {train: 8, tune: 1, val: 1}}
  image.flip: 0
  train: {iters: 400, batch: 8}
  optim: {lr: 0.05, warmup: 20}
  eval.split: train
  pretrain.type: none
seeds: [0]
`, plan.Selection{})
	var last detector.StepInfo
	b.Notify = func(e experiments.Event) {
		if s, ok := e.(experiments.Stepped); ok {
			last = s.StepInfo
		}
	}
	if c, err := b.Sweep(t.Context(), p); err != nil || c.Done != 1 {
		t.Fatalf("%+v, %v", c, err)
	}
	m := b.trials(t)[0].Metrics
	t.Logf("AP %.3f, AP50 %.3f, losses %v", m["AP"], m["AP50"], last.Losses)
	if m["AP"] <= .9 {
		t.Errorf("AP on the images learnt is %.3f, want above .9", m["AP"])
	}
	if l := last.Losses[0]; l.Name != "class" || l.Value >= .01 {
		t.Errorf("%s loss %.4f, want a class loss below .01", l.Name, l.Value)
	}
}
