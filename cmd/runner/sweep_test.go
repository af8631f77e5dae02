package main

import (
	"strings"
	"testing"

	"focalgrid/cmd/runner/usage"
	"focalgrid/detector"
	"focalgrid/experiments/plan"
	"focalgrid/experiments/sweep"
	"focalgrid/results/record"
)

// twoTrials is a plan of two trials of 20 steps, and their states.
func twoTrials(t *testing.T) (*plan.Plan, []sweep.State) {
	t.Helper()
	plan, err := detector.Settings.Load("smoke", plan.Selection{Set: []string{"train.iters=20"}})
	if err != nil {
		t.Fatal(err)
	}
	var states []sweep.State
	for _, trial := range plan.Trials {
		states = append(states, sweep.State{Trial: trial, Key: strings.Repeat("ab", 32)})
	}
	return plan, states
}

// TestNext: the three commands parse, and keep what was chosen.
func TestNext(t *testing.T) {
	p, states := twoTrials(t)
	o := &sweepOptions{source: "smoke", db: "a b.db", sel: plan.Selection{Profile: "mini", Set: []string{"train.iters=20"}, Only: []string{"loss.gamma=0,2"}}}
	put := func(i int, status string, ap float64) {
		states[i].Recorded = &record.Trial{Key: states[i].Key, Outcome: record.Outcome{Status: status, Metrics: map[string]float64{"AP": ap}}}
	}
	put(0, record.StatusDone, .1)
	put(1, record.StatusDone, .2)
	states[1].Key = strings.Repeat("cd", 32)
	want := []string{
		"runner table smoke --profile mini --set train.iters=20 --only loss.gamma=0,2 --format markdown --db 'a b.db'",
		"runner detect cdcdcdcdcdcd --val 16 -o look --db 'a b.db'",
		"runner sweep smoke --profile mini --set train.iters=20 --only loss.gamma=0,2 --seeds 0..4 --db 'a b.db'",
	}
	if got := usage.Next(p, states, o.source, &o.sel, "auto", 1, o.db); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("next commands are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	put(1, record.StatusFailed, 0)
	o.db = usage.DefaultDB
	if got := usage.Next(p, states, o.source, &o.sel, "auto", 1, o.db)[1]; got != "runner show cdcdcdcdcdcd" {
		t.Errorf("after a failure: %s", got)
	}
	for _, line := range usage.Next(p, states, o.source, &o.sel, "auto", 1, o.db) {
		parses(t, line)
	}
	for i, line := range usage.Next(p, states, o.source, &o.sel, "cpu-exact", 1, o.db) {
		parses(t, line)
		if strings.Contains(line, " --engine cpu-exact") != (i != 1) {
			t.Errorf("after a sweep with --engine cpu-exact: %s", line)
		}
	}
	states[0].Recorded.Engine, states[1].Recorded.Engine = "xla-of-two", "xla-of-two"
	for i, line := range usage.Next(p, states, o.source, &o.sel, "xla", 2, o.db) {
		parses(t, line)
		if of := []string{" --engine xla-of-two --format", "show", " --engine xla --devices 2 --seeds"}[i]; !strings.Contains(line, of) {
			t.Errorf("after a sweep on two devices: %s, want one with %s", line, of)
		}
	}
}

// TestShare: the workers of a sweep see GPUs of their own.
func TestShare(t *testing.T) {
	for _, c := range []struct {
		visible string
		place   int
		want    string
	}{
		{"", 0, "0,1"}, {"", 2, "4,5"}, {"3,1,GPU-5e6f,MIG-2", 0, "3,1"}, {"3,1,GPU-5e6f,MIG-2", 1, "GPU-5e6f,MIG-2"}, {"7,8,9", 1, "9"},
	} {
		if got := share(c.visible, c.place, 2); got != c.want {
			t.Errorf("of %q the worker at %d sees %q, want %q", c.visible, c.place, got, c.want)
		}
	}
}

// TestEngineOf: a recorded trial finds the engine that it had by that engine's name.
func TestEngineOf(t *testing.T) {
	for name, m := range engines {
		e, err := m.open(1)
		if err != nil {
			t.Logf("--engine %s: %v", name, err) // it needs a plugin
			continue
		}
		recorded := e.Info().Name
		e.Close()
		of, devices := engineOf(recorded)
		again, err := engines[of].open(1)
		if err != nil {
			t.Fatal(err)
		}
		if got := again.Info().Name; got != recorded || devices != 1 {
			t.Errorf("a trial of --engine %s, %s, is trained again by %s", name, recorded, got)
		}
		again.Close()
	}
	if got, devices := engineOf("of another program-x2"); got != "auto" || devices != 1 {
		t.Errorf("an engine that this program has not: --engine %s --devices %d", got, devices)
	}
}
