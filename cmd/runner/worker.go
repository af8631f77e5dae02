package main

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
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
	cmd.Flags().IntVar(&o.every, "checkpoint-every", 0, "`steps`, as for sweep")
	return cmd
}

// workerCommand returns the command that starts the worker of a sweep's place.
func workerCommand(o *sweepOptions, place int) *exec.Cmd {
	// The running program, even if its file has been replaced since the start.
	self := "/proc/self/exe"
	if _, err := os.Stat(self); err != nil {
		if self, err = os.Executable(); err != nil {
			self = os.Args[0]
		}
	}
	args := []string{"worker", "--threads", strconv.Itoa(o.m.threads), "--engine", o.m.engine, "--checkpoint-every", strconv.Itoa(o.every)}
	if o.m.devices > 1 {
		args = append(args, "--devices", strconv.Itoa(o.m.devices))
	}
	if o.m.cache != "" {
		args = append(args, "--cache", o.m.cache)
	}
	cmd := exec.Command(self, args...) // which does not run a program of the current folder by its bare name
	cmd.Args[0] = os.Args[0]
	o.gpus.give(cmd, place)
	if o.m.devices > 1 {
		cmd.Env = append(cmd.Environ(), visibleDevices+"="+share(os.Getenv(visibleDevices), place, o.m.devices))
	}
	return cmd
}

// visibleDevices is the environment variable by which CUDA numbers the GPUs that a process sees.
const visibleDevices = "CUDA_VISIBLE_DEVICES"

// share picks the devices of a place, of those that are visible: all, if visible is empty.
func share(visible string, place, devices int) string {
	of := strings.Split(visible, ",")
	var own []string
	for i := place * devices; i < (place+1)*devices; i++ {
		if visible == "" {
			own = append(own, strconv.Itoa(i))
		} else if i < len(of) {
			own = append(own, of[i])
		}
	}
	return strings.Join(own, ",")
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
