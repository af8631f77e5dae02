package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"focalgrid/guard"
)

// A Pool runs kernels on a fixed number of threads with one set of kernels. The
// calling goroutine takes part in the work, so a Pool of one thread starts no
// goroutine. Kernels of one Pool may be called from several goroutines; they
// then take turns.
type Pool struct {
	// Exact leaves out the algorithms that save multiplications by additions whose
	// rounding errors are a few times larger. It is set before the first kernel runs.
	Exact bool

	level   Level
	set     set
	threads int
	scratch scratch[float32]
	wide    scratch[float64]

	mu      sync.Mutex // one region at a time
	current atomic.Pointer[region]
	parked  atomic.Int32  // workers that wait for a token, or are about to
	tokens  chan struct{} // one wakes one worker; a token too many costs a look
	closed  atomic.Bool
}

// A region is one call of Run. Tickets decide how many tasks a thread does, never
// what a task is. The caller takes tasks from the front and the others from the
// back: then a thread mostly meets the same images in kernel after kernel, which
// its caches hold.
type region struct {
	f       func(task int)
	tasks   int64
	tickets atomic.Int64
	back    atomic.Int64
	done    atomic.Int64
	panics  guard.Catcher
}

// do does a task. One that panics is done as well: the caller is not left waiting.
func (r *region) do(task int) {
	defer r.done.Add(1)
	defer r.panics.Catch()
	r.f(task)
}

func (r *region) work(caller bool) {
	for front := int64(0); r.tickets.Add(1) <= r.tasks; front++ {
		if caller {
			r.do(int(front))
		} else {
			r.do(int(r.tasks - r.back.Add(1)))
		}
	}
}

// Kernels of a training step follow each other within microseconds, while waking
// a sleeping thread takes tens of them. So a worker looks around for a while, some
// 200 µs, before it sleeps, and gives way to other goroutines now and then.
const (
	looks      = 500
	looksYield = 32
	lookPauses = 16
)

// serve is a worker's life.
func (p *Pool) serve() {
	var last *region
	for {
		for i := 0; i < looks; i++ {
			if r := p.current.Load(); r != nil && r != last {
				r.work(false)
				last, i = r, 0
			}
			if p.closed.Load() {
				return
			}
			pause(i)
		}
		last = nil
		p.parked.Add(1)
		// Whoever starts a region looks at parked after setting current, and this
		// looks at current after setting parked: one of the two sees the other.
		if r := p.current.Load(); r == nil && !p.closed.Load() {
			<-p.tokens
		}
		p.parked.Add(-1)
	}
}

// pause waits a little in a loop's turn i.
func pause(i int) {
	if i%looksYield == looksYield-1 {
		runtime.Gosched()
		return
	}
	spin(lookPauses)
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
	p := &Pool{level: level, set: level.set(), threads: threads, tokens: make(chan struct{}, threads)}
	for range threads - 1 {
		go p.serve()
	}
	return p
}

// Threads is the number of threads that share the work, the caller among them.
func (p *Pool) Threads() int { return p.threads }

// Level is the kernel set in use.
func (p *Pool) Level() Level { return p.level }

// Run calls f(0) … f(tasks-1), each once, and returns when all are done. Tasks
// must be independent of each other; f must not call Run on the same Pool. A panic
// of a task is met by the caller, when the others are done.
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
	p.current.Store(r)
	for range min(int(p.parked.Load()), tasks-1) {
		select {
		case p.tokens <- struct{}{}:
		default:
		}
	}
	r.work(true)
	for i := 0; r.done.Load() < r.tasks; i++ {
		if i < looks {
			pause(i)
		} else {
			// The system has put the worker aside, perhaps for this very thread.
			time.Sleep(20 * time.Microsecond)
		}
	}
	p.current.Store(nil)
	r.panics.Throw()
}

// Close ends the pool's goroutines. The pool must not be used afterwards.
func (p *Pool) Close() {
	if !p.closed.Swap(true) {
		close(p.tokens)
	}
}
