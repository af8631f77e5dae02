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
	"syscall"
	"testing"
	"time"

	"focalgrid/experiments"
	"focalgrid/experiments/plan"
	"focalgrid/results"
	"focalgrid/results/record"
)

// executors are what the conformance tests run on; to add one, add a line. Each gives a bench an executor on which
// trials behave as w says.
var executors = map[string]func(b *bench, w testWorker){
	"here": func(b *bench, w testWorker) {
		if w.Die != "pause" { // which would pause the tests
			b.Engine = deadly{b.Engine, w}
		}
	},
	"processes": func(b *bench, w testWorker) { b.jobs(2, w) },
}

// onEach runs a test on every executor, each with a bench of its own that writes a checkpoint every second step.
func onEach(t *testing.T, w testWorker, test func(t *testing.T, b *bench)) {
	for name, use := range executors {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 1)
			b.CheckpointEvery = 2
			use(b, w)
			test(t, b)
		})
	}
}

// oneTrial selects a single trial of tiny.
var oneTrial = plan.Selection{Seeds: "0", Only: []string{"loss.gamma=2"}}

// wholeTrial is what the trial of oneTrial leaves when nobody stops it.
func wholeTrial(t *testing.T) (key string, f finished) {
	t.Helper()
	b := newBench(t, 1)
	states, err := b.States(t.Context(), b.plan(t, tiny, oneTrial))
	if err != nil {
		t.Fatal(err)
	}
	return states[0].Key, whole(t)[states[0].Key]
}

// begin claims the trial of oneTrial as a process of another machine would, and returns its order, for the executor.
func (b *bench) begin(t *testing.T) (experiments.Order, string) {
	t.Helper()
	p := b.plan(t, tiny, oneTrial)
	if _, err := b.PrepareData(t.Context(), &p.Rows[0].Config); err != nil {
		t.Fatal(err)
	}
	states, err := b.States(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	s := &states[0]
	key, number := b.foreign(t, p)
	dir := b.workFolder(key)
	if err := experiments.Hold(dir, number); err != nil {
		t.Fatal(err)
	}
	if !b.workers {
		b.Executor = Here(*b.Trainer)
	}
	t.Cleanup(b.Executor.Close)
	return experiments.Order{Key: key, Training: b.training(s), Attempt: number, Config: string(plan.Resolved(&s.Config)), Init: s.Init, Source: s.source}, dir
}

// A trial that the user stops goes on from the step that it was stopped at, and ends in the bits of one that nobody
// stopped.
func TestExecutorStops(t *testing.T) {
	want := whole(t)
	onEach(t, testWorker{}, func(t *testing.T, b *bench) {
		p := b.plan(t, tiny, plan.Selection{})
		for range 2 {
			ctx, cancel := context.WithCancel(t.Context())
			b.Notify = func(e experiments.Event) {
				if s, ok := e.(experiments.Stepped); ok && s.Step >= 1 {
					cancel()
				}
			}
			if _, err := b.Sweep(ctx, p); !errors.Is(err, context.Canceled) {
				t.Fatalf("error %v, want the context's", err)
			}
			cancel()
		}
		for _, tr := range b.trials(t) {
			if tr.Status != record.StatusInterrupted && tr.Status != record.StatusDone {
				t.Errorf("trial %.12s is %s", tr.Key, tr.Status)
			}
		}
		b.Notify = nil
		if c, err := b.Sweep(t.Context(), p); err != nil || c.Done != 4 {
			t.Fatalf("continued: %+v, %v", c, err)
		}
		for _, tr := range b.trials(t) {
			same(t, "trial "+tr.Key[:12], b.finished(t, tr.Key), want[tr.Key])
			for i, a := range tr.Attempts[1:] {
				if a.StartStep < tr.Attempts[i].EndStep {
					t.Errorf("trial %.12s: attempts %+v: steps were done twice", tr.Key, tr.Attempts)
				}
			}
		}
	})
}

// A panic is the failure of its trial: it is recorded with the call that panicked, and the others are done.
func TestExecutorPanics(t *testing.T) {
	onEach(t, testWorker{Die: "panic", Gamma: 0, Step: 4}, func(t *testing.T, b *bench) {
		p := b.plan(t, tiny, plan.Selection{Seeds: "0"})
		if c, err := b.Sweep(t.Context(), p); err != nil || c != (record.Counts{Done: 1, Failed: 1}) {
			t.Fatalf("%+v, %v; want one failed, one done", c, err)
		}
		states, err := b.States(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		bad := states[0].Recorded
		if !strings.HasPrefix(bad.Error, "panic: out of luck\nfocalgrid/experiments/sweep.(*deadlySession).Step(") {
			t.Errorf("recorded is %q, want the panic and where it was", bad.Error)
		}
		if n := strings.Count(bad.Error, "\n"); n > 12 {
			t.Errorf("%d lines are recorded, want the last few", n)
		}
	})
}

// A trial that fails does not stop the others.
func TestExecutorFails(t *testing.T) {
	onEach(t, testWorker{}, func(t *testing.T, b *bench) {
		p := b.plan(t, tiny, plan.Selection{Seeds: "0"})
		if _, err := b.PrepareData(t.Context(), &p.Rows[0].Config); err != nil {
			t.Fatal(err)
		}
		p.Trials[0].Config.Set("loss.type", "huber") // no such loss: fails when its order is read
		if c, err := b.Sweep(t.Context(), p); err != nil || c != (record.Counts{Done: 1, Failed: 1}) {
			t.Errorf("%+v, %v; want one failed, one done", c, err)
		}
	})
}

// An order that comes again, as from a queue that delivers it twice, ends as before, and does no step twice.
func TestExecutorRunsDuplicate(t *testing.T) {
	_, want := wholeTrial(t)
	onEach(t, testWorker{}, func(t *testing.T, b *bench) {
		o, dir := b.begin(t)
		steps := 0
		for range 2 {
			if err := b.Executor.Run(t.Context(), 0, o, dir, func(e experiments.Event) {
				if _, ok := e.(experiments.Stepped); ok {
					steps++
				}
			}); err != nil {
				t.Fatal(err)
			}
		}
		f, err := experiments.ReadBundle(dir, o.Attempt)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := b.apply(o.Key, o.Attempt, f); err != nil {
				t.Fatal(err)
			}
		}
		same(t, "ordered and recorded twice", b.finished(t, o.Key), want)
		if steps != 6 {
			t.Errorf("%d steps were done, want 6", steps)
		}
	})
}

// An attempt in whose folder a later one has begun ends as lost at its next checkpoint, and writes nothing there.
func TestExecutorLoses(t *testing.T) {
	onEach(t, pausing(t), func(t *testing.T, b *bench) {
		o, dir := b.begin(t)
		err := b.Executor.Run(t.Context(), 0, o, dir, func(e experiments.Event) {
			if s, ok := e.(experiments.Stepped); ok && s.Step == 2 {
				b.asleep(t, func() {
					if err := experiments.Hold(dir, o.Attempt+1); err != nil {
						t.Error(err)
					}
				})
			}
		})
		if !errors.Is(err, record.ErrLost) || !strings.Contains(err.Error(), "attempt 2 took over") {
			t.Errorf("it ended with %v, want ErrLost and who took over", err)
		}
		if _, err := experiments.ReadBundle(dir, o.Attempt); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("it left a bundle (%v)", err)
		}
		if names := b.checkpoints(t, o.Key); !slices.Equal(names, []string{"step-00000002.safetensors"}) {
			t.Errorf("it left %v, want what it wrote before", names)
		}
		if err := b.apply(o.Key, o.Attempt+1, record.Finish{Outcome: record.Outcome{Status: record.StatusFailed, Finished: b.Timestamp()}}); !errors.Is(err, record.ErrLost) {
			t.Errorf("a result of an attempt that was never claimed: %v", err)
		}
	})
}

// A trial whose folder is taken away while it is at work begins anew.
func TestExecutorLosesFolder(t *testing.T) {
	key, want := wholeTrial(t)
	onEach(t, pausing(t), func(t *testing.T, b *bench) {
		starts := 0
		b.Notify = func(e experiments.Event) {
			switch e := e.(type) {
			case TrialStarted:
				starts++
			case experiments.Stepped:
				if e.Step == 2 && starts == 1 {
					b.asleep(t, func() {
						if err := os.RemoveAll(b.workFolder(key)); err != nil {
							t.Error(err)
						}
					})
				}
			}
		}
		if c, err := b.Sweep(t.Context(), b.plan(t, tiny, oneTrial)); err != nil || c != (record.Counts{Done: 1}) {
			t.Fatalf("%+v, %v", c, err)
		}
		same(t, "begun anew", b.finished(t, key), want)
		if starts != 2 {
			t.Errorf("it was started %d times", starts)
		}
	})
}

// A bundle whose coordinator died before it was recorded is recorded by the next, which trains nothing. Where the
// bundle is damaged, the trial goes on from its last checkpoint.
func TestExecutorIsLate(t *testing.T) {
	key, want := wholeTrial(t)
	for _, damaged := range []bool{false, true} {
		onEach(t, testWorker{}, func(t *testing.T, b *bench) {
			o, dir := b.begin(t)
			if err := b.Executor.Run(t.Context(), 0, o, dir, func(experiments.Event) {}); err != nil {
				t.Fatal(err)
			}
			if damaged {
				if err := os.WriteFile(filepath.Join(dir, "attempt-00000001.bundle"), []byte("half"), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			steps := 0
			var end TrialEnded
			b.Notify = func(e experiments.Event) {
				switch e := e.(type) {
				case experiments.Stepped:
					steps++
				case TrialEnded:
					end = e
				}
			}
			b.Lease = 60 * time.Millisecond
			if c, err := b.Sweep(t.Context(), b.plan(t, tiny, oneTrial)); err != nil || c != (record.Counts{Done: 1}) {
				t.Fatalf("%+v, %v", c, err)
			}
			same(t, "recorded by another", b.finished(t, key), want)
			exits := []string{}
			for _, a := range b.trials(t)[0].Attempts {
				exits = append(exits, a.Exit)
			}
			wantExits := []string{record.StatusDone}
			if damaged {
				wantExits = []string{record.ExitKilled, record.StatusDone}
			}
			if steps != 0 || end.Elsewhere == damaged || !slices.Equal(exits, wantExits) {
				t.Errorf("%d steps, ended %+v, attempts ended %v; want no step, and %v", steps, end, exits, wantExits)
			}
			if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the work folder is still there: %v", err)
			}
		})
	}
}

// pausing makes a worker process pause once, in the fourth step of the trial of oneTrial.
func pausing(t *testing.T) testWorker {
	return testWorker{Die: "pause", Gamma: 2, Step: 4, Once: filepath.Join(t.TempDir(), "once")}
}

// asleep calls f while the run pauses that has just reported its third step: in a worker process it does so by
// itself, and in this one because nobody takes its event.
func (b *bench) asleep(t *testing.T, f func()) {
	t.Helper()
	if !b.workers {
		f()
		return
	}
	pid, err := b.Executor.Process(0)
	if err != nil {
		t.Error(err)
		return
	}
	stopped := func() bool {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return bytes.Contains(text, []byte(") T "))
	}
	for begun := time.Now(); !stopped(); time.Sleep(time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Errorf("process %d does not pause", pid)
			return
		}
	}
	f()
	syscall.Kill(pid, syscall.SIGCONT)
}

// A run that pauses in the middle of a trial, and wakes up when another coordinator has taken it over and finished it,
// finds that out and records nothing.
func TestExecutorPauses(t *testing.T) {
	_, want := wholeTrial(t)
	onEach(t, pausing(t), func(t *testing.T, a *bench) {
		b := newBench(t, 1)
		store, err := results.Open(a.Store.Path())
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		b.Store, b.CheckpointEvery = store, 2
		a.Lease = time.Hour // no heartbeat within this test
		b.Lease = 60 * time.Millisecond
		p := a.plan(t, tiny, oneTrial)
		var left record.Trial
		var steps int
		var end *TrialEnded
		a.Notify = func(e experiments.Event) {
			switch e := e.(type) {
			case experiments.Stepped:
				if steps++; e.Step == 2 { // asleep, with a checkpoint after step 2
					a.asleep(t, func() {
						if c, err := b.Sweep(t.Context(), p); err != nil || c.Done != 1 {
							t.Errorf("the other: %+v, %v", c, err)
						}
						left = b.trials(t)[0]
					})
				}
			case TrialEnded:
				end = &e
			}
		}
		if c, err := a.Sweep(t.Context(), p); err != nil || c.Done != 1 {
			t.Fatalf("%+v, %v", c, err)
		}
		if end == nil || !end.Elsewhere || steps != 4 {
			t.Errorf("it did %d steps and reported %+v; want 4, until its next checkpoint, and that another did it", steps, end)
		}
		now := a.trials(t)[0]
		if fmt.Sprintf("%+v", now) != fmt.Sprintf("%+v", left) {
			t.Errorf("the sleeper changed\n%+v\nto\n%+v", left, now)
		}
		same(t, "done by the other", a.finished(t, now.Key), want)
		if len(now.Attempts) != 2 || now.Attempts[1].StartStep != 2 {
			t.Errorf("attempts %+v", now.Attempts)
		}
		if _, err := os.Stat(a.workFolder(now.Key)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the sleeper left a work folder: %v", err)
		}
	})
}

// A process that is killed in any of its steps is replaced; its trial goes on from its checkpoint, and ends in the
// bits of one that nobody killed. TestKill kills whole sweeps on either executor.
func TestExecutorIsKilled(t *testing.T) {
	key, want := wholeTrial(t)
	for step := 1; step <= 6; step++ {
		b := newBench(t, 1)
		b.jobs(2, testWorker{Die: "kill", Gamma: 2, Step: step, Once: filepath.Join(b.dir, "once")})
		b.Retries = 1
		if c, err := b.Sweep(t.Context(), b.plan(t, tiny, oneTrial)); err != nil || c != (record.Counts{Done: 1}) {
			t.Fatalf("in step %d: %+v, %v", step, c, err)
		}
		same(t, fmt.Sprint("killed in step ", step), b.finished(t, key), want)
		attempts := b.trials(t)[0].Attempts
		if start := (step - 1) / 2 * 2; len(attempts) != 2 || attempts[0].EndStep != step-1 || attempts[1].StartStep != start {
			t.Errorf("killed in step %d: attempts %+v; want the second to begin at %d", step, attempts, start)
		}
	}
}

// A trial whose scoring failed goes on from its checkpoint when what is scored was repaired, under its new identity,
// to the same weights and scores as if nothing had been wrong.
func TestExecutorInherits(t *testing.T) {
	onEach(t, testWorker{}, func(t *testing.T, b *bench) {
		folder := b.folder(t, "coco")
		path := filepath.Join(folder, "val", "000000000002.jpg")
		right, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		// Header and end are as they should be; what lies between is not.
		bad := slices.Clone(right)
		copy(bad[len(bad)/2:], "\xff\x01\xff\x01")
		if err := os.WriteFile(path, bad, 0o666); err != nil {
			t.Fatal(err)
		}
		sel := one(folder)
		sel.Only = nil
		p := b.plan(t, tiny, sel)
		if c, err := b.Sweep(t.Context(), p); err != nil || c != (record.Counts{Failed: 2}) {
			t.Fatalf("with a damaged picture: %+v, %v", c, err)
		}
		if err := os.WriteFile(path, right, 0o666); err != nil {
			t.Fatal(err)
		}
		b.forget()
		steps := 0
		b.Notify = func(e experiments.Event) {
			if _, ok := e.(experiments.Stepped); ok {
				steps++
			}
		}
		if c, err := b.Sweep(t.Context(), p); err != nil || c != (record.Counts{Done: 2}) {
			t.Fatalf("repaired: %+v, %v", c, err)
		}
		if steps != 0 {
			t.Errorf("%d steps were done again, want those of the failed trials to count", steps)
		}
		states, err := b.States(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		fresh := newBench(t, 2)
		if _, err := fresh.Sweep(t.Context(), fresh.plan(t, tiny, sel)); err != nil {
			t.Fatal(err)
		}
		for _, s := range states {
			same(t, "trial "+s.Key[:12], b.finished(t, s.Key), fresh.finished(t, s.Key))
		}
	})
}
