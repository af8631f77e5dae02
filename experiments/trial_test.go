package experiments

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"focalgrid/detector"
	"focalgrid/engine/gorgonia"
	"focalgrid/engine/kernel"
	"focalgrid/experiments/plan"
	"focalgrid/results/record"
)

// tiny is a grid whose trials take a fraction of a second: a very narrow network on 64 px images.
const tiny = `
title: tiny
profile: mini
baseline:
  data: {pixels: 64, images: {train: 24, tune: 4, val: 12}, min_size: 0.2}
  image: {short: 64, long: 64}
  model: {width: 0.125, fpn: 16}
  train: {iters: 6, batch: 4}
  optim.warmup: 2
  pretrain.type: none
seeds: [0]
`

// lab is a trainer over a temporary folder.
type lab struct {
	*Trainer
	dir string
}

func newLab(t *testing.T, threads int) *lab {
	t.Helper()
	pool := kernel.NewPool(threads)
	t.Cleanup(pool.Close)
	dir := t.TempDir()
	return &lab{&Trainer{Data: Data{Cache: filepath.Join(dir, "cache")}, Engine: gorgonia.New(pool, gorgonia.Options{}), Now: time.Now}, dir}
}

// order makes the order for attempt 1 at the first trial of tiny.
func (l *lab) order(t *testing.T, sel plan.Selection) Order {
	t.Helper()
	path := filepath.Join(l.dir, "grid.yaml")
	if err := os.WriteFile(path, []byte(tiny), 0o666); err != nil {
		t.Fatal(err)
	}
	p, err := detector.Settings.Load(path, sel)
	if err != nil {
		t.Fatal(err)
	}
	cfg := p.Trials[0].Config
	o := Order{Attempt: 1, Seed: p.Trials[0].Seed, Config: string(plan.Resolved(&cfg))}
	if o.Source, err = l.Identify(t.Context(), &cfg); err != nil {
		t.Fatal(err)
	}
	if o.Init, err = l.InitIdentity(&cfg); err != nil {
		t.Fatal(err)
	}
	id := plan.Identity{Config: plan.Canonical(&cfg), Seed: o.Seed, Data: o.Source.Identity, Init: o.Init, Engine: l.Engine.Info().Name, Numerics: plan.Numerics}
	o.Key = id.Key()
	id.Data = o.Source.Training
	o.Training = id.Key()
	return o
}

// work is the folder of an order's trial.
func (l *lab) work(o Order) string { return filepath.Join(l.dir, "work", o.Key) }

// run runs an order whose attempt holds its folder, and returns what it leaves there.
func (l *lab) run(ctx context.Context, t *testing.T, o Order) record.Finish {
	t.Helper()
	if err := Hold(l.work(o), o.Attempt); err != nil {
		t.Fatal(err)
	}
	if err := l.Run(ctx, o, l.work(o)); err != nil && ctx.Err() == nil {
		t.Fatal(err)
	}
	f, err := ReadBundle(l.work(o), o.Attempt)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// stopAt runs an order with a checkpoint after every step, until that many steps are done.
func (l *lab) stopAt(t *testing.T, o Order, steps int) record.Finish {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l.CheckpointEvery = 1
	l.Notify = func(e Event) {
		if s, ok := e.(Stepped); ok && s.Step == steps-1 {
			cancel()
		}
	}
	f := l.run(ctx, t, o)
	l.Notify = nil
	if f.Status != record.StatusInterrupted || f.EndStep != steps {
		t.Fatalf("%+v after %d steps, want it interrupted after %d", f.Outcome, f.EndStep, steps)
	}
	return f
}

// recorded is what a database records of an order with that end.
func (l *lab) recorded(o Order, f record.Finish) Recorded {
	return Recorded{
		Trial: &record.Trial{
			Key: o.Key, Kind: record.KindTrain, Config: o.Config, Seed: o.Seed, Dataset: o.Source.Identity, Init: o.Init,
			Labels: o.Source.Labels(), Engine: l.Engine.Info().Name, Numerics: fmt.Sprint(plan.Numerics), Outcome: f.Outcome,
		},
		Log: f.Steps, Detections: func() ([]byte, error) { return f.Detections, nil },
		Weights: FinalPath(l.work(o), f.Outcome.Weights), Work: l.work(o),
	}
}

// A bundle comes back as it was written, whatever is not a number in it; one that is damaged is refused, as is that
// of an attempt that another has followed.
func TestBundle(t *testing.T) {
	dir := t.TempDir()
	o := Order{Key: "k", Attempt: 2}
	zero := 0
	f := record.Finish{Outcome: record.Outcome{Status: record.StatusDiverged, DivergedStep: &zero, Metrics: map[string]float64{"AP": math.NaN()}}, Detections: []byte("[]")}
	if err := writeBundle(dir, o, &f); !errors.Is(err, record.ErrLost) {
		t.Errorf("in a folder that nobody holds: %v", err)
	}
	for _, n := range []int{2, 1} { // a slow coordinator names an earlier attempt after a later one
		if err := Hold(dir, n); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeBundle(dir, o, &f); err != nil {
		t.Fatal(err)
	}
	got, err := ReadBundle(dir, 2)
	if err != nil || got.DivergedStep == nil || *got.DivergedStep != 0 || got.Metrics["AP"] == got.Metrics["AP"] || string(got.Detections) != "[]" {
		t.Errorf("%+v, %v", got, err)
	}
	if err := writeBundle(dir, Order{Key: "k", Attempt: 1}, &f); !errors.Is(err, record.ErrLost) {
		t.Errorf("of an earlier attempt: %v", err)
	}
	if _, err := ReadBundle(dir, 1); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of an attempt that left none: %v", err)
	}
	text, err := os.ReadFile(bundlePath(dir, 2))
	if err != nil {
		t.Fatal(err)
	}
	for i := range text {
		text[i] ^= 4
		if err := os.WriteFile(bundlePath(dir, 2), text, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadBundle(dir, 2); err == nil {
			t.Fatalf("a flipped bit of byte %d went unnoticed", i)
		}
		text[i] ^= 4
	}
	if err := Release(dir, 2); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("there are %v, %v; want the name of attempt 1 alone", entries, err)
	}
}
