package sweep

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"focalgrid/detector"
	"focalgrid/engine"
	"focalgrid/engine/gorgonia"
	"focalgrid/engine/kernel"
	"focalgrid/experiments"
	"focalgrid/experiments/plan"
	"focalgrid/results"
	"focalgrid/results/record"
)

// tinyBaseline is a network whose trials take a fraction of a second: a very
// narrow one on 64 px images.
const tinyBaseline = `
title: tiny
profile: mini
baseline:
  data: {pixels: 64, images: {train: 24, tune: 4, val: 12}, min_size: 0.2}
  image: {short: 64, long: 64}
  model: {width: 0.125, fpn: 16}
  train: {iters: 6, batch: 4}
  optim.warmup: 2
  pretrain.type: none
`

// tiny is a grid of it.
const tiny = tinyBaseline + `
zip:
  loss.gamma: [0, 2]
  loss.alpha: [0.75, 0.25]
seeds: [0, 1]
`

type bench struct {
	*Coordinator
	dir     string
	workers bool // Executor is one of worker processes
}

// newBench makes a coordinator over a temporary folder.
func newBench(t *testing.T, threads int) *bench {
	t.Helper()
	dir := t.TempDir()
	store, err := results.Open(filepath.Join(dir, "runs", "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	pool := kernel.NewPool(threads)
	t.Cleanup(pool.Close)
	var ticks atomic.Int64
	return &bench{dir: dir, Coordinator: &Coordinator{Records: Records{Store: store, Host: experiments.DescribeHost(engine.Info{Kernels: "test", Threads: threads}), Trainer: &experiments.Trainer{
		Data:   experiments.Data{Cache: filepath.Join(dir, "cache")},
		Engine: gorgonia.New(pool, gorgonia.Options{}),
		Now:    func() time.Time { return time.Date(2026, 1, 1, 0, 0, int(ticks.Add(1)), 0, time.UTC) },
	}}}}
}

// Sweep is the coordinator's, in this process unless there are workers, with the trainer as it is now.
func (b *bench) Sweep(ctx context.Context, p *plan.Plan) (record.Counts, error) {
	if !b.workers {
		b.Executor = Here(*b.Trainer)
	}
	return b.Coordinator.Sweep(ctx, p)
}

// Verify trains a trial of the bench's database again.
func (b *bench) Verify(ctx context.Context, t *record.Trial, from int) (*experiments.Verification, error) {
	r, err := Recorded(b.Store, t)
	if err != nil {
		return nil, err
	}
	return b.Trainer.Verify(ctx, r, from)
}

// OpenDetector loads a trial of the bench's database.
func (b *bench) OpenDetector(ctx context.Context, t *record.Trial) (*experiments.Trained, error) {
	return b.Trainer.OpenDetector(ctx, t, b.Store.WeightsPath(t.Weights))
}

// forget makes the bench look at the data anew, as a new process does.
func (b *bench) forget() { b.Data = experiments.Data{Cache: b.Cache, Notify: b.Notify} }

func (b *bench) workFolder(key string) string { return workFolder(b.Store, key) }

// checkpoints lists the checkpoints of a trial, the newest first.
func (b *bench) checkpoints(t *testing.T, key string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(b.workFolder(key), "step-*.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range files {
		files[i] = filepath.Base(files[i])
	}
	slices.Reverse(files)
	return files
}

func (b *bench) plan(t *testing.T, text string, sel plan.Selection) *plan.Plan {
	t.Helper()
	path := filepath.Join(b.dir, "grid.yaml")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	p, err := detector.Settings.Load(path, sel)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (b *bench) trials(t *testing.T) []record.Trial {
	t.Helper()
	all, err := b.Store.Trials(results.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestSweepRunsWhatIsMissing(t *testing.T) {
	b := newBench(t, 2)
	p := b.plan(t, tiny, plan.Selection{})
	var started, ended []int
	b.Notify = func(e experiments.Event) {
		switch e := e.(type) {
		case TrialStarted:
			started = append(started, e.Index)
		case TrialEnded:
			ended = append(ended, e.Index)
		}
	}
	first := *p
	first.Trials = p.Trials[:2]
	if c, err := b.Sweep(t.Context(), &first); err != nil || c != (record.Counts{Done: 2}) {
		t.Fatalf("first seed: %+v, %v", c, err)
	}
	if c, err := b.Sweep(t.Context(), p); err != nil || c != (record.Counts{Done: 4}) {
		t.Fatalf("both seeds: %+v, %v", c, err)
	}
	if want := []int{0, 1, 2, 3}; !slices.Equal(started, want) || !slices.Equal(ended, want) {
		t.Errorf("started %v, ended %v; want each of %v once", started, ended, want)
	}
	hashes := map[string]bool{}
	for _, tr := range b.trials(t) {
		if tr.Status != record.StatusDone || tr.Weights == "" || tr.Dataset == "" {
			t.Errorf("trial %s: %+v", tr.Key, tr.Outcome)
		}
		hashes[tr.Weights] = true
		steps, err := b.Store.StepRows(tr.Key)
		if err != nil || len(steps) != 6 {
			t.Errorf("trial %s: %d step rows, %v; want 6", tr.Key, len(steps), err)
		}
		for _, name := range []string{"AP", "AP50", "AP.001", "AR100"} {
			if v, ok := tr.Metrics[name]; !ok || v < 0 || v > 1 {
				t.Errorf("trial %s: %s = %v", tr.Key, name, v)
			}
		}
	}
	if len(hashes) != 4 {
		t.Errorf("%d different final weights of 4 trials", len(hashes))
	}

	table, err := b.Table(t.Context(), p, TableOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range table.Blocks[0].Rows {
		if r.N != 2 || r.Metrics["AP"].N != 2 || math.IsNaN(r.Metrics["AP"].SD) {
			t.Errorf("row %d: %+v", i, r)
		}
	}
	one := b.plan(t, tiny, plan.Selection{Seeds: "0"})
	if table, err = b.Table(t.Context(), one, TableOptions{EverySeed: true}); err != nil || table.Blocks[0].Rows[0].N != 2 {
		t.Errorf("every recorded seed: %+v, %v", table.Blocks[0].Rows[0], err)
	}

	det, err := b.OpenDetector(t.Context(), &b.trials(t)[0])
	if err != nil {
		t.Fatal(err)
	}
	defer det.Close()
	set, err := det.Scored(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	dets, err := det.Split(t.Context(), set, 0, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := detector.Score(det.Config(), set, dets)
	if err != nil {
		t.Fatal(err)
	}
	if want := b.trials(t)[0].Metrics["AP"]; again.Stats[0] != want {
		t.Errorf("AP of the recorded weights is %v, of the trial %v", again.Stats[0], want)
	}
}

// The same trial gives the same bits whatever the number of threads.
func TestTrialBits(t *testing.T) {
	var want string
	for _, threads := range []int{1, 2, 3, 8} {
		b := newBench(t, threads)
		if _, err := b.Sweep(t.Context(), b.plan(t, tiny, plan.Selection{Seeds: "0", Only: []string{"loss.gamma=2"}})); err != nil {
			t.Fatal(err)
		}
		got := b.trials(t)[0]
		text := fmt.Sprint(got.Key, got.Weights, got.Metrics)
		if want == "" {
			want = text
		}
		if text != want {
			t.Errorf("%d threads: %s\n1 thread: %s", threads, text, want)
		}
	}
}

func TestSweepInterrupted(t *testing.T) {
	b := newBench(t, 2)
	p := b.plan(t, tiny, plan.Selection{Seeds: "0"})
	ctx, cancel := context.WithCancel(t.Context())
	b.Notify = func(e experiments.Event) {
		if s, ok := e.(experiments.Stepped); ok && s.Index == 1 && s.Step == 2 {
			cancel()
		}
	}
	if _, err := b.Sweep(ctx, p); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want the context's", err)
	}
	st, err := b.States(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if st[0].Recorded.Status != record.StatusDone || st[1].Recorded.Status != record.StatusInterrupted {
		t.Errorf("trials are %s and %s, want done and interrupted", st[0].Recorded.Status, st[1].Recorded.Status)
	}
	if c, err := b.Sweep(t.Context(), p); err != nil || c.Done != 2 {
		t.Errorf("continued: %+v, %v", c, err)
	}
}

func TestSweepDiverges(t *testing.T) {
	b := newBench(t, 2)
	p := b.plan(t, tiny, plan.Selection{Seeds: "0", Set: []string{"optim.lr=1e6", "train.iters=40"}})
	c, err := b.Sweep(t.Context(), p)
	if err != nil || c.Diverged != 2 {
		t.Fatalf("%+v, %v; want both diverged", c, err)
	}
	for _, tr := range b.trials(t) {
		if tr.DivergedStep == nil || tr.Error == "" || tr.Weights != "" || len(tr.Metrics) > 0 {
			t.Errorf("diverged trial: %+v", tr.Outcome)
		}
	}
	table, err := b.Table(t.Context(), p, TableOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if r := table.Blocks[0].Rows[0]; r.N != 1 || r.Status.Diverged != 1 || r.Metric("AP").N != 0 {
		t.Errorf("row of a diverged trial: %+v", r)
	}
}

// Mining chooses by the network's own output: targets come from predictions.
func TestSweepMining(t *testing.T) {
	const grid = tiny + `
exclude: []
`
	b := newBench(t, 2)
	for _, sampler := range [][]string{{"sampler.type=ssd"}, {"sampler.type=ohem"}, {"sampler.type=ohem", "sampler.ratio=0"}} {
		p := b.plan(t, grid, plan.Selection{Seeds: "0", Only: []string{"loss.gamma=0"}, Set: append(sampler, "train.iters=3")})
		if c, err := b.Sweep(t.Context(), p); err != nil || c.Done != 1 {
			t.Errorf("%v: %+v, %v", sampler, c, err)
		}
	}
	if n := len(b.trials(t)); n != 3 {
		t.Errorf("%d trials, want 3 identities", n)
	}
}

// Every pairing of losses, norms and options trains a step with finite results.
func TestVariants(t *testing.T) {
	b := newBench(t, 2)
	for _, set := range [][]string{
		{"loss.type=ce"}, {"loss.type=focal_star", "loss.beta=1"}, {"loss.alpha=none"},
		{"box_loss.type=giou"}, {"box_loss.type=l1"}, {"optim.type=adamw", "optim.lr=.001"}, {"optim.clip=1"},
		{"model.norm=frozen"}, {"model.norm=group", "model.width=0.25"}, {"model.head_norm=batch"}, {"model.head_norm=none"},
		{"model.freeze_stages=2"}, {"model.p6=p5"}, {"model.prior=none"}, {"sampler.normalizer=image"}, {"sampler.normalizer=ema"},
		{"sampler.force=torchvision"}, {"anchors.scales=1", "anchors.ratios=[1]"}, {"model.depth=50"},
	} {
		t.Run(fmt.Sprint(set), func(t *testing.T) {
			base := `
profile: mini
baseline:
  data: {pixels: 64, images: {train: 24, tune: 4, val: 12}, min_size: 0.2}
  image: {short: 64, long: 64}
  model: {width: 0.125, fpn: 16}
  train: {iters: 2, batch: 2}
  optim.warmup: 0
  optim.lr: 0.01
  pretrain.type: none
`
			p := b.plan(t, base+"seeds: [0]\n", plan.Selection{Set: set})
			if c, err := b.Sweep(t.Context(), p); err != nil || c.Done != 1 {
				all := b.trials(t)
				t.Errorf("%+v, %v: %s", c, err, all[len(all)-1].Error)
			}
		})
	}
}

// A folder in COCO's layout trains like the synthetic set it is, and its
// pictures are kept at the size trained on.
func TestSweepFolder(t *testing.T) {
	b := newBench(t, 2)
	p := b.plan(t, tiny, plan.Selection{Seeds: "0", Only: []string{"loss.gamma=2"}})
	dir, err := b.PrepareData(t.Context(), &p.Rows[0].Config)
	if err != nil {
		t.Fatal(err)
	}
	coco := b.plan(t, tiny, plan.Selection{Seeds: "0", Only: []string{"loss.gamma=2"}, DataDir: dir, Set: []string{"data.name=coco"}})
	for _, q := range []*plan.Plan{p, coco} {
		if c, err := b.Sweep(t.Context(), q); err != nil || c.Done != 1 {
			t.Fatalf("%+v, %v", c, err)
		}
	}
	all := b.trials(t)
	if len(all) != 2 || all[0].Key == all[1].Key || all[0].Weights != all[1].Weights {
		t.Errorf("the same images by folder and by generator: %d trials, weights %s and %s", len(all), all[0].Weights, all[1].Weights)
	}
	kept, err := filepath.Glob(filepath.Join(b.Cache, "pictures", "*", "*"))
	if err != nil || len(kept) != 24+12 {
		t.Errorf("%d pictures kept, %v; want those of train and val", len(kept), err)
	}
}

// counting is an engine that counts what it compiles.
type counting struct {
	engine.Engine
	compiled int
}

func (c *counting) Compile(p *engine.Program, s *engine.State) (engine.Session, error) {
	c.compiled++
	return c.Engine.Compile(p, s)
}

// TestOneProgramServesManyTrials: trials that differ in what the losses are fed, in
// learning rate and in seed share compiled networks, and end in the bits of trials that share nothing.
func TestOneProgramServesManyTrials(t *testing.T) {
	const grid = tinyBaseline + `
zip:
  loss.gamma: [0, 2, 2, 2]
  loss.alpha: [0.75, 0.25, 0.25, 0.25]
  optim.lr: [0.1, 0.05, 0.05, 0.1]
  box_loss.type: [smooth_l1, smooth_l1, giou, smooth_l1]
  box_loss.weight: [1, 2, 1, 0.5]
seeds: [0, 1]
`
	shared := newBench(t, 2)
	count := &counting{Engine: shared.Engine}
	shared.Engine = count
	p := shared.plan(t, grid, plan.Selection{})
	if c, err := shared.Sweep(t.Context(), p); err != nil || c != (record.Counts{Done: 8}) {
		t.Fatalf("%+v, %v", c, err)
	}
	// Seed by seed: smooth L1 twice, GIoU, smooth L1, each with a network for
	// training and one for the 12 images of the evaluation.
	if want := 2*(2+2+2) - 2; count.compiled != want {
		t.Errorf("%d programs were compiled for 8 trials, want %d", count.compiled, want)
	}
	weights := map[string]string{}
	for _, tr := range shared.trials(t) {
		weights[tr.Key] = tr.Weights
	}
	for i := range p.Trials {
		alone := newBench(t, 2)
		one := *alone.plan(t, grid, plan.Selection{})
		one.Trials = one.Trials[i : i+1]
		if _, err := alone.Sweep(t.Context(), &one); err != nil {
			t.Fatal(err)
		}
		tr := alone.trials(t)[0]
		if weights[tr.Key] == "" || tr.Weights != weights[tr.Key] {
			t.Errorf("trial %d: weights %.12s alone, %.12s after others", i, tr.Weights, weights[tr.Key])
		}
	}
}
