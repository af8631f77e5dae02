package main

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/usage"
	"focalgrid/experiments/sweep"
)

// newWorker makes the hidden verb of the worker processes of a sweep with several jobs.
func newWorker(a *app) *cobra.Command {
	o := &sweepOptions{}
	cmd := &cobra.Command{
		Use:    "worker",
		Short:  "Train the trials that a sweep with several jobs orders",
		Hidden: true,
		Args:   usage.Args,
		RunE:   a.work(func(context.Context, []string) error { return a.worker(o) }),
	}
	machineFlags(cmd, &o.m)
	cmd.Flags().IntVar(&o.m.first, "first-device", 0, "`number` of the first of the devices")
	cmd.Flags().IntVar(&o.every, "checkpoint-every", 0, "`steps`, as for sweep")
	return cmd
}

// workerCommand returns the command that starts the worker of a sweep's place: on devices of its own, if a trial takes
// several.
func workerCommand(o *sweepOptions, place int) *exec.Cmd {
	// The running program, even if its file has been replaced since the start.
	self := "/proc/self/exe"
	if _, err := os.Stat(self); err != nil {
		if self, err = os.Executable(); err != nil {
			self = os.Args[0]
		}
	}
	args := []string{"worker", "--threads", strconv.Itoa(o.m.threads), "--engine", o.m.engine, "--checkpoint-every", strconv.Itoa(o.every)}
	if n := o.m.devices; n > 1 {
		args = append(args, "--devices", strconv.Itoa(n), "--first-device", strconv.Itoa(place*n))
	}
	if o.m.cache != "" {
		args = append(args, "--cache", o.m.cache)
	}
	cmd := exec.Command(self, args...) // which does not run a program of the current folder by its bare name
	cmd.Args[0] = os.Args[0]
	o.gpus.give(cmd, place)
	return cmd
}

func (a *app) worker(o *sweepOptions) error {
	// A Ctrl-C reaches every process of a terminal, and so does the end of the terminal. The sweep tells its
	// workers to stop, and they exit when it does.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	r, err := o.m.open(a)
	if err != nil {
		return err
	}
	r.CheckpointEvery = o.every
	if err := sweep.Work(r.Trainer, os.Stdin, a.out.Verbatim()); err != nil {
		return err
	}
	os.Exit(exitOK) // at once: a trial may still be running, and its sweep has died
	return nil
}
