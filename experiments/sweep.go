package experiments

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"focalgrid/dataset/synthetic"
	"focalgrid/detector"
	"focalgrid/experiments/plan"
	"focalgrid/results"
)

// Prepared is a trial with its identity.
type Prepared struct {
	Trial      plan.Trial
	Key        string
	Data, Init string // identities, as recorded
	source     *source
	kin        []pastTraining // see Runner.findKin
	stopped    []string       // keys of kin that failed or were stopped: a checkpoint of theirs may be of the same training
}

// dataSettings spells the settings that choose the images to train on and to score.
func dataSettings(c *plan.Config) string { return fmt.Sprint(c.Group("data"), c.Text("eval.split")) }

// Prepare computes the identities of the plan's trials. The seeds of a row share all
// but the seed; data and initial weights are looked at once for all rows that share them.
// What training or scoring would trip over later is an error here.
func (r *Runner) Prepare(ctx context.Context, p *plan.Plan) ([]Prepared, error) {
	sources, init, starts := map[string]*source{}, map[string]string{}, map[string]bool{}
	rows := make([]*plan.Identity, len(p.Rows))
	from := make([]*source, len(p.Rows))
	out := make([]Prepared, len(p.Trials))
	for i, t := range p.Trials {
		if rows[t.Row] == nil {
			row := &p.Rows[t.Row]
			cfg := &row.Config
			s, err := once(sources, dataSettings(cfg), func() (*source, error) { return r.source(ctx, cfg) })
			if err != nil {
				return nil, fmt.Errorf("data: %w", err)
			}
			w, err := once(init, string(plan.PretrainCanonical(cfg))+cfg.Text("pretrain.file"), func() (string, error) { return r.initIdentity(cfg) })
			if err != nil {
				return nil, fmt.Errorf("initial weights: %w", err)
			}
			_, err = once(starts, fmt.Sprint(len(s.Classes), cfg.Group("model"), cfg.Group("anchors"), cfg.Text("pretrain.file")), func() (bool, error) {
				return true, detector.CheckInitial(cfg, len(s.Classes))
			})
			if err != nil {
				return nil, err
			}
			rows[t.Row] = &plan.Identity{Config: row.Canonical, Data: s.Identity, Init: w, Engine: r.Engine.Info().Name, Numerics: plan.Numerics}
			from[t.Row] = s
		}
		id := *rows[t.Row]
		id.Seed = t.Seed
		out[i] = Prepared{Trial: t, Key: id.Key(), Data: id.Data, Init: id.Init, source: from[t.Row]}
	}
	return out, r.adopt(ctx, out)
}

// once returns what is seen under the key, or else what f makes of it.
func once[K comparable, V any](seen map[K]V, key K, f func() (V, error)) (V, error) {
	if v, ok := seen[key]; ok {
		return v, nil
	}
	v, err := f()
	if err == nil {
		seen[key] = v
	}
	return v, err
}

// State is a planned trial and what is recorded of it.
type State struct {
	plan.Trial
	Key      string
	Init     string         // identity of the initial weights; empty: random ones
	Classes  int            // of the detector
	Recorded *results.Trial // nil: never begun
	Step     int            // of the last checkpoint of a trial that is not done; 0: none
}

// Done tells whether the trial needs no more work: it is done, or it diverged.
func (s State) Done() bool {
	return s.Recorded != nil && results.IsFinal(s.Recorded.Status)
}

// States looks the plan's trials up. Nothing is written; without a store
// nothing is recorded.
func (r *Runner) States(ctx context.Context, p *plan.Plan) ([]State, error) {
	prep, err := r.Prepare(ctx, p)
	if err != nil {
		return nil, err
	}
	return r.states(prep)
}

// Plan is States for those who will run the plan: data that was changed under a sweep
// that has begun is ErrDataChanged.
func (r *Runner) Plan(ctx context.Context, p *plan.Plan) ([]State, error) {
	_, states, err := r.planned(ctx, p)
	return states, err
}

func (r *Runner) planned(ctx context.Context, p *plan.Plan) ([]Prepared, []State, error) {
	prep, err := r.Prepare(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	states, err := r.states(prep)
	if err != nil {
		return nil, nil, err
	}
	return prep, states, r.checkData(states, prep)
}

func (r *Runner) states(prep []Prepared) ([]State, error) {
	out := make([]State, len(prep))
	for i, q := range prep {
		out[i] = State{Trial: q.Trial, Key: q.Key, Init: q.Init, Classes: len(q.source.Classes)}
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
		s := &states[i]
		s.Recorded, s.Step = recorded[s.Key], 0
		if s.Recorded == nil || s.Done() {
			continue
		}
		if s.Step, err = lastStep(r.workFolder(s.Key)); err != nil {
			return err
		}
	}
	return nil
}

// Counts says how the trials of a sweep ended, those of earlier runs included.
type Counts struct{ Done, Diverged, Failed int }

// Sweep runs what is missing of the plan, in this process or, with several Jobs, in as
// many workers. A trial that another process is at work on is left to it, and taken
// over should it die. A failed trial does not stop the others; the context's end does,
// after the step at hand. The error is the context's or one that concerns all trials.
func (r *Runner) Sweep(ctx context.Context, p *plan.Plan) (Counts, error) {
	c, err := r.sweep(ctx, p)
	return c, plainly(err)
}

func (r *Runner) sweep(ctx context.Context, p *plan.Plan) (Counts, error) {
	var c Counts
	prep, states, err := r.planned(ctx, p)
	if err != nil {
		return c, err
	}
	if err := r.SavePlan(p, prep); err != nil {
		return c, err
	}
	r.keepParts(prep)
	var todo []int
	for i, s := range states {
		if !s.Done() {
			todo = append(todo, i)
			continue
		}
		c.count(s.Recorded.Status)
		// Its process may have died between the result and this.
		if err := r.dropWork(s.Key); err != nil {
			return c, err
		}
	}
	err = r.runAll(ctx, prep, todo, &c)
	_ = os.Remove(r.workFolder("")) // stays where a trial has a checkpoint
	return c, err
}

// ErrDataChanged is returned by Sweep where trials of its plan are recorded with
// the same settings on other data, unless AllowChangedData is set.
var ErrDataChanged = errors.New("the data has changed")

// findKin sets the kin of each trial on a folder that is not recorded itself: the recorded
// trainings with its settings and seed, on other data, from other initial weights, or under
// the identity that an older version gave to the same data.
func (r *Runner) findKin(prep []Prepared) error {
	planned := map[string][]*Prepared{}
	keys := map[string]bool{}
	for i := range prep {
		if q := &prep[i]; !plan.Synthetic(&q.Trial.Config) {
			s := trainingSettings(plan.Canonical(&q.Trial.Config), q.Trial.Seed)
			planned[s] = append(planned[s], q)
			keys[q.Key] = true
		}
	}
	if len(planned) == 0 || r.Store == nil {
		return nil
	}
	recorded, err := r.pastTrainings()
	if err != nil {
		return err
	}
	for _, t := range recorded {
		delete(keys, t.Key)
	}
	for _, t := range recorded {
		for _, q := range planned[t.settings] {
			if !keys[q.Key] {
				continue
			}
			q.kin = append(q.kin, t)
			if t.Status == results.StatusFailed || t.Status == results.StatusInterrupted {
				q.stopped = append(q.stopped, t.Key)
			}
		}
	}
	return nil
}

// adopt gives the trials that an older version recorded the identity by which it knew their
// data, where that is what it was: what is done stays done.
func (r *Runner) adopt(ctx context.Context, prep []Prepared) error {
	if err := r.findKin(prep); err != nil {
		return err
	}
	again := 0
	for i := range prep {
		q := &prep[i]
		for _, t := range q.kin {
			if t.Dataset == q.Data {
				continue
			}
			older, err := r.olderIdentity(ctx, &q.Trial.Config, q.source)
			if err != nil {
				return err
			}
			if t.Key != r.keyOn(q, older) {
				continue
			}
			if q.source.misread(t.Trial) {
				again++
			} else {
				q.Key, q.Data, q.kin, q.stopped = t.Key, older, nil, nil
			}
			break
		}
	}
	if again > 0 {
		r.tell(Noted{Text: fmt.Sprintf("%d trials are done again: an older version scored them with the classes of the scored split, which are others than those of the training split", again)})
	}
	return nil
}

// misread tells whether t is a result for which an older version took the detector's labels
// for the scored split's, which are others.
func (s *source) misread(t *results.Trial) bool {
	return s.renumbered && t.Labels == nil && results.IsFinal(t.Status)
}

// checkData refuses to go on with a sweep whose folder of data was changed since it began:
// its table would mix results on both. A sweep that has begun on the new data goes on, and
// so does one without a result whose training did not read what was changed. Generated data
// is what its settings say, and cannot change.
func (r *Runner) checkData(states []State, prep []Prepared) error {
	if r.AllowChangedData {
		return nil
	}
	var other []*results.Trial
	var of *Prepared
	for i := range prep {
		q := &prep[i]
		if plan.Synthetic(&q.Trial.Config) {
			continue
		}
		if states[i].Recorded != nil {
			return nil
		}
		for _, t := range q.kin {
			elsewhere := plan.Absolute(t.cfg.Text("data.dir")) != q.Trial.Config.Text("data.dir")
			same := t.Dataset == q.Data || q.source.older != nil && t.Dataset == *q.source.older
			if elsewhere || same {
				continue
			}
			mixes := results.IsFinal(t.Status)
			if !mixes && t.Status != results.StatusFailed {
				training, begun, err := r.trainingOf(t.Key)
				if err != nil {
					return err
				}
				mixes = begun && training != r.training(q)
			}
			if mixes {
				other, of = append(other, t.Trial), q
			}
		}
	}
	if len(other) == 0 {
		return nil
	}
	t := other[len(other)-1]
	return fmt.Errorf("%w in %s since this sweep began: trials recorded on data %.12s: %d, such as %.12s; the data is now %.12s. "+
		"Put the data back as it was; or pass --allow-changed-data to train all trials on the data as it is, and keep those recorded",
		ErrDataChanged, of.Trial.Config.Text("data.dir"), t.Dataset, len(other), t.Key, of.Data)
}

// trainingOf is the training of a recorded trial's newest checkpoint that can be read.
func (r *Runner) trainingOf(key string) (training string, begun bool, err error) {
	names, err := checkpoints(r.workFolder(key))
	for _, name := range names {
		if c, err := readCheckpoint(filepath.Join(r.workFolder(key), name), key); err == nil {
			return c.training, true, nil
		}
	}
	return "", false, err
}

// training is the identity of a trial's training: trials that differ in what is scored alone
// share it, and with it every checkpoint.
func (r *Runner) training(p *Prepared) string {
	return r.keyOn(p, p.source.Training)
}

// keyOn is the key of the trial on data of that identity.
func (r *Runner) keyOn(p *Prepared, data string) string {
	return plan.Identity{Config: plan.Canonical(&p.Trial.Config), Seed: p.Trial.Seed, Data: data, Init: p.Init, Engine: r.Engine.Info().Name, Numerics: plan.Numerics}.Key()
}

// job is the end of one try at a trial.
type job struct {
	slot, index int
	outcome     results.Outcome
	err         error
}

// queue is what a sweep still has to do, by index of its trials.
type queue struct {
	r      *Runner
	prep   []Prepared
	counts *Counts

	todo   []int
	held   []int       // by other processes, when last looked at
	tries  map[int]int // again, of trials whose worker died
	failed error       // ends the sweep, once the trials at work have stopped
}

// runAll runs those trials of prep, as many at a time as there are jobs.
func (r *Runner) runAll(ctx context.Context, prep []Prepared, todo []int, c *Counts) error {
	q := &queue{r: r, prep: prep, counts: c, todo: todo, tries: map[int]int{}}
	slots := make([]slot, min(max(1, r.Jobs), max(1, len(todo))))
	free := make([]int, len(slots))
	for i := range slots {
		slots[i].r, free[i] = r, i
		defer slots[i].close()
	}
	if len(slots) > 1 {
		if err := q.pretrain(ctx); err != nil {
			return err
		}
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan job)
	for busy := 0; ; {
		for len(q.todo) > 0 && len(free) > 0 && ctx.Err() == nil {
			s, i := free[0], q.todo[0]
			free, q.todo = free[1:], q.todo[1:]
			busy++
			go func() {
				out, err := slots[s].run(ctx, i, &prep[i])
				ended <- job{s, i, out, err}
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
			r.tell(Waiting{Trials: len(q.held)})
		}
		var again <-chan time.Time // to look whether what is held still is
		if len(q.held) > 0 && len(free) > 0 {
			again = time.After(min(lookAgain, r.lease()/beatsPerLease))
		}
		var interrupted <-chan struct{} // those at work see it themselves
		if busy == 0 {
			interrupted = ctx.Done()
		}
		select {
		case <-interrupted:
		case <-again:
			q.todo, q.held = append(q.todo, q.held...), nil
		case j := <-ended:
			busy--
			free = append(free, j.slot)
			if ctx.Err() != nil {
				continue
			}
			if q.failed = q.settle(j); q.failed != nil {
				stop()
			}
		}
	}
}

// pretrain makes the backbones that are missing or damaged: once, not once a worker.
func (q *queue) pretrain(ctx context.Context) error {
	whole := map[string]bool{}
	for _, i := range q.todo {
		cfg := q.prep[i].Trial.Config
		if !plan.Crops(&cfg) || whole[q.prep[i].Init] {
			continue
		}
		whole[q.prep[i].Init] = true
		if _, err := q.r.Pretrain(ctx, &cfg); err != nil {
			return err
		}
	}
	return nil
}

// settle takes in how a try at a trial ended. The error is one that concerns all trials.
func (q *queue) settle(j job) error {
	key := q.prep[j.index].Key
	switch {
	case errors.Is(j.err, results.ErrHeld) || errors.Is(j.err, results.ErrLost):
		q.held = append(q.held, j.index)
	case errors.Is(j.err, results.ErrFinished):
		t, err := q.r.Store.Trial(key)
		if err != nil {
			return err
		}
		q.r.tell(TrialEnded{Index: j.index, Key: key, Outcome: t.Outcome, Elsewhere: true})
		return q.close(key, t.Status)
	case errors.Is(j.err, errDied) && q.tries[j.index] < q.r.Retries:
		q.tries[j.index]++
		q.r.tell(Noted{Text: fmt.Sprintf("trial %.12s is tried again (%d of %d): %v", key, q.tries[j.index], q.r.Retries, j.err)})
		q.todo = append(q.todo, j.index)
	case j.outcome.Status == "": // not recorded: the database does not answer
		return j.err
	default:
		if errors.Is(j.err, errDied) { // it could not tell so itself
			q.r.tell(TrialEnded{Index: j.index, Key: key, Outcome: j.outcome})
		}
		if errors.Is(j.err, syscall.ENOSPC) { // and so the next would end
			q.counts.count(j.outcome.Status)
			return j.err
		}
		return q.close(key, j.outcome.Status)
	}
	return nil
}

// close counts a trial that this sweep runs no more. The process that finished it may
// have died before it dropped its checkpoints.
func (q *queue) close(key, status string) error {
	q.counts.count(status)
	if results.IsFinal(status) {
		return q.r.dropWork(key)
	}
	return nil
}

// slot runs one trial after another: here, or in a worker process that is
// replaced when it dies.
type slot struct {
	r *Runner
	w *worker
}

func (s *slot) run(ctx context.Context, index int, p *Prepared) (results.Outcome, error) {
	if s.r.Jobs <= 1 {
		return s.r.runTrial(ctx, index, p)
	}
	if s.w == nil {
		var err error
		if s.w, err = s.r.startWorker(); err != nil {
			return results.Outcome{}, err
		}
	}
	out, err := s.w.run(ctx, index, p)
	if errors.Is(err, errDied) {
		var berr error
		if out, berr = s.w.bury(p, err); berr != nil {
			err = errors.Join(err, berr)
		}
		s.close()
	}
	return out, err
}

func (s *slot) close() {
	if s.w != nil {
		s.w.close()
		s.w = nil
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

func (r *Runner) SavePlan(p *plan.Plan, prep []Prepared) error {
	planned := make([]results.Planned, len(prep))
	for i, q := range prep {
		planned[i] = results.Planned{Key: q.Key, Row: q.Trial.Row}
	}
	return r.Store.SaveSweep(results.Sweep{Name: p.Name, File: p.Text, Hash: p.FileHash, Created: r.Timestamp()}, planned)
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

// PrepareAll makes the data of every trial that is not done. The error is
// dataset.ErrOtherFolder where data.dir holds something else.
func (r *Runner) PrepareAll(ctx context.Context, states []State) error {
	var ready []string
	for _, s := range states {
		cfg := s.Config
		key := cfg.Text("data.dir") + "\n" + synthetic.Identity(cfg.SynthConfig())
		if s.Done() || slices.Contains(ready, key) {
			continue
		}
		if _, err := r.PrepareData(ctx, &cfg); err != nil {
			return err
		}
		ready = append(ready, key)
	}
	return nil
}

// Refresh looks the states up again, with identities as they are known.
func (r *Runner) Refresh(states []State) ([]State, error) {
	out := slices.Clone(states)
	return out, r.lookUp(out)
}
