package experiments

import (
	"context"
	"testing"

	"focalgrid/detector"
	"focalgrid/engine/enginetest"
	"focalgrid/experiments/plan"
	"focalgrid/weights"
)

// TestPretrainOnDevice: a pretraining that was stopped on a device ends in the weights of one on the host.
func TestPretrainOnDevice(t *testing.T) {
	cfg, err := detector.Settings.LoadBaseline("gamma", plan.Selection{Set: []string{"pretrain.iters=4", "pretrain.batch=4", "pretrain.crops=40", "pretrain.pixels=32", "model.width=0.125"}})
	if err != nil {
		t.Fatal(err)
	}
	device := newLab(t, 1)
	device.Engine = enginetest.Device(device.Engine)
	var hashes []string
	for _, b := range []*lab{newLab(t, 2), device} {
		ctx, cancel := context.WithCancel(t.Context())
		b.Notify = func(e Event) {
			if e, ok := e.(Preparing); ok && e.What == "pretraining a backbone" && e.Done == 2 {
				cancel()
			}
		}
		if _, err := b.Pretrain(ctx, &cfg); err == nil {
			t.Fatal("it was not stopped")
		}
		cancel()
		f, _, err := b.pretrained(t.Context(), &cfg)
		if err != nil {
			t.Fatal(err)
		}
		h, err := weights.Hash(f.Tensors)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, h)
	}
	if hashes[0] != hashes[1] {
		t.Errorf("weights %.12s on the host, %.12s on a device", hashes[0], hashes[1])
	}
}
