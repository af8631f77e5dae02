package experiments

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"focalgrid/coco"
	"focalgrid/detector"
	"focalgrid/experiments/plan"
	"focalgrid/metrics"
	"focalgrid/results/record"
	"focalgrid/stats"
)

// scoredTrials are trials, by seed from 0, whose detections are that share of the objects, and wrong ones below the
// score that counts.
func (l *lab) scoredTrials(t *testing.T, seeds int, found float64) []Recorded {
	t.Helper()
	o := l.order(t, plan.Selection{})
	cfg, err := detector.Settings.ParseResolved("the order", []byte(o.Config))
	if err != nil {
		t.Fatal(err)
	}
	set, err := l.OpenSplit(t.Context(), &cfg, cfg.EvalSplit())
	if err != nil {
		t.Fatal(err)
	}
	var out []Recorded
	for seed := range uint64(seeds) {
		rng := rand.New(rand.NewPCG(seed, uint64(100*found)))
		var dets []coco.Detection
		for _, a := range set.GroundTruth().Annotations {
			d := coco.Detection{ImageID: a.ImageID, CategoryID: a.CategoryID, BBox: a.BBox, Score: .1 + .9*rng.Float64()}
			if rng.Float64() > found {
				d.BBox[0] += 2 * d.BBox[2]
			}
			dets = append(dets, d, coco.Detection{ImageID: a.ImageID, CategoryID: a.CategoryID, BBox: a.BBox, Score: .04})
		}
		var text bytes.Buffer
		if err := coco.EncodeDetections(&text, dets); err != nil {
			t.Fatal(err)
		}
		result, _, err := detector.Score(cfg, set, dets)
		if err != nil {
			t.Fatal(err)
		}
		trial := &record.Trial{Key: strings.Repeat(string(rune('a'+seed)), 64), Kind: record.KindTrain, Config: o.Config, Seed: seed, Dataset: o.Source.Identity}
		trial.Status, trial.Metrics = record.StatusDone, map[string]float64{"AP": result.Stats[0]}
		out = append(out, Recorded{Trial: trial, Detections: func() ([]byte, error) { return text.Bytes(), nil }})
	}
	return out
}

func TestCompareRows(t *testing.T) {
	b := newLab(t, 1)
	few, many := b.scoredTrials(t, 3, .4), b.scoredTrials(t, 3, .9)
	two, err := b.CompareRows(t.Context(), few, many, 100, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := 0.0
	for i := range many {
		want += (many[i].Metrics["AP"] - few[i].Metrics["AP"]) / 3
	}
	if d := two.Mean - want; d > 1e-12 || d < -1e-12 || two.N != 3 || two.Images != 12 || two.Resamples != 100 || !(two.Low < two.Mean) || len(two.Caveats) == 0 {
		t.Errorf("%+v, want the difference %g of three pairs on 12 images", two, want)
	}

	// A trial that diverged is AP 0; one that failed is left out.
	many[0].Trial.Status, many[1].Trial.Status = record.StatusDiverged, record.StatusFailed
	two, err = b.CompareRows(t.Context(), few, many, 10, 0)
	if err != nil || two.N != 2 || !slices.Contains(two.Caveats, stats.Caveat{Kind: stats.Diverged, Count: 1}) {
		t.Errorf("one diverged and one failed: %+v, %v", two, err)
	}
}

func TestCompareRowsRefuses(t *testing.T) {
	b := newLab(t, 1)
	good := func() []Recorded { return b.scoredTrials(t, 2, .5) }
	for _, tt := range []struct {
		name  string
		spoil func(r []Recorded) []Recorded
		is    error
		want  string
	}{
		{"two of one seed", func(r []Recorded) []Recorded { return append(r, r[0]) }, ErrNotRows, "seed, so it is not one row: 0"},
		{"nothing stored", func(r []Recorded) []Recorded {
			r[1].Detections = func() ([]byte, error) { return nil, nil }
			return r
		}, nil, "trial bbbbbbbbbbbb: its detections are not stored"},
		{"damaged", func(r []Recorded) []Recorded {
			r[1].Detections = func() ([]byte, error) { return []byte("[{"), nil }
			return r
		}, nil, "detections of trial bbbbbbbbbbbb"},
		{"another score", func(r []Recorded) []Recorded {
			r[1].Metrics["AP"] += .01
			return r
		}, nil, "trial bbbbbbbbbbbb: its detections score AP"},
		{"no data", func(r []Recorded) []Recorded {
			r[0].Config = strings.Replace(r[0].Config, `"data.pixels":64`, `"data.pixels":0`, 1)
			return r
		}, nil, "aaaaaaaaaaaa"},
		{"no trial", func([]Recorded) []Recorded { return nil }, metrics.ErrOptions, "a run on each side"},
	} {
		if _, err := b.CompareRows(t.Context(), good(), tt.spoil(good()), 10, 0); err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}
