package experiments

import (
	"context"
	"testing"

	"focalgrid/engine/enginetest"
	"focalgrid/experiments/plan"
	"focalgrid/weights"
)

// onDevice is a bench whose engine holds states apart from their values in Go memory.
func onDevice(t *testing.T) *bench {
	b := newBench(t, 1)
	b.Engine = enginetest.Device(b.Engine)
	return b
}

// TestSweepOnDevice: trials that share compiled networks, whether stopped after each of their steps or not, record what
// they do where the engine computes in Go memory; so does verifying.
func TestSweepOnDevice(t *testing.T) {
	for _, name := range []string{"adamw", "running normaliser"} {
		t.Run(name, func(t *testing.T) {
			sel := plan.Selection{Seeds: "0", Set: variants[name]}
			host, device, stopped := newBench(t, 2), onDevice(t), onDevice(t)
			for _, b := range []*bench{host, device} {
				if c, err := b.Sweep(t.Context(), b.plan(t, tiny, sel)); err != nil || c.Done != 2 {
					t.Fatalf("%+v, %v", c, err)
				}
			}
			p := stopped.plan(t, tiny, sel)
			for done := false; !done; {
				ctx, cancel := context.WithCancel(t.Context())
				stopped.Observe = func(e Event) {
					if _, ok := e.(Stepped); ok {
						cancel()
					}
				}
				_, err := stopped.Sweep(ctx, p)
				if done = err == nil; !done && ctx.Err() == nil {
					t.Fatal(err)
				}
				cancel()
			}
			for _, tr := range host.trials(t) {
				want := host.finished(t, tr.Key)
				same(t, "on a device", device.finished(t, tr.Key), want)
				same(t, "on a device, in pieces", stopped.finished(t, tr.Key), want)
				for _, from := range []int{0, 4} {
					if v, err := device.Verify(t.Context(), &tr, from); err != nil || v.Differs != nil {
						t.Errorf("verified from %d: %+v, %v", from, v, err)
					}
				}
			}
		})
	}
}

// TestPretrainOnDevice: a pretraining that was stopped on a device ends in the weights of one on the host.
func TestPretrainOnDevice(t *testing.T) {
	p := mustLoad(t, "gamma", "pretrain.iters=4", "pretrain.batch=4", "pretrain.crops=40", "pretrain.pixels=32", "model.width=0.125")
	cfg := p.Rows[0].Config
	var hashes []string
	for _, b := range []*bench{newBench(t, 2), onDevice(t)} {
		ctx, cancel := context.WithCancel(t.Context())
		b.Observe = func(e Event) {
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
