package guard

import (
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
)

func fault() { panic(io.ErrUnexpectedEOF) }

// TestRun: a panic is an error that says what and where, and an error stays one.
func TestRun(t *testing.T) {
	if err := Run(func() error { return io.EOF }); err != io.EOF {
		t.Errorf("an error became %v", err)
	}
	err := Run(func() error { fault(); return nil })
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("the error is %v, want one that wraps what was panicked with", err)
	}
	lines := strings.Split(err.Error(), "\n")
	if lines[0] != "panic: unexpected EOF" || !strings.HasPrefix(lines[1], "focalgrid/guard.fault(") {
		t.Errorf("the error begins with %q, want the value and the call that panicked", lines[:2])
	}
	if len(lines) > stackLines+1 {
		t.Errorf("the error has %d lines, want at most %d", len(lines), stackLines+1)
	}
}

// TestCatcher: the panic of another goroutine is met where it is waited for, with the
// stack of its own.
func TestCatcher(t *testing.T) {
	err := Run(func() error {
		var c Catcher
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				defer c.Catch()
				if i == 2 {
					fault()
				}
			})
		}
		all.Wait()
		c.Throw()
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "guard.fault(") {
		t.Errorf("the error is %v, want the stack of the goroutine that panicked", err)
	}
	new(Catcher).Throw() // nothing was caught
}
