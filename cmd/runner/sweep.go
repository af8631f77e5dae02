package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/progress"
	"focalgrid/cmd/runner/terminal"
	"focalgrid/cmd/runner/usage"
	"focalgrid/columns"
	"focalgrid/dataset"
	"focalgrid/engine"
	"focalgrid/experiments"
	"focalgrid/experiments/plan"
	"focalgrid/experiments/sweep"
	"focalgrid/results"
	"focalgrid/results/record"
)

type sweepOptions struct {
	source string
	sel    plan.Selection
	db     string
	m      machine
	dryRun bool
	tune   bool
	every  int // steps
	jobs   int
	tries  int // again

	changedData bool

	gpus *gpus // that its trials are given; nil: none
}

func newSweep(a *app) *cobra.Command {
	o := &sweepOptions{}
	cmd := &cobra.Command{
		Use:   "sweep FILE|NAME",
		Short: "Train and evaluate the trials of a grid file, and print its table",
		Long: `Train and evaluate the trials of a grid file, and print its table.

FILE is a grid file; NAME is an ablation inside the program:
` + strings.Join(plan.Ablations(), ", ") + `.
A file wins over a name. The plan is printed first and the table at the end; on a terminal
the table so far is also printed after each seed. Progress goes to stderr: bars on a
terminal, plain lines elsewhere.

Finished trials are never trained again: the same command continues where it was stopped,
and changed settings make new trials. An unfinished trial continues from its last
checkpoint and ends with the same bits as an uninterrupted trial. Ctrl-C stops after the
current step, with exit code 3. A trial that diverges has a result. A trial that fails does
not stop the others, and the exit code is then 1.

--jobs trains several trials at the same time, each in a worker process with its share of
the cores; the workers end with this process. Where --engine xla computes on GPUs by CUDA,
each worker gets one of those that CUDA_VISIBLE_DEVICES names (all, if it is not set): the
one with the fewest workers, of other sweeps on this machine too. Several sweeps on this
machine may share one database on a local disk: each sweep takes trials that no other sweep
has, and the trials of a sweep that has died.

--devices trains each trial on several devices of the plugin of --engine xla, such as GPUs.
Each step still takes train.batch images: every device computes its equal part of them, and
what the loss, its normaliser, the gradient and batch norm add up is added over all devices.
So the learning rate stays what it is. The sums round in another order than on one device:
the number of devices is part of the engine's name, and so of the identity of the trial.
With --jobs each worker has devices of its own.

--tune adds each row at its own best settings, chosen from the candidates in the file's
section tune, such as tune: {optim.lr: [0.025, 0.05, 0.1]}. First each row is trained at each
candidate, scored on the split tune, with seeds that the table does not report (100, 101, 102;
seeds: [200, 201] in the section names others). The candidate with the highest mean AP is
recorded as the row's choice; a diverged trial counts as 0, and of equals the smaller is
chosen. Then the rows of the table are trained, and each row at its choice. A choice is
one of its candidates by its seeds: a file with others chooses anew, and changes none.`,
		Example: `  runner sweep smoke
  runner sweep gamma --dry-run
  runner sweep gamma --seeds 0..4 --only loss.gamma=0,2
  runner sweep gamma --set train.iters=100 --set optim.lr=.05 --db runs/short.db
  runner sweep gamma.yaml --tune --dry-run
  runner sweep gamma --profile paper --data COCO --set pretrain.file=resnet50.safetensors`,
		Args:              usage.Args,
		ValidArgsFunction: usage.GridNames,
		RunE: a.work(func(ctx context.Context, args []string) error {
			o.source = args[0]
			return a.sweep(ctx, o)
		}),
	}
	selectionFlags(cmd, &o.sel)
	dbFlag(cmd, &o.db)
	machineFlags(cmd, &o.m)
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "print the plan and its cost on this machine; write nothing")
	cmd.Flags().BoolVar(&o.tune, "tune", false, "also train each row at its own best of the candidates in the file's section tune")
	cmd.Flags().IntVar(&o.jobs, "jobs", 1, "`number` of trials to train at the same time; each needs the memory of one")
	cmd.Flags().IntVar(&o.tries, "retries", 1, "retry up to `N` times a trial whose worker died, for example out of memory (with --jobs)")
	cmd.Flags().BoolVar(&o.changedData, "allow-changed-data", false, "continue although the data folder has changed since this sweep began; all trials are trained again")
	cmd.Flags().IntVar(&o.every, "checkpoint-every", 0, "`steps` between checkpoints of a trial; 0: spend at most 2 % of the time on checkpoints. Results do not depend on it")
	return cmd
}

// maxJobs is far more than any machine can run; it catches mistyped numbers.
const maxJobs = 1024

func (o *sweepOptions) check() error {
	switch {
	case o.every < 0:
		return fmt.Errorf("--checkpoint-every %d: want a number of steps, or 0", o.every)
	case o.jobs < 1 || o.jobs > maxJobs:
		return fmt.Errorf("--jobs %d: want 1 to %d", o.jobs, maxJobs)
	case o.tries < 0:
		return fmt.Errorf("--retries %d: want 0 or more", o.tries)
	}
	return nil
}

// fits refuses devices that cannot share the batch of each row equally, and jobs for which there are too few devices.
func (o *sweepOptions) fits(p *plan.Plan, e engine.Engine) error {
	if o.m.devices <= 1 {
		return nil
	}
	for i := range p.Trials {
		if batch := p.Trials[i].Config.Int("train.batch"); batch%o.m.devices != 0 {
			return fmt.Errorf("--devices %d: a batch of %d images (train.batch) cannot be split among them equally", o.m.devices, batch)
		}
	}
	has, ok := e.(interface{ Devices() int })
	if want := o.jobs * o.m.devices; ok && want > has.Devices() {
		return fmt.Errorf("--jobs %d --devices %d: want %d devices, and there are %d", o.jobs, o.m.devices, want, has.Devices())
	}
	return nil
}

func (a *app) sweep(ctx context.Context, o *sweepOptions) error {
	p, err := loadPlan(ctx, o.source, o.sel)
	if err != nil {
		return bad(err)
	}
	if err := o.check(); err != nil {
		return bad(err)
	}
	var tuning *plan.Plan
	if o.tune {
		if tuning, err = p.Tuning(); err != nil {
			return bad(err)
		}
	}
	if o.m.threads == 0 {
		o.m.threads = max(1, runtime.GOMAXPROCS(0)/o.jobs)
	}
	if o.m.devices <= 1 { // else they are the plugin's, by number
		o.gpus = findGPUs(ctx, o.m.engine)
	}
	if !o.dryRun {
		defer o.gpus.close()
		if err := o.gpus.enter(a.err); err != nil {
			return err
		}
	}
	r, err := o.m.open(a)
	if err != nil {
		return err
	}
	defer r.close()
	if err := o.fits(p, r.Engine); err != nil {
		return bad(err)
	}
	r.CheckpointEvery = o.every
	if o.jobs > 1 {
		r.host.Jobs = o.jobs
	}
	r.Notify = progress.Preparing(a.now, a.err) // until there are trials to report
	if missing := p.Missing(); missing != nil && !o.dryRun {
		return bad(missing)
	}
	records := r.records(nil)
	records.AllowChangedData = o.changedData
	c := &sweep.Coordinator{Records: records, Retries: o.tries, Executor: sweep.Here(*r.Trainer)}
	if o.jobs > 1 {
		c.Executor = sweep.Processes(o.jobs, func(place int) *exec.Cmd { return workerCommand(o, place) })
	}
	defer func() {
		if c.Store != nil {
			c.Store.Close()
		}
	}()
	if o.dryRun {
		return a.dryRun(ctx, c, p, tuning, o)
	}
	err = a.train(ctx, c, p, tuning, o)
	var code *coded
	if c.Store != nil && ctx.Err() != nil && err != nil && !errors.As(err, &code) {
		return &coded{exitInterrupted, fmt.Errorf("interrupted; finished work is recorded in %s, and the same command continues from there", o.db)}
	}
	return err
}

// train runs the missing trials of a plan and prints its table. With tuning, the plan's Tuning, it first chooses each
// row's own best settings, which are then rows of the table too.
func (a *app) train(ctx context.Context, c *sweep.Coordinator, p, tuning *plan.Plan, o *sweepOptions) error {
	var remarks []string
	failed := 0
	if tuning != nil {
		states, _, err := a.plan(ctx, c.Records, tuning, o)
		if err != nil {
			return err
		}
		counts, err := a.runPlan(ctx, c, tuning, states, o)
		if err != nil {
			return err
		}
		failed = counts.Failed
		if states, err = c.Refresh(states); err != nil {
			return err
		}
		choices, err := c.Choose(p, states)
		if err != nil {
			return err
		}
		progress.WriteChoices(a.out, p, choices)
		if p, remarks, err = c.WithChoices(ctx, p); err != nil {
			return err
		}
		fmt.Fprintln(a.out)
	}
	states, _, err := a.plan(ctx, c.Records, p, o)
	if err != nil {
		return err
	}
	counts, err := a.runPlan(ctx, c, p, states, o)
	if err != nil {
		return err
	}
	if err = a.sum(&c.Records, p, states, remarks, counts, o); err == nil && failed > 0 {
		err = &coded{exitFailed, fmt.Errorf("%s failed by which rows choose; `%s` says why", columns.Count(failed, "trial"), usage.Command("ls", o.db))}
	}
	return err
}

// dryRun prints what train would run. Which rows come of choices that are not made yet is not known, but their cost is.
func (a *app) dryRun(ctx context.Context, c *sweep.Coordinator, p, tuning *plan.Plan, o *sweepOptions) error {
	if tuning == nil {
		_, _, err := a.plan(ctx, c.Records, p, o)
		return err
	}
	var err error
	if c.Store, err = openIfThere(o.db); err != nil {
		return err
	}
	if _, _, err := a.plan(ctx, c.Records, tuning, o); err != nil {
		return err
	}
	if p, _, err = c.WithChoices(ctx, p); err != nil {
		return err
	}
	fmt.Fprintln(a.out)
	_, costs, err := a.plan(ctx, c.Records, p, o)
	if err == nil {
		progress.WriteUnchosen(a.out, p, costs, o.jobs)
	}
	return err
}

// plan looks up the state and the cost of each trial and prints the plan. It writes nothing. If an input is missing,
// trials have no identity yet, and none is looked up.
func (a *app) plan(ctx context.Context, records sweep.Records, plan *plan.Plan, o *sweepOptions) ([]sweep.State, []sweep.Cost, error) {
	if records.Store == nil {
		store, err := openIfThere(o.db)
		if err != nil {
			return nil, nil, err
		}
		if store != nil {
			defer store.Close()
		}
		records.Store = store
	}
	missing := plan.Missing()
	var states []sweep.State
	var err error
	if missing != nil {
		if err := plan.MissingSplits(); err != nil {
			return nil, nil, bad(err)
		}
		for _, t := range plan.Trials {
			states = append(states, sweep.State{Trial: t})
		}
	} else if states, err = records.Plan(ctx, plan); err != nil {
		if ctx.Err() != nil {
			return nil, nil, err
		}
		return nil, nil, bad(err) // a folder or a weights file that cannot be used
	}
	rates, err := records.Rates(states)
	if err != nil {
		return nil, nil, err
	}
	costs, err := records.Costs(states, rates)
	if err != nil {
		return nil, nil, err
	}
	pretrain, err := records.PretrainSeconds(states, rates)
	if err != nil {
		return nil, nil, err
	}
	memory, err := records.Memory(states)
	if err != nil {
		return nil, nil, err
	}
	progress.WritePlan(a.out, plan, states, costs, pretrain, rates, o.jobs)
	if memory != nil {
		fmt.Fprintf(a.out, "Device memory: %s.\n", memory)
	}
	fmt.Fprint(a.out, records.InputSizes(plan))
	o.gpus.write(a.out, o.jobs)
	fmt.Fprint(a.out, progress.OneSeed(plan, o.sel.Seeds))
	if missing != nil {
		for line := range strings.Lines(missing.Error()) {
			fmt.Fprintf(a.out, "To run it: %s\n", strings.TrimSpace(line))
		}
	}
	return states, costs, nil
}

// runPlan opens the database and trains the missing trials, with progress and, on a terminal, the table so far after
// each seed.
func (a *app) runPlan(ctx context.Context, c *sweep.Coordinator, plan *plan.Plan, states []sweep.State, o *sweepOptions) (counts record.Counts, err error) {
	left, ofSeed := 0, map[uint64]int{}
	for i := range states {
		if !states[i].Done() {
			left++
			ofSeed[states[i].Seed]++
		}
	}
	if left > 0 {
		fmt.Fprintln(a.out)
		if err := o.gpus.take(min(o.jobs, left), a.err); err != nil {
			return counts, err
		}
		c.Devices = o.gpus.names()
		show := progress.New(plan, states, a.now, a.out, a.err)
		defer show.Close()
		defer func(before func(experiments.Event)) { c.Notify = before }(c.Notify)
		ended := map[int]bool{}
		c.Notify = func(e experiments.Event) {
			show.Event(e)
			end, ok := e.(sweep.TrialEnded)
			if !ok || ended[end.Index] || end.Outcome.Status == record.StatusInterrupted {
				return
			}
			ended[end.Index] = true
			seed := states[end.Index].Seed
			left--
			ofSeed[seed]--
			if ofSeed[seed] == 0 && left > 0 && terminal.Is(a.out) { // the last table is printed at the end
				show.Print(func(w io.Writer) error { return writeTableSoFar(w, &c.Records, plan, states, ended, nil, o.db) })
			}
		}
	}
	// Data first, so that a folder with other data is found before a database is made.
	if err := c.PrepareAll(ctx, states); errors.Is(err, dataset.ErrOtherFolder) {
		return counts, bad(err)
	} else if err != nil {
		return counts, err
	}
	if c.Store == nil {
		if c.Store, err = results.Open(o.db); err != nil {
			return counts, bad(err)
		}
	}
	counts, err = c.Sweep(ctx, plan)
	if errors.Is(err, sweep.ErrDataChanged) {
		err = bad(err)
	}
	return counts, err
}

// sum prints the outcome of a sweep, and what to type next.
func (a *app) sum(r *sweep.Records, plan *plan.Plan, states []sweep.State, remarks []string, counts record.Counts, o *sweepOptions) error {
	fmt.Fprintln(a.out)
	if err := writeTableSoFar(a.out, r, plan, states, nil, remarks, o.db); err != nil {
		return err
	}
	states, err := r.Refresh(states)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "\n%s: %d done, %d diverged, %d failed; recorded in %s.\n",
		columns.Count(len(states), "trial"), counts.Done, counts.Diverged, counts.Failed, o.db)
	fmt.Fprintln(a.out, "\nNext:")
	for _, line := range usage.Next(plan, states, o.source, &o.sel, o.m.engine, o.m.devices, o.db) {
		fmt.Fprintf(a.out, "  %s\n", line)
	}
	if counts.Failed > 0 {
		return &coded{exitFailed, fmt.Errorf("%s failed; `%s` says why", columns.Count(counts.Failed, "trial"), usage.Command("ls", o.db))}
	}
	return nil
}

// writeTableSoFar prints the table so far. A trial that failed in an earlier sweep is retried, and counts only
// once it is in ended; nil: all trials count. The remarks are notes under the table.
func writeTableSoFar(w io.Writer, r *sweep.Records, plan *plan.Plan, states []sweep.State, ended map[int]bool, remarks []string, db string) error {
	states, err := r.Refresh(states)
	if err != nil {
		return err
	}
	for i := range states {
		if s := &states[i]; ended != nil && !ended[i] && s.Recorded != nil && !s.Done() {
			s.Recorded = nil
		}
	}
	t, err := r.TableOf(plan, states)
	if err != nil {
		return err
	}
	t.List, t.Remarks = usage.Command("ls", db), append(t.Remarks, remarks...)
	return t.Write(w, "text")
}
