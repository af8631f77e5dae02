// Package guard turns a panic of one goroutine into an error in the goroutine that waits
// for it. A panic that is not recovered in its own goroutine ends the whole program, and
// with it the work of every other goroutine.
package guard

import (
	"fmt"
	"runtime/debug"
	"strings"
	"sync/atomic"
)

// Panic is the value that some code panicked with, and the place.
type Panic struct {
	Value any
	Stack string // of its goroutine, from the line that panicked
}

// stackLines limits the stack that an error shows, to about five calls.
const stackLines = 10

// Error returns the value, and the innermost calls of the stack below it.
func (p *Panic) Error() string {
	lines := strings.Split(p.Stack, "\n")
	return fmt.Sprintf("panic: %v\n%s", p.Value, strings.Join(lines[:min(stackLines, len(lines))], "\n"))
}

// Unwrap returns the value if it is an error.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// of makes a Panic of a recovered value; a value that is already a Panic keeps its stack.
func of(v any) *Panic {
	if p, ok := v.(*Panic); ok {
		return p
	}
	// The stack begins with this package's calls and that of panic itself.
	stack := strings.TrimSpace(string(debug.Stack()))
	if i := strings.LastIndex(stack, "\npanic("); i >= 0 {
		if lines := strings.SplitN(stack[i+1:], "\n", 3); len(lines) == 3 {
			stack = lines[2]
		}
	}
	return &Panic{v, stack}
}

// Catcher stores the first panic of several goroutines. Its zero value is ready to use.
type Catcher struct{ first atomic.Pointer[Panic] }

// Catch recovers from a panic and stores it. It must be deferred directly.
func (c *Catcher) Catch() {
	if v := recover(); v != nil {
		c.first.CompareAndSwap(nil, of(v))
	}
}

// Throw panics with the stored panic, if there is one. The caller must have waited for the
// goroutines.
func (c *Catcher) Throw() {
	if p := c.first.Load(); p != nil {
		panic(p)
	}
}

// Run returns the error of f, or a *Panic if f panicked.
func Run(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = of(v)
		}
	}()
	return f()
}
