package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/progress"
	"focalgrid/cmd/runner/usage"
	"focalgrid/columns"
	"focalgrid/dataset"
	"focalgrid/experiments"
	"focalgrid/experiments/sweep"
)

type verifyOptions struct {
	trial, db, from string
	data            string // folder in place of the recorded one
	m               machine
}

func newVerify(a *app) *cobra.Command {
	o := &verifyOptions{}
	cmd := &cobra.Command{
		Use:   "verify TRIAL",
		Short: "Train a recorded trial again and compare every bit",
		Long: `Train a recorded trial again and compare every bit: training log, final weights, metrics
and detections. For an unfinished trial, the log and the tensors up to its last checkpoint
are compared. Nothing is written.

verify reports that everything is equal, or the first step, tensor and value that differ,
with exit code 1. --from starts from the checkpoint after that many steps. If the trial has
no such checkpoint, training stops at this step and continues from a checkpoint of its own.`,
		Example: `  runner verify 3fa85f6457c1
  runner verify 3fa8 --threads 1
  runner verify 3fa8 --from 200`,
		Args:              usage.Args,
		ValidArgsFunction: usage.TrialKeys(&o.db),
		RunE: a.work(func(ctx context.Context, args []string) error {
			o.trial = args[0]
			return a.verify(ctx, o)
		}),
	}
	cmd.Flags().StringVar(&o.from, "from", "start", "the `step` to start from, or start")
	recordedDataFlag(cmd, &o.data)
	dbFlag(cmd, &o.db)
	machineFlags(cmd, &o.m)
	return cmd
}

func (a *app) verify(ctx context.Context, o *verifyOptions) error {
	from := 0
	if o.from != "start" {
		var err error
		if from, err = strconv.Atoi(o.from); err != nil || from < 0 {
			return bad(fmt.Errorf("--from %s: want a number of steps, or start", o.from))
		}
	}
	store, t, err := openTrial(o.db, o.trial)
	if err != nil {
		return err
	}
	defer store.Close()
	if err := relocate(t, o.data); err != nil {
		return err
	}
	if o.m.engine == "auto" {
		o.m.engine, o.m.devices = engineOf(t.Engine)
	}
	r, err := o.m.open(a)
	if err != nil {
		return err
	}
	defer r.close()
	r.Notify = progress.Preparing(a.now, a.err)
	if !r.Engine.Info().Exact {
		fmt.Fprintf(a.out, "Engine %s does not promise the same bits every time: a difference may not be an error.\n", r.Engine.Info().Name)
	}
	recorded, err := sweep.Recorded(store, t)
	if err != nil {
		return bad(err)
	}
	v, err := r.Verify(ctx, recorded, from)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		if errors.Is(err, dataset.ErrNoFolder) {
			err = fmt.Errorf("%w; if the data was moved, pass its new folder with --data DIR", err)
		}
		return bad(err)
	}
	if v.Differs != nil {
		return &coded{exitFailed, fmt.Errorf("trial %.12s differs: %w", t.Key, v.Differs)}
	}
	fmt.Fprintln(a.out, verified(t.Key, v, r.Engine.Info().Threads))
	return nil
}

// verified describes what was equal.
func verified(key string, v *experiments.Verification, threads int) string {
	with := columns.Count(threads, "thread")
	if threads == 0 {
		with = "the plugin's threads"
	}
	s := fmt.Sprintf("trial %.12s is equal to the bit, steps %d to %d trained again with %s: %s of the training log, %s",
		key, v.From, v.To, with, columns.Count(v.Rows, "row"), columns.Count(v.Tensors, "tensor"))
	if v.Metrics > 0 {
		s += fmt.Sprintf(", %s, %s", columns.Count(v.Metrics, "metric"), columns.Count(v.Detections, "detection"))
	}
	return s
}
