package sweep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"focalgrid/atomicfile"
	"focalgrid/detector"
	"focalgrid/experiments"
	"focalgrid/experiments/plan"
	"focalgrid/results"
	"focalgrid/results/record"
	"focalgrid/weights"
)

// finished is all that a finished trial leaves which must not depend on how often
// it was stopped.
type finished struct {
	Outcome    record.Outcome // but for times
	Diverged   int            // step at which it did; -1: it did not
	Steps      []record.Step
	Classes    []record.ClassMetric
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
				b.Notify = func(e experiments.Event) {
					switch e := e.(type) {
					case TrialStarted:
						begun = append(begun, e.Step)
					case experiments.Stepped:
						steps = append(steps, e.Step)
						cancel()
					case experiments.Evaluating:
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
				exit := record.StatusInterrupted
				if i == len(attempts)-1 {
					exit = record.StatusDone
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
	b.Notify = func(e experiments.Event) {
		if s, ok := e.(experiments.Stepped); ok && s.Step == steps-1 {
			cancel()
		}
	}
	if _, err := b.Sweep(ctx, p); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	b.Notify = nil
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
			names := b.checkpoints(t, key)
			if !slices.Equal(names, []string{"step-00000004.safetensors", "step-00000003.safetensors"}) {
				t.Fatalf("checkpoints %v; want those after steps 4 and 3", names)
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
			b.Notify = func(e experiments.Event) {
				switch e := e.(type) {
				case TrialStarted:
					from = e.Step
				case experiments.Noted:
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
	last := filepath.Join(b.workFolder(key), "step-00000004.safetensors")
	if err := os.Rename(last, last+"~"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(last, last); err != nil { // opening it is an error of the system, ELOOP
		t.Skip(err)
	}
	var said []string
	from := -1
	b.Notify = func(e experiments.Event) {
		switch e := e.(type) {
		case experiments.Noted:
			said = append(said, e.Text)
		case TrialStarted:
			from = e.Step
		}
	}
	_, err := b.Sweep(t.Context(), p)
	if err == nil || !strings.Contains(err.Error(), last) || !strings.Contains(err.Error(), "nothing is deleted") || said != nil {
		t.Errorf("it ended with %v and said %q", err, said)
	}
	if names := b.checkpoints(t, key); len(names) != 2 {
		t.Errorf("there are %v; want both", names)
	}
	if tr := b.trials(t)[0]; tr.Status != record.StatusInterrupted || len(tr.Attempts) != 1 {
		t.Errorf("the trial is %s after %d attempts, want it interrupted as it was", tr.Status, len(tr.Attempts))
	}
	if err := os.Rename(last+"~", last); err != nil {
		t.Fatal(err)
	}
	if c, err := b.Sweep(t.Context(), p); err != nil || c.Done != 1 || from != 4 {
		t.Errorf("then: %+v, %v, from step %d; want 4", c, err, from)
	}
}

// Two sweeps meet a dead trial. What one has read of it counts only if no other has
// begun meanwhile, and nothing is changed before it is claimed.
func TestClaimComesBetween(t *testing.T) {
	b := newBench(t, 2)
	p := b.plan(t, tiny, plan.Selection{Seeds: "0", Only: []string{"loss.gamma=2"}})
	key := b.stopAt(t, p, 2)
	states, err := b.States(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	seen, err := b.takeover(key)
	if err != nil || seen.Number != 1 {
		t.Fatalf("attempt %d, %v", seen.Number, err)
	}
	from, err := experiments.LastCheckpoint(b.workFolder(key), key)
	if err != nil || from.Step != 2 {
		t.Fatal(from, err)
	}
	b.stopAt(t, p, 5) // the other begins, and ends
	if _, _, err := b.claim(t.Context(), &states[0], b.Host, from.Step, seen.Number, os.Getpid()); !errors.Is(err, record.ErrHeld) {
		t.Errorf("the claim on what was read before: %v, want ErrHeld", err)
	}
	if n := len(b.trials(t)[0].Attempts); n != 2 {
		t.Errorf("%d attempts, want those of the one stopped and of the other", n)
	}
	started := -1
	b.Notify = func(e experiments.Event) {
		if s, ok := e.(TrialStarted); ok {
			started = s.Step
		}
	}
	if c, err := b.Sweep(t.Context(), p); err != nil || c.Done != 1 || started != 5 {
		t.Errorf("%+v, %v, from step %d; want 5", c, err, started)
	}
}

// What killed processes had begun to write is removed when the trial goes on, and
// damaged checkpoints are kept until it is finished.
func TestTidy(t *testing.T) {
	b := newBench(t, 2)
	p := b.plan(t, tiny, plan.Selection{Seeds: "0", Only: []string{"loss.gamma=2"}})
	key := b.stopAt(t, p, 4)
	dir := b.workFolder(key)
	final := strings.Repeat("a", 64) + ".safetensors"
	for _, name := range []string{".step-00000005.safetensors.123", "." + final + ".456", final, "attempt-00000001", "attempt-00000001.bundle", "step-00000005.safetensors"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b.Notify = func(e experiments.Event) {
		if _, ok := e.(experiments.Stepped); ok {
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
	if want := []string{"step-00000004.safetensors", "step-00000005.safetensors", "step-00000005.safetensors" + ".damaged"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("there are %v, %v; want %v", names, err, want)
	}
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

// Final weights that are damaged are refused, and a trial with the same weights, as of
// another database in the folder, puts them right.
func TestFinalWeightsDamaged(t *testing.T) {
	b := newBench(t, 2)
	p := b.plan(t, tiny, plan.Selection{Seeds: "0", Only: []string{"loss.gamma=2"}})
	if c, err := b.Sweep(t.Context(), p); err != nil || c.Done != 1 {
		t.Fatalf("%+v, %v", c, err)
	}
	tr := b.trials(t)[0]
	path := b.Store.WeightsPath(tr.Weights)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(whole)
	damaged[len(damaged)/2] ^= 0x40
	if err := os.WriteFile(path, damaged, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := b.OpenDetector(t.Context(), &tr); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), tr.Weights) {
		t.Errorf("a detector of them: %v", err)
	}
	if _, err := b.Verify(t.Context(), &tr, 0); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("verified: %v", err)
	}
	other, err := results.Open(filepath.Join(filepath.Dir(b.Store.Path()), "other.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	b.Store = other
	if c, err := b.Sweep(t.Context(), p); err != nil || c.Done != 1 {
		t.Fatalf("of another database: %+v, %v", c, err)
	}
	if text, err := os.ReadFile(path); err != nil || !bytes.Equal(text, whole) {
		t.Errorf("they were not put right (%v)", err)
	}
	if rest, _ := filepath.Glob(filepath.Join(filepath.Dir(path), atomicfile.Prefix+"*")); len(rest) > 0 {
		t.Errorf("it left %v", rest)
	}
}

// A file of initial weights that is replaced while a sweep runs is refused, with both
// identities; put back, the same command does the rest.
func TestInitialWeightsReplaced(t *testing.T) {
	b := newBench(t, 2)
	file := filepath.Join(b.dir, "init.safetensors")
	cfg := b.plan(t, tiny, plan.Selection{}).Rows[0].Config
	draw := func(seed uint64) string {
		t.Helper()
		ts, err := b.InitialWeights(t.Context(), &cfg, seed)
		if err == nil {
			err = weights.Write(file, ts, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		from := cfg
		from.Set("pretrain.type", "file")
		from.Set("pretrain.file", file)
		_, id, err := detector.ReadInitial(&from, cfg.Int("data.classes"))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	planned := draw(1)
	p := b.plan(t, tiny, plan.Selection{Seeds: "0,1", Only: []string{"loss.gamma=2"}, Set: []string{"pretrain.type=file", "pretrain.file=" + file}})
	now := ""
	b.Notify = func(e experiments.Event) {
		if s, ok := e.(TrialStarted); ok && s.Index == 1 {
			now = draw(2)
		}
	}
	c, err := b.Sweep(t.Context(), p)
	if err != nil || c != (record.Counts{Done: 1, Failed: 1}) {
		t.Fatalf("%+v, %v", c, err)
	}
	for _, tr := range b.trials(t) {
		if tr.Seed == 1 && (!strings.Contains(tr.Error, planned) || !strings.Contains(tr.Error, now) || !strings.Contains(tr.Error, file)) {
			t.Errorf("it failed with %q; want %s and %s in it", tr.Error, planned, now)
		}
	}
	b.Notify = nil
	if draw(1) != planned {
		t.Fatal("the same draws have another identity")
	}
	if c, err := b.Sweep(t.Context(), p); err != nil || c != (record.Counts{Done: 2}) {
		t.Errorf("put back: %+v, %v", c, err)
	}
}

// A plan knows how far its trials are, and what is left of them costs less.
func TestStatesKnowCheckpoints(t *testing.T) {
	b := newBench(t, 2)
	p := b.plan(t, tiny, plan.Selection{Seeds: "0"})
	b.stopAt(t, p, 3)
	states, err := b.States(t.Context(), p)
	if err != nil || states[0].Step != 3 || states[1].Step != 0 {
		t.Errorf("the plan's states: %+v, %v; want the first at step 3", states, err)
	}
	costs, err := b.Costs(states, billion)
	if err != nil || costs[0].Seconds != costs[1].Seconds/2 {
		t.Errorf("half of the first is done, and it costs %g of %g s, %v", costs[0].Seconds, costs[1].Seconds, err)
	}
}
