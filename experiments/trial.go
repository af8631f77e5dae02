package experiments

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"

	"focalgrid/atomicfile"
	"focalgrid/coco"
	"focalgrid/dataset"
	"focalgrid/detector"
	"focalgrid/engine"
	"focalgrid/experiments/plan"
	"focalgrid/guard"
	"focalgrid/metrics"
	"focalgrid/results"
	"focalgrid/weights"
)

// stepRows is about how many steps of a trial are logged.
const stepRows = 200

// runTrial trains and evaluates one trial, from its last checkpoint if it has
// one, and records how it ended: a panic is a failure like another. The error is nil
// for a diverged trial, which is a result. An outcome without a status is a trial that
// did not begin here, or was lost: results.ErrHeld and results.ErrFinished say that
// another attempt is at work on it or has finished it.
func (r *Runner) runTrial(ctx context.Context, index int, p *Prepared) (results.Outcome, error) {
	last, err := r.takeover(p.Key)
	if err != nil {
		return results.Outcome{}, err
	}
	from, damaged, err := lastCheckpoint(r.workFolder(p.Key), p.Key)
	if err == nil && from == nil {
		from, err = r.inherited(p)
	}
	if err != nil {
		return results.Outcome{}, err
	}
	start := 0
	if from != nil {
		start = from.step
	}
	ctx, a, err := r.claim(ctx, p, start, last)
	if err != nil {
		return results.Outcome{}, err
	}
	r.tell(TrialStarted{Index: index, Trial: p.Trial, Key: p.Key, Step: start})
	var fin results.Finish
	if err = r.tidy(p.Key, damaged, start); err == nil {
		err = guard.Run(func() error { return r.trainAndScore(ctx, index, p, a, from, &fin) })
	}
	var panicked *guard.Panic
	if errors.As(err, &panicked) {
		r.Close() // its networks may be left in any state
	}
	var div *detector.Diverged
	switch {
	case err == nil:
		fin.Status = results.StatusDone
	case errors.As(err, &div):
		fin.Status, fin.Error, fin.DivergedStep = results.StatusDiverged, div.Error(), &div.At.Step
		fin.Metrics = nil
		err = nil
	case ctx.Err() != nil:
		fin = results.Finish{Outcome: results.Outcome{Status: results.StatusInterrupted, Error: "interrupted"}}
	default:
		err = plainly(err)
		fin = results.Finish{Outcome: results.Outcome{Status: results.StatusFailed, Error: err.Error()}}
	}
	out, ferr := a.finish(fin)
	if ferr != nil {
		return results.Outcome{}, errors.Join(err, ferr) // how it ended is not recorded
	}
	if results.IsFinal(out.Status) {
		if err := r.dropWork(p.Key); err != nil {
			return out, err
		}
	}
	r.tell(TrialEnded{Index: index, Key: p.Key, Outcome: out})
	return out, err
}

// inherited returns the newest checkpoint of the same training that was made for another trial:
// one that failed or was stopped, and whose scored split was another. It is nil if there is none.
func (r *Runner) inherited(p *Prepared) (*checkpoint, error) {
	var best *checkpoint
	of := ""
	for _, key := range p.stopped {
		c, _, err := lastCheckpoint(r.workFolder(key), key)
		if err != nil {
			return nil, err
		}
		if c != nil && c.training == r.training(p) && (best == nil || c.step > best.step) {
			best, of = c, key
		}
	}
	if best != nil {
		r.tell(Noted{Text: fmt.Sprintf("trial %.12s goes on from step %d of trial %.12s, which did not end: its training is the same, what is scored was changed", p.Key, best.step, of)})
	}
	return best, nil
}

// fullDisk says what to do about a full disk.
type fullDisk struct{ error }

func (e *fullDisk) Error() string {
	return e.error.Error() + ": free some space and run the same command again, which goes on from the last checkpoint"
}

func (e *fullDisk) Unwrap() error { return e.error }

// plainly says what to do about an error that concerns more than one trial.
func plainly(err error) error {
	var full *fullDisk
	if errors.Is(err, syscall.ENOSPC) && !errors.As(err, &full) {
		return &fullDisk{err}
	}
	return err
}

// session is a trial ready to be trained.
type session struct {
	r      *Runner
	d      *detector.Detector
	loader *dataset.Loader
	train  *dataset.Set
	eval   *dataset.Set // labelled by the detector's classes
}

// close ends the session; its networks are kept for the next.
func (s *session) close() {
	s.loader.Close()
	s.r.Close() // what another session may have kept
	s.r.kept = s.d.HandOver()
}

// open makes a trial ready to be trained: data, network and its first weights, or
// those of a checkpoint. The caller closes the session.
func (r *Runner) open(ctx context.Context, p *Prepared, from *checkpoint) (*session, error) {
	cfg := p.Trial.Config
	train, eval, err := r.splits(ctx, &cfg, p.source)
	if err != nil {
		return nil, err
	}
	draw := detector.Drawer(p.Trial.Seed)
	d := detector.New(cfg, len(p.source.Classes), r.Engine, engine.NewState(), draw)
	if from != nil {
		err = restore(d, from)
	} else {
		err = r.initialise(ctx, d, p.Init)
	}
	if err != nil {
		return nil, err
	}
	loader, err := r.Loader(&cfg, train, draw, true)
	if err != nil {
		return nil, err
	}
	d.Kept, r.kept = r.kept, nil
	return &session{r: r, d: d, loader: loader, train: train, eval: eval}, nil
}

func (r *Runner) trainAndScore(ctx context.Context, index int, p *Prepared, a *attempt, from *checkpoint, fin *results.Finish) error {
	s, err := r.open(ctx, p, from)
	if err != nil {
		return err
	}
	defer s.close()
	if from != nil {
		fin.Steps = from.rows
	}
	if err := r.trainOn(ctx, index, p, s, a, fin); err != nil {
		return err
	}
	state, err := s.d.Stored()
	if err != nil {
		return err
	}
	if fin.Weights, err = r.keepWeights(p.Key, state); err != nil {
		return err
	}
	dets, err := r.evaluate(ctx, index, p, s.d, s.eval)
	if err != nil {
		return err
	}
	return record(p.Trial.Config, s.eval, dets, fin)
}

// trainOn trains from the attempt's step to the end, with checkpoints on the
// way, at the end and when it is interrupted. It adds to the training log in fin.
func (r *Runner) trainOn(ctx context.Context, index int, p *Prepared, s *session, a *attempt, fin *results.Finish) error {
	d := s.d
	iters := d.Cfg.Int("train.iters")
	start := int(a.step.Load())
	k := keeper{every: r.CheckpointEvery, now: r.Now, saved: start, last: r.Now(), save: func(c *checkpoint) error {
		// The database then knows of no less than the file; and who has lost
		// the trial writes nothing.
		if err := a.beat(); errors.Is(err, results.ErrLost) {
			return err
		}
		c.training = r.training(p)
		return c.write(r.workFolder(a.key), a.key)
	}}
	done := start
	keep := func() error {
		c, err := take(d, done, fin.Steps)
		if err != nil {
			return err
		}
		return k.keep(c)
	}
	err := d.Train(ctx, s.train, s.loader, start, func(s detector.StepInfo) error {
		done = s.Step + 1
		a.step.Store(int64(done))
		if logged(s.Step, iters) {
			fin.Steps = append(fin.Steps, stepRow(s))
		}
		r.tell(Stepped{Index: index, Iters: iters, StepInfo: s})
		if k.due(done) && done < iters {
			return keep()
		}
		return nil
	})
	var div *detector.Diverged
	switch {
	case errors.As(err, &div):
		if n := len(fin.Steps); n == 0 || fin.Steps[n-1].Step != div.At.Step {
			fin.Steps = append(fin.Steps, stepRow(div.At))
		}
	case err == nil || ctx.Err() != nil && !errors.Is(context.Cause(ctx), results.ErrLost):
		if kerr := keep(); kerr != nil {
			return kerr
		}
	}
	return err
}

// logged tells which steps of a training its log keeps: about stepRows of them.
func logged(step, iters int) bool {
	return step%max(1, iters/stepRows) == 0 || step == iters-1
}

func stepRow(s detector.StepInfo) results.Step {
	return results.Step{Step: s.Step, Loss: s.Loss, ClsLoss: s.ClsLoss, BoxLoss: s.BoxLoss, LR: s.LR, GradNorm: s.GradNorm, Positives: s.Positives}
}

func (r *Runner) evaluate(ctx context.Context, index int, p *Prepared, d *detector.Detector, set *dataset.Set) ([]coco.Detection, error) {
	loader, err := r.Loader(&d.Cfg, set, d.Draw, false)
	if err != nil {
		return nil, err
	}
	defer loader.Close()
	return d.Detect(ctx, loader, set, func(done int) {
		r.tell(Evaluating{Index: index, Done: done, Total: loader.Len()})
	})
}

// record scores detections and puts the figures into fin.
func record(cfg plan.Config, set *dataset.Set, dets []coco.Detection, fin *results.Finish) error {
	at, low, err := detector.Score(cfg, set, dets)
	if err != nil {
		return err
	}
	fin.Metrics = map[string]float64{"AP.001": low.Stats[0]}
	for i, name := range metrics.StatNames {
		fin.Metrics[name] = at.Stats[i]
	}
	for _, c := range at.PerCategory {
		fin.Classes = append(fin.Classes, results.ClassMetric{Category: c.ID, Name: c.Name, AP: c.AP, AP50: c.AP50, AP75: c.AP75})
	}
	var b bytes.Buffer
	if err := coco.EncodeDetections(&b, dets); err != nil {
		return err
	}
	fin.Detections = b.Bytes()
	return nil
}

// keepWeights writes a trial's parameters and running statistics beside the
// database, under their hash. They come there whole, by way of its work folder.
func (r *Runner) keepWeights(key string, s *engine.State) (string, error) {
	ts := detector.NetworkTensors(s)
	hash, err := weights.Hash(ts)
	if err != nil {
		return "", err
	}
	path := r.Store.WeightsPath(hash)
	part := filepath.Join(r.workFolder(key), finalName)
	for _, file := range []string{path, part} {
		if err := makeFolder(filepath.Dir(file)); err != nil {
			return "", err
		}
	}
	if err := weights.Write(part, ts, nil); err != nil {
		return "", err
	}
	if err := atomicfile.Move(part, path); err != nil {
		return "", err
	}
	return hash, nil
}

// weightsOf reads a recorded trial's final weights.
func (r *Runner) weightsOf(t *results.Trial) (detector.Tensors, error) {
	if t.Weights == "" {
		return nil, fmt.Errorf("trial %s is %s: it has no final weights", t.Key[:12], t.Status)
	}
	path := r.Store.WeightsPath(t.Weights)
	f, err := weights.Read(path)
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
