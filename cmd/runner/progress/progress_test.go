package progress

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/vbauerster/mpb/v8"

	"focalgrid/cmd/runner/terminal"
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
func play(p Progress, states []sweep.State, tick func()) {
	for done := range 9 {
		p.Event(experiments.Preparing{What: "preparing synthetic images", Done: done, Total: 8, Note: "in a folder"})
	}
	p.Event(sweep.TrialStarted{Index: 0, Trial: states[0].Trial, Key: states[0].Key})
	for step := range 20 {
		p.Event(experiments.Stepped{Index: 0, Iters: 20, StepInfo: detector.StepInfo{Step: step, Loss: 2 - float64(step)/20}})
		tick()
	}
	p.Event(experiments.Evaluating{Done: 5, Total: 10})
	p.Event(experiments.Evaluating{Done: 10, Total: 10})
	p.Event(sweep.TrialEnded{Index: 0, Outcome: record.Outcome{
		Status: record.StatusDone, WallSeconds: 20, Metrics: map[string]float64{"AP": .284, "AP50": .512, "AP75": .278},
	}})
	p.Print(func(w io.Writer) error { _, err := fmt.Fprintln(w, "THE TABLE"); return err })
	p.Event(sweep.TrialStarted{Index: 1, Trial: states[1].Trial, Key: states[1].Key})
	for step := range 2 {
		p.Event(experiments.Stepped{Index: 1, Iters: 20, StepInfo: detector.StepInfo{Step: step, Loss: math.Pi}})
		tick()
	}
	p.Event(sweep.TrialEnded{Index: 1, Outcome: record.Outcome{Status: record.StatusDiverged, WallSeconds: 2, Error: "step 2: loss is not finite"}})
	p.Close()
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
func playTwo(p Progress, states []sweep.State, tick func()) {
	p.Event(sweep.TrialStarted{Index: 1, Trial: states[1].Trial, Key: states[1].Key, Step: 10})
	p.Event(sweep.TrialStarted{Index: 0, Trial: states[0].Trial, Key: states[0].Key})
	for step := range 2 {
		p.Event(experiments.Stepped{Index: 0, Iters: 20, StepInfo: detector.StepInfo{Step: step, Loss: 1}})
		p.Event(experiments.Stepped{Index: 1, Iters: 20, StepInfo: detector.StepInfo{Step: 10 + step, Loss: 2}})
		tick()
	}
	p.Event(experiments.Noted{Text: "trial abc is tried again (1 of 1)"})
	p.Event(sweep.TrialStarted{Index: 1, Trial: states[1].Trial, Key: states[1].Key, Step: 11})
	p.Event(experiments.Evaluating{Index: 1, Done: 6, Total: 6})
	p.Event(sweep.TrialEnded{Index: 1, Outcome: record.Outcome{Status: record.StatusFailed, WallSeconds: 2, Error: "out of luck"}})
	for range 3 {
		p.Event(sweep.Waiting{Trials: 1})
	}
	p.Event(sweep.TrialEnded{Index: 0, Key: states[0].Key, Elsewhere: true, Outcome: record.Outcome{
		Status: record.StatusDone, WallSeconds: 20, Metrics: map[string]float64{"AP": .284, "AP50": .512, "AP75": .278},
	}})
	p.Close()
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
	b := newBars(newTracker(plan, states, time.Now), &terminal.Output{Raw: &w}, mpb.ForceAutoRefresh(), mpb.WithRefreshRate(5*time.Millisecond), mpb.WithWidth(120))
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
		l.Event(sweep.TrialStarted{Trial: states[0].Trial, Key: states[0].Key})
		for step := range iters {
			l.Event(experiments.Stepped{Iters: iters, StepInfo: detector.StepInfo{Step: step}})
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
	b := newBars(newTracker(plan, states, time.Now), &terminal.Output{Raw: &w}, mpb.ForceAutoRefresh(), mpb.WithRefreshRate(5*time.Millisecond), mpb.WithWidth(120))
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

func TestOutcome(t *testing.T) {
	o := record.Outcome{Status: record.StatusDone, WallSeconds: 3, Metrics: map[string]float64{"AP": math.NaN(), "AP50": .5}}
	if got, want := outcome(o), "done in 3s: AP –, AP50 50.0, AP75 –"; got != want {
		t.Errorf("outcome is %q, want %q", got, want)
	}
}

func TestOneSeed(t *testing.T) {
	for flag, want := range map[string]string{
		"3": "One seed, number 3; for 3 seeds, from 0 on, write --seeds 0..2.\n", "0": "", "1": "", "": "", "3,4": "", "3..3": "", "5000": "",
	} {
		plan, err := detector.Settings.Load("smoke", plan.Selection{Seeds: flag})
		if err != nil {
			t.Fatal(err)
		}
		if got := OneSeed(plan, flag); got != want {
			t.Errorf("--seeds %s: %q, want %q", flag, got, want)
		}
	}
}
