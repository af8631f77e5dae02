package detector

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"focalgrid/dataset"
	"focalgrid/engine"
	"focalgrid/engine/enginetest"
	"focalgrid/engine/gorgonia"
	"focalgrid/engine/kernel"
	"focalgrid/experiments/plan"
	"focalgrid/sampler"
)

// TestNamed: an error about an object of a batch names file, image and annotation, whatever
// crowds lie before it.
func TestNamed(t *testing.T) {
	set := &dataset.Set{Dir: "d", Split: "train", Images: []dataset.Image{{}, {
		ID: 7, File: "a.jpg", Objects: []dataset.Object{{AnnotationID: 1, Crowd: true}, {AnnotationID: 2}, {AnnotationID: 3, Crowd: true}, {AnnotationID: 4}},
	}}}
	batch := &dataset.Batch{Items: []dataset.Item{{Index: 0}, {Index: 1}}}
	err := named(fmt.Errorf("assign: %w", &sampler.ObjectError{Image: 1, Object: 1, Reason: "box [1 2 1 3]"}), set, batch)
	if want := filepath.Join("d", "train", "a.jpg") + ": image id 7, annotation id 4: box [1 2 1 3]"; err.Error() != want {
		t.Errorf("it says %q, want %q", err, want)
	}
}

// TestTrainEnds: a training whose batches are made ahead of its steps ends by the error that ended it, leaves nothing
// on the device, and has the running mean of the last step that it made, as one whose batches are not.
func TestTrainEnds(t *testing.T) {
	const iters, at = 4, 1
	cfg, err := Settings.LoadBaseline("mini", plan.Selection{Set: []string{
		"data.pixels=64", "image.short=64", "image.long=64", "data.min_size=0.2", "data.images.train=6", "data.images.tune=1", "data.images.val=1",
		"model.width=0.125", "model.fpn=16", "pretrain.type=none", "sampler.normalizer=ema", "train.batch=2", "train.iters=4", "optim.warmup=0",
	}})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "set")
	if _, err := dataset.Generate(t.Context(), dir, cfg.SynthConfig(), dataset.GenerateOptions{}); err != nil {
		t.Fatal(err)
	}
	set, err := OpenSplit(&cfg, dir, "train")
	if err != nil {
		t.Fatal(err)
	}
	ended := errors.New("ended")
	// run trains until stop says so, and returns the running mean after each step.
	run := func(t *testing.T, remote bool, stop func(step int, cancel func()) error) ([]float64, error) {
		t.Helper()
		var e engine.Engine = gorgonia.New(kernel.NewPool(1), gorgonia.Options{})
		if remote {
			e = enginetest.Device(e)
		}
		d := New(cfg, len(set.Classes), e, engine.NewState(), Drawer(3))
		loader, err := dataset.NewLoader(set, cfg.Transform(), dataset.LoaderOptions{Batch: 2, FlipProb: .5, Bytes: remote}, d.Draw)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var running []float64
		err = d.Train(ctx, set, loader, 0, func(info StepInfo) error {
			running = append(running, d.Running)
			return stop(info.Step, cancel)
		})
		if len(running) > 0 && d.Running != running[len(running)-1] {
			t.Errorf("the running mean is %g, and was %g after the last step", d.Running, running[len(running)-1])
		}
		loader.Close()
		d.Close()
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		return running, err
	}
	want, err := run(t, false, func(int, func()) error { return nil })
	if err != nil || len(slices.Compact(slices.Clone(want))) != iters {
		t.Fatalf("running means %v, %v", want, err)
	}
	for _, c := range []struct {
		name  string
		stop  func(step int, cancel func()) error
		steps int
		err   error
	}{
		{"done", func(int, func()) error { return nil }, iters, nil},
		{"an error", func(step int, _ func()) error {
			if step == at {
				return ended
			}
			return nil
		}, at + 1, ended},
		{"cancelled", func(step int, cancel func()) error {
			if step == at {
				cancel()
			}
			return nil
		}, at + 1, context.Canceled},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := run(t, true, c.stop)
			if !errors.Is(err, c.err) || !slices.Equal(got, want[:c.steps]) {
				t.Errorf("running means %v, error %v; want %v, %v", got, err, want[:c.steps], c.err)
			}
		})
	}
	t.Run("a picture is gone", func(t *testing.T) {
		if err := os.Remove(set.Path(4)); err != nil {
			t.Fatal(err)
		}
		got, err := run(t, true, func(int, func()) error { return nil })
		if step := fmt.Sprintf("step %d: batch: ", len(got)); err == nil || !strings.HasPrefix(err.Error(), step) || !slices.Equal(got, want[:len(got)]) {
			t.Errorf("after %d steps: error %v, want %q", len(got), err, step)
		}
	})
}
