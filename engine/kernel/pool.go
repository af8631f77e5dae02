package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// A Pool runs kernels on a fixed number of threads with one set of kernels. The
// calling goroutine takes part in the work, so a Pool of one thread starts no
// goroutine. Kernels of one Pool may be called from several goroutines; they
// then take turns.
type Pool struct {
	level   Level
	set     set
	threads int
	mu      sync.Mutex // one parallel region at a time
	wake    []chan *region
	closed  sync.Once
	scratch scratch
	plans   plans
}

// region is one call of Run: tasks are handed out by a counter, which decides
// who does a task but never what a task is.
type region struct {
	f     func(task int)
	tasks int64
	next  atomic.Int64
	busy  sync.WaitGroup
}

func (r *region) work() {
	for {
		t := r.next.Add(1) - 1
		if t >= r.tasks {
			return
		}
		r.f(int(t))
	}
}

// NewPool starts a pool with the best kernel set of this CPU. threads < 1 means
// one thread for each core Go may use.
func NewPool(threads int) *Pool {
	return newPool(threads, Best())
}

// NewPoolLevel is NewPool with a chosen kernel set, for tests and comparisons.
// The error says which sets this CPU has.
func NewPoolLevel(threads int, level Level) (*Pool, error) {
	if err := level.check(); err != nil {
		return nil, err
	}
	return newPool(threads, level), nil
}

func newPool(threads int, level Level) *Pool {
	if threads < 1 {
		threads = runtime.GOMAXPROCS(0)
	}
	p := &Pool{level: level, set: level.set(), threads: threads}
	for i := 1; i < threads; i++ {
		c := make(chan *region, 1)
		p.wake = append(p.wake, c)
		go func() {
			for r := range c {
				r.work()
				r.busy.Done()
			}
		}()
	}
	return p
}

// Threads is the number of threads that share the work, the caller among them.
func (p *Pool) Threads() int { return p.threads }

// Level is the kernel set in use.
func (p *Pool) Level() Level { return p.level }

// Run calls f(0) … f(tasks-1), each once, and returns when all are done. Tasks
// must be independent of each other; f must not call Run on the same Pool.
func (p *Pool) Run(tasks int, f func(task int)) {
	if tasks == 1 || p.threads == 1 {
		for t := range tasks {
			f(t)
		}
		return
	}
	if tasks <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	r := &region{f: f, tasks: int64(tasks)}
	n := min(tasks-1, len(p.wake))
	r.busy.Add(n)
	for _, c := range p.wake[:n] {
		c <- r
	}
	r.work()
	r.busy.Wait()
}

// Close ends the pool's goroutines. The pool must not be used afterwards.
func (p *Pool) Close() {
	p.closed.Do(func() {
		for _, c := range p.wake {
			close(c)
		}
	})
}
