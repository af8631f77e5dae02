package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/vbauerster/mpb/v8"

	"focalgrid/detector"
	"focalgrid/experiments"
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

// play sends the events of a sweep: the first trial is done, the second
// diverges in its third step. tick passes a second.
func play(p progress, states []sweep.State, tick func()) {
	for done := range 9 {
		p.event(experiments.Preparing{What: "preparing synthetic images", Done: done, Total: 8, Note: "in a folder"})
	}
	p.event(sweep.TrialStarted{Index: 0, Trial: states[0].Trial, Key: states[0].Key})
	for step := range 20 {
		p.event(experiments.Stepped{Index: 0, Iters: 20, StepInfo: detector.StepInfo{Step: step, Loss: 2 - float64(step)/20}})
		tick()
	}
	p.event(experiments.Evaluating{Done: 5, Total: 10})
	p.event(experiments.Evaluating{Done: 10, Total: 10})
	p.event(sweep.TrialEnded{Index: 0, Outcome: record.Outcome{
		Status: record.StatusDone, WallSeconds: 20, Metrics: map[string]float64{"AP": .284, "AP50": .512, "AP75": .278},
	}})
	p.print(func(w io.Writer) error { _, err := fmt.Fprintln(w, "THE TABLE"); return err })
	p.event(sweep.TrialStarted{Index: 1, Trial: states[1].Trial, Key: states[1].Key})
	for step := range 2 {
		p.event(experiments.Stepped{Index: 1, Iters: 20, StepInfo: detector.StepInfo{Step: step, Loss: math.Pi}})
		tick()
	}
	p.event(sweep.TrialEnded{Index: 1, Outcome: record.Outcome{Status: record.StatusDiverged, WallSeconds: 2, Error: "step 2: loss is not finite"}})
	p.close()
}

func TestLines(t *testing.T) {
	plan, states := twoTrials(t)
	clock := time.Unix(0, 0)
	var w, out bytes.Buffer
	play(&lines{tracker: newTracker(plan, states, func() time.Time { return clock }), w: &w, out: &out}, states, func() { clock = clock.Add(time.Second) })
	want := `preparing synthetic images, 0 of 8
preparing synthetic images, 2 of 8
preparing synthetic images, 4 of 8
preparing synthetic images, 6 of 8
preparing synthetic images, 8 of 8: in a folder
trial 1 of 2 (abababababab): loss.gamma=0 loss.alpha=0.75 seed=0
  step 2 of 20, loss 1.9500, 1.0 steps/s, 18s left
  step 4 of 20, loss 1.8500, 1.0 steps/s, 16s left
  step 6 of 20, loss 1.7500, 1.0 steps/s, 14s left
  step 8 of 20, loss 1.6500, 1.0 steps/s, 12s left
  step 10 of 20, loss 1.5500, 1.0 steps/s, 10s left
  step 12 of 20, loss 1.4500, 1.0 steps/s, 8s left
  step 14 of 20, loss 1.3500, 1.0 steps/s, 6s left
  step 16 of 20, loss 1.2500, 1.0 steps/s, 4s left
  step 18 of 20, loss 1.1500, 1.0 steps/s, 2s left
  step 20 of 20, loss 1.0500, 1.0 steps/s
  evaluated 10 images
trial 1 of 2 done in 20s: AP 28.4, AP50 51.2, AP75 27.8; 20s left
trial 2 of 2 (abababababab): loss.gamma=2 loss.alpha=0.25 seed=0
  step 2 of 20, loss 3.1416, 1.0 steps/s, 18s left
trial 2 of 2 diverged in 2s: step 2: loss is not finite
`
	if w.String() != want {
		t.Errorf("progress is\n%s\nwant\n%s", w.String(), want)
	}
	if out.String() != "\nTHE TABLE\n\n" {
		t.Errorf("stdout is %q", out.String())
	}
}

// playTwo sends the events of two trials at once: one goes on from a checkpoint, the
// other is done by another process.
func playTwo(p progress, states []sweep.State, tick func()) {
	p.event(sweep.TrialStarted{Index: 1, Trial: states[1].Trial, Key: states[1].Key, Step: 10})
	p.event(sweep.TrialStarted{Index: 0, Trial: states[0].Trial, Key: states[0].Key})
	for step := range 2 {
		p.event(experiments.Stepped{Index: 0, Iters: 20, StepInfo: detector.StepInfo{Step: step, Loss: 1}})
		p.event(experiments.Stepped{Index: 1, Iters: 20, StepInfo: detector.StepInfo{Step: 10 + step, Loss: 2}})
		tick()
	}
	p.event(experiments.Noted{Text: "trial abc is tried again (1 of 1)"})
	p.event(sweep.TrialStarted{Index: 1, Trial: states[1].Trial, Key: states[1].Key, Step: 11})
	p.event(experiments.Evaluating{Index: 1, Done: 6, Total: 6})
	p.event(sweep.TrialEnded{Index: 1, Outcome: record.Outcome{Status: record.StatusFailed, WallSeconds: 2, Error: "out of luck"}})
	for range 3 {
		p.event(sweep.Waiting{Trials: 1})
	}
	p.event(sweep.TrialEnded{Index: 0, Key: states[0].Key, Elsewhere: true, Outcome: record.Outcome{
		Status: record.StatusDone, WallSeconds: 20, Metrics: map[string]float64{"AP": .284, "AP50": .512, "AP75": .278},
	}})
	p.close()
}

func TestLinesOfTwoAtOnce(t *testing.T) {
	plan, states := twoTrials(t)
	clock := time.Unix(0, 0)
	var w bytes.Buffer
	playTwo(&lines{tracker: newTracker(plan, states, func() time.Time { return clock }), w: &w, out: io.Discard}, states, func() { clock = clock.Add(time.Second) })
	want := `trial 1 of 2 (abababababab): loss.gamma=2 loss.alpha=0.25 seed=0, from step 10
trial 2 of 2 (abababababab): loss.gamma=0 loss.alpha=0.75 seed=0
  trial 2 of 2: step 2 of 20, loss 1.0000, 1.0 steps/s, 18s left
  trial 1 of 2: step 12 of 20, loss 2.0000, 1.0 steps/s, 8s left
trial abc is tried again (1 of 1)
trial 1 of 2 (abababababab): loss.gamma=2 loss.alpha=0.25 seed=0, from step 11
  trial 1 of 2: evaluated 6 images
trial 1 of 2 failed in 2s: out of luck; 3s left
waiting for 1 trial that other processes are training
trial 2 of 2 (abababababab), by another process: done in 20s: AP 28.4, AP50 51.2, AP75 27.8
`
	if w.String() != want {
		t.Errorf("progress is\n%s\nwant\n%s", w.String(), want)
	}
}

// TestBarsOfTwoAtOnce: each trial at hand has a bar.
func TestBarsOfTwoAtOnce(t *testing.T) {
	plan, states := twoTrials(t)
	var w bytes.Buffer
	b := newBars(newTracker(plan, states, time.Now), &output{raw: &w}, mpb.ForceAutoRefresh(), mpb.WithRefreshRate(5*time.Millisecond), mpb.WithWidth(120))
	playTwo(b, states, func() { time.Sleep(30 * time.Millisecond) })
	for _, want := range []string{
		"seed=0, from step 10", "trial 1 of 2 evaluates", "2/20  loss 1.0000", "12/20  loss 2.0000", "tried again", "failed in 2s: out of luck",
		"waiting for 1 trial", "(abababababab), by another process: done in 20s",
	} {
		if !strings.Contains(w.String(), want) {
			t.Errorf("the terminal never showed %q", want)
		}
	}
	if t.Failed() {
		t.Log(w.String())
	}
}

func TestLinesOfUnevenTrials(t *testing.T) {
	plan, states := twoTrials(t)
	for _, iters := range []int{1, 7, 10, 13, 25, 600, 999} {
		var w bytes.Buffer
		l := &lines{tracker: newTracker(plan, states, time.Now), w: &w, out: io.Discard}
		states[0].Config.Set("train.iters", iters)
		l.event(sweep.TrialStarted{Trial: states[0].Trial, Key: states[0].Key})
		for step := range iters {
			l.event(experiments.Stepped{Iters: iters, StepInfo: detector.StepInfo{Step: step}})
		}
		lines := strings.Count(w.String(), "  step ")
		if lines < min(iters, 9) || lines > 20 {
			t.Errorf("%d steps give %d lines, want about ten", iters, lines)
		}
		if !strings.Contains(w.String(), fmt.Sprintf("step %d of %d,", iters, iters)) {
			t.Errorf("%d steps: the last one is not reported:\n%s", iters, w.String())
		}
	}
}

// TestBars draws to a buffer that stands for the terminal: what scrolls, and the texts
// on the bars, are there.
func TestBars(t *testing.T) {
	plan, states := twoTrials(t)
	var w bytes.Buffer
	b := newBars(newTracker(plan, states, time.Now), &output{raw: &w}, mpb.ForceAutoRefresh(), mpb.WithRefreshRate(5*time.Millisecond), mpb.WithWidth(120))
	play(b, states, func() { time.Sleep(10 * time.Millisecond) })
	for _, want := range []string{
		"synthetic images: in a folder",
		"trial 1 of 2 (abababababab): loss.gamma=0 loss.alpha=0.75 seed=0",
		"trial 1 of 2 done in 20s: AP 28.4",
		"THE TABLE",
		"trial 2 of 2 diverged in 2s: step 2: loss is not finite",
		"of 2 trials",
		"steps/s",
		"/20  loss 1.",
		"left",
	} {
		if !strings.Contains(w.String(), want) {
			t.Errorf("the terminal never showed %q", want)
		}
	}
	if t.Failed() {
		t.Log(w.String())
	}
}

func TestLasting(t *testing.T) {
	for seconds, want := range map[float64]string{
		0: "0s", .49: "0s", .5: "1s", 59.4: "59s", 59.5: "1m00s", 61: "1m01s", 3599: "59m59s", 3600: "1h00m",
		90 * 60: "1h30m", 100*3600 - 1: "99h59m", 100 * 3600: "4 days",
		1e18: "centuries", math.Inf(1): "centuries", math.NaN(): "centuries",
	} {
		if got := lasting(seconds); got != want {
			t.Errorf("lasting(%g) is %q, want %q", seconds, got, want)
		}
	}
}

func TestOutcome(t *testing.T) {
	o := record.Outcome{Status: record.StatusDone, WallSeconds: 3, Metrics: map[string]float64{"AP": math.NaN(), "AP50": .5}}
	if got, want := outcome(o), "done in 3s: AP –, AP50 50.0, AP75 –"; got != want {
		t.Errorf("outcome is %q, want %q", got, want)
	}
}

func TestShellWord(t *testing.T) {
	for word, want := range map[string]string{
		"loss.gamma=2": "loss.gamma=2", "0..4": "0..4", "a b": "'a b'", "": "''", "it's": `'it'\''s'`,
		"anchors.ratios=[1,2]": "'anchors.ratios=[1,2]'", "$HOME": "'$HOME'", "γ": "'γ'",
	} {
		if got := shellWord(word); got != want {
			t.Errorf("shellWord(%q) is %s, want %s", word, got, want)
		}
	}
}

func TestParseSize(t *testing.T) {
	if h, w, err := parseSize("608x800"); h != 608 || w != 800 || err != nil {
		t.Errorf("608x800 is %d high, %d wide (%v)", h, w, err)
	}
	for _, text := range []string{"", "x", "608", "608x", "x800", "0x1", "-1x5", "5x99999", "5x5x5"} {
		if _, _, err := parseSize(text); err == nil {
			t.Errorf("%q is accepted as a size", text)
		}
	}
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
	if got := next(p, states, o); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("next commands are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	put(1, record.StatusFailed, 0)
	o.db = defaultDB
	if got := next(p, states, o)[1]; got != "runner show cdcdcdcdcdcd" {
		t.Errorf("after a failure: %s", got)
	}
	for _, line := range next(p, states, o) {
		parses(t, line)
	}
}

func TestReport(t *testing.T) {
	err := bad(errors.Join(errors.New("a.yaml:1: one"), errors.New("a.yaml:2: two")))
	var c *coded
	if !errors.As(err, &c) || c.code != exitUsage {
		t.Errorf("%v has no exit code", err)
	}
}
