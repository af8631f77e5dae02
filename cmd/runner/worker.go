package main

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"

	"focalgrid/experiments/sweep"
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
	machineFlags(cmd, &o.m)
	cmd.Flags().IntVar(&o.every, "checkpoint-every", 0, "`steps`, as of sweep")
	return cmd
}

// workerCommand returns the command of a worker process of that sweep.
func workerCommand(o *sweepOptions) *exec.Cmd {
	// The program as it was started, also where its file has been replaced since.
	self := "/proc/self/exe"
	if _, err := os.Stat(self); err != nil {
		if self, err = os.Executable(); err != nil {
			self = os.Args[0]
		}
	}
	args := []string{"worker", "--threads", strconv.Itoa(o.m.threads), "--engine", o.m.engine, "--checkpoint-every", strconv.Itoa(o.every)}
	if o.m.cache != "" {
		args = append(args, "--cache", o.m.cache)
	}
	cmd := exec.Command(self, args...) // which takes no name without a path from the folder one stands in
	cmd.Args[0] = os.Args[0]
	return cmd
}

func (a *app) worker(o *sweepOptions) error {
	// A Ctrl-C reaches every process of a terminal, as does its end: the sweep stops
	// its workers, and they exit when it does.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	r, err := o.m.open(a)
	if err != nil {
		return err
	}
	r.CheckpointEvery = o.every
	if err := sweep.Work(r.Trainer, os.Stdin, a.out.verbatim()); err != nil {
		return err
	}
	os.Exit(exitOK) // at once: a trial may be at work, whose sweep has died
	return nil
}
