// Package guard brings a panic from the goroutine in which it happened to the one
// that waits for it, and makes an error of it there. A panic that nobody recovers in its
// own goroutine ends the whole program, and with it the work of every other.
package guard

import (
	"fmt"
	"runtime/debug"
	"strings"
	"sync/atomic"
)

// Panic is what some code panicked with, and where.
type Panic struct {
	Value any
	Stack string // of its goroutine, from the line that panicked
}

// stackLines is how much of a stack an error shows: some five calls.
const stackLines = 10

// Error is the value, and the innermost calls of the stack below it.
func (p *Panic) Error() string {
	lines := strings.Split(p.Stack, "\n")
	return fmt.Sprintf("panic: %v\n%s", p.Value, strings.Join(lines[:min(stackLines, len(lines))], "\n"))
}

// Unwrap returns the value where it is an error.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// of makes a Panic of a recovered value; one that is brought on keeps its stack.
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

// Catcher keeps the first panic of several goroutines. Its zero value is ready.
type Catcher struct{ first atomic.Pointer[Panic] }

// Catch recovers from a panic and keeps it. It must be deferred itself.
func (c *Catcher) Catch() {
	if v := recover(); v != nil {
		c.first.CompareAndSwap(nil, of(v))
	}
}

// Throw panics with what was caught, if anything was. The caller has waited for the
// goroutines.
func (c *Catcher) Throw() {
	if p := c.first.Load(); p != nil {
		panic(p)
	}
}

// Run returns f's error, which is a *Panic if f panicked.
func Run(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = of(v)
		}
	}()
	return f()
}
