package dataset

import (
	"context"
	"sync"

	"focalgrid/guard"
)

// parallel calls work for 0 to n-1 on at most workers goroutines and returns the
// error of the lowest index, or ctx's. After an error no new work is begun.
func parallel(ctx context.Context, n, workers int, work func(i int) error) error {
	var (
		wg     sync.WaitGroup
		lock   sync.Mutex
		next   int
		first  = n
		fault  error
		panics guard.Catcher
	)
	for range min(max(workers, 1), n) {
		wg.Go(func() {
			defer panics.Catch()
			for {
				lock.Lock()
				i := next
				next++
				stop := i >= n || fault != nil || ctx.Err() != nil
				lock.Unlock()
				if stop {
					return
				}
				if err := work(i); err != nil {
					lock.Lock()
					if i < first {
						first, fault = i, err
					}
					lock.Unlock()
				}
			}
		})
	}
	wg.Wait()
	panics.Throw()
	if fault == nil {
		fault = ctx.Err()
	}
	return fault
}
