package experiments

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"focalgrid/coco"
	"focalgrid/dataset"
	"focalgrid/engine"
	"focalgrid/results"
)

// Runner does the work of a plan: data, pretraining, training, evaluation, and
// the record of it. The fields up to Host are required.
type Runner struct {
	Engine  engine.Engine
	Store   *results.Store   // nil for what needs no record
	Cache   string           // folder for generated data and pretrained weights
	Now     func() time.Time // may be called by several goroutines
	Host    Host             // goes into each trial's record
	Observe func(Event)      // progress; nil: silent. One call at a time

	// CheckpointEvery is the number of steps after which a trial's state is kept;
	// 0: as often as that takes no more than a fiftieth of the time. No result
	// depends on it.
	CheckpointEvery int
	Lease           time.Duration // after which an attempt not heard of is taken over; 0: half a minute

	Jobs    int              // trials at a time; more than 1 are run by worker processes
	Worker  func() *exec.Cmd // a process that calls Work on its standard input and output; wanted for Jobs above 1
	Retries int              // how often a trial is tried again whose worker process died

	AllowChangedData bool // go on with a sweep whose data was changed, on the new data

	telling sync.Mutex
	heard   map[string]heard     // of other processes' attempts, by trial
	kept    *compiled            // of the last trial
	folders map[[3]string]string // identities of the folders read so far; hashing COCO takes minutes
}

// Close frees the networks that are kept for a next trial of the same program.
func (r *Runner) Close() {
	if r.kept != nil {
		r.kept.close()
		r.kept = nil
	}
}

// Event is one of Preparing, Noted, TrialStarted, Stepped, Evaluating, TrialEnded, Waiting.
type Event any

// Preparing tells how far data or initial weights are; Done = Total at the end.
type Preparing struct {
	What        string // "synthetic images", "pretraining"
	Done, Total int
	Note        string // what came of it, at the end
}

// Noted is something to be told in words.
type Noted struct{ Text string }

// TrialStarted begins trial number Index (from 0) of the plan.
type TrialStarted struct {
	Index int
	Trial Trial
	Key   string
	Step  int // steps done before, from a checkpoint
}

// Stepped follows every training step.
type Stepped struct {
	Index, Iters int
	StepInfo
}

// Evaluating follows every evaluated batch.
type Evaluating struct {
	Index, Done, Total int
}

// TrialEnded ends a trial that was started, here or by another process.
type TrialEnded struct {
	Index     int
	Key       string
	Outcome   results.Outcome
	Elsewhere bool
}

// Waiting tells that all trials left are held by other processes.
type Waiting struct{ Trials int }

func (r *Runner) tell(e Event) {
	r.telling.Lock()
	defer r.telling.Unlock()
	if r.Observe != nil {
		r.Observe(e)
	}
}

func (r *Runner) now() string { return r.Now().UTC().Format(time.RFC3339) }

// dataIdentity is the identity of a trial's data; known without the data for
// the synthetic set.
func (r *Runner) dataIdentity(cfg *Config) (string, error) {
	if cfg.Data.Name == "synthetic" {
		return dataset.Identity(cfg.synthConfig()), nil
	}
	key := [3]string{cfg.Data.Dir, cfg.Data.Train, cfg.evalSplit()}
	if id, ok := r.folders[key]; ok {
		return id, nil
	}
	id, err := dataset.FolderIdentity(context.Background(), key[0], nil, key[1], key[2])
	if err != nil {
		return "", err
	}
	if r.folders == nil {
		r.folders = map[[3]string]string{}
	}
	r.folders[key] = id
	return id, nil
}

// dataDir is where a trial's data lies.
func (r *Runner) dataDir(cfg *Config) string {
	if cfg.Data.Name == "synthetic" && cfg.Data.Dir == "" {
		return filepath.Join(r.Cache, "synthetic", dataset.Identity(cfg.synthConfig())[:16])
	}
	return cfg.Data.Dir
}

// PrepareData makes the synthetic set unless it is there, and returns the folder.
func (r *Runner) PrepareData(ctx context.Context, cfg *Config) (string, error) {
	dir := r.dataDir(cfg)
	if cfg.Data.Name != "synthetic" {
		return dir, nil
	}
	note, err := dataset.Generate(ctx, dir, cfg.synthConfig(), dataset.GenerateOptions{
		Own: cfg.Data.Dir == "",
		Progress: func(done, total int) {
			r.tell(Preparing{What: "synthetic images", Done: done, Total: total, Note: dir})
		},
	})
	if err != nil {
		return "", fmt.Errorf("synthetic set in %s: %w", dir, err)
	}
	if note != "" {
		r.tell(Noted{note})
	}
	return dir, nil
}

// OpenSplit prepares the data and reads one split of it.
func (r *Runner) OpenSplit(ctx context.Context, cfg *Config, split string) (*dataset.Set, error) {
	dir, err := r.PrepareData(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return dataset.Open(dir, split)
}

// evalSplit is the name of the split that is scored.
func (c *Config) evalSplit() string {
	switch c.Eval.Split {
	case "train":
		return c.Data.Train
	case "tune":
		return c.Data.Tune
	}
	return c.Data.Val
}

// loader makes batches of a trial's data; train asks for flips and the training
// batch. Photographs are decoded and resized once and kept in the cache folder, under
// the data's identity; the synthetic set is at its size already and fits memory.
func (r *Runner) loader(c *Config, data string, set *dataset.Set, draw dataset.Draw, train bool) (*dataset.Loader, error) {
	o := dataset.LoaderOptions{Batch: evalBatch, Cache: true}
	if train {
		o.Batch, o.FlipProb = c.Train.Batch, c.Image.Flip
	}
	if !synthetic(c) {
		o.Pictures = filepath.Join(r.Cache, "pictures", data[:16], fmt.Sprintf("%s-%dx%d", set.Split, c.Image.Short, c.Image.LongSide()))
	}
	return dataset.NewLoader(set, c.transform(), o, draw)
}

// Detector is a trained network ready to look at images.
type Detector struct {
	d   *detector
	Set *dataset.Set
	cfg Config
}

// OpenDetector loads a recorded trial's final weights.
func (r *Runner) OpenDetector(ctx context.Context, t *results.Trial) (*Detector, error) {
	cfg, err := ParseResolved("trial "+t.Key[:12], []byte(t.Config))
	if err != nil {
		return nil, err
	}
	set, err := r.OpenSplit(ctx, &cfg, cfg.evalSplit())
	if err != nil {
		return nil, err
	}
	tensors, err := r.weightsOf(t)
	if err != nil {
		return nil, err
	}
	d := newDetector(cfg, len(set.Classes), r.Engine, engine.NewState(), drawer(t.Seed))
	if err := d.load(tensors); err != nil {
		return nil, err
	}
	return &Detector{d: d, Set: set, cfg: cfg}, nil
}

// Split runs the detector over the first n images of its set (0: all).
func (d *Detector) Split(ctx context.Context, n int, each func(done int)) ([]coco.Detection, error) {
	o := dataset.LoaderOptions{Batch: evalBatch}
	if n > 0 {
		o.Images = make([]int, min(n, len(d.Set.Images)))
		for i := range o.Images {
			o.Images[i] = i
		}
	}
	loader, err := dataset.NewLoader(d.Set, d.cfg.transform(), o, dataset.Draw(d.d.draw))
	if err != nil {
		return nil, err
	}
	defer loader.Close()
	return d.d.detect(ctx, loader, d.Set, each)
}

// Config is the trial's settings.
func (d *Detector) Config() Config { return d.cfg }

// Close frees the compiled networks.
func (d *Detector) Close() { d.d.close() }
