package kernel

import (
	"math/bits"
	"sync"
)

// scratch lends buffers whose size is rounded up to a power of two, and keeps
// those given back: after the first step nothing is allocated. What a buffer
// holds when it is lent is arbitrary.
type scratch[T any] struct {
	mu   sync.Mutex
	free [48][][]T
}

func (s *scratch[T]) take(n int) []T {
	class := bits.Len(uint(max(n, 64) - 1))
	s.mu.Lock()
	if f := s.free[class]; len(f) > 0 {
		b := f[len(f)-1]
		s.free[class] = f[:len(f)-1]
		s.mu.Unlock()
		return b[:n]
	}
	s.mu.Unlock()
	return make([]T, n, 1<<class)
}

func (s *scratch[T]) give(b []T) {
	class := bits.Len(uint(cap(b) - 1))
	s.mu.Lock()
	s.free[class] = append(s.free[class], b[:cap(b)])
	s.mu.Unlock()
}
