package sweep

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"focalgrid/detector"
	"focalgrid/experiments"
	"focalgrid/experiments/plan"
	"focalgrid/results"
	"focalgrid/results/record"
)

// ErrDataChanged is returned by Sweep where trials of its plan are recorded with the same settings on other data,
// unless AllowChangedData is set.
var ErrDataChanged = errors.New("the data has changed")

// findRelated sets the related trainings of each trial on a folder that is not recorded itself: the recorded trainings
// with its settings and seed, on other data, from other initial weights, or under the identity that an older version
// gave to the same data.
func (r *Records) findRelated(states []State) error {
	planned := map[string][]*State{}
	keys := map[string]bool{}
	for i := range states {
		if q := &states[i]; !plan.Synthetic(&q.Config) {
			s := trainingSettings(plan.Canonical(&q.Config), q.Seed)
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
			q.related = append(q.related, t)
			if t.Status == record.StatusFailed || t.Status == record.StatusInterrupted {
				q.stopped = append(q.stopped, t.Key)
			}
		}
	}
	return nil
}

// adopt gives trials that an older version recorded on the same data the identity that it recorded: what is done stays
// done.
func (r *Records) adopt(ctx context.Context, states []State) error {
	if err := r.findRelated(states); err != nil {
		return err
	}
	again := 0
	for i := range states {
		q := &states[i]
		for _, t := range q.related {
			if t.Dataset == q.Data {
				continue
			}
			older, err := r.OlderIdentity(ctx, &q.Config, q.source)
			if err != nil {
				return err
			}
			if t.Key != r.keyOn(q, older) {
				continue
			}
			if q.source.Misread(t.Trial) {
				again++
			} else {
				q.Key, q.Data, q.related, q.stopped = t.Key, older, nil, nil
			}
			break
		}
	}
	if again > 0 {
		r.Report(experiments.Noted{Text: fmt.Sprintf("%d trials are done again: an older version scored them with the classes of the scored split, which are others than those of the training split", again)})
	}
	return nil
}

// checkData refuses to go on with a sweep if its folder of data was changed since it began: its table would mix results
// on both. A sweep that has begun on the new data goes on, and so does a sweep without a result whose training did not
// read what was changed. Generated data depends on its settings alone, and cannot change.
func (r *Records) checkData(states []State) error {
	if r.AllowChangedData {
		return nil
	}
	var other []*record.Trial
	var of *State
	for i := range states {
		q := &states[i]
		if plan.Synthetic(&q.Config) {
			continue
		}
		if q.Recorded != nil {
			return nil
		}
		for _, t := range q.related {
			elsewhere := plan.Absolute(t.cfg.Text("data.dir")) != q.Config.Text("data.dir")
			same := t.Dataset == q.Data || q.source.WasKnownAs(t.Dataset)
			if elsewhere || same {
				continue
			}
			mixes := record.IsFinal(t.Status)
			if !mixes && t.Status != record.StatusFailed {
				training, begun, err := experiments.TrainingOf(workFolder(r.Store, t.Key), t.Key)
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
		ErrDataChanged, of.Config.Text("data.dir"), t.Dataset, len(other), t.Key, of.Data)
}

// training returns the identity of a trial's training: trials that differ in what is scored alone share it, and with it
// every checkpoint.
func (r *Records) training(s *State) string {
	return r.keyOn(s, s.source.Training)
}

// keyOn returns the key of the trial on data of that identity.
func (r *Records) keyOn(s *State, data string) string {
	return plan.Identity{Config: plan.Canonical(&s.Config), Seed: s.Seed, Data: data, Init: s.Init, Engine: r.Engine.Info().Name, Numerics: plan.Numerics}.Key()
}

// pastTraining is a recorded training of these numerics.
type pastTraining struct {
	*record.Trial
	cfg      *plan.Config
	settings string // and seed, see trainingSettings
}

// trainingSettings identifies a training but for its data and its first weights.
func trainingSettings(canonical []byte, seed uint64) string {
	return fmt.Sprintf("%d %s", seed, canonical)
}

// pastTrainings returns the trainings that this engine and these numerics made, see trainings.
func (r *Records) pastTrainings() ([]pastTraining, error) {
	own := r.Engine.Info().Name
	return r.trainings(func(engine string) bool { return engine == own })
}

// trainings returns the recorded trainings of these numerics and of the engines that of picks, by start time. It leaves
// out settings that this version cannot read.
func (r *Records) trainings(of func(engine string) bool) ([]pastTraining, error) {
	recorded, err := r.Store.Trials(results.Filter{Kind: record.KindTrain})
	if err != nil {
		return nil, err
	}
	type settings struct {
		cfg       *plan.Config // nil: another version's
		canonical []byte
	}
	read := map[string]settings{} // by recorded text, which the seeds of a row share
	var out []pastTraining
	for i := range recorded {
		t := &recorded[i]
		if !of(t.Engine) || t.Numerics != strconv.Itoa(plan.Numerics) {
			continue
		}
		s, _ := once(read, t.Config, func() (settings, error) {
			cfg, err := detector.Settings.ParseResolved(t.Key, []byte(t.Config))
			if err != nil {
				return settings{}, nil
			}
			return settings{&cfg, plan.Canonical(&cfg)}, nil
		})
		if s.cfg != nil {
			out = append(out, pastTraining{t, s.cfg, trainingSettings(s.canonical, t.Seed)})
		}
	}
	return out, nil
}
