package sweep

import (
	"encoding/json"
	"fmt"
	"strconv"

	"focalgrid/detector"
	"focalgrid/experiments"
	"focalgrid/experiments/plan"
	"focalgrid/results"
	"focalgrid/results/record"
)

// KeyOf returns a function that computes a recorded trial's key from its settings, seed, data, first weights, engine and
// numerics. Its error explains why it cannot: the trial was recorded by a version with other settings or numerics.
func KeyOf() record.KeyOf {
	canonical := map[string][]byte{} // by recorded settings, which the seeds of a row share
	return func(t *record.Trial) (string, error) {
		if t.Kind != record.KindTrain {
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

// CodeDiff returns how the code of a trial's last attempt differed from its revision, as git writes it. The error
// explains why there is nothing to show.
func CodeDiff(s *results.Store, t *record.Trial) ([]byte, error) {
	var h experiments.Host
	if err := json.Unmarshal([]byte(t.Provenance), &h); err != nil {
		return nil, fmt.Errorf("trial %.12s: provenance: %w", t.Key, err)
	}
	if h.Diff == "" {
		state := "was as in revision " + h.Revision
		if h.Dirty {
			state = "had been changed since revision " + h.Revision + ", and the change was not kept"
		} else if h.Revision == "unknown" {
			state = "is of an unknown revision"
		}
		return nil, fmt.Errorf("trial %.12s: no difference to show: the code %s", t.Key, state)
	}
	diff, err := s.Diff(h.Diff)
	if err != nil {
		return nil, fmt.Errorf("trial %.12s: the difference %.12s: %w", t.Key, h.Diff, err)
	}
	return diff, nil
}

// Recorded returns everything that Verify compares of a trial.
func Recorded(s *results.Store, t *record.Trial) (experiments.Recorded, error) {
	log, err := s.StepRows(t.Key)
	if err != nil {
		return experiments.Recorded{}, err
	}
	scored, err := s.DetectionsHash(t.Key)
	return experiments.Recorded{
		Trial: t, Log: log, Scored: scored,
		Detections: func() ([]byte, error) { return s.Detections(t.Key) },
		Weights:    s.WeightsPath(t.Weights),
		Work:       workFolder(s, t.Key),
	}, err
}
