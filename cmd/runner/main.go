// Command runner sweeps ablations of dense object detectors: it trains a full RetinaNet for each row of
// a grid file, evaluates COCO AP, records everything in one SQLite file and prints the paper's table
// with ours beside it.
//
//	runner sweep gamma
//
// This package has flags, exit codes and printing, with one file for each verb. Package usage checks and
// completes the command line, package progress shows a sweep, and package terminal writes to standard
// output. What a setting means and how a number is computed is the business of package experiments and
// the packages below it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1 // a trial or other work failed; a trial that diverged has a result
	exitUsage       = 2 // a bad file or flag; nothing was written
	exitInterrupted = 3 // stopped by Ctrl-C, SIGTERM or SIGHUP
)

func main() {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	context.AfterFunc(ctx, func() {
		signal.Ignore(syscall.SIGHUP) // a terminal that closes may send several
		stop()                        // a second Ctrl-C ends the program at once
	})
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program; the end of ctx is its Ctrl-C.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	a := newApp(stdout, stderr)
	a.args = args
	root := newRoot(a)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if lost := a.out.End(); lost != nil && (err == nil || errors.Is(err, lost)) {
		err = &coded{exitFailed, lost} // the output is incomplete, whatever the verb returned
	}
	if err == nil {
		return exitOK
	}
	code := exitUsage // errors of cobra itself: verbs, flags, numbers of arguments
	var c *coded
	if errors.As(err, &c) {
		code = c.code
	}
	for line := range strings.Lines(strings.TrimSpace(err.Error())) {
		if line = strings.TrimSpace(line); line != "" {
			fmt.Fprintf(a.err, "runner: %s\n", line)
		}
	}
	return code
}

// coded is an error with the exit code it leads to.
type coded struct {
	code int
	err  error
}

func (c *coded) Error() string { return c.err.Error() }
func (c *coded) Unwrap() error { return c.err }

// errInterrupted ends a verb that was stopped before it had a result.
var errInterrupted = &coded{exitInterrupted, errors.New("interrupted")}

// bad marks an error that is caused by a file or a flag.
func bad(err error) error {
	if err == nil || errors.Is(err, errInterrupted) {
		return err
	}
	return &coded{exitUsage, err}
}
