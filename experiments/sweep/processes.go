package sweep

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

	"focalgrid/experiments"
	"focalgrid/results/record"
)

// A worker process reads commands from its standard input and writes messages to its standard output, both in gob
// (which, unlike JSON, writes NaN). It ends when its input does, and so with its coordinator.

// command asks a worker to run an order in a folder, or to stop running it.
type command struct {
	Order experiments.Order
	Dir   string
	Stop  bool
}

// message is an event of the order at hand, or its end.
type message struct {
	Event experiments.Event // nil: the order has ended
	Error string
	Kind  string // of the error: a name in errorKinds, or ""
}

// registerEvents names to gob what Event may be.
func registerEvents() {
	for _, e := range []experiments.Event{experiments.Preparing{}, experiments.Noted{}, experiments.Stepped{}, experiments.Evaluating{}} {
		gob.Register(e)
	}
}

// errorKinds lists the errors that a coordinator acts on; the first that fits counts.
var errorKinds = []struct {
	name string
	err  error
}{
	{"lost", record.ErrLost}, {"full", syscall.ENOSPC}, {"interrupted", context.Canceled},
}

// remoteError is an error of a worker.
type remoteError struct {
	text string
	kind error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.kind }

// ended returns the message about the end of an order.
func ended(err error) message {
	if err == nil {
		return message{}
	}
	for _, k := range errorKinds {
		if errors.Is(err, k.err) {
			return message{Error: err.Error(), Kind: k.name}
		}
	}
	return message{Error: err.Error()}
}

// err is the inverse of ended.
func (m message) err() error {
	for _, k := range errorKinds {
		if k.name == m.Kind {
			return &remoteError{m.Error, k.err}
		}
	}
	if m.Error != "" {
		return errors.New(m.Error)
	}
	return nil
}

// Work runs the orders of a coordinator with t, until in ends or nothing can be written to out. It then returns at
// once, even while an order is running: the caller must end the process.
func Work(t *experiments.Trainer, in io.Reader, out io.Writer) error {
	registerEvents()
	enc := gob.NewEncoder(out)
	var mu sync.Mutex
	gone := make(chan error, 2)
	send := func(m message) {
		mu.Lock()
		defer mu.Unlock()
		if err := enc.Encode(m); err != nil {
			select {
			case gone <- err:
			default:
			}
		}
	}
	t.Notify = func(e experiments.Event) { send(message{Event: e}) }
	go func() {
		dec := gob.NewDecoder(in)
		var last experiments.Order
		stop := func() {}
		for {
			var c command
			if err := dec.Decode(&c); err != nil {
				gone <- err
				return
			}
			switch {
			case !c.Stop:
				ctx, cancel := context.WithCancel(context.Background())
				last, stop = c.Order, cancel
				go func() {
					defer cancel()
					send(ended(t.Run(ctx, c.Order, c.Dir)))
				}()
			case c.Order.Key == last.Key && c.Order.Attempt == last.Attempt: // and not of an earlier one, which has ended
				stop()
			}
		}
	}()
	if err := <-gone; !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// ErrDied is wrapped by an executor's Run when the process of an order ended before it.
var ErrDied = errors.New("its process died")

// processes runs orders in worker processes.
type processes struct {
	command func(place int) *exec.Cmd
	workers []*worker // by place; nil: not started yet, or dead
}

// Processes returns an executor of that many worker processes, each the command of its place, which calls Work on its
// standard input and output. One that dies is replaced.
func Processes(n int, command func(place int) *exec.Cmd) Executor {
	registerEvents()
	return &processes{command, make([]*worker, n)}
}

func (p *processes) Places() int { return len(p.workers) }

func (p *processes) Process(place int) (int, error) {
	if p.workers[place] == nil {
		w, err := startWorker(p.command(place))
		if err != nil {
			return 0, err
		}
		p.workers[place] = w
	}
	return p.workers[place].cmd.Process.Pid, nil
}

func (p *processes) Run(ctx context.Context, place int, o experiments.Order, dir string, events func(experiments.Event)) error {
	if _, err := p.Process(place); err != nil {
		return err
	}
	err := p.workers[place].run(ctx, command{Order: o, Dir: dir}, events)
	if errors.Is(err, ErrDied) {
		p.workers[place].close()
		p.workers[place] = nil
	}
	return err
}

func (p *processes) Close() {
	for place, w := range p.workers {
		if w != nil {
			w.close()
			p.workers[place] = nil
		}
	}
}

// worker is a worker process as its coordinator sees it.
type worker struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	enc *gob.Encoder
	dec *gob.Decoder
	out io.Closer // what dec reads
	log tail
	end chan error // how the process ended
}

func startWorker(cmd *exec.Cmd) (*worker, error) {
	w := &worker{cmd: cmd, end: make(chan error, 1)}
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
		// On Linux a process whose parent is to take it along dies with the thread that started it: that must live as
		// long.
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

// run has the worker run a command's order. One that died cannot be used again.
func (w *worker) run(ctx context.Context, c command, events func(experiments.Event)) error {
	if err := w.enc.Encode(c); err != nil {
		return w.died()
	}
	stop := context.AfterFunc(ctx, func() {
		of := experiments.Order{Key: c.Order.Key, Attempt: c.Order.Attempt}
		_ = w.enc.Encode(command{Order: of, Stop: true}) // a dead one has stopped
	})
	defer stop()
	for {
		var m message
		if err := w.dec.Decode(&m); err != nil {
			return w.died()
		}
		if m.Event == nil {
			return m.err()
		}
		events(m.Event)
	}
}

// died waits for the process, which has closed its output, and returns how it ended.
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
	return fmt.Errorf("%w: %s", ErrDied, text)
}

// closing is how long a worker may take to see that its input has ended.
const closing = 5 * time.Second

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

// tail holds the last lines written to it.
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

// String returns the last lines, or, of a Go program that panics, the first lines from its message on: its list of
// goroutines comes after.
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
