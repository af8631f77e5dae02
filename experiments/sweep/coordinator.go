package sweep

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"focalgrid/experiments"
	"focalgrid/experiments/plan"
	"focalgrid/results"
	"focalgrid/results/record"
)

// Coordinator runs the missing trials of plans. Records' Store is required.
type Coordinator struct {
	Records
	Executor Executor
	Devices  []string      // what the executor's places compute on, where each has a GPU of its own
	Retries  int           // how often to retry a trial whose process died
	Lease    time.Duration // without a heartbeat, after which an attempt is taken over; 0: half a minute

	notifying sync.Mutex
	mu        sync.Mutex
	heard     map[string]heard // of other coordinators' attempts, by trial
}

// TrialStarted is the event that begins trial number Index (from 0) of the plan.
type TrialStarted struct {
	Index int
	Trial plan.Trial
	Key   string
	Step  int // steps done before, from a checkpoint
}

// TrialEnded is the event that ends a trial that was started, here or by another coordinator.
type TrialEnded struct {
	Index     int
	Key       string
	Outcome   record.Outcome
	Elsewhere bool
}

// Waiting is the event of a sweep that has nothing to do, as other coordinators hold all trials left.
type Waiting struct{ Trials int }

// notify passes an event on, one at a time.
func (c *Coordinator) notify(e experiments.Event) {
	c.notifying.Lock()
	defer c.notifying.Unlock()
	c.Report(e)
}

// Sweep runs the missing trials of the plan, at as many places as the executor has, and counts how the plan's trials
// ended, in earlier sweeps too. It leaves a trial that another coordinator holds to that coordinator, and takes it over
// if the coordinator dies. A failed trial does not stop the others; the context's end does, after the step at hand. The
// error is the context's or one that stops all trials.
func (c *Coordinator) Sweep(ctx context.Context, p *plan.Plan) (record.Counts, error) {
	counts, err := c.sweep(ctx, p)
	return counts, experiments.WithAdvice(err)
}

func (c *Coordinator) sweep(ctx context.Context, p *plan.Plan) (record.Counts, error) {
	q := &queue{c: c, tries: map[int]int{}}
	var err error
	if q.states, err = c.Plan(ctx, p); err != nil {
		return q.counts, err
	}
	if err := c.SavePlan(p, q.states); err != nil {
		return q.counts, err
	}
	c.Store.Notice = func(text string) { c.notify(experiments.Noted{Text: text}) }
	sources := map[*experiments.Source]bool{}
	for i := range q.states {
		s := &q.states[i]
		if !plan.Synthetic(&s.Config) && !sources[s.source] {
			sources[s.source] = true
			c.RememberParts(s.source)
		}
		if !s.Done() {
			q.todo = append(q.todo, i)
		} else if err := q.close(i, s.Recorded.Status); err != nil {
			return q.counts, err
		}
	}
	err = q.run(ctx)
	_ = os.Remove(results.WorkDir(c.Store.Path())) // stays where a trial has a checkpoint
	return q.counts, err
}

// lookAgain is the longest time until a sweep checks again whether other coordinators still hold their trials.
const lookAgain = 2 * time.Second

// job is the end of one try at a trial.
type job struct {
	place, index int
	outcome      record.Outcome
	err          error
}

// queue holds what a sweep still has to do, by index of its trials.
type queue struct {
	c      *Coordinator
	states []State
	counts record.Counts

	todo   []int
	held   []int       // by other processes, when last looked at
	tries  map[int]int // again, of trials whose worker died
	failed error       // ends the sweep, once the trials at work have stopped
}

// run runs the trials to do, as many at a time as the executor has places.
func (q *queue) run(ctx context.Context) error {
	c := q.c
	defer c.Executor.Close()
	places := min(c.Executor.Places(), max(1, len(q.todo)))
	free := make([]int, places)
	for i := range free {
		free[i] = i
	}
	if places > 1 {
		if err := q.pretrain(ctx); err != nil {
			return err
		}
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan job)
	for busy := 0; ; {
		for len(q.todo) > 0 && len(free) > 0 && ctx.Err() == nil {
			place, i := free[0], q.todo[0]
			free, q.todo = free[1:], q.todo[1:]
			busy++
			go func() {
				out, err := c.try(ctx, place, i, &q.states[i])
				ended <- job{place, i, out, err}
			}()
		}
		switch {
		case busy > 0:
		case q.failed != nil:
			return q.failed
		case ctx.Err() != nil:
			return ctx.Err()
		case len(q.held) == 0:
			return nil
		default:
			c.notify(Waiting{Trials: len(q.held)})
		}
		var again <-chan time.Time // to look whether what is held still is
		if len(q.held) > 0 && len(free) > 0 {
			again = time.After(min(lookAgain, c.lease()/beatsPerLease))
		}
		var interrupted <-chan struct{} // running orders see it themselves
		if busy == 0 {
			interrupted = ctx.Done()
		}
		select {
		case <-interrupted:
		case <-again:
			q.todo, q.held = append(q.todo, q.held...), nil
		case j := <-ended:
			busy--
			free = append(free, j.place)
			if ctx.Err() != nil {
				continue
			}
			if q.failed = q.handle(j); q.failed != nil {
				stop()
			}
		}
	}
}

// pretrain makes missing or damaged backbones: once, not once per worker.
func (q *queue) pretrain(ctx context.Context) error {
	whole := map[string]bool{}
	for _, i := range q.todo {
		s := &q.states[i]
		if !plan.Crops(&s.Config) || whole[s.Init] {
			continue
		}
		whole[s.Init] = true
		if _, err := q.c.Pretrain(ctx, &s.Config); err != nil {
			return err
		}
	}
	return nil
}

// handle counts a trial that has ended, or queues it again. The error is one that stops all trials.
func (q *queue) handle(j job) error {
	key := q.states[j.index].Key
	switch {
	case errors.Is(j.err, record.ErrHeld) || errors.Is(j.err, record.ErrLost):
		q.held = append(q.held, j.index)
	case errors.Is(j.err, results.ErrFinished):
		t, err := q.c.Store.Trial(key)
		if err != nil {
			return err
		}
		q.c.notify(TrialEnded{Index: j.index, Key: key, Outcome: t.Outcome, Elsewhere: true})
		return q.close(j.index, t.Status)
	case errors.Is(j.err, ErrDied) && q.tries[j.index] < q.c.Retries:
		q.tries[j.index]++
		q.c.notify(experiments.Noted{Text: fmt.Sprintf("trial %.12s is tried again (%d of %d): %v", key, q.tries[j.index], q.c.Retries, j.err)})
		q.todo = append(q.todo, j.index)
	case j.outcome.Status == "": // not recorded: the database does not answer
		return j.err
	default:
		if errors.Is(j.err, ErrDied) { // and could not report it
			q.c.notify(TrialEnded{Index: j.index, Key: key, Outcome: j.outcome})
		}
		if errors.Is(j.err, syscall.ENOSPC) { // and so the next would end
			q.count(j.outcome.Status)
			return j.err
		}
		return q.close(j.index, j.outcome.Status)
	}
	return nil
}

// close counts a trial that this sweep need not run any more. It removes the checkpoints, as the process that finished
// the trial may have died before it could.
func (q *queue) close(index int, status string) error {
	q.count(status)
	if record.IsFinal(status) {
		return os.RemoveAll(workFolder(q.c.Store, q.states[index].Key))
	}
	return nil
}

// count counts a trial that this sweep need not run any more; a trial without a result has failed.
func (q *queue) count(status string) {
	if !record.IsFinal(status) {
		status = record.StatusFailed
	}
	q.counts.Add(status)
}
