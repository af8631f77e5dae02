package sweep

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"focalgrid/engine"
	"focalgrid/engine/gorgonia"
	"focalgrid/engine/kernel"
	"focalgrid/experiments"
	"focalgrid/experiments/plan"
	"focalgrid/results"
	"focalgrid/results/record"
)

// asWorker makes the test binary a worker process.
const asWorker = "FOCALGRID_TEST_WORKER"

// testWorker says where a worker works, and how it dies: in a trial with that
// gamma after that step, by a panic or as if killed by the system; or that it pauses.
type testWorker struct {
	Cache string
	Die   string // "panic", "kill" or ""
	Once  string // a file that is made before, and prevents it
	Gamma float64
	Step  int
}

func TestMain(m *testing.M) {
	if text := os.Getenv(asWorker); text != "" {
		if err := work(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func work(text string) error {
	var w testWorker
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		return err
	}
	return Work(&experiments.Trainer{
		Data: experiments.Data{Cache: w.Cache}, Engine: deadly{gorgonia.New(kernel.NewPool(1), gorgonia.Options{}), w}, Now: time.Now, CheckpointEvery: 2,
	}, os.Stdin, os.Stdout)
}

// deadly is an engine whose sessions end their process.
type deadly struct {
	engine.Engine
	w testWorker
}

func (d deadly) Compile(p *engine.Program, s *engine.State) (engine.Session, error) {
	session, err := d.Engine.Compile(p, s)
	return &deadlySession{Session: session, w: d.w}, err
}

type deadlySession struct {
	engine.Session
	w     testWorker
	steps int
}

func (d *deadlySession) Step(f engine.Feeds, assign engine.Assign) (engine.Result, error) {
	gamma, _ := f["loss.gamma"].([]float32)
	if d.w.Die == "" || len(gamma) != 1 || float64(gamma[0]) != d.w.Gamma {
		return d.Session.Step(f, assign)
	}
	if d.steps++; d.steps != d.w.Step { // of this trial: the session may have served another
		return d.Session.Step(f, assign)
	}
	if d.w.Once != "" {
		once, err := os.OpenFile(d.w.Once, os.O_CREATE|os.O_EXCL, 0o666)
		if err != nil {
			return d.Session.Step(f, assign)
		}
		once.Close()
	}
	switch d.w.Die {
	case "kill":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "stray": // of a goroutine that nobody waits for
		go panic("out of luck")
		select {}
	case "pause":
		syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		return d.Session.Step(f, assign)
	}
	panic("out of luck")
}

// jobs gives a bench that many worker processes.
func (b *bench) jobs(n int, w testWorker) {
	w.Cache = b.Cache
	text, err := json.Marshal(w)
	if err != nil {
		panic(err)
	}
	b.workers = true
	b.Executor = Processes(n, func(int) *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), asWorker+"="+string(text))
		return cmd
	})
}

// whole is what the four trials of the tiny grid leave, by key. They are run once.
func whole(t *testing.T) map[string]finished {
	t.Helper()
	if wholeTiny != nil {
		return wholeTiny
	}
	b := newBench(t, 2)
	if c, err := b.Sweep(t.Context(), b.plan(t, tiny, plan.Selection{})); err != nil || c.Done != 4 {
		t.Fatalf("%+v, %v", c, err)
	}
	out := map[string]finished{}
	for _, tr := range b.trials(t) {
		out[tr.Key] = b.finished(t, tr.Key)
	}
	wholeTiny = out
	return out
}

var wholeTiny map[string]finished

// Several jobs leave what one does, and report as it does. Each records what it computes on.
func TestJobs(t *testing.T) {
	want := whole(t)
	b := newBench(t, 1)
	b.jobs(2, testWorker{})
	b.Devices = []string{"the first GPU", "the second GPU"}
	var mu sync.Mutex
	steps, devices := map[int][]int{}, map[int]string{}
	var started, ended []int
	b.Notify = func(e experiments.Event) {
		if !mu.TryLock() {
			t.Error("two events at once")
			return
		}
		defer mu.Unlock()
		switch e := e.(type) {
		case TrialStarted:
			started = append(started, e.Index)
		case experiments.Stepped:
			steps[e.Index] = append(steps[e.Index], e.Step)
		case TrialEnded:
			ended = append(ended, e.Index)
			if ap, ok := e.Outcome.Metrics["APl"]; !ok || ap == ap {
				t.Errorf("a metric without ground truth came as %v", ap)
			}
		}
	}
	if c, err := b.Sweep(t.Context(), b.plan(t, tiny, plan.Selection{})); err != nil || c != (record.Counts{Done: 4}) {
		t.Fatalf("%+v, %v", c, err)
	}
	slices.Sort(started)
	slices.Sort(ended)
	if all := []int{0, 1, 2, 3}; !slices.Equal(started, all) || !slices.Equal(ended, all) {
		t.Errorf("started %v, ended %v", started, ended)
	}
	for i := range 4 {
		if !slices.Equal(steps[i], []int{0, 1, 2, 3, 4, 5}) {
			t.Errorf("steps of trial %d: %v", i, steps[i])
		}
	}
	for _, tr := range b.trials(t) {
		same(t, "trial "+tr.Key[:12], b.finished(t, tr.Key), want[tr.Key])
		var h experiments.Host
		if err := json.Unmarshal([]byte(tr.Provenance), &h); err != nil {
			t.Fatal(err)
		}
		first, ok := devices[tr.Attempts[0].PID]
		if devices[tr.Attempts[0].PID] = h.Device; ok && first != h.Device {
			t.Errorf("process %d computed on %s and on %s", tr.Attempts[0].PID, first, h.Device)
		}
	}
	if got := slices.Sorted(maps.Values(devices)); !slices.Equal(got, b.Devices) || devices[os.Getpid()] != "" {
		t.Errorf("trained by processes on %v, want two others than %d, one on each of %q", devices, os.Getpid(), b.Devices)
	}
}

// A worker that dies is replaced, and its trial tried again from its checkpoint.
// One that dies each time has failed, with the reason, and stops no other.
func TestJobsDie(t *testing.T) {
	want := whole(t)
	for _, tt := range []struct {
		name, die, why string
		always         bool
	}{
		{"panics once", "stray", "panic: out of luck", false},
		{"is killed once", "kill", "signal: killed, as the system does when memory runs out", false},
		{"panics always", "stray", "panic: out of luck", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, 1)
			w := testWorker{Die: tt.die, Gamma: 2, Step: 4}
			if !tt.always {
				w.Once = filepath.Join(b.dir, "once")
			}
			b.jobs(2, w)
			b.Retries = 1
			p := b.plan(t, tiny, plan.Selection{Seeds: "0"})
			var noted []string
			var last TrialEnded
			b.Notify = func(e experiments.Event) {
				switch e := e.(type) {
				case experiments.Noted:
					noted = append(noted, e.Text)
				case TrialEnded:
					if e.Index == 1 {
						last = e
					}
				}
			}
			c, err := b.Sweep(t.Context(), p)
			states, serr := b.States(t.Context(), p)
			if err != nil || serr != nil {
				t.Fatal(err, serr)
			}
			if len(noted) != 1 || !strings.Contains(noted[0], "is tried again (1 of 1)") || !strings.Contains(noted[0], tt.why) {
				t.Errorf("said %q", noted)
			}
			bad := states[1].Recorded
			if tt.always {
				if c != (record.Counts{Done: 1, Failed: 1}) || bad.Status != record.StatusFailed || !strings.Contains(bad.Error, tt.why) || last.Outcome.Status != record.StatusFailed {
					t.Errorf("%+v, %+v, told %+v", c, bad.Outcome, last)
				}
				return // the second try, from step 2, dies in the last step
			}
			if c != (record.Counts{Done: 2}) || len(bad.Attempts) != 2 {
				t.Fatalf("%+v, %d attempts", c, len(bad.Attempts))
			}
			first, second := bad.Attempts[0], bad.Attempts[1]
			if first.Exit != record.StatusFailed || !strings.Contains(first.Error, tt.why) || second.Exit != record.StatusDone || second.StartStep != 2 {
				t.Errorf("attempts %+v", bad.Attempts)
			}
			for _, s := range states {
				same(t, "trial "+s.Key[:12], b.finished(t, s.Key), want[s.Key])
			}
		})
	}
}

// Two sweeps on one database share the trials: each is done once.
func TestTwoSweeps(t *testing.T) {
	one := newBench(t, 1)
	two := newBench(t, 1)
	store, err := results.Open(one.Store.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	two.Store = store
	for _, b := range []*bench{one, two} {
		b.Lease = 3 * time.Second // the look again comes after a sixth of it
		b.Now = time.Now
	}
	plans := []*plan.Plan{one.plan(t, tiny, plan.Selection{}), two.plan(t, tiny, plan.Selection{})}
	var counts [2]record.Counts
	var errs [2]error
	var both sync.WaitGroup
	for i, b := range []*bench{one, two} {
		both.Go(func() { counts[i], errs[i] = b.Sweep(t.Context(), plans[i]) })
	}
	both.Wait()
	if err := errors.Join(errs[:]...); err != nil || counts[0].Done != 4 || counts[1].Done != 4 {
		t.Fatalf("%+v, %v; both want to see 4 done", counts, err)
	}
	for _, tr := range one.trials(t) {
		if len(tr.Attempts) != 1 {
			t.Errorf("trial %.12s: %d attempts, want 1", tr.Key, len(tr.Attempts))
		}
	}
}

// foreign begins the plan's only trial as a process of another machine would.
func (b *bench) foreign(t *testing.T, p *plan.Plan) (key string, number int) {
	t.Helper()
	states, err := b.States(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	q := states[0]
	number, err = b.Store.BeginTrial(record.Trial{
		Key: q.Key, Config: string(plan.Resolved(&q.Config)), Dataset: q.Data, Engine: "gorgonia", Numerics: fmt.Sprint(plan.Numerics), Started: "2026-01-01T00:00:00Z",
	}, record.Attempt{Owner: "elsewhere", Host: "elsewhere", PID: 7}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return q.Key, number
}

// A trial that is at work elsewhere is left alone as long as heartbeats come,
// however long that is by the clock.
func TestLiveIsLeftAlone(t *testing.T) {
	b := newBench(t, 1)
	p := b.plan(t, tiny, plan.Selection{Seeds: "0", Only: []string{"loss.gamma=2"}})
	key, number := b.foreign(t, p)
	b.Lease = 60 * time.Millisecond
	looks := 0
	var last experiments.Event
	b.Notify = func(e experiments.Event) {
		last = e
		if _, ok := e.(Waiting); !ok {
			return
		}
		var err error
		if looks++; looks < 10 {
			err = b.Store.Beat(key, number, record.Progress{Step: looks})
		} else if looks == 10 {
			err = b.Store.FinishTrial(key, number, record.Finish{Outcome: record.Outcome{Status: record.StatusDone, Finished: "2026-01-02T00:00:00Z", Weights: strings.Repeat("0", 64)}})
		}
		if err != nil {
			t.Error(err)
		}
	}
	var hours atomic.Int64
	b.Now = func() time.Time { return time.Date(2026, 1, 1, int(hours.Add(1)), 0, 0, 0, time.UTC) }
	if c, err := b.Sweep(t.Context(), p); err != nil || c != (record.Counts{Done: 1}) {
		t.Fatalf("%+v, %v", c, err)
	}
	if end, ok := last.(TrialEnded); !ok || !end.Elsewhere || looks != 10 {
		t.Errorf("after %d looks: %+v", looks, last)
	}
	if tr := b.trials(t)[0]; len(tr.Attempts) != 1 {
		t.Errorf("%d attempts, want that of the other alone", len(tr.Attempts))
	}
}

// One that is not heard of for the length of a lease is taken over. When it
// wakes up, it can write nothing.
func TestSilentIsTakenOver(t *testing.T) {
	b := newBench(t, 1)
	p := b.plan(t, tiny, plan.Selection{Seeds: "0", Only: []string{"loss.gamma=2"}})
	key, number := b.foreign(t, p)
	b.Lease = 60 * time.Millisecond
	if c, err := b.Sweep(t.Context(), p); err != nil || c != (record.Counts{Done: 1}) {
		t.Fatalf("%+v, %v", c, err)
	}
	before := b.finished(t, key)
	tr := b.trials(t)[0]
	if len(tr.Attempts) != 2 || tr.Attempts[0].Exit != record.ExitKilled || tr.Attempts[1].Exit != record.StatusDone {
		t.Errorf("attempts %+v", tr.Attempts)
	}
	late := record.Finish{Outcome: record.Outcome{Status: record.StatusDone, Finished: "2026-01-02T00:00:00Z", Weights: strings.Repeat("0", 64)}}
	if err := b.Store.FinishTrial(key, number, late); !errors.Is(err, record.ErrLost) && !errors.Is(err, results.ErrConflict) {
		t.Errorf("the late result: %v", err)
	}
	if err := b.Store.Beat(key, number, record.Progress{}); !errors.Is(err, record.ErrLost) {
		t.Errorf("a late heartbeat: %v", err)
	}
	same(t, "after that", b.finished(t, key), before)
}

// Silence is what this process saw of another's heartbeats. A clock that is put
// back makes the wait longer, not shorter.
func TestSilence(t *testing.T) {
	clock := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	r := &Coordinator{Records: Records{Trainer: &experiments.Trainer{Now: func() time.Time { return clock }}}}
	for i, tt := range []struct {
		clock  time.Duration // since the last look
		number int
		beats  int
		want   bool
	}{
		{0, 1, 5, false},
		{59 * time.Second, 1, 5, false},
		{time.Second, 1, 5, true},
		{time.Hour, 1, 6, false},  // a heartbeat, at last
		{-time.Hour, 1, 6, false}, // the clock is put back,
		{30 * time.Second, 1, 6, false},
		{30 * time.Second, 1, 6, true}, // and a minute counts from there
		{time.Second, 2, 6, false},     // another attempt
		{time.Minute, 2, 6, true},
	} {
		clock = clock.Add(tt.clock)
		if got := r.silent("k", record.Attempt{Number: tt.number, Beats: tt.beats}, time.Minute); got != tt.want {
			t.Errorf("look %d: silent is %v", i, got)
		}
	}
}

// What cannot be read of a process proves nothing; that it has ended, or started at
// another time, does.
func TestJudgeProcess(t *testing.T) {
	hidden := &fs.PathError{Op: "open", Path: "/proc/7/stat", Err: syscall.ENOENT} // hidepid=2 hides processes of others so
	for _, tt := range []struct {
		now          string
		err          error
		known, alive bool
	}{
		{"5", nil, true, true},
		{"6", nil, true, false},
		{"", errEnded, true, false},
		{"", hidden, false, false},
		{"", syscall.EMFILE, false, false},
		{"", syscall.EACCES, false, false},
	} {
		if known, alive := judgeProcess("5", tt.now, tt.err); known != tt.known || alive != tt.alive {
			t.Errorf("started %q, %v: known %v, alive %v; want %v, %v", tt.now, tt.err, known, alive, tt.known, tt.alive)
		}
	}
}

// A process of this machine is known to be alive or gone, by its number and when
// it started.
func TestProcessState(t *testing.T) {
	machine, ok := machineName()
	if !ok {
		t.Skip("this system does not tell when a process started")
	}
	if known, alive := processState(processName()); !known || !alive {
		t.Errorf("this process is known: %v, alive: %v", known, alive)
	}
	for _, name := range []string{"elsewhere 7", "", "elsewhere pid:[1] 7 8"} {
		if known, _ := processState(name); known {
			t.Errorf("%q of another machine is known", name)
		}
	}
	started, err := processStart(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		fmt.Sprintf("%s %d %s", machine, os.Getpid(), started+"1"), // the number was given away again
		fmt.Sprintf("%s %d %s", machine, 1<<30, started),
	} {
		if known, alive := processState(name); !known || alive {
			t.Errorf("%s is known: %v, alive: %v; want it gone", name, known, alive)
		}
	}
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	begun, _ := processStart(cmd.Process.Pid)
	name := fmt.Sprintf("%s %d %s", machine, cmd.Process.Pid, begun)
	if _, alive := processState(name); !alive {
		t.Errorf("%s is gone", name)
	}
	cmd.Process.Kill()
	gone := func() bool { _, alive := processState(name); return !alive }
	for range 1000 { // until it is a zombie, whose number is still there
		if gone() {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if !gone() {
		t.Errorf("%s, killed and not waited for, is not gone", name)
	}
	cmd.Wait()
}

// A clock that runs backwards changes no result, and no time is below 0.
func TestClockBackwards(t *testing.T) {
	want := whole(t)
	b := newBench(t, 2)
	var ticks atomic.Int64
	b.Now = func() time.Time { return time.Date(2026, 1, 1, 0, 0, -int(ticks.Add(1)), 0, time.UTC) }
	if c, err := b.Sweep(t.Context(), b.plan(t, tiny, plan.Selection{})); err != nil || c.Done != 4 {
		t.Fatalf("%+v, %v", c, err)
	}
	for _, tr := range b.trials(t) {
		same(t, "trial "+tr.Key[:12], b.finished(t, tr.Key), want[tr.Key])
		if tr.WallSeconds < 0 || tr.Attempts[0].WallSeconds < 0 {
			t.Errorf("it took %g s", tr.WallSeconds)
		}
	}
}
