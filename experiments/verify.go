package experiments

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"focalgrid/detector"
	"focalgrid/experiments/plan"
	"focalgrid/results/record"
	"focalgrid/weights"
)

// Verification reports the findings of Verify.
type Verification struct {
	From, To int         // the steps trained anew
	Differs  *Difference // nil: everything is as recorded

	// What was compared and equal.
	Rows, Tensors, Metrics, Detections int
}

// Difference describes the first value that was not as recorded. It is an error so that it can end a
// training.
type Difference struct {
	Step          int    // steps done
	What          string // "loss of step 12", "tensor head.cls.0.weight[3 0 1 2]", "AP"
	Recorded, Now string
}

func (d *Difference) Error() string {
	return fmt.Sprintf("after %d steps %s is %s, recorded is %s", d.Step, d.What, d.Now, d.Recorded)
}

// errReached ends a training at the step where it was to stop.
var errReached = errors.New("reached")

// Recorded is a recorded trial with everything that Verify compares.
type Recorded struct {
	*record.Trial
	Log        []record.Step
	Detections func() ([]byte, error) // reads the COCO results file; nil bytes: there is none
	Scored     string                 // SHA-256 of that file's bytes, hex; "": there is none
	Weights    string                 // file of the final weights
	Work       string                 // folder of the checkpoints
}

// Verify trains a recorded trial anew and compares all it recorded, to the bit:
// training log, final weights, metrics and detections, or only up to its last checkpoint if
// the trial is not finished. It writes nothing but to a temporary folder.
//
// With from above 0 the comparison begins with the checkpoint after that many steps,
// or, where the trial has none of them, with one made on the way: training stops
// there and goes on from the file. The error is about what cannot be compared: other
// data, numerics, engine or initial weights than the trial had.
func (t *Trainer) Verify(ctx context.Context, r Recorded, from int) (*Verification, error) {
	v, err := t.newVerifier(ctx, r)
	if err != nil {
		return nil, err
	}
	if from < 0 || from > 0 && from >= v.to {
		return nil, fmt.Errorf("from step %d: trial %.12s can be compared from 0 to %d", from, r.Key, v.to)
	}
	v.From, v.To = from, v.to
	err = v.run(ctx, from)
	var d *Difference
	if errors.As(err, &d) {
		v.Differs, err = d, nil
	}
	if err != nil {
		return nil, err
	}
	return &v.Verification, nil
}

// verifier compares a new training with a recorded trial.
type verifier struct {
	Verification
	trainer     *Trainer
	trial       Recorded
	cfg         plan.Config
	order       Order
	to          int                 // steps that can be compared
	rows        map[int]record.Step // the log
	checkpoints map[int]*Checkpoint // by steps done
	last        detector.Tensors    // the final weights of a trial that is done; nil: their file is not here
	text        []byte              // the detections of a trial that is done; nil: their file is not here, or there is none
}

func (t *Trainer) newVerifier(ctx context.Context, r Recorded) (*verifier, error) {
	if r.Kind != record.KindTrain {
		return nil, fmt.Errorf("trial %.12s is a %s: only trainings can be verified", r.Key, r.Kind)
	}
	cfg, err := recordedConfig(r.Trial)
	if err != nil {
		return nil, err
	}
	v := &verifier{trainer: t, trial: r, cfg: cfg, rows: map[int]record.Step{}, checkpoints: map[int]*Checkpoint{}}
	v.order = Order{Key: r.Key, Seed: r.Seed, Init: r.Init}
	if err := v.checkIdentity(ctx); err != nil {
		return nil, err
	}
	names, err := checkpoints(r.Work)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		c, err := readCheckpoint(filepath.Join(r.Work, name), r.Key)
		if errors.Is(err, fs.ErrNotExist) {
			continue // its trial is running, and removes older ones
		}
		if err != nil {
			return nil, err
		}
		v.checkpoints[c.Step] = c
		v.to = max(v.to, c.Step)
	}
	log := r.Log
	switch r.Status {
	case record.StatusDone:
		v.to = cfg.Int("train.iters")
		if v.last, err = finalWeights(r.Trial, r.Weights); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if v.text, err = r.Detections(); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	case record.StatusDiverged:
		v.to = *r.DivergedStep + 1
	default:
		if len(v.checkpoints) == 0 {
			return nil, fmt.Errorf("trial %.12s is %s and has no checkpoint: there is nothing to compare with", r.Key, r.Status)
		}
		log = v.checkpoints[v.to].rows
	}
	for _, s := range log {
		v.rows[s.Step] = s
	}
	return v, nil
}

// checkIdentity refuses a trial that would have another identity here.
func (v *verifier) checkIdentity(ctx context.Context) error {
	t, cfg := v.trial.Trial, &v.cfg
	differs := func(what, recorded, now string) error {
		return fmt.Errorf("trial %.12s cannot be trained again: it had %s %s, here is %s", t.Key, what, recorded, now)
	}
	if t.Numerics != strconv.Itoa(plan.Numerics) {
		return differs("numerics", t.Numerics, strconv.Itoa(plan.Numerics))
	}
	if t.Engine != v.trainer.Engine.Info().Name {
		return differs("engine", t.Engine, v.trainer.Engine.Info().Name)
	}
	data, err := v.trainer.sameData(ctx, t, cfg)
	if err != nil {
		return err
	}
	s := *data
	if t.Labels != nil {
		s.Classes = classesOf(t.Labels)
	}
	v.order.Source = &s
	init, err := v.trainer.InitIdentity(cfg)
	if err != nil {
		return err
	}
	if init != t.Init {
		return differs("the initial weights", t.Init, init)
	}
	return nil
}

func (v *verifier) run(ctx context.Context, from int) error {
	start := v.checkpoints[from]
	if from > 0 && start == nil {
		var err error
		if start, err = v.checkpointAt(ctx, from); err != nil {
			return err
		}
	}
	s, err := v.trainer.open(ctx, v.cfg, v.order, start)
	if err != nil {
		return err
	}
	defer s.close()
	err = v.train(ctx, s, from, v.to)
	var div *detector.Diverged
	if errors.As(err, &div) {
		if v.trial.Status != record.StatusDiverged {
			return &Difference{div.At.Step, "the outcome", v.trial.Status, "diverged: " + div.Reason}
		}
		if div.At.Step != *v.trial.DivergedStep {
			return &Difference{div.At.Step, "the step that diverged", strconv.Itoa(*v.trial.DivergedStep), strconv.Itoa(div.At.Step)}
		}
		return v.compareRow(stepRow(div.At))
	}
	switch {
	case err != nil:
		return err
	case v.trial.Status == record.StatusDiverged:
		return &Difference{v.to, "the outcome", "diverged: " + v.trial.Error, "finite"}
	case v.trial.Status != record.StatusDone:
		return nil
	}
	return v.compareResult(ctx, s)
}

// checkpointAt trains to that step, and passes the state through a checkpoint's file.
func (v *verifier) checkpointAt(ctx context.Context, step int) (*Checkpoint, error) {
	s, err := v.trainer.open(ctx, v.cfg, v.order, nil)
	if err != nil {
		return nil, err
	}
	defer s.close()
	if err := v.train(ctx, s, 0, step); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "focalgrid-verify-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	c, err := newCheckpoint(s.d, step, nil)
	if err != nil {
		return nil, err
	}
	if err := c.Write(dir, v.trial.Key); err != nil {
		return nil, err
	}
	return readCheckpoint(filepath.Join(dir, checkpointName(step)), v.trial.Key)
}

// train trains from one step to another and compares each with what is recorded.
func (v *verifier) train(ctx context.Context, s *session, from, to int) error {
	err := s.d.Train(ctx, s.train, s.loader, from, func(i detector.StepInfo) error {
		v.trainer.Report(Preparing{What: "training again", Done: i.Step + 1, Total: v.to})
		if err := v.compareRow(stepRow(i)); err != nil {
			return err
		}
		if c := v.checkpoints[i.Step+1]; c != nil {
			now, err := newCheckpoint(s.d, i.Step+1, nil)
			if err != nil {
				return err
			}
			if err := v.compareTensors(i.Step+1, now.tensors, c.tensors); err != nil {
				return err
			}
		}
		if i.Step+1 == to {
			return errReached
		}
		return nil
	})
	if errors.Is(err, errReached) {
		return nil
	}
	return err
}

func (v *verifier) compareRow(now record.Step) error {
	was, ok := v.rows[now.Step]
	if !ok {
		return nil // the log leaves steps out
	}
	type figure struct {
		name     string
		was, now float64
	}
	var figures []figure
	for i, l := range now.Losses {
		if i == len(was.Losses) || was.Losses[i].Name != l.Name {
			return &Difference{now.Step + 1, fmt.Sprintf("the list of losses of step %d", now.Step), lossNames(was), lossNames(now)}
		}
		figures = append(figures, figure{l.Name + " loss", was.Losses[i].Value, l.Value})
	}
	figures = append(figures, figure{"loss", was.Loss, now.Loss}, figure{"learning rate", was.LR, now.LR},
		figure{"gradient norm", was.GradNorm, now.GradNorm}, figure{"number of positives", float64(was.Positives), float64(now.Positives)})
	for _, q := range figures {
		if !sameBits(q.was, q.now) {
			return &Difference{now.Step + 1, fmt.Sprintf("the %s of step %d", q.name, now.Step), number(q.was), number(q.now)}
		}
	}
	v.Rows++
	return nil
}

// lossNames lists the losses of a row in their order.
func lossNames(s record.Step) string {
	var names []string
	for _, l := range s.Losses {
		names = append(names, l.Name)
	}
	return strings.Join(names, ", ")
}

// sameBits compares a figure with a recorded one: the database does not distinguish between numbers that are
// not finite.
func sameBits(recorded, now float64) bool {
	if math.IsNaN(recorded) {
		return math.IsNaN(now) || math.IsInf(now, 0)
	}
	return math.Float64bits(recorded) == math.Float64bits(now)
}

func number(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// compareTensors finds the first tensor, by name, and its first value that differ.
func (v *verifier) compareTensors(step int, now, recorded []weights.Tensor) error {
	was := map[string]weights.Tensor{}
	for _, t := range recorded {
		was[t.Name] = t
	}
	for _, t := range now {
		w, ok := was[t.Name]
		delete(was, t.Name)
		if !ok {
			return &Difference{step, "tensor " + t.Name, "not there", fmt.Sprint("of shape ", t.Shape)}
		}
		if !slices.Equal(t.Shape, w.Shape) {
			return &Difference{step, "the shape of tensor " + t.Name, fmt.Sprint(w.Shape), fmt.Sprint(t.Shape)}
		}
		for i := range t.Data {
			if a, b := w.Data[i], t.Data[i]; math.Float32bits(a) != math.Float32bits(b) {
				return &Difference{step, fmt.Sprintf("tensor %s%v", t.Name, indexOf(i, t.Shape)),
					strconv.FormatFloat(float64(a), 'g', -1, 32), strconv.FormatFloat(float64(b), 'g', -1, 32)}
			}
		}
	}
	if len(was) > 0 {
		name := slices.Sorted(maps.Keys(was))[0]
		return &Difference{step, "tensor " + name, fmt.Sprint("of shape ", was[name].Shape), "not there"}
	}
	v.Tensors += len(now)
	return nil
}

// indexOf is the index of value i of a row-major tensor.
func indexOf(i int, shape []int) []int {
	at := make([]int, len(shape))
	for k := len(shape) - 1; k >= 0; k-- {
		at[k], i = i%shape[k], i/shape[k]
	}
	return at
}

// compareResult compares the final weights and what they score.
func (v *verifier) compareResult(ctx context.Context, s *session) error {
	state, err := s.d.Stored()
	if err != nil {
		return err
	}
	now := detector.NetworkTensors(state)
	hash, err := weights.Hash(now)
	if err != nil {
		return err
	}
	if v.last == nil { // their hash shows as much
		if hash != v.trial.Trial.Weights {
			return &Difference{v.to, "the final weights' hash", v.trial.Trial.Weights, hash}
		}
		v.Tensors += len(now)
	} else if err := v.compareTensors(v.to, now, slices.Collect(maps.Values(v.last))); err != nil {
		return err
	}
	dets, err := s.evaluate(ctx, 0)
	if err != nil {
		return err
	}
	var fin record.Finish
	if err := score(v.cfg, s.eval, dets, &fin); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(v.trial.Metrics)) {
		was := v.trial.Metrics[name]
		if n, ok := fin.Metrics[name]; !ok || !sameBits(was, n) {
			return &Difference{v.to, name, number(was), number(n)}
		}
		v.Metrics++
	}
	hashed := sha256.Sum256(fin.Detections)
	switch hash := hex.EncodeToString(hashed[:]); {
	case v.text != nil && !bytes.Equal(v.text, fin.Detections):
		return &Difference{v.to, "the text of the detections", fmt.Sprint(len(v.text), " bytes"), fmt.Sprint(len(fin.Detections), " other bytes")}
	case v.text == nil && v.trial.Scored != "" && v.trial.Scored != hash: // their hash shows as much
		return &Difference{v.to, "the detections' hash", v.trial.Scored, hash}
	}
	v.Detections = len(dets)
	return nil
}
