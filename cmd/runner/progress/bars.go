package progress

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/vbauerster/cupwriter"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"focalgrid/cmd/runner/terminal"
	"focalgrid/columns"
	"focalgrid/experiments"
	"focalgrid/experiments/sweep"
)

// barWidth leaves room for the texts on a terminal of 80 columns.
const barWidth = 24

// bars draws bars at the bottom of a terminal: one for the sweep, and one for each running trial or
// preparation. Lines about ended trials scroll above them.
type bars struct {
	mu sync.Mutex // the drawing goroutine reads the tracker
	*tracker
	p      *mpb.Progress
	all    *mpb.Bar
	ones   map[int]*oneBar // by index of the trial
	waited string          // the last line printed about waiting
	w      *terminal.Output
}

// oneBar is the bar of one trial or preparation.
type oneBar struct {
	*mpb.Bar
	what string // "trial 1 of 2", "trial 1 of 2 evaluates", "preparing synthetic images"
}

// preparing is used instead of the index of a trial.
const preparing = -1

func newBars(t *tracker, w *terminal.Output, options ...mpb.ContainerOption) *bars {
	b := &bars{tracker: t, w: w, ones: map[int]*oneBar{}}
	console := cupwriter.New(lineStart{w.Raw}, false)
	if f, ok := w.Raw.(*os.File); ok {
		console.SetTermFd(int(f.Fd()))
	}
	b.p = mpb.New(append([]mpb.ContainerOption{mpb.WithConsoleWriter(console), mpb.WithWidth(barWidth)}, options...)...)
	b.all = b.p.AddBar(int64(max(t.steps, 1)),
		mpb.BarPriority(t.trials+1), // below the others
		mpb.PrependDecorators(decor.Any(b.locked(func() string {
			return fmt.Sprintf("%d of %d trials", b.ended, b.trials)
		}), decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.Any(b.locked(func() string {
			if s, ok := b.allLeft(); ok {
				return columns.Duration(s) + " left"
			}
			return ""
		}))))
	return b
}

// lineStart begins each drawing at the start of the line, because the echo of a Ctrl-C moves the
// cursor.
type lineStart struct{ io.Writer }

func (l lineStart) Write(drawing []byte) (int, error) {
	if _, err := l.Writer.Write(append([]byte{'\r'}, drawing...)); err != nil {
		return 0, err
	}
	return len(drawing), nil
}

func (b *bars) locked(f func() string) decor.DecorFunc {
	return func(decor.Statistics) string {
		b.mu.Lock()
		defer b.mu.Unlock()
		return f()
	}
}

// begin replaces the bar of index by a new one.
func (b *bars) begin(index int, what string, total int) {
	b.finish(index)
	b.ones[index] = &oneBar{what: what, Bar: b.p.AddBar(int64(max(total, 1)),
		mpb.BarPriority(index+1),
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(terminal.Visible(what), decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.Any(b.locked(func() string { return b.detail(index) }))))}
}

func (b *bars) finish(index int) {
	if one := b.ones[index]; one != nil {
		one.Abort(true)
		delete(b.ones, index)
	}
}

// detail returns the text behind the bar of a trial. b.mu is held.
func (b *bars) detail(index int) string {
	a := b.at[index]
	if a == nil || a.step == a.from || a.step == a.of {
		return ""
	}
	s := fmt.Sprintf("%d/%d  loss %.4f", a.step, a.of, a.loss)
	if r := b.rate(a); r > 0 {
		s += fmt.Sprintf("  %.1f steps/s", r)
	}
	if left, ok := b.left(a); ok {
		s += "  " + columns.Duration(left) + " left"
	}
	return s
}

func (b *bars) Event(e experiments.Event) {
	b.mu.Lock()
	line := b.update(e)
	index, what, total, done := b.progressOf(e)
	sum := b.done
	b.mu.Unlock() // the bars call back for their texts
	if _, ok := e.(sweep.TrialEnded); ok {
		b.finish(index)
	} else if what != "" {
		if one := b.ones[index]; one == nil || one.what != what {
			b.begin(index, what, total)
		}
		b.ones[index].SetCurrent(int64(done))
		if index == preparing && done == total {
			b.finish(index)
		}
	}
	b.all.SetCurrent(int64(min(sum, b.steps-1))) // the last step is taken by close, so that the bar stays
	if line != "" {
		b.above(line)
	}
}

// above writes lines that scroll above the bars.
func (b *bars) above(text string) {
	fmt.Fprintln(b.p, terminal.Folded(terminal.Visible(text), b.w.Width()))
}

// update processes an event and returns a line to print, if any.
func (b *bars) update(e experiments.Event) string {
	switch e := e.(type) {
	case sweep.TrialStarted:
		b.start(e)
		return b.started(e)
	case experiments.Stepped:
		b.stepped(e)
	case sweep.TrialEnded:
		return b.end(e) + " " + ended(e)
	case experiments.Noted:
		return e.Text
	case sweep.Waiting:
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

// progressOf returns what an event is about, and its progress.
func (b *bars) progressOf(e experiments.Event) (index int, what string, total, done int) {
	switch e := e.(type) {
	case experiments.Stepped:
		return e.Index, b.label(e.Index), e.Iters, e.Step + 1
	case experiments.Evaluating:
		return e.Index, b.label(e.Index) + " evaluates", e.Total, e.Done
	case sweep.TrialEnded:
		return e.Index, "", 0, 0
	case experiments.Preparing:
		return preparing, e.What, e.Total, e.Done
	}
	return 0, "", 0, 0
}

func (b *bars) Print(f func(io.Writer) error) {
	var text bytes.Buffer
	if err := f(&text); err != nil {
		b.above(fmt.Sprintf("runner: table: %v", err))
	} else {
		b.above("\n" + text.String())
	}
}

func (b *bars) Close() {
	for index := range b.ones {
		b.finish(index)
	}
	b.all.Abort(true)
	b.p.Wait()
}
