package results

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"focalgrid/results/record"
)

// TestStartsAgain: a trial that died, was stopped or failed begins again as if
// for the first time, but for its earlier attempts.
func TestStartsAgain(t *testing.T) {
	for _, status := range []string{record.StatusRunning, record.StatusInterrupted, record.StatusFailed} {
		s := newStore(t)
		begin(t, s, trialNamed("a"))
		over, exit, ended := 0, status, "2030-05-01T10:00:30Z"
		if status == record.StatusRunning {
			over, exit, ended = 1, record.ExitKilled, "2030-05-02T10:00:00Z"
			must(t, s.Beat(keyOf("a"), 1, record.Progress{Step: 30, WallSeconds: 15}))
		} else {
			must(t, s.FinishTrial(keyOf("a"), 1, record.Finish{
				Outcome: record.Outcome{Status: status, Error: "out of luck", Finished: ended, WallSeconds: 20}, EndStep: 40, Steps: finishDone().Steps}))
		}
		again := trialNamed("a")
		again.Started = "2030-05-02T10:00:00Z"
		second := attemptOf(2)
		second.StartStep = 35
		n, err := s.BeginTrial(again, second, over)
		must(t, err)
		got, err := s.Trial(keyOf("a"))
		must(t, err)
		if n != 2 || len(got.Attempts) != 2 {
			t.Fatalf("after %s: attempt %d of %d, want the second of 2", status, n, len(got.Attempts))
		}
		first := got.Attempts[0]
		wantEnd, wantWall := 40, 20.
		if over > 0 {
			wantEnd, wantWall = 35, 15 // its successor found a checkpoint of step 35
		}
		if first.Exit != exit || first.EndStep != wantEnd || first.Ended != ended || first.WallSeconds != wantWall {
			t.Errorf("first attempt of a trial that is %s: %+v", status, first)
		}
		got.Attempts = nil
		again.Outcome = record.Outcome{Status: record.StatusRunning, Metrics: map[string]float64{}}
		if !reflect.DeepEqual(*got, again) {
			t.Errorf("after %s: %+v\nwant: %+v", status, *got, again)
		}
		if steps, err := s.StepRows(keyOf("a")); err != nil || len(steps) > 0 {
			t.Errorf("after %s: %d steps, %v; want none", status, len(steps), err)
		}
		must(t, s.FinishTrial(keyOf("a"), 2, finishDone()))
		if got, err = s.Trial(keyOf("a")); err != nil || got.WallSeconds != wantWall+60 {
			t.Errorf("wall time of both attempts is %v, %v; want %v", got.WallSeconds, err, wantWall+60)
		}
	}
}

// TestBeginAfter: an attempt that is to come next after those its process saw does not
// begin when another came between, also where that has ended.
func TestBeginAfter(t *testing.T) {
	s := newStore(t)
	begin(t, s, trialNamed("a"))
	must(t, s.FinishTrial(keyOf("a"), 1, record.Finish{Outcome: record.Outcome{Status: record.StatusInterrupted}}))
	second := attemptOf(2)
	for _, number := range []int{1, 3} {
		second.Number = number
		if _, err := s.BeginTrial(trialNamed("a"), second, number-1); !errors.Is(err, record.ErrHeld) {
			t.Errorf("attempt %d: %v, want ErrHeld", number, err)
		}
	}
	second.Number = 2
	if n, err := s.BeginTrial(trialNamed("a"), second, 1); err != nil || n != 2 {
		t.Errorf("attempt 2: number %d, %v", n, err)
	}
}

// TestHolding: one attempt at a time holds a trial. One that was taken over
// changes nothing more, whatever it writes.
func TestHolding(t *testing.T) {
	s := newStore(t)
	key := keyOf("a")
	begin(t, s, trialNamed("a"))
	for _, over := range []int{0, 2} {
		if _, err := s.BeginTrial(trialNamed("a"), attemptOf(2), over); !errors.Is(err, record.ErrHeld) || !strings.Contains(err.Error(), "process 1 on host") {
			t.Errorf("beginning a held trial over attempt %d: %v, want ErrHeld with its process", over, err)
		}
	}
	_, err := s.BeginTrial(trialNamed("a"), attemptOf(2), 1)
	must(t, err)
	before := dump(t, s)
	_, again := s.BeginTrial(trialNamed("a"), attemptOf(3), 1)
	for what, err := range map[string]error{
		"heartbeat": s.Beat(key, 1, record.Progress{Step: 9}),
		"result":    s.FinishTrial(key, 1, finishDone()),
		"failure":   s.FinishTrial(key, 1, record.Finish{Outcome: record.Outcome{Status: record.StatusFailed}}),
		"takeover":  again,
	} {
		if !errors.Is(err, record.ErrLost) && !errors.Is(err, record.ErrHeld) {
			t.Errorf("%s of an attempt taken over: %v", what, err)
		}
	}
	if after := dump(t, s); after != before {
		t.Errorf("refused writes changed the database:\n%s\nfrom:\n%s", after, before)
	}
	must(t, s.FinishTrial(key, 2, record.Finish{Outcome: record.Outcome{Status: record.StatusFailed, Error: "its process died"}}))
	if err := s.FinishTrial(key, 2, finishDone()); !errors.Is(err, record.ErrLost) {
		t.Errorf("a result after the attempt was ended: %v, want ErrLost", err)
	}
	if err := s.Beat(key, 2, record.Progress{}); !errors.Is(err, record.ErrLost) {
		t.Errorf("a heartbeat after the attempt was ended: %v, want ErrLost", err)
	}
}
