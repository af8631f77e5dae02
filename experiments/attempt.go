package experiments

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"focalgrid/experiments/plan"
	"focalgrid/results"
)

// defaultLease is how long an attempt may be silent before another process
// takes its trial over.
const defaultLease = 30 * time.Second

// beatsPerLease is how often in that time an attempt tells that it is alive.
const beatsPerLease = 6

// pausedLeases is how many times longer a process may be silent that is there on
// this machine: it may be starved rather than paused.
const pausedLeases = 10

// lookAgain is the longest time after which a sweep looks again whether what
// other processes hold is still held.
const lookAgain = 2 * time.Second

func (r *Runner) lease() time.Duration {
	if r.Lease > 0 {
		return r.Lease
	}
	return defaultLease
}

// attempt is this process's hold on a trial, from claim to finish.
type attempt struct {
	r      *Runner
	key    string
	number int
	begun  time.Time
	step   atomic.Int64 // steps done

	lose context.CancelCauseFunc // ends the work
	stop chan struct{}           // closed to end the heartbeats
	over chan struct{}           // closed when they have ended
}

// claim begins an attempt at a trial with that many steps done, after attempt number
// last (0: none), which has ended or was found dead. The context it returns ends with
// ctx, and when the trial is lost to another attempt. The errors are those of
// BeginTrial: ErrHeld if another attempt came between, whose checkpoints are newer.
func (r *Runner) claim(ctx context.Context, p *Prepared, start, last int) (context.Context, *attempt, error) {
	a := &attempt{r: r, key: p.Key, begun: r.Now(), stop: make(chan struct{}), over: make(chan struct{})}
	a.step.Store(int64(start))
	resetPeak()
	r.Store.Notice = func(text string) { r.tell(Noted{Text: text}) }
	if err := r.keepDiff(); err != nil {
		return ctx, nil, err
	}
	var err error
	a.number, err = r.Store.BeginTrial(results.Trial{
		Key: p.Key, Config: string(plan.Resolved(&p.Trial.Config)), Seed: p.Trial.Seed, Dataset: p.Data, Init: p.Init,
		Labels: labelsOf(p.source.Classes), Engine: r.Engine.Info().Name, Numerics: fmt.Sprint(plan.Numerics), Started: r.Timestamp(), Provenance: r.Host.Provenance(),
	}, results.Attempt{Number: last + 1, Owner: processName(), Host: r.Host.Name, PID: os.Getpid(), StartStep: start}, last)
	if err != nil {
		return ctx, nil, err
	}
	ctx, a.lose = context.WithCancelCause(ctx)
	go a.beats()
	return ctx, a, nil
}

// keepDiff records the change of the code that the host's provenance names.
func (r *Runner) keepDiff() error {
	if r.Host.diff == nil {
		return nil
	}
	return r.Store.KeepDiff(r.Host.diff)
}

// CodeDiff returns how the code of a trial's last attempt differed from its
// revision, as git writes it. The error says why there is nothing to show.
func CodeDiff(s *results.Store, t *results.Trial) ([]byte, error) {
	var h Host
	if err := json.Unmarshal([]byte(t.Provenance), &h); err != nil {
		return nil, fmt.Errorf("trial %.12s: provenance: %w", t.Key, err)
	}
	if h.Diff == "" {
		state := "was as in revision " + h.Revision
		if h.Dirty {
			state = "had been changed since revision " + h.Revision + ", and the change was not kept"
		} else if h.Revision == "unknown" {
			state = "is of an unknown revision"
		}
		return nil, fmt.Errorf("trial %.12s: no difference to show: the code %s", t.Key, state)
	}
	diff, err := s.Diff(h.Diff)
	if err != nil {
		return nil, fmt.Errorf("trial %.12s: the difference %.12s: %w", t.Key, h.Diff, err)
	}
	return diff, nil
}

// takeover returns the number of the trial's last attempt, 0 if it had none, which
// has ended or is dead. The error wraps results.ErrHeld if it is alive.
func (r *Runner) takeover(key string) (int, error) {
	t, err := r.Store.Trial(key)
	if errors.Is(err, results.ErrNoTrial) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if results.IsFinal(t.Status) {
		return 0, fmt.Errorf("trial %.12s is %s: %w", key, t.Status, results.ErrFinished)
	}
	if len(t.Attempts) == 0 {
		return 0, nil
	}
	last := t.Attempts[len(t.Attempts)-1]
	if last.Exit != "" {
		return last.Number, nil
	}
	patience := r.lease()
	known, alive := processState(last.Owner)
	if known && alive {
		patience *= pausedLeases
	}
	if known && !alive || r.silent(key, last, patience) {
		return last.Number, nil
	}
	return 0, fmt.Errorf("trial %.12s: %w: attempt %d, process %d on %s", key, results.ErrHeld, last.Number, last.PID, last.Host)
}

// heard is the last that was seen of another's attempt, and when.
type heard struct {
	number, beats int
	at            time.Time
}

// silent tells whether no heartbeat has come for that long, as this process
// saw it: no two clocks are compared, and one that goes backwards makes the wait longer.
func (r *Runner) silent(key string, a results.Attempt, patience time.Duration) bool {
	now := r.Now()
	last, ok := r.heard[key]
	if !ok || last.number != a.Number || last.beats != a.Beats || now.Before(last.at) {
		if r.heard == nil {
			r.heard = map[string]heard{}
		}
		r.heard[key] = heard{a.Number, a.Beats, now}
		return false
	}
	return now.Sub(last.at) >= patience
}

// beats tells again and again that the attempt is alive. A database that does
// not answer is asked again; one that says the trial is lost ends the work.
func (a *attempt) beats() {
	defer close(a.over)
	t := time.NewTicker(a.r.lease() / beatsPerLease)
	defer t.Stop()
	for {
		select {
		case <-a.stop:
			return
		case <-t.C:
			if err := a.beat(); errors.Is(err, results.ErrLost) {
				a.lose(err)
				return
			}
		}
	}
}

// wall is the seconds since the attempt began: not below 0, where a clock may be.
func (a *attempt) wall() float64 { return max(0, a.r.Now().Sub(a.begun).Seconds()) }

func (a *attempt) beat() error {
	return a.r.Store.Beat(a.key, a.number, results.Progress{
		Step: int(a.step.Load()), WallSeconds: a.wall(), PeakBytes: peakBytes(),
	})
}

// finish ends the heartbeats and records how the attempt ended.
func (a *attempt) finish(f results.Finish) (results.Outcome, error) {
	close(a.stop)
	<-a.over
	a.lose(nil)
	f.Finished, f.WallSeconds = a.r.Timestamp(), a.wall()
	f.EndStep, f.PeakBytes = int(a.step.Load()), peakBytes()
	return f.Outcome, a.r.Store.FinishTrial(a.key, a.number, f)
}
