package experiments

import (
	"fmt"
	"strconv"

	"focalgrid/detector"
	"focalgrid/experiments/plan"
	"focalgrid/results"
)

// KeyOf returns a function that computes what a recorded trial's key must be, from its
// settings, seed, data, first weights, engine and numerics. The function's error says why that
// can't be told: the trial was recorded by a version with other settings or numerics.
func KeyOf() results.KeyOf {
	canonical := map[string][]byte{} // by recorded settings, which the seeds of a row share
	return func(t *results.Trial) (string, error) {
		if t.Kind != results.KindTrain {
			return "", fmt.Errorf("it is a %s", t.Kind)
		}
		if t.Numerics != strconv.Itoa(plan.Numerics) {
			return "", fmt.Errorf("it has numerics %s, this program %d", t.Numerics, plan.Numerics)
		}
		text, err := once(canonical, t.Config, func() ([]byte, error) {
			cfg, err := detector.Settings.ParseResolved("its settings", []byte(t.Config))
			if err != nil {
				return nil, err
			}
			return plan.Canonical(&cfg), nil
		})
		if err != nil {
			return "", err
		}
		return plan.Identity{Config: text, Seed: t.Seed, Data: t.Dataset, Init: t.Init, Engine: t.Engine, Numerics: plan.Numerics}.Key(), nil
	}
}

// pastTraining is a recorded training that this engine and these numerics made.
type pastTraining struct {
	*results.Trial
	cfg      *plan.Config
	settings string // and seed, see trainingSettings
}

// trainingSettings is all that makes two trainings the same, but for their data and their
// first weights.
func trainingSettings(canonical []byte, seed uint64) string {
	return fmt.Sprintf("%d %s", seed, canonical)
}

// pastTrainings are those recorded, by start time, but for those of versions with other settings.
func (r *Runner) pastTrainings() ([]pastTraining, error) {
	recorded, err := r.Store.Trials(results.Filter{Kind: results.KindTrain})
	if err != nil {
		return nil, err
	}
	type settings struct {
		cfg       *plan.Config // nil: those of another version
		canonical []byte
	}
	read := map[string]settings{} // by recorded text, which the seeds of a row share
	var out []pastTraining
	for i := range recorded {
		t := &recorded[i]
		if t.Engine != r.Engine.Info().Name || t.Numerics != strconv.Itoa(plan.Numerics) {
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
