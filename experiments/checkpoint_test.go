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

	"focalgrid/experiments/plan"
	"focalgrid/results"
	"focalgrid/weights"
)

// finished is all that a finished trial leaves which must not depend on how often
// it was stopped.
type finished struct {
	Outcome    results.Outcome // but for times
	Diverged   int             // step at which it did; -1: it did not
	Steps      []results.Step
	Classes    []results.ClassMetric
	Detections []byte
}

func (b *bench) finished(t *testing.T, key string) finished {
	t.Helper()
	tr, err := b.Store.Trial(key)
	if err != nil {
		t.Fatal(err)
	}
	f := finished{Outcome: tr.Outcome, Diverged: -1}
	if tr.DivergedStep != nil {
		f.Diverged = *tr.DivergedStep
	}
	f.Outcome.Finished, f.Outcome.WallSeconds, f.Outcome.DivergedStep = "", 0, nil
	var errs [3]error
	f.Steps, errs[0] = b.Store.StepRows(key)
	f.Classes, errs[1] = b.Store.Classes(key)
	f.Detections, errs[2] = b.Store.Detections(key)
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return f
}

// same compares what two trials left; NaN equals NaN.
func same(t *testing.T, what string, got, want finished) {
	t.Helper()
	if !bytes.Equal(got.Detections, want.Detections) {
		t.Errorf("%s: other detections", what)
	}
	got.Detections, want.Detections = nil, nil
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		t.Errorf("%s:\n%s\nwant\n%s", what, g, w)
	}
}

// variants are settings whose state is more than weights and momentum.
var variants = map[string][]string{
	"sgd, batch norm":    nil,
	"adamw":              {"optim.type=adamw", "optim.lr=.001"},
	"running normaliser": {"sampler.normalizer=ema"},
	"ohem, frozen norm":  {"sampler.type=ohem", "model.norm=frozen"},
}

// A trial stopped after each of its steps in turn, and during its evaluation, ends
// as one never stopped, to the bit, and does no step twice.
func TestResumeIsExact(t *testing.T) {
	for name, set := range variants {
		t.Run(name, func(t *testing.T) {
			sel := plan.Selection{Seeds: "0", Only: []string{"loss.gamma=2"}, Set: set}
			whole := newBench(t, 2)
			p := whole.plan(t, tiny, sel)
			if c, err := whole.Sweep(t.Context(), p); err != nil || c.Done != 1 {
				t.Fatalf("%+v, %v", c, err)
			}
			key := whole.trials(t)[0].Key
			want := whole.finished(t, key)

			b := newBench(t, 1)
			p = b.plan(t, tiny, sel)
			var begun, steps []int
			for try := 0; ; try++ {
				ctx, cancel := context.WithCancel(t.Context())
				b.Observe = func(e Event) {
					switch e := e.(type) {
					case TrialStarted:
						begun = append(begun, e.Step)
					case Stepped:
						steps = append(steps, e.Step)
						cancel()
					case Evaluating:
						if try == 6 {
							cancel()
						}
					}
				}
				_, err := b.Sweep(ctx, p)
				cancel()
				if err == nil {
					break
				}
				if !errors.Is(err, context.Canceled) || try > 10 {
					t.Fatalf("try %d: %v", try, err)
				}
			}
			same(t, "stopped after each step", b.finished(t, key), want)
			if all := []int{0, 1, 2, 3, 4, 5}; !slices.Equal(steps, all) {
				t.Errorf("steps done: %v, want each once", steps)
			}
			if want := []int{0, 1, 2, 3, 4, 5, 6, 6}; !slices.Equal(begun, want) {
				t.Errorf("attempts began after %v steps, want %v", begun, want)
			}
			attempts := b.trials(t)[0].Attempts
			for i, a := range attempts {
				exit := results.StatusInterrupted
				if i == len(attempts)-1 {
					exit = results.StatusDone
				}
				if a.StartStep != begun[i] || a.EndStep != min(i+1, 6) || a.Exit != exit || a.PID != os.Getpid() {
					t.Errorf("attempt %+v, want steps %d to %d, %s", a, begun[i], min(i+1, 6), exit)
				}
			}
			if _, err := os.Stat(b.workFolder(key)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the work folder of a finished trial is still there: %v", err)
			}
		})
	}
}

// stopAt runs the plan's first trial with a checkpoint after every step, until that
// many steps are done, and leaves it interrupted.
func (b *bench) stopAt(t *testing.T, p *plan.Plan, steps int) (key string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b.CheckpointEvery = 1
	b.Observe = func(e Event) {
		if s, ok := e.(Stepped); ok && s.Step == steps-1 {
			cancel()
		}
	}
	if _, err := b.Sweep(ctx, p); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	b.Observe = nil
	return b.trials(t)[0].Key
}

// A damaged checkpoint is found, told of and not used.
func TestCheckpointDamaged(t *testing.T) {
	sel := plan.Selection{Seeds: "0", Only: []string{"loss.gamma=2"}}
	whole := newBench(t, 2)
	if _, err := whole.Sweep(t.Context(), whole.plan(t, tiny, sel)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		damage func(text []byte) []byte
		both   bool
		from   int
		says   string
	}{
		{"none", func(b []byte) []byte { return b }, false, 4, ""},
		{"a bit of a weight", func(b []byte) []byte { b[len(b)-2] ^= 4; return b }, false, 3, "its content has hash"},
		{"a bit of the step", func(b []byte) []byte { return bytes.Replace(b, []byte(`"step":"4"`), []byte(`"step":"3"`), 1) }, false, 3, "its content has hash"},
		{"cut short", func(b []byte) []byte { return b[:len(b)/2] }, false, 3, "step-00000004.safetensors: "},
		{"empty", func([]byte) []byte { return nil }, false, 3, "step-00000004.safetensors: expected 8 bytes"},
		{"no checkpoint", func([]byte) []byte { return []byte("\x02\x00\x00\x00\x00\x00\x00\x00{}") }, false, 3, "it has no hash of its content"},
		{"both", func(b []byte) []byte { b[len(b)-2] ^= 4; return b }, true, 0, "starts again from step 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, 2)
			p := b.plan(t, tiny, sel)
			key := b.stopAt(t, p, 4)
			names, err := checkpoints(b.workFolder(key))
			if err != nil || !slices.Equal(names, []string{"step-00000004.safetensors", "step-00000003.safetensors"}) {
				t.Fatalf("checkpoints %v, %v; want those after steps 4 and 3", names, err)
			}
			if !tt.both {
				names = names[:1]
			}
			for _, name := range names {
				path := filepath.Join(b.workFolder(key), name)
				text, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, tt.damage(text), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			from, said := -1, ""
			b.Observe = func(e Event) {
				switch e := e.(type) {
				case TrialStarted:
					from = e.Step
				case Noted:
					said += e.Text
				}
			}
			if c, err := b.Sweep(t.Context(), p); err != nil || c.Done != 1 {
				t.Fatalf("%+v, %v", c, err)
			}
			if from != tt.from || !strings.Contains(said, tt.says) || (said == "") != (tt.says == "") {
				t.Errorf("went on from step %d and said %q; want %d and %q", from, said, tt.from, tt.says)
			}
			same(t, "continued", b.finished(t, key), whole.finished(t, key))
		})
	}
}

// A checkpoint that cannot be opened now ends the sweep with its name. It and the one
// before it stay, and when that has passed the same command goes on from it.
func TestCheckpointUnreadable(t *testing.T) {
	b := newBench(t, 2)
	p := b.plan(t, tiny, plan.Selection{Seeds: "0", Only: []string{"loss.gamma=2"}})
	key := b.stopAt(t, p, 4)
	last := filepath.Join(b.workFolder(key), checkpointName(4))
	if err := os.Rename(last, last+"~"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(last, last); err != nil { // opening it is an error of the system, ELOOP
		t.Skip(err)
	}
	var said []string
	from := -1
	b.Observe = func(e Event) {
		switch e := e.(type) {
		case Noted:
			said = append(said, e.Text)
		case TrialStarted:
			from = e.Step
		}
	}
	_, err := b.Sweep(t.Context(), p)
	if err == nil || !strings.Contains(err.Error(), last) || !strings.Contains(err.Error(), "nothing is deleted") || said != nil {
		t.Errorf("it ended with %v and said %q", err, said)
	}
	if names, err := checkpoints(b.workFolder(key)); err != nil || len(names) != 2 {
		t.Errorf("there are %v, %v; want both", names, err)
	}
	if tr := b.trials(t)[0]; tr.Status != results.StatusInterrupted || len(tr.Attempts) != 1 {
		t.Errorf("the trial is %s after %d attempts, want it interrupted as it was", tr.Status, len(tr.Attempts))
	}
	if err := os.Rename(last+"~", last); err != nil {
		t.Fatal(err)
	}
	if c, err := b.Sweep(t.Context(), p); err != nil || c.Done != 1 || from != 4 {
		t.Errorf("then: %+v, %v, from step %d; want 4", c, err, from)
	}
}

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

// Two sweeps meet a dead trial. What one has read of it counts only if no other has
// begun meanwhile, and nothing is changed before it is claimed.
func TestClaimComesBetween(t *testing.T) {
	b := newBench(t, 2)
	p := b.plan(t, tiny, plan.Selection{Seeds: "0", Only: []string{"loss.gamma=2"}})
	key := b.stopAt(t, p, 2)
	prep, err := b.Prepare(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	seen, err := b.takeover(key)
	if err != nil || seen != 1 {
		t.Fatalf("attempt %d, %v", seen, err)
	}
	from, _, err := lastCheckpoint(b.workFolder(key), key)
	if err != nil || from.step != 2 {
		t.Fatal(from, err)
	}
	b.stopAt(t, p, 5) // the other begins, and ends
	if _, _, err := b.claim(t.Context(), &prep[0], from.step, seen); !errors.Is(err, results.ErrHeld) {
		t.Errorf("the claim on what was read before: %v, want ErrHeld", err)
	}
	if n := len(b.trials(t)[0].Attempts); n != 2 {
		t.Errorf("%d attempts, want those of the one stopped and of the other", n)
	}
	started := -1
	b.Observe = func(e Event) {
		if s, ok := e.(TrialStarted); ok {
			started = s.Step
		}
	}
	if c, err := b.Sweep(t.Context(), p); err != nil || c.Done != 1 || started != 5 {
		t.Errorf("%+v, %v, from step %d; want 5", c, err, started)
	}
}

// A checkpoint that is replaced by newer ones between the look into its folder and its
// opening is not damaged: the folder is looked at again.
func TestCheckpointGone(t *testing.T) {
	dir, key := t.TempDir(), strings.Repeat("a", 64)
	write := func(step int) {
		if err := (&checkpoint{step: step}).write(dir, key); err != nil {
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
		if err != nil || damaged != nil || c == nil || c.step < last {
			t.Fatalf("look %d: %+v, %v, %v; it was at %d", looks, c, damaged, err, last)
		}
		last = c.step
		select {
		case <-done:
			t.Logf("%d looks", looks)
			return
		default:
		}
	}
}

// What killed processes had begun to write is removed when the trial goes on, and
// damaged checkpoints are kept until it is finished.
func TestTidy(t *testing.T) {
	b := newBench(t, 2)
	p := b.plan(t, tiny, plan.Selection{Seeds: "0", Only: []string{"loss.gamma=2"}})
	key := b.stopAt(t, p, 4)
	dir := b.workFolder(key)
	for _, name := range []string{".step-00000005.safetensors.123", ".final.safetensors.456", finalName, checkpointName(5)} {
		writeIn(t, dir, name, "half")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b.Observe = func(e Event) {
		if _, ok := e.(Stepped); ok {
			cancel()
		}
	}
	if _, err := b.Sweep(ctx, p); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{checkpointName(4), checkpointName(5), checkpointName(5) + asideSuffix}; err != nil || !slices.Equal(names, want) {
		t.Errorf("there are %v, %v; want %v", names, err, want)
	}
}

// What a checkpoint holds comes back, and one of another trial is refused.
func TestCheckpointThereAndBack(t *testing.T) {
	b := newBench(t, 2)
	key := b.stopAt(t, b.plan(t, tiny, plan.Selection{Seeds: "0", Set: []string{"sampler.normalizer=ema"}}), 3)
	p := b.plan(t, tiny, plan.Selection{Seeds: "0", Set: []string{"sampler.normalizer=ema"}})
	states, err := b.States(t.Context(), p)
	if err != nil || states[0].Step != 3 || states[1].Step != 0 {
		t.Errorf("the plan's states: %+v, %v; want the first at step 3", states, err)
	}
	costs, err := b.Costs(states, 1e9)
	if err != nil || costs[0].Seconds != costs[1].Seconds/2 {
		t.Errorf("half of the first is done, and it costs %g of %g s, %v", costs[0].Seconds, costs[1].Seconds, err)
	}
	c, damaged, err := lastCheckpoint(b.workFolder(key), key)
	if err != nil || damaged != nil {
		t.Fatal(err, damaged)
	}
	if c.step != 3 || len(c.rows) != 3 || c.running == 0 || len(c.tensors) == 0 {
		t.Errorf("step %d, %d rows, running %g, %d tensors", c.step, len(c.rows), c.running, len(c.tensors))
	}
	other := strings.Repeat("0", 64)
	dir := t.TempDir()
	if err := c.write(dir, other); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, checkpointName(3))
	again, err := readCheckpoint(path, other)
	if err != nil || !reflect.DeepEqual(again, c) {
		t.Errorf("read back: %v, %+v", err, again)
	}
	if _, err := readCheckpoint(path, key); err == nil || !strings.Contains(err.Error(), `it belongs to trial "000000000000"`) {
		t.Errorf("another trial's checkpoint: %v", err)
	}
}

// A trial goes on from a checkpoint that was written before losses had names, to the same end.
func TestCheckpointBeforeNames(t *testing.T) {
	sel := plan.Selection{Seeds: "0", Only: []string{"loss.gamma=2"}}
	whole := newBench(t, 2)
	if c, err := whole.Sweep(t.Context(), whole.plan(t, tiny, sel)); err != nil || c.Done != 1 {
		t.Fatalf("%+v, %v", c, err)
	}
	b := newBench(t, 2)
	p := b.plan(t, tiny, sel)
	key := b.stopAt(t, p, 3)
	path := filepath.Join(b.workFolder(key), checkpointName(3))
	f, err := weights.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := checkpointOf(f, key)
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
	if old, err := readCheckpoint(path, key); err != nil || !reflect.DeepEqual(old.rows, c.rows) {
		t.Fatalf("read %+v, %v; want %+v", old, err, c.rows)
	}
	if c, err := b.Sweep(t.Context(), p); err != nil || c.Done != 1 {
		t.Fatalf("continued: %+v, %v", c, err)
	}
	same(t, "continued", b.finished(t, key), whole.finished(t, key))
}

// A diverged trial diverges at the same step when it is continued, and its log
// is the same.
func TestResumeDiverges(t *testing.T) {
	sel := plan.Selection{Seeds: "0", Only: []string{"loss.gamma=2"}, Set: []string{"optim.lr=3e3", "train.iters=40"}}
	whole := newBench(t, 2)
	if c, err := whole.Sweep(t.Context(), whole.plan(t, tiny, sel)); err != nil || c.Diverged != 1 {
		t.Fatalf("%+v, %v", c, err)
	}
	at := *whole.trials(t)[0].DivergedStep
	if at < 2 {
		t.Fatalf("it diverges at step %d: too early to be stopped before", at)
	}
	b := newBench(t, 2)
	p := b.plan(t, tiny, sel)
	key := b.stopAt(t, p, at)
	if c, err := b.Sweep(t.Context(), p); err != nil || c.Diverged != 1 {
		t.Fatalf("continued: %+v, %v", c, err)
	}
	same(t, "continued", b.finished(t, key), whole.finished(t, key))
}

// A pretraining that is stopped goes on too, to the same bits.
func TestPretrainResumes(t *testing.T) {
	p := mustLoad(t, "gamma", "pretrain.iters=6", "pretrain.batch=4", "pretrain.crops=40", "pretrain.pixels=32", "model.width=0.125")
	cfg := p.Rows[0].Config
	hash := func(b *bench) string {
		t.Helper()
		w, made, err := b.pretrained(t.Context(), &cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(b.pretrainWork(made.Key)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("its checkpoints are still there: %v", err)
		}
		h, err := weights.Hash(w.Tensors)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	want := hash(newBench(t, 2))
	// Recorded when pretraining had a loop of its own; every kernel set gives these bits.
	if recorded := "7d98c5b86d2a9293889e29a58f9d0be701eff82830bcc82769e5df888c4876c0"; want != recorded {
		t.Errorf("weights %.12s, recorded are %.12s", want, recorded)
	}
	b := newBench(t, 1)
	var steps []int
	ctx, cancel := context.WithCancel(t.Context())
	b.Observe = func(e Event) {
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
