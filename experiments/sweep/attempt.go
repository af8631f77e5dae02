package sweep

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"focalgrid/atomicfile"
	"focalgrid/experiments"
	"focalgrid/experiments/plan"
	"focalgrid/results"
	"focalgrid/results/record"
)

// defaultLease is how long an attempt may be silent before another coordinator takes its trial over.
const defaultLease = 30 * time.Second

// beatsPerLease is the number of heartbeats that a coordinator sends for an attempt in that time.
const beatsPerLease = 6

// pausedLeases is how many times longer a coordinator may be silent if its process exists on this machine: it may be
// starved of time.
const pausedLeases = 10

func (c *Coordinator) lease() time.Duration {
	if c.Lease > 0 {
		return c.Lease
	}
	return defaultLease
}

// attempt is this coordinator's hold on a trial, from claim to result.
type attempt struct {
	c      *Coordinator
	key    string
	dir    string // the trial's work folder
	number int
	begun  time.Time

	step, peak atomic.Int64 // steps done and bytes of memory, as its events report

	lose context.CancelCauseFunc // ends the work
	stop chan struct{}           // closed to end the heartbeats
	over chan struct{}           // closed when they have ended
}

// try runs one attempt at a trial, from its last checkpoint if it has one, and records how it ended. The error is nil
// for a diverged trial, which is a result. If the trial did not begin here, or was lost, the outcome has no status, and
// the error wraps record.ErrHeld, record.ErrLost or results.ErrFinished where another attempt holds or has finished it.
func (c *Coordinator) try(ctx context.Context, place, index int, s *State) (record.Outcome, error) {
	var none record.Outcome
	last, err := c.takeover(s.Key)
	if err != nil {
		return none, err
	}
	if err := c.applyLate(s.Key, last); err != nil {
		return none, err
	}
	dir := workFolder(c.Store, s.Key)
	from, err := experiments.LastCheckpoint(dir, s.Key)
	var inherited *experiments.Checkpoint
	if err == nil && from == nil {
		inherited, err = c.inherited(s)
		from = inherited
	}
	if err != nil {
		return none, err
	}
	start := 0
	if from != nil {
		start = from.Step
	}
	pid, err := c.Executor.Process(place)
	if err != nil {
		return none, err
	}
	host := c.Host
	if place < len(c.Devices) {
		host.Device = c.Devices[place]
	}
	ctx, a, err := c.claim(ctx, s, host, start, last.Number, pid)
	if err != nil {
		return none, err
	}
	c.notify(TrialStarted{Index: index, Trial: s.Trial, Key: s.Key, Step: start})
	if err = experiments.Hold(dir, a.number); err == nil && inherited != nil {
		err = inherited.Write(dir, s.Key)
	}
	if err == nil {
		err = c.Executor.Run(ctx, place, experiments.Order{
			Index: index, Key: s.Key, Training: c.training(s), Attempt: a.number,
			Seed: s.Seed, Config: string(plan.Resolved(&s.Config)), Init: s.Init, Source: s.source,
		}, dir, a.observe)
	}
	return a.finish(ctx, index, err)
}

// claim begins an attempt on host at a trial with that many steps done, after attempt number last (0: none), which has
// ended or was found dead. The context it returns ends with ctx, and when the trial is lost to another attempt. The
// error wraps record.ErrHeld if another attempt came first, whose checkpoints are newer.
func (c *Coordinator) claim(ctx context.Context, s *State, host experiments.Host, start, last, pid int) (context.Context, *attempt, error) {
	a := &attempt{c: c, key: s.Key, dir: workFolder(c.Store, s.Key), begun: c.Now(), stop: make(chan struct{}), over: make(chan struct{})}
	a.step.Store(int64(start))
	if host.Changes != nil {
		if err := c.Store.KeepDiff(host.Changes); err != nil {
			return ctx, nil, err
		}
	}
	var err error
	a.number, err = c.Store.BeginTrial(record.Trial{
		Key: s.Key, Config: string(plan.Resolved(&s.Config)), Seed: s.Seed, Dataset: s.Data, Init: s.Init,
		Labels: s.source.Labels(), Engine: c.Engine.Info().Name, Numerics: fmt.Sprint(plan.Numerics), Started: c.Timestamp(), Provenance: host.Provenance(),
	}, record.Attempt{Number: last + 1, Owner: processName(), Host: host.Name, PID: pid, StartStep: start}, last)
	if err != nil {
		return ctx, nil, err
	}
	ctx, a.lose = context.WithCancelCause(ctx)
	go a.beats()
	return ctx, a, nil
}

// inherited returns the newest checkpoint of the same training that was made for another trial: one that failed or was
// stopped, and whose scored split was another. It is nil if there is none.
func (c *Coordinator) inherited(s *State) (*experiments.Checkpoint, error) {
	var best *experiments.Checkpoint
	of := ""
	for _, key := range s.stopped {
		found, err := experiments.LastCheckpoint(workFolder(c.Store, key), key)
		if err != nil {
			return nil, err
		}
		if found != nil && found.Training == c.training(s) && (best == nil || found.Step > best.Step) {
			best, of = found, key
		}
	}
	if best != nil {
		c.notify(experiments.Noted{Text: fmt.Sprintf("trial %.12s goes on from step %d of trial %.12s, which did not end: its training is the same, what is scored was changed", s.Key, best.Step, of)})
	}
	return best, nil
}

// takeover returns the trial's last attempt, the zero Attempt if it had none, which has ended or is dead. The error
// wraps record.ErrHeld if it is alive.
func (c *Coordinator) takeover(key string) (record.Attempt, error) {
	var none record.Attempt
	t, err := c.Store.Trial(key)
	if errors.Is(err, results.ErrNoTrial) {
		return none, nil
	}
	if err != nil {
		return none, err
	}
	if record.IsFinal(t.Status) {
		return none, fmt.Errorf("trial %.12s is %s: %w", key, t.Status, results.ErrFinished)
	}
	if len(t.Attempts) == 0 {
		return none, nil
	}
	last := t.Attempts[len(t.Attempts)-1]
	if last.Exit != "" {
		return last, nil
	}
	patience := c.lease()
	known, alive := processState(last.Owner)
	if known && alive {
		patience *= pausedLeases
	}
	if known && !alive || c.silent(key, last, patience) {
		return last, nil
	}
	return none, fmt.Errorf("trial %.12s: %w: attempt %d, process %d on %s", key, record.ErrHeld, last.Number, last.PID, last.Host)
}

// AtWork reports whether somebody works on a trial that is recorded as running, as far as the record and this machine
// show: its attempt's process is not known to have ended, and the last heartbeat is not too old by the clock. Unlike a
// coordinator it looks once, and so it compares clocks, of this machine and of the machine that the attempt runs on.
func AtWork(t *record.Trial, now time.Time) bool {
	if t.Status != record.StatusRunning || len(t.Attempts) == 0 {
		return false
	}
	last := t.Attempts[len(t.Attempts)-1]
	if last.Exit != "" {
		return false
	}
	patience := defaultLease
	known, alive := processState(last.Owner)
	if known && alive {
		patience *= pausedLeases
	}
	started, err := time.Parse(time.RFC3339, last.Started)
	if known && !alive || err != nil {
		return err != nil && !known
	}
	heard := started.Add(time.Duration(last.WallSeconds * float64(time.Second)))
	return now.Sub(heard) < patience
}

// heard is the last heartbeat of another coordinator's attempt, and when it was seen.
type heard struct {
	number, beats int
	at            time.Time
}

// silent reports whether no heartbeat has come for that long by this process's clock. Clocks are never compared with
// each other, and a clock that is set back makes the wait longer.
func (c *Coordinator) silent(key string, a record.Attempt, patience time.Duration) bool {
	now := c.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	last, ok := c.heard[key]
	if !ok || last.number != a.Number || last.beats != a.Beats || now.Before(last.at) {
		if c.heard == nil {
			c.heard = map[string]heard{}
		}
		c.heard[key] = heard{a.Number, a.Beats, now}
		return false
	}
	return now.Sub(last.at) >= patience
}

// applyLate records the result of a dead coordinator's attempt, which its trial's folder may hold. The error wraps
// results.ErrFinished if the trial then needs no more work. A bundle that cannot be read is ignored: the trial goes
// on from its checkpoint.
func (c *Coordinator) applyLate(key string, last record.Attempt) error {
	if last.Number == 0 || last.Exit != "" {
		return nil
	}
	fin, err := experiments.ReadBundle(workFolder(c.Store, key), last.Number)
	if err != nil {
		return nil
	}
	err = c.apply(key, last.Number, fin)
	switch {
	case errors.Is(err, fs.ErrNotExist): // its weights are not there
		return nil
	case err == nil && record.IsFinal(fin.Status):
		return fmt.Errorf("trial %.12s is %s: %w", key, fin.Status, results.ErrFinished)
	}
	return err
}

// apply records how an attempt ended, and removes from its trial's folder what is no longer needed. Doing it again
// changes nothing. The error is record.ErrLost if another attempt took over.
func (c *Coordinator) apply(key string, number int, f record.Finish) error {
	dir := workFolder(c.Store, key)
	if f.Weights != "" {
		path := c.Store.WeightsPath(f.Weights)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		err := atomicfile.Move(experiments.FinalPath(dir, f.Weights), path)
		if errors.Is(err, fs.ErrNotExist) {
			_, err = os.Stat(path) // moved before
		}
		if err != nil {
			return err
		}
	}
	if err := c.Store.FinishTrial(key, number, f); err != nil {
		return err
	}
	if record.IsFinal(f.Status) {
		return os.RemoveAll(dir)
	}
	return experiments.Release(dir, number)
}

// observe notes the attempt's progress for its heartbeats, and passes the event on.
func (a *attempt) observe(e experiments.Event) {
	if s, ok := e.(experiments.Stepped); ok {
		a.step.Store(int64(s.Step + 1))
		a.peak.Store(max(a.peak.Load(), s.PeakBytes))
	}
	a.c.notify(e)
}

// beats sends heartbeats until the attempt stops. It goes on if the database does not answer, and ends the work if the
// database reports the trial as lost.
func (a *attempt) beats() {
	defer close(a.over)
	t := time.NewTicker(a.c.lease() / beatsPerLease)
	defer t.Stop()
	for {
		select {
		case <-a.stop:
			return
		case <-t.C:
			err := a.c.Store.Beat(a.key, a.number, record.Progress{Step: int(a.step.Load()), WallSeconds: a.wall(), PeakBytes: a.peak.Load()})
			if errors.Is(err, record.ErrLost) {
				a.lose(err)
				return
			}
		}
	}
}

func (a *attempt) wall() float64 { return experiments.Seconds(a.begun, a.c.Now()) }

// finish ends the heartbeats and records how the attempt ended: as its bundle says, or, where it left none, as err
// does.
func (a *attempt) finish(ctx context.Context, index int, err error) (record.Outcome, error) {
	var none record.Outcome
	close(a.stop)
	<-a.over
	stopped := ctx.Err() != nil
	a.lose(nil)
	fin, missing := experiments.ReadBundle(a.dir, a.number)
	switch {
	case missing == nil && errors.Is(err, ErrDied): // after the result, and before it could report it
		err = nil
	case missing != nil:
		if err == nil {
			err = missing
		}
		err = experiments.WithAdvice(err)
		fin = record.Finish{EndStep: int(a.step.Load()), PeakBytes: a.peak.Load(), Outcome: record.Outcome{
			Status: record.StatusFailed, Error: err.Error(), Finished: a.c.Timestamp(), WallSeconds: a.wall(),
		}}
		if stopped && !errors.Is(err, ErrDied) {
			fin.Status, fin.Error = record.StatusInterrupted, "interrupted"
		}
	}
	if aerr := a.c.apply(a.key, a.number, fin); aerr != nil {
		return none, errors.Join(err, aerr) // how it ended is not recorded
	}
	if errors.Is(err, record.ErrLost) { // its folder was taken away, its trial was not
		return none, err
	}
	if !errors.Is(err, ErrDied) {
		a.c.notify(TrialEnded{Index: index, Key: a.key, Outcome: fin.Outcome})
	}
	return fin.Outcome, err
}
