package experiments

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"focalgrid/engine"
	"focalgrid/results"
	"focalgrid/weights"
)

// checkpoint is all that a training goes on from: draws are functions of seed,
// purpose and index, so nothing of them has to be kept. What a checkpoint holds
// depends on the trial and the step alone, whoever writes it.
type checkpoint struct {
	step     int              // steps done
	running  float64          // of the normaliser "ema"
	rows     []results.Step   // the training log so far
	tensors  []weights.Tensor // the whole state: parameters, statistics, optimiser slots
	training string           // identity of the training; empty: not known
}

// keptCheckpoints is how many a trial has: the last, and one more should that
// be damaged.
const keptCheckpoints = 2

// Without --checkpoint-every the next checkpoint is written when training has
// taken this long since the last, and this many times as long as that took to write.
const (
	checkpointPause = 10 * time.Second
	checkpointShare = 50
)

// workFolder holds the checkpoints of a trial that is not finished.
func (r *Runner) workFolder(key string) string {
	return filepath.Join(results.WorkDir(r.Store.Path()), key)
}

// makeFolder makes a folder and those above it.
func makeFolder(dir string) error {
	err := os.MkdirAll(dir, 0o777)
	if errors.Is(err, fs.ErrNotExist) {
		err = os.MkdirAll(dir, 0o777) // another sweep ended just now, and removed the one above, empty as it was
	}
	return err
}

// dropWork removes the work folder of a finished trial.
func (r *Runner) dropWork(key string) error {
	return os.RemoveAll(r.workFolder(key))
}

// checkpointFormat names files so that their order is that of their steps.
const checkpointFormat = "step-%08d.safetensors"

func checkpointName(step int) string { return fmt.Sprintf(checkpointFormat, step) }

// checkpoints lists the files of a trial's checkpoints, the newest first. No
// folder is no checkpoints.
func checkpoints(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "step-") {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	slices.Reverse(names)
	return names, err
}

// lastStep is the step of the newest checkpoint in dir by its name, 0 if there is none.
func lastStep(dir string) (step int, err error) {
	names, err := checkpoints(dir)
	if err != nil || len(names) == 0 {
		return 0, err
	}
	if _, err := fmt.Sscanf(names[0], checkpointFormat, &step); err != nil {
		return 0, nil // a file of someone else; reading it will tell
	}
	return step, nil
}

// take copies nothing: the checkpoint shares the detector's tensors, and is
// good until the next step.
func (d *detector) take(step int, rows []results.Step) *checkpoint {
	return &checkpoint{step: step, running: d.running, rows: rows, tensors: stateTensors(d.state)}
}

// restore gives a detector that has no networks yet the state of a checkpoint.
func (d *detector) restore(c *checkpoint) error {
	d.running = c.running
	return c.restore(d.state)
}

// restore puts a checkpoint's tensors into a state that nothing is compiled over yet.
func (c *checkpoint) restore(s *engine.State) error {
	for _, t := range c.tensors {
		if err := s.Set(t.Name, t.Shape, t.Data); err != nil {
			return err
		}
	}
	return nil
}

func stateTensors(s *engine.State) []weights.Tensor {
	var ts []weights.Tensor
	for _, name := range s.Names() {
		t := s.Get(name)
		ts = append(ts, weights.Tensor{Name: name, Shape: t.Shape, Data: t.Values})
	}
	return ts
}

// Metadata of a checkpoint's file.
const (
	metaTrial    = "trial"
	metaTraining = "training"
	metaStep     = "step"
	metaRunning  = "running"
	metaRows     = "rows"
	metaHash     = "sha256" // of the file written without this entry
)

// write puts the checkpoint into dir, whole or not at all, and drops all but
// the last two.
func (c *checkpoint) write(dir, key string) error {
	rows, err := json.Marshal(c.rows)
	if err != nil {
		return fmt.Errorf("checkpoint of step %d: %w", c.step, err)
	}
	meta := map[string]string{
		metaTrial: key, metaStep: strconv.Itoa(c.step), metaRunning: strconv.FormatFloat(c.running, 'g', -1, 64), metaRows: string(rows),
	}
	if c.training != "" {
		meta[metaTraining] = c.training
	}
	if meta[metaHash], err = contentHash(c.tensors, meta); err != nil {
		return fmt.Errorf("checkpoint of step %d: %w", c.step, err)
	}
	if err := makeFolder(dir); err != nil {
		return fmt.Errorf("checkpoint of step %d: %w", c.step, err)
	}
	if err := weights.Write(filepath.Join(dir, checkpointName(c.step)), c.tensors, meta); err != nil {
		return fmt.Errorf("checkpoint of step %d: %w", c.step, err)
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

func contentHash(ts []weights.Tensor, meta map[string]string) (string, error) {
	h := sha256.New()
	if err := weights.Encode(h, ts, meta, weights.F32); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// checkpointOf reads a file's content as a checkpoint of that trial. The error
// says what is wrong with it; a checkpoint that is returned is what was written.
func checkpointOf(f *weights.File, key string) (*checkpoint, error) {
	meta := maps.Clone(f.Metadata)
	want := meta[metaHash]
	delete(meta, metaHash)
	got, err := contentHash(f.Tensors, meta)
	if err != nil {
		return nil, err
	}
	if got != want {
		return nil, fmt.Errorf("its content has hash %.12s, written down is %.12q", got, want)
	}
	if meta[metaTrial] != key {
		return nil, fmt.Errorf("it belongs to trial %.12q, not %.12s", meta[metaTrial], key)
	}
	c := &checkpoint{tensors: f.Tensors, training: meta[metaTraining]}
	if c.step, err = strconv.Atoi(meta[metaStep]); err != nil || c.step < 0 {
		return nil, fmt.Errorf("its step is %q", meta[metaStep])
	}
	if c.running, err = strconv.ParseFloat(meta[metaRunning], 64); err != nil {
		return nil, fmt.Errorf("its running normaliser is %q", meta[metaRunning])
	}
	d := json.NewDecoder(bytes.NewReader([]byte(meta[metaRows])))
	d.DisallowUnknownFields()
	if err := d.Decode(&c.rows); err != nil {
		return nil, fmt.Errorf("its training log: %w", err)
	}
	return c, nil
}

func readCheckpoint(path, key string) (*checkpoint, error) {
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

// lastCheckpoint returns a trial's newest checkpoint in dir that is whole, nil if
// it has none. One that is damaged is told of and removed.
func (r *Runner) lastCheckpoint(dir, key string) (*checkpoint, error) {
	names, err := checkpoints(dir)
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		path := filepath.Join(dir, name)
		c, err := readCheckpoint(path, key)
		if err == nil {
			return c, nil
		}
		if errors.Is(err, fs.ErrPermission) {
			return nil, err
		}
		instead := "training starts again from step 0"
		if i+1 < len(names) {
			instead = "the one before it is used"
		}
		r.tell(Noted{Text: fmt.Sprintf("checkpoint is damaged and removed: %v; %s", err, instead)})
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// keeper writes a trial's checkpoints as often as asked.
type keeper struct {
	every int // steps; 0: by the time it takes
	now   func() time.Time
	save  func(*checkpoint) error

	saved int // steps done at the last checkpoint
	last  time.Time
	cost  time.Duration
}

// due tells whether a checkpoint belongs after that many steps.
func (k *keeper) due(step int) bool {
	if k.every > 0 {
		return step%k.every == 0
	}
	since := k.now().Sub(k.last)
	return since >= checkpointPause && since >= checkpointShare*k.cost
}

// keep writes a checkpoint unless its step has one.
func (k *keeper) keep(c *checkpoint) error {
	if c.step == k.saved {
		return nil
	}
	begun := k.now()
	if err := k.save(c); err != nil {
		return err
	}
	k.last, k.saved = k.now(), c.step
	k.cost = k.last.Sub(begun)
	return nil
}
