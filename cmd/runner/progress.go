package main

import (
	"fmt"
	"io"
	"time"

	"focalgrid/experiments"
	"focalgrid/results"
)

// progress shows how far a sweep is. event and print are called from one goroutine.
type progress interface {
	event(experiments.Event)
	// print lets something longer be written between the lines.
	print(func(io.Writer) error)
	close()
}

// newProgress shows bars on a terminal, plain lines elsewhere. Results go to
// stdout and progress to stderr, so that a table can be kept in a file.
func (a *app) newProgress(plan *experiments.Plan, states []experiments.State) progress {
	t := newTracker(plan, states, a.now)
	if terminal(a.err) {
		return newBars(t, a.err, a.out, terminal(a.out))
	}
	return &lines{tracker: t, w: a.err, out: a.out}
}

// tracker counts what events tell.
type tracker struct {
	plan *experiments.Plan
	now  func() time.Time

	trials, ended int // to do, and of them over
	steps, done   int // of all trials to do
	before        int // of those done, taken over from checkpoints
	begun         time.Time

	label      string // of the trial at hand
	from       int    // steps taken over
	step, of   int
	loss       float64
	trialBegun time.Time
}

func newTracker(plan *experiments.Plan, states []experiments.State, now func() time.Time) *tracker {
	t := &tracker{plan: plan, now: now}
	for i := range states {
		if !states[i].Done() {
			t.trials++
			t.steps += states[i].Config.Train.Iters
		}
	}
	return t
}

func (t *tracker) start(e experiments.TrialStarted) {
	if t.begun.IsZero() {
		t.begun = t.now()
	}
	t.label = fmt.Sprintf("trial %d of %d", t.ended+1, t.trials)
	t.from, t.step, t.of, t.loss = e.Step, e.Step, e.Trial.Config.Train.Iters, 0
	t.before += e.Step
	t.done += e.Step
	t.trialBegun = time.Time{}
}

func (t *tracker) stepped(e experiments.Stepped) {
	if t.trialBegun.IsZero() { // the first step has the data and the network made before it
		t.trialBegun = t.now()
		t.step = e.Step + 1
		t.done++
		t.loss = e.Loss
		return
	}
	t.step, t.loss = e.Step+1, e.Loss
	t.done++
}

func (t *tracker) end(e experiments.TrialEnded) {
	t.ended++
	if e.Elsewhere {
		n := t.plan.Trials[e.Index].Config.Train.Iters
		t.before += n
		t.done += n
		t.label = fmt.Sprintf("trial %d of %d", t.ended, t.trials)
		return
	}
	t.done += t.of - t.step // of a trial that ended early
	t.step = t.of
}

// rate is steps a second of the trial at hand, 0 where not known.
func (t *tracker) rate() float64 {
	if d := t.now().Sub(t.trialBegun).Seconds(); t.step > t.from+1 && d > 0 {
		return float64(t.step-t.from-1) / d
	}
	return 0
}

// trialLeft estimates the seconds of the trial's steps to come.
func (t *tracker) trialLeft() (seconds float64, ok bool) {
	if r := t.rate(); r > 0 {
		return float64(t.of-t.step) / r, true
	}
	return 0, false
}

// allLeft estimates the seconds to the end of the sweep, evaluations included.
func (t *tracker) allLeft() (seconds float64, ok bool) {
	here := t.done - t.before
	if t.begun.IsZero() || here == 0 {
		return 0, false
	}
	return t.now().Sub(t.begun).Seconds() / float64(here) * float64(t.steps-t.done), true
}

// started says which trial begins.
func (t *tracker) started(e experiments.TrialStarted) string {
	s := fmt.Sprintf("%s (%.12s): %s", t.label, e.Key, factors(t.plan, &e.Trial))
	if e.Step > 0 {
		s += fmt.Sprintf(", from step %d", e.Step)
	}
	return s
}

// waiting says what a sweep without work of its own waits for.
func waiting(e experiments.Waiting) string {
	return "waiting for " + count(e.Trials, "trial") + " that other processes are at work on"
}

// ended says how a trial ended, and where if not here.
func ended(e experiments.TrialEnded) string {
	if e.Elsewhere {
		return fmt.Sprintf("(%.12s), by another process: %s", e.Key, outcome(e.Outcome))
	}
	return outcome(e.Outcome)
}

// outcome says how a trial ended.
func outcome(o results.Outcome) string {
	took := " in " + lasting(o.WallSeconds)
	switch o.Status {
	case results.StatusDone:
		ap, ap50, ap75 := o.Metrics["AP"], o.Metrics["AP50"], o.Metrics["AP75"]
		return fmt.Sprintf("done%s: AP %.1f, AP50 %.1f, AP75 %.1f", took, 100*ap, 100*ap50, 100*ap75)
	case results.StatusDiverged:
		return "diverged" + took + ": " + o.Error
	case results.StatusFailed:
		return "failed" + took + ": " + o.Error
	}
	return o.Status
}

// lines reports in plain lines, about ten a trial.
type lines struct {
	*tracker
	w, out io.Writer
	said   string // last of a preparation or of waiting
}

func (l *lines) print(f func(io.Writer) error) {
	fmt.Fprintln(l.out)
	if err := f(l.out); err != nil {
		fmt.Fprintf(l.w, "runner: table: %v\n", err)
	}
	fmt.Fprintln(l.out)
}

func (l *lines) close() {}

func (l *lines) event(e experiments.Event) {
	switch e := e.(type) {
	case experiments.Preparing:
		const parts = 4
		if said := fmt.Sprint(e.What, e.Done*parts/max(e.Total, 1)); said != l.said {
			l.said = said
			note := ""
			if e.Done == e.Total && e.Note != "" {
				note = ": " + e.Note
			}
			fmt.Fprintf(l.w, "preparing %s, %d of %d%s\n", e.What, e.Done, e.Total, note)
		}
	case experiments.TrialStarted:
		l.start(e)
		fmt.Fprintln(l.w, l.started(e))
	case experiments.Stepped:
		l.stepped(e)
		tenth := max(1, l.of/10)
		if l.step%tenth != 0 && l.step != l.of || l.step > l.of-l.of%tenth && l.step != l.of {
			return
		}
		fmt.Fprintf(l.w, "  step %d of %d, loss %.4f", l.step, l.of, e.Loss)
		if r := l.rate(); r > 0 {
			fmt.Fprintf(l.w, ", %.1f steps/s", r)
		}
		if s, ok := l.trialLeft(); ok && l.step < l.of {
			fmt.Fprintf(l.w, ", %s left", lasting(s))
		}
		fmt.Fprintln(l.w)
	case experiments.Evaluating:
		if e.Done == e.Total {
			fmt.Fprintf(l.w, "  evaluated %d images\n", e.Total)
		}
	case experiments.Noted:
		fmt.Fprintln(l.w, e.Text)
	case experiments.Waiting:
		if said := waiting(e); said != l.said {
			l.said = said
			fmt.Fprintln(l.w, said)
		}
	case experiments.TrialEnded:
		l.end(e)
		fmt.Fprintf(l.w, "%s %s", l.label, ended(e))
		if s, ok := l.allLeft(); ok && l.ended < l.trials {
			fmt.Fprintf(l.w, "; %s left", lasting(s))
		}
		fmt.Fprintln(l.w)
	}
}
