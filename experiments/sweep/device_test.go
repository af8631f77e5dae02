package sweep

import (
	"context"
	"testing"

	"focalgrid/detector"
	"focalgrid/engine/enginetest"
	"focalgrid/experiments"
	"focalgrid/experiments/plan"
)

// onDevice is a bench whose engine holds states apart from their values in Go memory, and is fed bytes and tables.
func onDevice(t *testing.T) *bench {
	b := newBench(t, 1)
	b.Engine = enginetest.Device(b.Engine)
	return b
}

// TestSweepOnDevice: trials that share compiled networks, whether stopped after each of their steps or not, record what
// they do where the engine computes in Go memory; so does verifying.
func TestSweepOnDevice(t *testing.T) {
	for name, set := range map[string][]string{
		"adamw": variants["adamw"], "running normaliser": variants["running normaliser"], "ohem": {"sampler.type=ohem"},
		"boxes in pixels": {"box_loss.type=giou", "sampler.type=ssd", "eval.topk=20"},
	} {
		t.Run(name, func(t *testing.T) {
			sel := plan.Selection{Seeds: "0", Set: set}
			host, device, stopped := newBench(t, 2), onDevice(t), onDevice(t)
			for _, b := range []*bench{host, device} {
				if c, err := b.Sweep(t.Context(), b.plan(t, tiny, sel)); err != nil || c.Done != 2 {
					t.Fatalf("%+v, %v", c, err)
				}
			}
			p := stopped.plan(t, tiny, sel)
			for done := false; !done; {
				ctx, cancel := context.WithCancel(t.Context())
				stopped.Notify = func(e experiments.Event) {
					if _, ok := e.(experiments.Stepped); ok {
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
			for _, b := range []*bench{device, stopped} {
				b.Trainer.Close()
				if err := b.Engine.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestInputSizes: where networks are compiled for a device, the sizes are said; elsewhere compiling takes no time.
func TestInputSizes(t *testing.T) {
	device := onDevice(t)
	for _, c := range []struct {
		profile string
		set     []string
		want    string
	}{
		{"mini", nil, "Networks are compiled for images of 128×128 pixels, to train and to score.\n"},
		{"paper", nil, "Networks are compiled for images of 1024×608 and of 608×1024 pixels, to train and to score.\n"},
		{"paper", []string{"image.batches=mixed"}, "Networks are compiled for each size that a batch comes in; --set image.batches=oriented makes that two sizes.\n"},
	} {
		p, err := detector.Settings.Load("gamma", plan.Selection{Profile: c.profile, Set: c.set})
		if err != nil {
			t.Fatal(err)
		}
		if got := device.InputSizes(p); got != c.want {
			t.Errorf("%s %v: %q, want %q", c.profile, c.set, got, c.want)
		}
		if got := newBench(t, 1).InputSizes(p); got != "" {
			t.Errorf("on the CPU: %q", got)
		}
	}
}
