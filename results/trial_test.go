package results

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"focalgrid/results/record"
)

func TestTrialThereAndBack(t *testing.T) {
	s := newStore(t)
	want := trialNamed("a")
	begin(t, s, want)
	got, err := s.Trial(want.Key)
	must(t, err)
	if got.Status != record.StatusRunning || len(got.Metrics) != 0 {
		t.Errorf("a trial that began is %s with %d metrics, want running with none", got.Status, len(got.Metrics))
	}
	f := finishDone()
	must(t, s.FinishTrial(want.Key, 1, f))

	got, err = s.Trial(want.Key[:8])
	must(t, err)
	if v, ok := got.Metrics["APs"]; !ok || !math.IsNaN(v) {
		t.Errorf("APs is %v (%v), want NaN", v, ok)
	}
	delete(got.Metrics, "APs")
	delete(f.Metrics, "APs")
	want.Outcome = f.Outcome
	want.Attempts = []record.Attempt{attemptOf(1)}
	a := &want.Attempts[0]
	a.Number, a.Started, a.Ended, a.EndStep, a.WallSeconds, a.PeakBytes, a.Exit = 1, want.Started, f.Finished, 2, 60, 1<<20, record.StatusDone
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("got  %+v\nwant %+v", *got, want)
	}
	steps, err := s.StepRows(want.Key)
	must(t, err)
	if !reflect.DeepEqual(steps, f.Steps) {
		t.Errorf("steps %v, want %v", steps, f.Steps)
	}
	classes, err := s.Classes(want.Key)
	must(t, err)
	if len(classes) != 2 || classes[0].Category != 2 || !math.IsNaN(classes[0].AP) || classes[1] != f.Classes[0] {
		t.Errorf("classes %v, want ring (2) without AP, then disc (7)", classes)
	}
	detections, err := s.Detections(want.Key)
	must(t, err)
	if !bytes.Equal(detections, f.Detections) {
		t.Errorf("detections %s, want %s", detections, f.Detections)
	}
	if none, err := s.Detections(keyOf("other")); none != nil || err != nil {
		t.Errorf("detections of no trial: %s, %v", none, err)
	}
}

func TestFinishedStays(t *testing.T) {
	s := newStore(t)
	begin(t, s, trialNamed("a"))
	must(t, s.FinishTrial(keyOf("a"), 1, finishDone()))
	before := dump(t, s)
	if _, err := s.BeginTrial(trialNamed("a"), attemptOf(1), 0); !errors.Is(err, ErrFinished) {
		t.Errorf("beginning a done trial: %v, want ErrFinished", err)
	}
	other := finishDone()
	other.Weights = keyOf("other weights")
	if err := s.FinishTrial(keyOf("a"), 1, other); !errors.Is(err, ErrConflict) {
		t.Errorf("finishing with other weights: %v, want ErrConflict", err)
	}
	if err := s.FinishTrial(keyOf("b"), 1, finishDone()); !errors.Is(err, ErrNoTrial) {
		t.Errorf("finishing a trial that never began: %v, want ErrNoTrial", err)
	}
	if after := dump(t, s); after != before {
		t.Errorf("refused writes changed the database:\n%s\nfrom:\n%s", after, before)
	}
}

func TestBeginRefuses(t *testing.T) {
	s := newStore(t)
	for _, tt := range []struct {
		name   string
		change func(*record.Trial)
		want   string
	}{
		{"key", func(t *record.Trial) { t.Key = "abc" }, "trial abc: the key is not a SHA-256 in lower-case hex"},
		{"kind", func(t *record.Trial) { t.Kind = "rehearsal" }, `kind is "rehearsal"; known: "train", "pretrain"`},
		{"config", func(t *record.Trial) { t.Config = "loss: 2" }, "the configuration is not JSON"},
		{"provenance", func(t *record.Trial) { t.Provenance = "{" }, "the provenance is not JSON"},
		{"seed", func(t *record.Trial) { t.Seed = 1 << 63 }, "seed is 9223372036854775808, want less than 2^63"},
		{"time", func(t *record.Trial) { t.Started = "" }, "the start time is empty"},
	} {
		trial := trialNamed("a")
		tt.change(&trial)
		if _, err := s.BeginTrial(trial, attemptOf(1), 0); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
	if err := s.FinishTrial(keyOf("a"), 1, record.Finish{}); err == nil || !strings.Contains(err.Error(), "known: done, diverged, failed, interrupted") {
		t.Errorf("finishing without a status: %v", err)
	}
}

func TestDivergedKeepsItsLastLosses(t *testing.T) {
	s := newStore(t)
	step := 17
	begin(t, s, trialNamed("a"))
	must(t, s.FinishTrial(keyOf("a"), 1, record.Finish{
		Outcome: record.Outcome{Status: record.StatusDiverged, Error: "loss is +Inf", DivergedStep: &step, Finished: "2030-05-01T10:01:00Z"},
		Steps:   []record.Step{{Step: 16, Loss: 900, Positives: 1}, {Step: 17, Loss: math.Inf(1), GradNorm: math.NaN()}},
	}))
	got, err := s.Trial(keyOf("a"))
	must(t, err)
	if got.Status != record.StatusDiverged || got.DivergedStep == nil || *got.DivergedStep != step || len(got.Metrics) != 0 {
		t.Errorf("got %+v, want diverged at step 17 without metrics", got)
	}
	steps, err := s.StepRows(keyOf("a"))
	must(t, err)
	if len(steps) != 2 || steps[0].Loss != 900 || !math.IsNaN(steps[1].Loss) || !math.IsNaN(steps[1].GradNorm) {
		t.Errorf("steps %v, want 900, then NaN", steps)
	}
}

func TestPlanGrows(t *testing.T) {
	s := newStore(t)
	sweep := record.Sweep{Name: "gamma", File: "x", Hash: "1", Created: "2030-05-01T08:00:00Z"}
	must(t, s.SaveSweep(sweep, []record.Planned{{Key: "b", Row: 0}, {Key: "a", Row: 1}}))
	later := sweep
	later.Created = "2030-05-02T08:00:00Z"
	must(t, s.SaveSweep(later, []record.Planned{{Key: "c", Row: 0}, {Key: "b", Row: 0}, {Key: "d", Row: 1}}))
	plan, err := queryPlan(s.db, "gamma", "1")
	must(t, err)
	if want := []record.Planned{{Key: "b", Row: 0}, {Key: "a", Row: 1}, {Key: "c", Row: 0}, {Key: "d", Row: 1}}; !slices.Equal(plan, want) {
		t.Errorf("plan %v, want %v", plan, want)
	}
	sweeps, err := querySweeps(s.db)
	must(t, err)
	if !slices.Equal(sweeps, []record.Sweep{sweep}) {
		t.Errorf("sweeps %v, want %v", sweeps, sweep)
	}
}
