package experiments

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"focalgrid/atomicfile"
	"focalgrid/detector"
	"focalgrid/engine"
	"focalgrid/results/record"
	"focalgrid/weights"
)

// Checkpoint holds everything that a training goes on from. Draws are functions of seed, purpose and index, so they
// leave nothing to store. The content of a checkpoint depends on the trial and the step alone, whoever writes it.
type Checkpoint struct {
	Step     int              // steps done
	running  float64          // of the normaliser "ema"
	rows     []record.Step    // the training log so far
	tensors  []weights.Tensor // the whole state: parameters, statistics, optimiser slots
	Training string           // identity of the training; empty: not known
}

// keptCheckpoints is the number of checkpoints of a trial: the last, and one more in case the last is damaged.
const keptCheckpoints = 2

// Without --checkpoint-every the next checkpoint is written when training has taken at least checkpointPause since the
// last one, and checkpointShare times as long as the last one took to write.
const (
	checkpointPause = 10 * time.Second
	checkpointShare = 50
)

// makeFolder makes a folder and those above it.
func makeFolder(dir string) error {
	err := os.MkdirAll(dir, 0o777)
	if errors.Is(err, fs.ErrNotExist) {
		err = os.MkdirAll(dir, 0o777) // another sweep ended just now, and removed the one above, empty as it was
	}
	return err
}

// checkpointFormat names files so that they sort by step.
const checkpointFormat = checkpointPrefix + "%08d" + tensorsSuffix

const checkpointPrefix = "step-"

// tensorsSuffix ends the names of files of tensors.
const tensorsSuffix = ".safetensors"

func checkpointName(step int) string { return fmt.Sprintf(checkpointFormat, step) }

// checkpoints lists the files of a trial's checkpoints, the newest first. A folder that does not exist has none.
func checkpoints(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), checkpointPrefix) && strings.HasSuffix(e.Name(), tensorsSuffix) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	slices.Reverse(names)
	return names, err
}

// LastStep returns the step of the newest checkpoint in dir by its name, 0 if there is none.
func LastStep(dir string) (step int, err error) {
	names, err := checkpoints(dir)
	if err != nil || len(names) == 0 {
		return 0, err
	}
	if _, err := fmt.Sscanf(names[0], checkpointFormat, &step); err != nil {
		return 0, nil // not one of ours; reading it will report the error
	}
	return step, nil
}

// newCheckpoint returns a checkpoint that shares the values of the detector's state, and is good until the next step.
func newCheckpoint(d *detector.Detector, step int, rows []record.Step) (*Checkpoint, error) {
	s, err := d.Stored()
	return &Checkpoint{Step: step, running: d.Running, rows: rows, tensors: detector.StateTensors(s)}, err
}

// restore gives a detector that has no networks yet the state of a checkpoint.
func restore(d *detector.Detector, c *Checkpoint) error {
	d.Running = c.running
	return c.restore(d.State)
}

// restore puts a checkpoint's tensors into a state that nothing is compiled over yet.
func (c *Checkpoint) restore(s *engine.State) error {
	for _, t := range c.tensors {
		if err := s.Set(t.Name, t.Shape, t.Data); err != nil {
			return err
		}
	}
	return nil
}

// Metadata of a checkpoint's file.
const (
	metaTrial    = "trial"
	metaTraining = "training"
	metaStep     = "step"
	metaRunning  = "running"
	metaRows     = "rows"
)

// loggedStep is a row of the training log in a checkpoint. Checkpoints from before losses had names have
// their two losses in ClsLoss and BoxLoss.
type loggedStep struct {
	record.Step
	ClsLoss, BoxLoss *float64 `json:",omitempty"`
}

// step returns the row with its losses by name.
func (l loggedStep) step() record.Step {
	if l.ClsLoss != nil && l.BoxLoss != nil {
		l.Losses = record.FirstLosses(*l.ClsLoss, *l.BoxLoss)
	}
	return l.Step
}

// Write puts the checkpoint into dir as one of that trial, whole or not at all, and drops all but the last two.
func (c *Checkpoint) Write(dir, key string) error {
	rows, err := json.Marshal(c.rows)
	if err != nil {
		return fmt.Errorf("checkpoint of step %d: %w", c.Step, err)
	}
	meta := map[string]string{
		metaTrial: key, metaStep: strconv.Itoa(c.Step), metaRunning: strconv.FormatFloat(c.running, 'g', -1, 64), metaRows: string(rows),
	}
	if c.Training != "" {
		meta[metaTraining] = c.Training
	}
	if err := seal(c.tensors, meta); err != nil {
		return fmt.Errorf("checkpoint of step %d: %w", c.Step, err)
	}
	if err := makeFolder(dir); err != nil {
		return fmt.Errorf("checkpoint of step %d: %w", c.Step, err)
	}
	if err := weights.Write(filepath.Join(dir, checkpointName(c.Step)), c.tensors, meta); err != nil {
		return fmt.Errorf("checkpoint of step %d: %w", c.Step, err)
	}
	names, err := checkpoints(dir)
	if err != nil {
		return err
	}
	for _, name := range names[min(keptCheckpoints, len(names)):] {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// checkpointOf reads a file's content as a checkpoint of that trial. The error explains what is wrong with it; a
// checkpoint that is returned is what was written.
func checkpointOf(f *weights.File, key string) (*Checkpoint, error) {
	if err := checkSeal(f); err != nil {
		return nil, err
	}
	meta := f.Metadata
	if meta[metaTrial] != key {
		return nil, fmt.Errorf("it belongs to trial %.12q, not %.12s", meta[metaTrial], key)
	}
	c := &Checkpoint{tensors: f.Tensors, Training: meta[metaTraining]}
	var err error
	if c.Step, err = strconv.Atoi(meta[metaStep]); err != nil || c.Step < 0 {
		return nil, fmt.Errorf("its step is %q", meta[metaStep])
	}
	if c.running, err = strconv.ParseFloat(meta[metaRunning], 64); err != nil {
		return nil, fmt.Errorf("its running normaliser is %q", meta[metaRunning])
	}
	d := json.NewDecoder(bytes.NewReader([]byte(meta[metaRows])))
	d.DisallowUnknownFields()
	var log []loggedStep
	if err := d.Decode(&log); err != nil {
		return nil, fmt.Errorf("its training log: %w", err)
	}
	for _, l := range log {
		c.rows = append(c.rows, l.step())
	}
	return c, nil
}

// LastCheckpoint returns a trial's newest checkpoint in dir that is whole, nil if it has none. It changes nothing. One
// that cannot be opened or read now is an error.
func LastCheckpoint(dir, key string) (*Checkpoint, error) {
	c, _, err := lastCheckpoint(dir, key)
	return c, err
}

// TrainingOf returns the training of a trial's newest checkpoint in dir that can be read; begun is false if there is
// none.
func TrainingOf(dir, key string) (training string, begun bool, err error) {
	names, err := checkpoints(dir)
	for _, name := range names {
		if c, err := readCheckpoint(filepath.Join(dir, name), key); err == nil {
			return c.Training, true, nil
		}
	}
	return "", false, err
}

func readCheckpoint(path, key string) (*Checkpoint, error) {
	f, err := weights.Read(path)
	if err != nil {
		return nil, err
	}
	c, err := checkpointOf(f, key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// lastCheckpoint returns a trial's newest checkpoint in dir that is whole, nil if it has none, and what is wrong with
// the newer ones. It changes nothing: the trial may be another process's. One that cannot be opened or read is an
// error: it may be whole, and readable when that has passed.
func lastCheckpoint(dir, key string) (*Checkpoint, []damage, error) {
	for missed := ""; ; {
		c, found, err := lookForCheckpoint(dir, key)
		var e *fs.PathError
		if errors.Is(err, fs.ErrNotExist) && errors.As(err, &e) && e.Path != missed {
			missed = e.Path // another process has begun to train, and replaced what was listed
			continue
		}
		if err != nil {
			err = fmt.Errorf("checkpoint: %w; nothing is deleted: once it can be read, the same command goes on from it", err)
		}
		return c, found, err
	}
}

// lookForCheckpoint is lastCheckpoint of what is there at one moment.
func lookForCheckpoint(dir, key string) (*Checkpoint, []damage, error) {
	names, err := checkpoints(dir)
	if err != nil {
		return nil, nil, err
	}
	var found []damage
	for _, name := range names {
		c, err := readCheckpoint(filepath.Join(dir, name), key)
		if err == nil {
			return c, found, nil
		}
		if cause := unreadable(err); cause != nil {
			return nil, nil, cause
		}
		found = append(found, damage{name, err})
	}
	return nil, found, nil
}

// damage is a checkpoint that cannot be used, and why.
type damage struct {
	name string
	why  error
}

// asideSuffix ends the name of a damaged checkpoint, which stays until its trial is finished: somebody may want to know
// how it was damaged.
const asideSuffix = ".damaged"

// setAside reports damaged checkpoints and renames them, so that they are no longer counted. step is where the training
// goes on instead.
func (d *Data) setAside(dir string, found []damage, step int) error {
	for _, c := range found {
		instead := "training starts again from step 0"
		if step > 0 {
			instead = fmt.Sprintf("that of step %d is used", step)
		}
		d.Report(Noted{Text: fmt.Sprintf("checkpoint is damaged and set aside as %s: %v; %s", c.name+asideSuffix, c.why, instead)})
		path := filepath.Join(dir, c.name)
		if err := os.Rename(path, path+asideSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// tidy makes the work folder of a trial ready for an attempt that goes on from step: damaged checkpoints are set aside,
// and what earlier attempts had begun to write is removed.
func (d *Data) tidy(dir string, attempt int, damaged []damage, step int) error {
	if err := d.setAside(dir, damaged, step); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	own := fmt.Sprintf(attemptFormat, attempt)
	for _, e := range entries {
		name := e.Name()
		other := strings.HasPrefix(name, attemptPrefix) && name < own
		final := strings.HasSuffix(name, tensorsSuffix) && !strings.HasPrefix(name, checkpointPrefix)
		if strings.HasPrefix(name, atomicfile.Prefix) || other || final {
			err = errors.Join(err, os.Remove(filepath.Join(dir, name)))
		}
	}
	return err
}

// checkpointer writes a trial's checkpoints as often as asked.
type checkpointer struct {
	every int // steps; 0: by checkpointPause and checkpointShare
	now   func() time.Time
	write func(*Checkpoint) error

	saved int // steps done at the last checkpoint
	last  time.Time
	cost  time.Duration
}

// due reports whether a checkpoint belongs after that many steps.
func (k *checkpointer) due(step int) bool {
	if k.every > 0 {
		return step%k.every == 0
	}
	since := k.now().Sub(k.last)
	return since >= checkpointPause && since >= checkpointShare*k.cost
}

// save writes a checkpoint unless its step has one.
func (k *checkpointer) save(c *Checkpoint) error {
	if c.Step == k.saved {
		return nil
	}
	begun := k.now()
	if err := k.write(c); err != nil {
		return err
	}
	k.last, k.saved = k.now(), c.Step
	k.cost = k.last.Sub(begun)
	return nil
}
