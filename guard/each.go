package guard

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Each calls do for 0 … n-1, on as many goroutines as there are cores, and panics where do does.
func Each(n int, do func(i int)) {
	var next atomic.Int64
	var panics Catcher
	work := func() {
		defer panics.Catch()
		for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
			do(int(i))
		}
	}
	var others sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
	panics.Throw()
}
