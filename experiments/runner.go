package experiments

import (
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"focalgrid/dataset"
	"focalgrid/detector"
	"focalgrid/engine"
	"focalgrid/experiments/plan"
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
	heard   map[string]heard      // of other processes' attempts, by trial
	kept    *detector.Compiled    // of the last trial
	sources map[[3]string]*source // folders looked at so far, by path and splits
}

// Close frees the networks that are kept for a next trial of the same program.
func (r *Runner) Close() {
	if r.kept != nil {
		r.kept.Close()
		r.kept = nil
	}
}

// Event is one of Preparing, Noted, TrialStarted, Stepped, Evaluating, TrialEnded, Waiting.
type Event any

// Preparing tells how far the work before a training is, or all of one that is done again;
// Done = Total at the end.
type Preparing struct {
	What        string // what is being done: "preparing synthetic images"
	Done, Total int
	Note        string // what came of it, at the end
}

// Noted is something to be told in words.
type Noted struct{ Text string }

// TrialStarted begins trial number Index (from 0) of the plan.
type TrialStarted struct {
	Index int
	Trial plan.Trial
	Key   string
	Step  int // steps done before, from a checkpoint
}

// Stepped follows every training step.
type Stepped struct {
	Index, Iters int
	detector.StepInfo
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

func (r *Runner) Timestamp() string { return r.Now().UTC().Format(time.RFC3339) }

// Loader makes batches of a trial's data; train asks for flips and the training
// batch. Photographs are decoded and resized once and kept in the cache folder; the
// synthetic set is at its size already and fits memory.
func (r *Runner) Loader(c *plan.Config, set *dataset.Set, draw engine.Draw, train bool) (*dataset.Loader, error) {
	o := dataset.LoaderOptions{Batch: detector.EvalBatch, Cache: true}
	if train {
		o.Batch, o.FlipProb = c.Int("train.batch"), c.Number("image.flip")
	}
	if !plan.Synthetic(c) {
		o.Pictures = filepath.Join(r.Cache, "pictures")
		o.Mended = func(path string) { r.tell(Noted{"cached picture " + path + " was damaged: made again"}) }
	}
	return dataset.NewLoader(set, c.Transform(), o, draw)
}
