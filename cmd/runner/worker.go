package main

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"

	"focalgrid/results"
)

// newWorker is a process of a sweep with several jobs, no verb for people.
func newWorker(a *app) *cobra.Command {
	o := &sweepOptions{}
	cmd := &cobra.Command{
		Use:    "worker",
		Short:  "Train what a sweep with several jobs orders",
		Hidden: true,
		Args:   asUsed,
		RunE:   a.work(func(context.Context, []string) error { return a.worker(o) }),
	}
	dbFlag(cmd, &o.db)
	machineFlags(cmd, &o.m)
	cmd.Flags().IntVar(&o.every, "checkpoint-every", 0, "`steps`, as of sweep")
	cmd.Flags().IntVar(&o.jobs, "jobs", 1, "`number` of workers, as of sweep")
	return cmd
}

// workerCommand is a worker process of that sweep.
func workerCommand(o *sweepOptions) *exec.Cmd {
	// The program as it was started, also where its file has been replaced since.
	self := "/proc/self/exe"
	if _, err := os.Stat(self); err != nil {
		if self, err = os.Executable(); err != nil {
			self = os.Args[0]
		}
	}
	args := []string{"worker", "--db", o.db, "--threads", strconv.Itoa(o.m.threads), "--engine", o.m.engine,
		"--checkpoint-every", strconv.Itoa(o.every), "--jobs", strconv.Itoa(o.jobs)}
	if o.m.cache != "" {
		args = append(args, "--cache", o.m.cache)
	}
	cmd := exec.Command(self, args...) // which takes no name without a path from the folder one stands in
	cmd.Args[0] = os.Args[0]
	return cmd
}

func (a *app) worker(o *sweepOptions) error {
	// A Ctrl-C reaches every process of a terminal, as does its end: the sweep tells
	// its workers to stop, and its end is theirs.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	r, err := o.m.open(a)
	if err != nil {
		return err
	}
	if r.Store, err = results.Open(o.db); err != nil {
		return err
	}
	r.CheckpointEvery, r.Host.Jobs = o.every, o.jobs
	if err := r.Work(context.Background(), os.Stdin, a.out.verbatim()); err != nil {
		return err
	}
	os.Exit(exitOK) // at once: a trial may be at work, whose sweep has died
	return nil
}
