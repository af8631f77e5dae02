package experiments

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"focalgrid/results"
)

// prepared is a trial with its identity.
type prepared struct {
	Trial      Trial
	key        string
	data, init string
}

// prepare computes the identities of the plan's trials. The seeds of a row share all
// but the seed; data and initial weights are looked at once for all rows that share them.
func (r *Runner) prepare(p *Plan) ([]prepared, error) {
	type source struct {
		Data
		split string
	}
	data, init := map[source]string{}, map[string]string{}
	rows := make([]*Identity, len(p.Rows))
	out := make([]prepared, len(p.Trials))
	for i, t := range p.Trials {
		if rows[t.Row] == nil {
			row := &p.Rows[t.Row]
			cfg := &row.Config
			d, err := once(data, source{cfg.Data, cfg.Eval.Split}, func() (string, error) { return r.dataIdentity(cfg) })
			if err != nil {
				return nil, fmt.Errorf("data: %w", err)
			}
			w, err := once(init, string(PretrainCanonical(cfg))+cfg.Pretrain.File, func() (string, error) { return r.initIdentity(cfg) })
			if err != nil {
				return nil, fmt.Errorf("initial weights: %w", err)
			}
			rows[t.Row] = &Identity{Config: row.canonical, Data: d, Init: w, Engine: r.Engine.Name(), Numerics: Numerics}
		}
		id := *rows[t.Row]
		id.Seed = t.Seed
		out[i] = prepared{Trial: t, key: id.Key(), data: id.Data, init: id.Init}
	}
	return out, nil
}

// once returns what is seen under the key, or else what f makes of it.
func once[K comparable](seen map[K]string, key K, f func() (string, error)) (string, error) {
	if v, ok := seen[key]; ok {
		return v, nil
	}
	v, err := f()
	seen[key] = v
	return v, err
}

// State is a planned trial and what is recorded of it.
type State struct {
	Trial
	Key      string
	Recorded *results.Trial // nil: never begun
}

// Done tells whether the trial needs no more work: it is done, or it diverged.
func (s State) Done() bool {
	return s.Recorded != nil && (s.Recorded.Status == results.StatusDone || s.Recorded.Status == results.StatusDiverged)
}

// States looks the plan's trials up. Nothing is written; without a store
// nothing is recorded.
func (r *Runner) States(p *Plan) ([]State, error) {
	prep, err := r.prepare(p)
	if err != nil {
		return nil, err
	}
	return r.states(prep)
}

func (r *Runner) states(prep []prepared) ([]State, error) {
	out := make([]State, len(prep))
	for i, q := range prep {
		out[i] = State{Trial: q.Trial, Key: q.key}
	}
	if r.Store == nil {
		return out, nil
	}
	return out, r.lookUp(out)
}

// lookUp sets what is recorded of the trials.
func (r *Runner) lookUp(states []State) error {
	keys := make([]string, len(states))
	for i, s := range states {
		keys[i] = s.Key
	}
	trials, err := r.Store.Trials(results.Filter{Keys: keys})
	if err != nil {
		return err
	}
	recorded := make(map[string]*results.Trial, len(trials))
	for i := range trials {
		recorded[trials[i].Key] = &trials[i]
	}
	for i := range states {
		states[i].Recorded = recorded[states[i].Key]
	}
	return nil
}

// Counts says how the trials of a sweep ended, those of earlier runs included.
type Counts struct{ Done, Diverged, Failed int }

// Sweep runs what is missing of the plan, trial after trial. A trial that another
// process is at work on is left to it, and taken over should it die. A failed trial
// does not stop the others; the context's end does, after the step at hand. The error
// is the context's or one that concerns all trials.
func (r *Runner) Sweep(ctx context.Context, p *Plan) (Counts, error) {
	var c Counts
	prep, err := r.prepare(p)
	if err != nil {
		return c, err
	}
	states, err := r.states(prep)
	if err != nil {
		return c, err
	}
	if err := r.savePlan(p, prep); err != nil {
		return c, err
	}
	var pending []int
	for i, s := range states {
		if !s.Done() {
			pending = append(pending, i)
			continue
		}
		c.count(s.Recorded.Status)
		// Its process may have died between the result and this.
		if err := os.RemoveAll(r.workFolder(s.Key)); err != nil {
			return c, err
		}
	}
	for len(pending) > 0 {
		var held []int
		for _, i := range pending {
			if err := ctx.Err(); err != nil {
				return c, err
			}
			out, err := r.runTrial(ctx, i, &prep[i])
			switch {
			case ctx.Err() != nil:
				return c, ctx.Err()
			case errors.Is(err, results.ErrHeld) || errors.Is(err, results.ErrLost):
				held = append(held, i)
			case errors.Is(err, results.ErrFinished):
				t, err := r.Store.Trial(prep[i].key)
				if err != nil {
					return c, err
				}
				c.count(t.Status)
				r.tell(TrialEnded{Index: i, Key: t.Key, Outcome: t.Outcome, Elsewhere: true})
			case out.Status == "":
				return c, err // not even begun: the database does not answer
			default:
				c.count(out.Status)
			}
		}
		if len(held) == len(pending) {
			r.tell(Waiting{Trials: len(held)})
			if err := sleep(ctx, r.lease()/beatsPerLease); err != nil {
				return c, err
			}
		}
		pending = held
	}
	return c, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func (c *Counts) count(status string) {
	switch status {
	case results.StatusDone:
		c.Done++
	case results.StatusDiverged:
		c.Diverged++
	default:
		c.Failed++
	}
}

func (r *Runner) savePlan(p *Plan, prep []prepared) error {
	planned := make([]results.Planned, len(prep))
	for i, q := range prep {
		planned[i] = results.Planned{Key: q.key, Row: q.Trial.Row}
	}
	return r.Store.SaveSweep(results.Sweep{Name: p.Name, File: p.Text, Hash: p.FileHash, Created: r.now()}, planned)
}

// CacheDir is the folder for generated data and pretrained weights: FOCALGRID_CACHE,
// or focalgrid in the user's cache folder.
func CacheDir() (string, error) {
	if dir := os.Getenv("FOCALGRID_CACHE"); dir != "" {
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache folder (%w): set FOCALGRID_CACHE to one", err)
	}
	return dir + "/focalgrid", nil
}
