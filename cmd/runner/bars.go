package main

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"focalgrid/experiments"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// barWidth leaves room for the texts on a terminal of 80 columns.
const barWidth = 24

// bars draws two bars at the foot of a terminal: the sweep, and what is
// at hand. Lines about ended trials scroll above them.
type bars struct {
	mu sync.Mutex // the drawing goroutine reads the tracker
	*tracker
	p        *mpb.Progress
	all, one *mpb.Bar
	what     string // at hand: "steps", "evaluating", "synthetic images"
	waited   string // the last line said of waiting
	out      io.Writer
	same     bool // stdout is that terminal too
}

func newBars(t *tracker, w, out io.Writer, same bool, options ...mpb.ContainerOption) *bars {
	b := &bars{tracker: t, out: out, same: same}
	b.p = mpb.New(append([]mpb.ContainerOption{mpb.WithOutput(w), mpb.WithWidth(barWidth)}, options...)...)
	b.all = b.p.AddBar(int64(max(t.steps, 1)),
		mpb.BarPriority(1),
		mpb.PrependDecorators(decor.Any(b.locked(func() string {
			return fmt.Sprintf("%d of %d trials", b.ended, b.trials)
		}), decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.Any(b.locked(func() string {
			if s, ok := b.allLeft(); ok {
				return lasting(s) + " left"
			}
			return ""
		}))))
	return b
}

func (b *bars) locked(f func() string) decor.DecorFunc {
	return func(decor.Statistics) string {
		b.mu.Lock()
		defer b.mu.Unlock()
		return f()
	}
}

// begin puts a new bar for what is at hand in the old one's place.
func (b *bars) begin(what string, total int) {
	b.finish()
	b.what = what
	b.one = b.p.AddBar(int64(max(total, 1)),
		mpb.BarPriority(0),
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(what, decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.Any(b.locked(b.detail))))
}

func (b *bars) finish() {
	if b.one != nil {
		b.one.Abort(true)
		b.one = nil
	}
}

// detail is the text behind the lower bar. b.mu is held.
func (b *bars) detail() string {
	if b.step == 0 || b.step == b.of {
		return ""
	}
	s := fmt.Sprintf("%d/%d  loss %.4f", b.step, b.of, b.loss)
	if r := b.rate(); r > 0 {
		s += fmt.Sprintf("  %.1f steps/s", r)
	}
	if left, ok := b.trialLeft(); ok {
		s += "  " + lasting(left) + " left"
	}
	return s
}

func (b *bars) event(e experiments.Event) {
	b.mu.Lock()
	line := b.update(e)
	what, total, done := b.at(e)
	sum := b.done
	b.mu.Unlock() // the bars call back for their texts
	if what != "" && (b.one == nil || what != b.what) {
		b.begin(what, total)
	}
	if b.one != nil {
		b.one.SetCurrent(int64(done))
	}
	b.all.SetCurrent(int64(min(sum, b.steps-1))) // the last step is taken by close, so that the bar stays
	if line != "" {
		fmt.Fprintln(b.p, line)
	}
}

// update takes an event in and returns a line worth keeping, if any.
func (b *bars) update(e experiments.Event) string {
	switch e := e.(type) {
	case experiments.TrialStarted:
		b.start(e)
		return b.started(e)
	case experiments.Stepped:
		b.stepped(e)
	case experiments.TrialEnded:
		b.end(e)
		return b.label + " " + ended(e)
	case experiments.Noted:
		return e.Text
	case experiments.Waiting:
		if said := waiting(e); said != b.waited {
			b.waited = said
			return said
		}
	case experiments.Preparing:
		if e.Done == e.Total && e.Note != "" {
			return e.What + ": " + e.Note
		}
	}
	return ""
}

// at says what an event is about and how far that is.
func (b *bars) at(e experiments.Event) (what string, total, done int) {
	switch e := e.(type) {
	case experiments.TrialStarted:
		return "", 0, 0
	case experiments.Stepped:
		return b.label, e.Iters, e.Step + 1
	case experiments.Evaluating:
		return "evaluating", e.Total, e.Done
	case experiments.Preparing:
		return e.What, e.Total, e.Done
	}
	return "", 0, 0
}

func (b *bars) print(f func(io.Writer) error) {
	var text bytes.Buffer
	if err := f(&text); err != nil {
		fmt.Fprintf(b.p, "runner: table: %v\n", err)
		return
	}
	w := b.out
	if b.same {
		w = b.p // above the bars
	}
	fmt.Fprintf(w, "\n%s\n", text.String())
}

func (b *bars) close() {
	b.finish()
	b.all.Abort(true)
	b.p.Wait()
}
