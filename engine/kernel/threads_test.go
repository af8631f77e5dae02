package kernel

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"focalgrid/guard"
)

func TestPoolRunsEachTaskOnce(t *testing.T) {
	p := NewPool(4)
	defer p.Close()
	var callers sync.WaitGroup
	for range 3 {
		callers.Go(func() {
			for tasks := range 100 {
				count := make([]atomic.Int32, tasks)
				p.Run(tasks, func(i int) { count[i].Add(1) })
				for i := range count {
					if n := count[i].Load(); n != 1 {
						t.Errorf("task %d of %d ran %d times", i, tasks, n)
					}
				}
			}
		})
	}
	callers.Wait()
}

// TestPoolPanic: what a task panics with reaches whoever called Run, on any number of
// threads, and the pool works on.
func TestPoolPanic(t *testing.T) {
	for _, threads := range []int{1, 4} {
		p := NewPool(threads)
		defer p.Close()
		for _, bad := range []int{0, 7, 63} {
			err := guard.Run(func() error {
				p.Run(64, func(task int) {
					if task == bad {
						panic("task")
					}
				})
				return nil
			})
			if err == nil || !strings.HasPrefix(err.Error(), "panic: task\n") {
				t.Errorf("%d threads, task %d: %v, want its panic", threads, bad, err)
			}
			var done atomic.Int64
			p.Run(64, func(int) { done.Add(1) })
			if done.Load() != 64 {
				t.Errorf("%d threads: afterwards %d of 64 tasks were done", threads, done.Load())
			}
		}
	}
}
