package experiments

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"focalgrid/coco"
	"focalgrid/dataset"
	"focalgrid/engine"
	"focalgrid/metrics"
	"focalgrid/results"
	"focalgrid/weights"
)

// stepRows is about how many steps of a trial are recorded.
const stepRows = 200

// runTrial trains and evaluates one trial and records how it ended. The error
// is nil for a diverged trial, which is a result.
func (r *Runner) runTrial(ctx context.Context, index int, p *prepared) (results.Outcome, error) {
	start := r.Now()
	number, err := r.Store.BeginTrial(results.Trial{
		Key: p.key, Config: string(Resolved(&p.Trial.Config)), Seed: p.Trial.Seed, Dataset: p.data, Init: p.init,
		Engine: r.Engine.Name(), Numerics: fmt.Sprint(Numerics), Started: r.now(), Provenance: r.Host.json(),
	}, results.Attempt{Owner: r.Host.Name, Host: r.Host.Name, PID: os.Getpid()}, 0)
	if err != nil {
		return results.Outcome{}, err
	}
	r.tell(TrialStarted{Index: index, Trial: p.Trial, Key: p.key})
	var fin results.Finish
	err = r.trainAndScore(ctx, index, p, &fin)
	var div *Diverged
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
		fin = results.Finish{Outcome: results.Outcome{Status: results.StatusFailed, Error: err.Error()}}
	}
	fin.Finished, fin.WallSeconds = r.now(), r.Now().Sub(start).Seconds()
	if ferr := r.Store.FinishTrial(p.key, number, fin); ferr != nil {
		return fin.Outcome, errors.Join(err, ferr)
	}
	r.tell(TrialEnded{Index: index, Key: p.key, Outcome: fin.Outcome})
	return fin.Outcome, err
}

func (r *Runner) trainAndScore(ctx context.Context, index int, p *prepared, fin *results.Finish) error {
	cfg := p.Trial.Config
	train, err := r.OpenSplit(ctx, &cfg, cfg.Data.Train)
	if err != nil {
		return err
	}
	eval, err := r.OpenSplit(ctx, &cfg, cfg.evalSplit())
	if err != nil {
		return err
	}
	draw := drawer(p.Trial.Seed)
	d := newDetector(cfg, len(train.Classes), r.Engine, engine.NewState(), draw)
	defer d.close()
	if err := r.initialise(ctx, d); err != nil {
		return err
	}
	loader, err := r.loader(&cfg, p.data, train, draw, true)
	if err != nil {
		return err
	}
	defer loader.Close()
	every := max(1, cfg.Train.Iters/stepRows)
	err = d.train(ctx, loader, func(s StepInfo) {
		if s.Step%every == 0 || s.Step == cfg.Train.Iters-1 {
			fin.Steps = append(fin.Steps, stepRow(s))
		}
		r.tell(Stepped{Index: index, Iters: cfg.Train.Iters, StepInfo: s})
	})
	var div *Diverged
	if errors.As(err, &div) {
		fin.Steps = append(fin.Steps, stepRow(div.At))
	}
	if err != nil {
		return err
	}
	if fin.Weights, err = r.keepWeights(d.state); err != nil {
		return err
	}
	dets, err := r.evaluate(ctx, index, p, d, eval)
	if err != nil {
		return err
	}
	return record(cfg, eval, dets, fin)
}

func stepRow(s StepInfo) results.Step {
	return results.Step{Step: s.Step, Loss: s.Loss, ClsLoss: s.ClsLoss, BoxLoss: s.BoxLoss, LR: s.LR, GradNorm: s.GradNorm, Positives: s.Positives}
}

// initialise gives the detector its first weights.
func (r *Runner) initialise(ctx context.Context, d *detector) error {
	switch d.cfg.Pretrain.Type {
	case "crops":
		w, _, err := r.pretrained(ctx, &d.cfg)
		if err != nil {
			return err
		}
		return d.load(w)
	case "file":
		f, err := weights.Read(d.cfg.Pretrain.File)
		if err != nil {
			return err
		}
		return d.load(byName(f))
	}
	return nil
}

func (r *Runner) evaluate(ctx context.Context, index int, p *prepared, d *detector, set *dataset.Set) ([]coco.Detection, error) {
	loader, err := r.loader(&d.cfg, p.data, set, dataset.Draw(d.draw), false)
	if err != nil {
		return nil, err
	}
	defer loader.Close()
	return d.detect(ctx, loader, set, func(done int) {
		r.tell(Evaluating{Index: index, Done: done, Total: loader.Len()})
	})
}

// record scores detections and puts the figures into fin.
func record(cfg Config, set *dataset.Set, dets []coco.Detection, fin *results.Finish) error {
	at, low, err := score(cfg, set, dets)
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

// keepWeights writes parameters and running statistics beside the database,
// under their hash.
func (r *Runner) keepWeights(s *engine.State) (string, error) {
	ts := networkTensors(s)
	hash, err := weights.Hash(ts)
	if err != nil {
		return "", err
	}
	path := r.Store.WeightsPath(hash)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return "", err
	}
	if err := weights.Write(path, ts, nil); err != nil {
		return "", err
	}
	return hash, nil
}

// networkTensors is a state without the optimiser's slots.
func networkTensors(s *engine.State) []weights.Tensor {
	var ts []weights.Tensor
	for _, name := range s.Names() {
		if isNetwork(name) {
			t := s.Get(name)
			ts = append(ts, weights.Tensor{Name: name, Shape: t.Shape, Data: t.Values})
		}
	}
	return ts
}

// weightsOf reads a recorded trial's final weights.
func (r *Runner) weightsOf(t *results.Trial) (tensors, error) {
	if t.Weights == "" {
		return nil, fmt.Errorf("trial %s is %s: it has no final weights", t.Key[:12], t.Status)
	}
	f, err := weights.Read(r.Store.WeightsPath(t.Weights))
	if err != nil {
		return nil, fmt.Errorf("final weights of trial %s: %w", t.Key[:12], err)
	}
	return byName(f), nil
}
