package experiments

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"focalgrid/detector"
	"focalgrid/experiments/plan"
	"focalgrid/weights"
)

// Errors of the system are told from those of the content, however they are wrapped.
func TestUnreadable(t *testing.T) {
	for _, no := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.EIO, syscall.ENOMEM, syscall.EACCES} {
		for _, op := range []string{"open", "read"} {
			err := fmt.Errorf("x: %w", &fs.PathError{Op: op, Path: "step", Err: no})
			if got := unreadable(err); !errors.Is(got, no) {
				t.Errorf("%v: %v", err, got)
			}
		}
	}
	for _, err := range []error{nil, io.ErrUnexpectedEOF, errors.New("its content has hash 0")} {
		if got := unreadable(err); got != nil {
			t.Errorf("%v: %v", err, got)
		}
	}
}

// A checkpoint that is replaced by newer ones between the look into its folder and its
// opening is not damaged: the folder is looked at again.
func TestCheckpointGone(t *testing.T) {
	dir, key := t.TempDir(), strings.Repeat("a", 64)
	write := func(step int) {
		if err := (&Checkpoint{Step: step}).Write(dir, key); err != nil {
			t.Error(err)
		}
	}
	write(1)
	var writes sync.WaitGroup
	writes.Go(func() {
		for step := 2; step < 100; step++ {
			write(step)
		}
	})
	done := make(chan struct{})
	go func() { writes.Wait(); close(done) }()
	for looks, last := 0, 0; ; looks++ {
		c, damaged, err := lastCheckpoint(dir, key)
		if err != nil || damaged != nil || c == nil || c.Step < last {
			t.Fatalf("look %d: %+v, %v, %v; it was at %d", looks, c, damaged, err, last)
		}
		last = c.Step
		select {
		case <-done:
			t.Logf("%d looks", looks)
			return
		default:
		}
	}
}

// What a checkpoint holds comes back, and one of another trial is refused.
func TestCheckpointThereAndBack(t *testing.T) {
	l := newLab(t, 2)
	o := l.order(t, plan.Selection{Seeds: "0", Set: []string{"sampler.normalizer=ema"}})
	l.stopAt(t, o, 3)
	c, damaged, err := lastCheckpoint(l.work(o), o.Key)
	if err != nil || damaged != nil {
		t.Fatal(err, damaged)
	}
	if c.Step != 3 || c.Training != o.Training || len(c.rows) != 3 || c.running == 0 || len(c.tensors) == 0 {
		t.Errorf("step %d, training %.12s, %d rows, running %g, %d tensors", c.Step, c.Training, len(c.rows), c.running, len(c.tensors))
	}
	other := strings.Repeat("0", 64)
	dir := t.TempDir()
	if err := c.Write(dir, other); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, checkpointName(3))
	again, err := readCheckpoint(path, other)
	if err != nil || !reflect.DeepEqual(again, c) {
		t.Errorf("read back: %v, %+v", err, again)
	}
	if _, err := readCheckpoint(path, o.Key); err == nil || !strings.Contains(err.Error(), `it belongs to trial "000000000000"`) {
		t.Errorf("another trial's checkpoint: %v", err)
	}
}

// A trial goes on from a checkpoint that was written before losses had names, to the same end.
func TestCheckpointBeforeNames(t *testing.T) {
	whole, stopped := newLab(t, 2), newLab(t, 2)
	o := whole.order(t, plan.Selection{})
	want := whole.run(t.Context(), t, o)
	o = stopped.order(t, plan.Selection{})
	stopped.stopAt(t, o, 3)
	path := filepath.Join(stopped.work(o), checkpointName(3))
	f, err := weights.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := checkpointOf(f, o.Key)
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		Step                                 int
		Loss, ClsLoss, BoxLoss, LR, GradNorm float64
		Positives                            int
	}
	var rows []row
	for _, s := range c.rows {
		rows = append(rows, row{s.Step, s.Loss, s.Losses[0].Value, s.Losses[1].Value, s.LR, s.GradNorm, s.Positives})
	}
	text, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	f.Metadata[metaRows] = string(text)
	delete(f.Metadata, metaHash)
	if err := errors.Join(seal(f.Tensors, f.Metadata), weights.Write(path, f.Tensors, f.Metadata)); err != nil {
		t.Fatal(err)
	}
	if old, err := readCheckpoint(path, o.Key); err != nil || !reflect.DeepEqual(old.rows, c.rows) {
		t.Fatalf("read %+v, %v; want %+v", old, err, c.rows)
	}
	o.Attempt++
	var steps []int
	stopped.Notify = func(e Event) {
		if e, ok := e.(Stepped); ok {
			steps = append(steps, e.Step)
		}
	}
	got := stopped.run(t.Context(), t, o)
	if !slices.Equal(steps, []int{3, 4, 5}) || !reflect.DeepEqual(got.Steps, want.Steps) || got.Weights != want.Weights || !bytes.Equal(got.Detections, want.Detections) {
		t.Errorf("with steps %v it ends with\n%+v\nwant\n%+v", steps, got.Steps, want.Steps)
	}
}

// A pretraining that is stopped goes on too, to the same bits.
func TestPretrainResumes(t *testing.T) {
	cfg, err := detector.Settings.LoadBaseline("gamma", plan.Selection{Set: []string{"pretrain.iters=6", "pretrain.batch=4", "pretrain.crops=40", "pretrain.pixels=32", "model.width=0.125"}})
	if err != nil {
		t.Fatal(err)
	}
	hash := func(l *lab) string {
		t.Helper()
		w, made, err := l.pretrained(t.Context(), &cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(l.pretrainWork(made.Key)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("its checkpoints are still there: %v", err)
		}
		h, err := weights.Hash(w.Tensors)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	want := hash(newLab(t, 2))
	// Recorded when pretraining had a loop of its own; every kernel set gives these bits.
	if recorded := "7d98c5b86d2a9293889e29a58f9d0be701eff82830bcc82769e5df888c4876c0"; want != recorded {
		t.Errorf("weights %.12s, recorded are %.12s", want, recorded)
	}
	b := newLab(t, 1)
	var steps []int
	ctx, cancel := context.WithCancel(t.Context())
	b.Notify = func(e Event) {
		if e, ok := e.(Preparing); ok && e.What == "pretraining a backbone" {
			if steps = append(steps, e.Done); e.Done == 3 {
				cancel()
			}
		}
	}
	if _, err := b.Pretrain(ctx, &cfg); !errors.Is(err, context.Canceled) {
		t.Fatalf("stopped: %v", err)
	}
	if got := hash(b); got != want {
		t.Errorf("weights %.12s, want %.12s", got, want)
	}
	if want := []int{1, 2, 3, 4, 5, 6, 7}; !slices.Equal(steps, want) {
		t.Errorf("steps %v, want each once, and the end", steps)
	}
}
