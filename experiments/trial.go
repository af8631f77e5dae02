package experiments

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"focalgrid/coco"
	"focalgrid/dataset"
	"focalgrid/detector"
	"focalgrid/engine"
	"focalgrid/experiments/plan"
	"focalgrid/guard"
	"focalgrid/metrics"
	"focalgrid/proc"
	"focalgrid/results/record"
	"focalgrid/weights"
)

// Trainer trains trials, one at a time, and what they start from. It needs all fields but Data.Notify and
// CheckpointEvery.
type Trainer struct {
	Data
	Engine engine.Engine
	Now    func() time.Time // may be called by several goroutines

	// CheckpointEvery is the number of steps between checkpoints; 0: as many as take at most 2 % of the time. No result
	// depends on it.
	CheckpointEvery int

	reusable *detector.Compiled // the networks of the last trial
}

// Close frees the networks that are held for a next trial of the same program.
func (t *Trainer) Close() {
	if t.reusable != nil {
		t.reusable.Close()
		t.reusable = nil
	}
}

// Order describes an attempt at a trial completely, but for the folder that it works in.
type Order struct {
	Index    int    // the trial's place in its plan, which its events repeat
	Key      string // identity of the trial
	Training string // identity of its training: trials that differ in what is scored alone share it
	Attempt  int    // its number: the trial is lost once the folder bears a higher one
	Seed     uint64
	Config   string // the settings, as plan.Resolved writes them
	Init     string // identity of the first weights
	Source   *Source
}

// loggedSteps is about how many steps of a trial are logged.
const loggedSteps = 200

// Run trains and scores a trial in its folder dir, from the newest checkpoint there, and leaves a bundle there that
// describes how it ended, with its final weights beside it. A panic counts as a failure. The error explains why the
// trial failed or was stopped, as the bundle does, or why there is no bundle: record.ErrLost, if a later attempt has
// begun in this folder.
func (t *Trainer) Run(ctx context.Context, o Order, dir string) error {
	begun := t.Now()
	proc.ResetPeak()
	r := &run{Trainer: t, order: o, dir: dir}
	err := guard.Run(func() error { return r.run(ctx) })
	var panicked *guard.Panic
	if errors.As(err, &panicked) {
		t.Close() // its networks may be left in any state
	}
	if errors.Is(err, record.ErrLost) {
		return err
	}
	fin := &r.finish
	var diverged *detector.Diverged
	switch {
	case err == nil:
		fin.Status = record.StatusDone
	case errors.As(err, &diverged):
		fin.Status, fin.Error, fin.DivergedStep = record.StatusDiverged, diverged.Error(), &diverged.At.Step
		err = nil
	case ctx.Err() != nil:
		*fin = record.Finish{Outcome: record.Outcome{Status: record.StatusInterrupted, Error: "interrupted"}}
	default:
		err = WithAdvice(err)
		*fin = record.Finish{Outcome: record.Outcome{Status: record.StatusFailed, Error: err.Error()}}
	}
	fin.Finished, fin.WallSeconds = t.Timestamp(), Seconds(begun, t.Now())
	fin.EndStep, fin.PeakBytes = r.done, proc.PeakMemory()
	return errors.Join(err, writeBundle(dir, o, fin))
}

// Timestamp returns the time as records have it.
func (t *Trainer) Timestamp() string { return t.Now().UTC().Format(time.RFC3339) }

// Seconds returns the seconds between two times: not below 0, where a clock was put back.
func Seconds(from, to time.Time) float64 { return max(0, to.Sub(from).Seconds()) }

// run is an order at work.
type run struct {
	*Trainer
	order  Order
	dir    string
	done   int           // steps
	finish record.Finish // the results so far
}

func (r *run) run(ctx context.Context) error {
	if err := holds(r.dir, r.order); err != nil {
		return err
	}
	from, damaged, err := lastCheckpoint(r.dir, r.order.Key)
	if err != nil {
		return err
	}
	if from != nil {
		r.done, r.finish.Steps = from.Step, from.rows
	}
	if err := r.tidy(r.dir, r.order.Attempt, damaged, r.done); err != nil {
		return err
	}
	cfg, err := detector.Settings.ParseResolved("trial "+r.order.Key, []byte(r.order.Config))
	if err != nil {
		return err
	}
	s, err := r.open(ctx, cfg, r.order, from)
	if err != nil {
		return err
	}
	defer s.close()
	if err := r.train(ctx, s); err != nil {
		return err
	}
	state, err := s.d.Stored()
	if err != nil {
		return err
	}
	if r.finish.Weights, err = writeFinal(r.dir, state); err != nil {
		return err
	}
	dets, err := s.evaluate(ctx, r.order.Index)
	if err != nil {
		return err
	}
	return score(cfg, s.eval, dets, &r.finish)
}

// session is a trial ready to be trained.
type session struct {
	trainer *Trainer
	d       *detector.Detector
	loader  *dataset.Loader
	train   *dataset.Set
	eval    *dataset.Set // labelled by the detector's classes
}

// close ends the session; the next may reuse its networks.
func (s *session) close() {
	s.loader.Close()
	s.trainer.Close() // what another session may have left
	s.trainer.reusable = s.d.HandOver()
}

// open prepares a trial: data, network, and its first weights or a checkpoint's. The caller closes the session.
func (t *Trainer) open(ctx context.Context, cfg plan.Config, o Order, from *Checkpoint) (*session, error) {
	train, eval, err := t.splits(ctx, &cfg, o.Source)
	if err != nil {
		return nil, err
	}
	draw := detector.Drawer(o.Seed)
	d := detector.New(cfg, len(o.Source.Classes), t.Engine, engine.NewState(), draw)
	if from != nil {
		err = restore(d, from)
	} else {
		err = t.initialise(ctx, d, o.Init)
	}
	if err != nil {
		return nil, err
	}
	loader, err := t.Loader(&cfg, train, draw, true)
	if err != nil {
		return nil, err
	}
	d.Reuse(t.reusable)
	t.reusable = nil
	return &session{trainer: t, d: d, loader: loader, train: train, eval: eval}, nil
}

// train trains to the end and adds to the training log. It writes checkpoints on the way, at the end, when it is
// interrupted, and when the memory of the engine's device is exhausted, which leaves the steps so far as they are.
func (r *run) train(ctx context.Context, s *session) error {
	d, log := s.d, &r.finish.Steps
	iters := d.Config.Int("train.iters")
	k := checkpointer{every: r.CheckpointEvery, now: r.Now, saved: r.done, last: r.Now(), write: func(c *Checkpoint) error {
		if err := holds(r.dir, r.order); err != nil {
			return err
		}
		c.Training = r.order.Training
		return c.Write(r.dir, r.order.Key)
	}}
	save := func() error {
		c, err := newCheckpoint(d, r.done, *log)
		if err != nil {
			return err
		}
		return k.save(c)
	}
	err := d.Train(ctx, s.train, s.loader, r.done, func(i detector.StepInfo) error {
		r.done = i.Step + 1
		e := Stepped{Index: r.order.Index, Iters: iters, StepInfo: i}
		if logged(i.Step, iters) {
			*log = append(*log, stepRow(i))
			e.PeakBytes = proc.PeakMemory()
		}
		r.Report(e)
		if k.due(r.done) && r.done < iters {
			return save()
		}
		return nil
	})
	var diverged *detector.Diverged
	switch {
	case errors.As(err, &diverged):
		if n := len(*log); n == 0 || (*log)[n-1].Step != diverged.At.Step {
			*log = append(*log, stepRow(diverged.At))
		}
	case err == nil, ctx.Err() != nil && !errors.Is(err, record.ErrLost), errors.Is(err, engine.ErrMemory):
		return errors.Join(err, save())
	}
	return err
}

// logged reports whether the log of a training has the step: it has about loggedSteps of them.
func logged(step, iters int) bool {
	return step%max(1, iters/loggedSteps) == 0 || step == iters-1
}

func stepRow(s detector.StepInfo) record.Step {
	row := record.Step{Step: s.Step, Loss: s.Loss, LR: s.LR, GradNorm: s.GradNorm, Positives: s.Positives}
	for _, l := range s.Losses {
		row.Losses = append(row.Losses, record.Loss(l))
	}
	return row
}

// evaluate detects on the scored split.
func (s *session) evaluate(ctx context.Context, index int) ([]coco.Detection, error) {
	loader, err := s.trainer.Loader(&s.d.Config, s.eval, s.d.Draw, false)
	if err != nil {
		return nil, err
	}
	defer loader.Close()
	return s.d.Detect(ctx, loader, s.eval, func(done int) {
		s.trainer.Report(Evaluating{Index: index, Done: done, Total: loader.Len()})
	})
}

// score scores detections and puts the figures into fin.
func score(cfg plan.Config, set *dataset.Set, dets []coco.Detection, fin *record.Finish) error {
	at, low, err := detector.Score(cfg, set, dets)
	if err != nil {
		return err
	}
	fin.Metrics = map[string]float64{"AP.001": low.Stats[0]}
	for i, name := range metrics.StatNames {
		fin.Metrics[name] = at.Stats[i]
	}
	for _, c := range at.PerCategory {
		fin.Classes = append(fin.Classes, record.ClassMetric{Category: c.ID, Name: c.Name, AP: c.AP, AP50: c.AP50, AP75: c.AP75})
	}
	var b bytes.Buffer
	if err := coco.EncodeDetections(&b, dets); err != nil {
		return err
	}
	fin.Detections = b.Bytes()
	return nil
}

// FinalPath returns the file in which Run leaves final weights of that hash.
func FinalPath(dir, hash string) string { return filepath.Join(dir, hash+tensorsSuffix) }

// writeFinal writes a trial's parameters and running statistics into its folder, under their hash.
func writeFinal(dir string, s *engine.State) (hash string, err error) {
	ts := detector.NetworkTensors(s)
	if hash, err = weights.Hash(ts); err != nil {
		return "", err
	}
	return hash, weights.Write(FinalPath(dir, hash), ts, nil)
}

// finalWeights reads a recorded trial's final weights from that file.
func finalWeights(t *record.Trial, path string) (detector.Tensors, error) {
	if t.Weights == "" {
		return nil, fmt.Errorf("trial %s is %s: it has no final weights", t.Key[:12], t.Status)
	}
	f, err := weights.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w. Copy the file from the machine that trained the trial; or run its sweep with another --db in the same folder, which makes it again", err)
	}
	if err != nil {
		return nil, fmt.Errorf("final weights of trial %s: %w", t.Key[:12], err)
	}
	hash, err := weights.Hash(f.Tensors)
	if err == nil && hash != t.Weights {
		err = fmt.Errorf("its content has hash %s, the trial's weights have %s: the file is damaged. "+
			"Put back a copy of it; or run the trial's sweep with another --db in the same folder, which makes it again", hash, t.Weights)
	}
	if err != nil {
		return nil, fmt.Errorf("final weights of trial %s: %s: %w", t.Key[:12], path, err)
	}
	return detector.ByName(f), nil
}
