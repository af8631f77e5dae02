package experiments

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"

	"focalgrid/coco"
	"focalgrid/dataset"
	"focalgrid/detector"
	"focalgrid/experiments/plan"
	"focalgrid/metrics"
	"focalgrid/results/record"
	"focalgrid/stats"
)

// ErrNotRows is returned by CompareRows where a side is not one row.
var ErrNotRows = errors.New("a side has two trials of one seed, so it is not one row")

// CompareRows returns by how much the mean AP of the trials b exceeds the mean AP of the trials a, and how far
// it would hold with other seeds and other images (metrics.CompareRuns), from the stored detections. A trial
// that diverged counts as AP 0; trials that are neither done nor diverged are left out. It fails if a side has no
// trial, or two of one seed; if the detections of a trial that is done are not stored; and if what they score is not
// the AP that is recorded, so that the images cannot be those of the trial.
func (d *Data) CompareRows(ctx context.Context, a, b []Recorded, resamples int, seed uint64) (*stats.TwoLevel, error) {
	r := rescorer{data: d, truths: map[string]*dataset.Set{}}
	var sides [2][]metrics.Run
	for i, trials := range [2][]Recorded{a, b} {
		if err := oneRow(trials); err != nil {
			return nil, err
		}
		var err error
		if sides[i], err = r.runs(ctx, trials); err != nil {
			return nil, err
		}
	}
	return metrics.CompareRuns(sides[0], sides[1], resamples, seed)
}

func oneRow(trials []Recorded) error {
	seeds := map[uint64]bool{}
	for _, t := range trials {
		if seeds[t.Seed] {
			return fmt.Errorf("%w: %d", ErrNotRows, t.Seed)
		}
		seeds[t.Seed] = true
	}
	return nil
}

// rescorer matches stored detections with the objects that trials were scored on.
type rescorer struct {
	data   *Data
	truths map[string]*dataset.Set // by dataset, split and folder
}

func (r *rescorer) runs(ctx context.Context, trials []Recorded) ([]metrics.Run, error) {
	var runs []metrics.Run
	for _, t := range trials {
		switch t.Status {
		case record.StatusDiverged:
			runs = append(runs, metrics.Run{Seed: t.Seed})
		case record.StatusDone:
			m, err := r.matches(ctx, t)
			if err != nil {
				return nil, err
			}
			runs = append(runs, metrics.Run{Seed: t.Seed, Matches: m})
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return runs, nil
}

// matches reads the detections before it looks for the images, which it may have to draw.
func (r *rescorer) matches(ctx context.Context, t Recorded) (*metrics.Matches, error) {
	cfg, err := recordedConfig(t.Trial)
	if err != nil {
		return nil, err
	}
	text, err := t.Detections()
	if err != nil {
		return nil, err
	}
	if text == nil {
		return nil, fmt.Errorf("trial %.12s: its detections are not stored", t.Key)
	}
	found, err := coco.DecodeDetections(bytes.NewReader(text), fmt.Sprintf("detections of trial %.12s", t.Key))
	if err != nil {
		return nil, err
	}
	set, err := r.scored(ctx, t.Trial, &cfg)
	if err != nil {
		return nil, fmt.Errorf("images of trial %.12s: %w", t.Key, err)
	}
	m, err := metrics.Match(set.GroundTruth(), detector.Scored(cfg, found), metrics.DefaultOptions())
	if err != nil {
		return nil, fmt.Errorf("trial %.12s: %w", t.Key, err)
	}
	if now, was := m.Result().Stats[0], t.Metrics["AP"]; now != was && !(math.IsNaN(now) && math.IsNaN(was)) {
		return nil, fmt.Errorf("trial %.12s: its detections score AP %g on %s, recorded is %g: these are not its images", t.Key, now, set.Dir, was)
	}
	return m, nil
}

// scored opens the split that a trial was scored on. Its pictures are not looked at.
func (r *rescorer) scored(ctx context.Context, t *record.Trial, cfg *plan.Config) (*dataset.Set, error) {
	key := fmt.Sprint(t.Dataset, cfg.EvalSplit(), cfg.Text("data.dir"))
	if set := r.truths[key]; set != nil {
		return set, nil
	}
	set, err := r.data.OpenSplit(ctx, cfg, cfg.EvalSplit())
	if err == nil {
		r.truths[key] = set
	}
	return set, err
}
