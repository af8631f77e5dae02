package sweep

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"focalgrid/dataset/synthetic"
	"focalgrid/detector"
	"focalgrid/experiments"
	"focalgrid/experiments/plan"
	"focalgrid/results"
	"focalgrid/results/record"
)

// Records looks up what is recorded of plans.
type Records struct {
	*experiments.Trainer                  // looks at the data and the first weights, which identities depend on
	Store                *results.Store   // nil: nothing is recorded
	Host                 experiments.Host // goes into each record
	Default              string           // the engine that tables and figures do not name; empty: they name none

	AllowChangedData bool // go on with a sweep whose data was changed, on the new data
}

// State is a planned trial with its identity, and what is recorded of it.
type State struct {
	plan.Trial
	Key        string
	Data, Init string // identities, as recorded; Init is empty for random weights
	source     *experiments.Source
	related    []pastTraining // see Records.findRelated
	stopped    []string       // keys of related trainings without a result, whose checkpoints may be of the same training

	Recorded *record.Trial // nil: never begun
	Step     int           // of the last checkpoint of a trial that is not done; 0: none
}

// Done reports whether the trial needs no more work: it is done, or it diverged.
func (s *State) Done() bool {
	return s.Recorded != nil && record.IsFinal(s.Recorded.Status)
}

// classes returns how many classes the trial's detector has; 0 where its data was not looked at.
func (s *State) classes() int {
	if s.source == nil {
		return 0
	}
	return len(s.source.Classes)
}

// workFolder returns the folder with the checkpoints of a trial that is not finished.
func workFolder(s *results.Store, key string) string {
	return filepath.Join(results.WorkDir(s.Path()), key)
}

// dataSettings spells the settings that choose the images to train on and to score.
func dataSettings(c *plan.Config) string { return fmt.Sprint(c.Group("data"), c.Text("eval.split")) }

// identities computes the identities of the plan's trials. The seeds of a row share all but the seed; data and initial
// weights are looked at once for all rows that share them. Data or weights that training or scoring would fail on later
// are an error here.
func (r *Records) identities(ctx context.Context, p *plan.Plan) ([]State, error) {
	sources, init, starts := map[string]*experiments.Source{}, map[string]string{}, map[string]bool{}
	rows := make([]*plan.Identity, len(p.Rows))
	from := make([]*experiments.Source, len(p.Rows))
	out := make([]State, len(p.Trials))
	for i, t := range p.Trials {
		if rows[t.Row] == nil {
			row := &p.Rows[t.Row]
			cfg := &row.Config
			s, err := once(sources, dataSettings(cfg), func() (*experiments.Source, error) { return r.Identify(ctx, cfg) })
			if err != nil {
				return nil, fmt.Errorf("data: %w", err)
			}
			w, err := once(init, string(plan.PretrainCanonical(cfg))+cfg.Text("pretrain.file"), func() (string, error) { return r.InitIdentity(cfg) })
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
		out[i] = State{Trial: t, Key: id.Key(), Data: id.Data, Init: id.Init, source: from[t.Row]}
	}
	return out, r.adopt(ctx, out)
}

// once returns what is seen under the key, or else calls f.
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

// States looks the plan's trials up. Nothing is written.
func (r *Records) States(ctx context.Context, p *plan.Plan) ([]State, error) {
	states, err := r.identities(ctx, p)
	if err != nil {
		return nil, err
	}
	return r.Refresh(states)
}

// Plan looks the plan's trials up to run them. The error is ErrDataChanged if the sweep has begun on other data. Rows
// that the engine cannot compute are an error too.
func (r *Records) Plan(ctx context.Context, p *plan.Plan) ([]State, error) {
	for i := range p.Rows {
		if precision := p.Rows[i].Config.Text("train.precision"); precision == "bf16" && !r.Engine.Info().BFloat16 {
			return nil, fmt.Errorf("train.precision is bf16, which the engine %s has not: add --engine xla, or --set train.precision=f32", r.Engine.Info().Name)
		}
	}
	states, err := r.States(ctx, p)
	if err != nil {
		return nil, err
	}
	return states, r.checkData(states)
}

// Refresh looks the states up again, with identities as they are known.
func (r *Records) Refresh(states []State) ([]State, error) {
	if r.Store == nil {
		return states, nil
	}
	states = slices.Clone(states)
	keys := make([]string, len(states))
	for i, s := range states {
		keys[i] = s.Key
	}
	trials, err := r.Store.Trials(results.Filter{Keys: keys})
	if err != nil {
		return nil, err
	}
	recorded := make(map[string]*record.Trial, len(trials))
	for i := range trials {
		recorded[trials[i].Key] = &trials[i]
	}
	for i := range states {
		s := &states[i]
		s.Recorded, s.Step = recorded[s.Key], 0
		if s.Recorded == nil || s.Done() {
			continue
		}
		if s.Step, err = experiments.LastStep(workFolder(r.Store, s.Key)); err != nil {
			return nil, err
		}
	}
	return states, nil
}

// PrepareAll makes the data of every trial that is not done. The error is dataset.ErrOtherFolder where data.dir holds
// something else.
func (r *Records) PrepareAll(ctx context.Context, states []State) error {
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

// SavePlan records the plan that the states are of.
func (r *Records) SavePlan(p *plan.Plan, states []State) error {
	planned := make([]record.Planned, len(states))
	for i, q := range states {
		planned[i] = record.Planned{Key: q.Key, Row: p.Rows[q.Row].Index}
	}
	return r.Store.SaveSweep(record.Sweep{Name: p.Name, File: p.Text, Hash: p.FileHash, Created: r.Timestamp()}, planned)
}
