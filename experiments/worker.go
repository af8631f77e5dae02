package experiments

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"focalgrid/detector"
	"focalgrid/experiments/plan"
	"focalgrid/results"
)

// A sweep with several jobs has as many worker processes. Each reads orders
// from its standard input and writes reports to its standard output, both in
// gob (which, unlike JSON, writes NaN). The end of its input is the end of its
// coordinator, and so its own.

// order asks a worker to run a trial, or to stop the one at hand.
type order struct {
	Stop bool

	Index           int
	Key, Data, Init string
	Seed            uint64
	Config          string // as Resolved writes it
	Source          *source
	Stopped         []string // see prepared
}

// report is one of the events of a trial, or its end.
type report struct {
	Preparing  *Preparing
	Noted      *Noted
	Started    *started
	Stepped    *Stepped
	Evaluating *Evaluating
	Ended      *TrialEnded
	Over       *over
}

// started is TrialStarted without what the coordinator knows. (It is no plain
// number: gob leaves out a zero, also where a pointer leads to it.)
type started struct{ Step int }

// over is what running a trial returned.
type over struct {
	Outcome results.Outcome
	Error   string
	Kind    string // of the error: a name in errorKinds, or ""
}

// errorKinds are the errors that a coordinator acts on; the first that fits counts.
var errorKinds = []struct {
	name string
	err  error
}{
	{"held", results.ErrHeld}, {"finished", results.ErrFinished}, {"lost", results.ErrLost},
	{"full", syscall.ENOSPC}, {"interrupted", context.Canceled},
}

// Work runs trials as a coordinator orders them, until in ends or nothing can be
// written to out. It returns at once then, with a trial still at work: the caller
// must end the process.
func (r *Runner) Work(ctx context.Context, in io.Reader, out io.Writer) error {
	enc := gob.NewEncoder(out)
	var mu sync.Mutex
	gone := make(chan error, 1)
	send := func(m report) {
		mu.Lock()
		defer mu.Unlock()
		if err := enc.Encode(m); err != nil {
			select {
			case gone <- err:
			default:
			}
		}
	}
	r.Observe = func(e Event) {
		switch e := e.(type) {
		case Preparing:
			send(report{Preparing: &e})
		case Noted:
			send(report{Noted: &e})
		case TrialStarted:
			send(report{Started: &started{e.Step}})
		case Stepped:
			send(report{Stepped: &e})
		case Evaluating:
			send(report{Evaluating: &e})
		case TrialEnded:
			send(report{Ended: &e})
		}
	}
	orders := make(chan order)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		dec := gob.NewDecoder(in)
		for {
			var o order
			if err := dec.Decode(&o); err != nil {
				gone <- err
				return
			}
			if o.Stop {
				cancel()
				continue
			}
			orders <- o
		}
	}()
	for {
		select {
		case err := <-gone:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		case o := <-orders:
			go func() { send(report{Over: r.obey(ctx, o)}) }()
		}
	}
}

func (r *Runner) obey(ctx context.Context, o order) *over {
	cfg, err := detector.Settings.ParseResolved("trial "+o.Key, []byte(o.Config))
	var out results.Outcome
	if err == nil {
		p := &Prepared{Trial: plan.Trial{Seed: o.Seed, Config: cfg}, Key: o.Key, Data: o.Data, Init: o.Init, source: o.Source, stopped: o.Stopped}
		out, err = r.runTrial(ctx, o.Index, p)
	}
	m := &over{Outcome: out}
	if err != nil {
		m.Error = err.Error()
		for _, k := range errorKinds {
			if errors.Is(err, k.err) {
				m.Kind = k.name
				break
			}
		}
	}
	return m
}

// errDied is wrapped by run when the worker's process ended before its trial.
var errDied = errors.New("its process died")

// worker is a worker process as its coordinator sees it.
type worker struct {
	r   *Runner
	cmd *exec.Cmd
	in  io.WriteCloser
	enc *gob.Encoder
	dec *gob.Decoder
	out io.Closer // what dec reads
	log tail
	end chan error // how the process ended

	done int // steps of the trial at hand, as it told
}

// startWorker starts a process of r.Worker.
func (r *Runner) startWorker() (*worker, error) {
	w := &worker{r: r, cmd: r.Worker(), end: make(chan error, 1)}
	in, err := w.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	// Not StdoutPipe, which Wait would close before all is read.
	out, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	w.cmd.Stdout, w.cmd.Stderr = write, &w.log
	dieWithParent(w.cmd)
	w.in, w.enc, w.out, w.dec = in, gob.NewEncoder(in), out, gob.NewDecoder(out)
	started := make(chan error)
	go func() {
		// On Linux a process whose parent is to take it along dies with the
		// thread that started it: that must live as long.
		runtime.LockOSThread()
		err := w.cmd.Start()
		write.Close()
		started <- err
		if err == nil {
			w.end <- w.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		out.Close()
		return nil, fmt.Errorf("worker process: %w", err)
	}
	return w, nil
}

// run has the worker run a trial, and passes its events on. The end of ctx
// stops the trial after the step at hand. The error wraps errDied if the process
// died; it can then not be used again.
func (w *worker) run(ctx context.Context, index int, p *Prepared) (results.Outcome, error) {
	o := order{Index: index, Key: p.Key, Data: p.Data, Init: p.Init, Seed: p.Trial.Seed, Config: string(plan.Resolved(&p.Trial.Config)), Source: p.source, Stopped: p.stopped}
	if err := w.enc.Encode(o); err != nil {
		return results.Outcome{}, w.died()
	}
	stop := context.AfterFunc(ctx, func() {
		_ = w.enc.Encode(order{Stop: true}) // a dead one has stopped
	})
	defer stop()
	w.done = 0
	for {
		var m report
		if err := w.dec.Decode(&m); err != nil {
			return results.Outcome{}, w.died()
		}
		switch {
		case m.Preparing != nil:
			w.r.tell(*m.Preparing)
		case m.Noted != nil:
			w.r.tell(*m.Noted)
		case m.Started != nil:
			w.done = m.Started.Step
			w.r.tell(TrialStarted{Index: index, Trial: p.Trial, Key: p.Key, Step: m.Started.Step})
		case m.Stepped != nil:
			w.done = m.Stepped.Step + 1
			w.r.tell(*m.Stepped)
		case m.Evaluating != nil:
			w.r.tell(*m.Evaluating)
		case m.Ended != nil:
			w.r.tell(*m.Ended)
		case m.Over != nil:
			if m.Over.Error == "" {
				return m.Over.Outcome, nil
			}
			for _, k := range errorKinds {
				if k.name == m.Over.Kind {
					return m.Over.Outcome, &remoteError{m.Over.Error, k.err}
				}
			}
			return m.Over.Outcome, errors.New(m.Over.Error)
		}
	}
}

// remoteError is an error of a worker.
type remoteError struct {
	text string
	kind error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.kind }

// died waits for the process, which has closed its output, and says how it ended.
func (w *worker) died() error {
	w.in.Close()
	err := <-w.end
	w.end <- err // for close
	how := "it ended by itself"
	if err != nil {
		how = err.Error()
	}
	if how == "signal: killed" {
		how += ", as the system does when memory runs out"
	}
	text := fmt.Sprintf("process %d: %s", w.cmd.Process.Pid, how)
	if lines := w.log.String(); lines != "" {
		text += "; its last lines:\n" + lines
	}
	return fmt.Errorf("%w: %s", errDied, text)
}

// close ends the process, which has nothing to do.
func (w *worker) close() {
	defer w.out.Close()
	w.in.Close()
	select {
	case <-w.end:
	case <-time.After(closing):
		w.cmd.Process.Kill()
		<-w.end
	}
}

// closing is how long a worker may take to see that its input has ended.
const closing = 5 * time.Second

// bury records that the attempt of a process that died has failed.
func (w *worker) bury(p *Prepared, why error) (results.Outcome, error) {
	out := results.Outcome{Status: results.StatusFailed, Error: why.Error(), Finished: w.r.Timestamp()}
	t, err := w.r.Store.Trial(p.Key)
	if errors.Is(err, results.ErrNoTrial) {
		return results.Outcome{}, nil // it died before the attempt began
	}
	if err != nil {
		return out, err
	}
	for _, a := range t.Attempts {
		if a.Exit == "" && hasNumber(a.Owner, w.cmd.Process.Pid) {
			out.WallSeconds = a.WallSeconds
			return out, w.r.Store.FinishTrial(p.Key, a.Number, results.Finish{Outcome: out, EndStep: max(a.EndStep, w.done)})
		}
	}
	return t.Outcome, nil // it died between the result and telling of it
}

// tail keeps the last lines written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const (
	tailBytes = 64 << 10
	tailLines = 20
)

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if over := len(t.text) - tailBytes; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(b), nil
}

// String is the last lines. A Go program that panics says why before it lists its
// goroutines, so from there on the first lines count.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.text)), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return strings.Join(lines[i:min(i+tailLines, len(lines))], "\n")
		}
	}
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}
