// Package progress prints the plan of a sweep, and shows how far it is: bars at the bottom of a
// terminal, plain lines elsewhere.
package progress

import (
	"fmt"
	"io"
	"strings"
	"time"

	"focalgrid/cmd/runner/terminal"
	"focalgrid/columns"
	"focalgrid/experiments"
	"focalgrid/experiments/plan"
	"focalgrid/experiments/sweep"
	"focalgrid/results/record"
)

// Progress shows the progress of a sweep. Event and Print are called from one goroutine.
type Progress interface {
	Event(experiments.Event)
	// Print writes a longer text between the lines.
	Print(func(io.Writer) error)
	Close()
}

// New shows bars if err is a terminal, and plain lines elsewhere. Results go to out and progress to
// err, so that a table can be redirected to a file.
func New(plan *plan.Plan, states []sweep.State, now func() time.Time, out, err *terminal.Output) Progress {
	t := newTracker(plan, states, now)
	if terminal.Is(err) {
		return newBars(t, err)
	}
	return &lines{tracker: t, w: err, out: out}
}

// Preparing returns a function that prints what is prepared before there is a sweep.
func Preparing(now func() time.Time, err io.Writer) func(experiments.Event) {
	return (&lines{tracker: newTracker(nil, nil, now), w: err}).Event
}

// tracker counts trials and steps from events.
type tracker struct {
	plan *plan.Plan
	now  func() time.Time

	trials, ended int // to do, and of them over
	steps, done   int // of all trials to do
	before        int // of those done, not done here now
	begun         time.Time

	numbers map[int]int     // of the trials, by index, in the order in which they began
	at      map[int]*atWork // the running trials, by index
}

// atWork is a running trial.
type atWork struct {
	label    string
	from     int // steps taken over
	step, of int
	loss     float64
	begun    time.Time // at its first step
}

func newTracker(plan *plan.Plan, states []sweep.State, now func() time.Time) *tracker {
	t := &tracker{plan: plan, now: now, numbers: map[int]int{}, at: map[int]*atWork{}}
	for i := range states {
		if !states[i].Done() {
			t.trials++
			t.steps += states[i].Config.Int("train.iters")
		}
	}
	return t
}

// label numbers a trial.
func (t *tracker) label(index int) string {
	if t.numbers[index] == 0 {
		t.numbers[index] = len(t.numbers) + 1
	}
	return fmt.Sprintf("trial %d of %d", t.numbers[index], t.trials)
}

// start adds a trial. A trial whose worker died before starts again.
func (t *tracker) start(e sweep.TrialStarted) {
	if t.begun.IsZero() {
		t.begun = t.now()
	}
	if old := t.at[e.Index]; old != nil {
		t.done -= old.step
		t.before -= old.from
	}
	t.at[e.Index] = &atWork{label: t.label(e.Index), from: e.Step, step: e.Step, of: e.Trial.Config.Int("train.iters")}
	t.before += e.Step
	t.done += e.Step
}

// stepped counts a step, and returns its trial.
func (t *tracker) stepped(e experiments.Stepped) *atWork {
	a := t.at[e.Index]
	if a.begun.IsZero() { // the first step includes loading the data and building the network
		a.begun = t.now()
	}
	a.step, a.loss = e.Step+1, e.Loss
	t.done++
	return a
}

// end counts the end of a trial, and returns its label.
func (t *tracker) end(e sweep.TrialEnded) string {
	t.ended++
	if a := t.at[e.Index]; a != nil {
		t.done += a.of - a.step // of a trial that ended early
		delete(t.at, e.Index)
	} else if e.Elsewhere {
		n := t.plan.Trials[e.Index].Config.Int("train.iters")
		t.before += n
		t.done += n
	}
	return t.label(e.Index)
}

// rate returns the steps a second of a trial, 0 if not known.
func (t *tracker) rate(a *atWork) float64 {
	if d := t.now().Sub(a.begun).Seconds(); a.step > a.from+1 && d > 0 {
		return float64(a.step-a.from-1) / d
	}
	return 0
}

// left estimates the seconds of a trial's steps to come.
func (t *tracker) left(a *atWork) (seconds float64, ok bool) {
	if r := t.rate(a); r > 0 {
		return float64(a.of-a.step) / r, true
	}
	return 0, false
}

// allLeft estimates the seconds to the end of the sweep, evaluations included.
func (t *tracker) allLeft() (seconds float64, ok bool) {
	here := t.done - t.before
	if t.begun.IsZero() || here <= 0 {
		return 0, false
	}
	return t.now().Sub(t.begun).Seconds() / float64(here) * float64(t.steps-t.done), true
}

// started describes the trial that begins.
func (t *tracker) started(e sweep.TrialStarted) string {
	s := fmt.Sprintf("%s (%.12s): %s", t.label(e.Index), e.Key, factors(t.plan, &e.Trial))
	if e.Step > 0 {
		s += fmt.Sprintf(", from step %d", e.Step)
	}
	return s
}

// waiting describes what a sweep without work of its own waits for.
func waiting(e sweep.Waiting) string {
	return "waiting for " + columns.Count(e.Trials, "trial") + " that other processes are training"
}

// ended describes how a trial ended, and where if not here.
func ended(e sweep.TrialEnded) string {
	if e.Elsewhere {
		return fmt.Sprintf("(%.12s), by another process: %s", e.Key, outcome(e.Outcome))
	}
	return outcome(e.Outcome)
}

// outcome describes how a trial ended.
func outcome(o record.Outcome) string {
	took := " in " + columns.Duration(o.WallSeconds)
	switch o.Status {
	case record.StatusDone:
		var parts []string
		for _, name := range []string{"AP", "AP50", "AP75"} {
			parts = append(parts, name+" "+percent(o.Metrics, name))
		}
		return "done" + took + ": " + strings.Join(parts, ", ")
	case record.StatusDiverged:
		return "diverged" + took + ": " + o.Error
	case record.StatusFailed:
		return "failed" + took + ": " + o.Error
	}
	return o.Status
}

// percent prints a metric, or a gap where there is none.
func percent(metrics map[string]float64, name string) string {
	if v, ok := metrics[name]; ok {
		return columns.Percent(v)
	}
	return columns.Gap
}

// lines reports in plain lines, about ten for each trial.
type lines struct {
	*tracker
	w, out io.Writer
	said   string // the last line about a preparation or about waiting
}

func (l *lines) Print(f func(io.Writer) error) {
	fmt.Fprintln(l.out)
	if err := f(l.out); err != nil {
		fmt.Fprintf(l.w, "runner: table: %v\n", err)
	}
	fmt.Fprintln(l.out)
}

func (l *lines) Close() {}

// which names a trial if several are running.
func (l *lines) which(index int) string {
	if a := l.at[index]; a != nil && len(l.at) > 1 {
		return a.label + ": "
	}
	return ""
}

func (l *lines) Event(e experiments.Event) {
	switch e := e.(type) {
	case experiments.Preparing:
		const parts = 4
		if said := fmt.Sprint(e.What, e.Done*parts/max(e.Total, 1)); said != l.said {
			l.said = said
			note := ""
			if e.Done == e.Total && e.Note != "" {
				note = ": " + e.Note
			}
			fmt.Fprintf(l.w, "%s, %d of %d%s\n", e.What, e.Done, e.Total, note)
		}
	case sweep.TrialStarted:
		l.start(e)
		fmt.Fprintln(l.w, l.started(e))
	case experiments.Stepped:
		a := l.stepped(e)
		tenth := max(1, a.of/10)
		if a.step%tenth != 0 && a.step != a.of || a.step > a.of-a.of%tenth && a.step != a.of {
			return
		}
		fmt.Fprintf(l.w, "  %sstep %d of %d, loss %.4f", l.which(e.Index), a.step, a.of, e.Loss)
		if r := l.rate(a); r > 0 {
			fmt.Fprintf(l.w, ", %.1f steps/s", r)
		}
		if s, ok := l.left(a); ok && a.step < a.of {
			fmt.Fprintf(l.w, ", %s left", columns.Duration(s))
		}
		fmt.Fprintln(l.w)
	case experiments.Evaluating:
		if e.Done == e.Total {
			fmt.Fprintf(l.w, "  %sevaluated %d images\n", l.which(e.Index), e.Total)
		}
	case experiments.Noted:
		fmt.Fprintln(l.w, e.Text)
	case sweep.Waiting:
		if said := waiting(e); said != l.said {
			l.said = said
			fmt.Fprintln(l.w, said)
		}
	case sweep.TrialEnded:
		fmt.Fprintf(l.w, "%s %s", l.end(e), ended(e))
		if s, ok := l.allLeft(); ok && l.ended < l.trials {
			fmt.Fprintf(l.w, "; %s left", columns.Duration(s))
		}
		fmt.Fprintln(l.w)
	}
}
