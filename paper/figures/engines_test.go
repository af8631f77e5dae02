package figures

import (
	"math"
	"strings"
	"testing"

	"focalgrid/results/record"
)

// twins are trials of 600 steps whose losses are known: 2/(1 + step/50) on the first engine, and on the others a share
// more or less that is 0 up to step 1, then 1e-7 times a wave, from step 8 on twenty times as much at twice the step,
// and never more than 3e-2.
func twins(engines ...string) *Twins {
	t := &Twins{Loss: "loss.type=focal loss.alpha=0.25 loss.gamma=2", Setting: "synthetic val (4 classes), 128 px"}
	for i, engine := range engines {
		t.Trials = append(t.Trials, record.Trial{
			Key: strings.Repeat(string(rune('a'+i)), 64), Seed: 3, Engine: engine,
			Outcome: record.Outcome{Status: record.StatusDone, Metrics: map[string]float64{"AP": .25 - .01*float64(i)}},
		})
		var log []record.Step
		for step := range 600 {
			share := 0.
			switch {
			case step >= 8:
				share = min(1e-7*math.Pow(20, math.Log2(float64(step)/8)), 3e-2)
			case step > 1:
				share = 1e-7
			}
			wave := math.Cos(float64(step * i))
			log = append(log, record.Step{Step: step, Loss: 2 / (1 + float64(step)/50) * (1 + float64(i)*share*wave)})
		}
		t.Logs = append(t.Logs, log)
	}
	return t
}

// TestEngines: the difference of two engines at steps that are worked out by hand, and the picture that was looked at.
func TestEngines(t *testing.T) {
	in := twins("gorgonia", "gomlx-xla-cpu-f32-nchw")
	f, err := engines(&Input{Twins: in})
	if err != nil {
		t.Fatal(err)
	}
	check(t, "engines", f)
	golden(t, "engines", f)
	upper, lower := f.Panels[0].Lines, f.Panels[1].Lines
	if len(upper) != 2 || len(lower) != 2 || upper[1].Style.Color != lower[0].Style.Color {
		t.Fatalf("%d lines above and %d below, want two engines, and one with the rounding of float32", len(upper), len(lower))
	}
	for _, tt := range []struct{ place, loss, difference float64 }{
		{1, 2, 1e-8}, // equal
		{2, 2 / 1.02, 1e-8},
		{5, 2 / 1.08, 1e-7 * .653643621},     // -cos(4)
		{11.5, 1.653005464, 1.150543207e-07}, // the mean of steps 10 and 11, the latter nearly equal
	} {
		if got := at(t, upper[0], tt.place); math.Abs(got-tt.loss) > 1e-9 {
			t.Errorf("at %g: loss %g, want %g", tt.place, got, tt.loss)
		}
		if got := at(t, lower[0], tt.place); math.Abs(got-tt.difference) > 1e-6*tt.difference {
			t.Errorf("at %g: difference %g, want %g", tt.place, got, tt.difference)
		}
	}
	for _, want := range []string{
		"gorgonia aaaaaaaaaaaa (AP × 100 = 25.0), gomlx-xla-cpu-f32-nchw bbbbbbbbbbbb (AP × 100 = 24.0)", "seed (3)", "600 steps",
		"loss.gamma=2", "synthetic val", "rounding", "ReLU",
	} {
		if !strings.Contains(f.Caption, want) {
			t.Errorf("the caption lacks %q: %s", want, f.Caption)
		}
	}
	if want := "gomlx-xla-cpu-f32-nchw 1e-08 at 0, 1e-08 at 1, 4e-08 at 2, 7e-08 at 4, 1e-08 at 8, "; !strings.Contains(f.Description, want) {
		t.Errorf("the description lacks %q: %s", want, f.Description)
	}
}

// TestEnginesThatEnd: a trial that diverged is compared as far as it goes, and one without a log is no figure.
func TestEnginesThatEnd(t *testing.T) {
	in := twins("gorgonia", "gomlx-go-f32-nchw", "gomlx-xla-cuda-f32-nhwc")
	in.Trials[1].Status, in.Trials[1].Metrics = record.StatusDiverged, nil
	in.Logs[1] = in.Logs[1][:5]
	in.Logs[1][4].Loss = math.NaN()
	in.Logs[0] = in.Logs[0][:100]
	f, err := engines(&Input{Twins: in})
	if err != nil {
		t.Fatal(err)
	}
	check(t, "engines", f)
	if got := len(f.Panels[1].Lines[0].X); got != 4 {
		t.Errorf("%d differences of a trial with 4 losses", got)
	}
	if x := f.Panels[1].Lines[1].X; x[len(x)-1] > 100 {
		t.Errorf("a difference at place %g, and the first engine made 100 steps", x[len(x)-1])
	}
	if want := "gomlx-go-f32-nchw bbbbbbbbbbbb (diverged)"; !strings.Contains(f.Caption, want) {
		t.Errorf("the caption lacks %q: %s", want, f.Caption)
	}
	for i := range in.Logs {
		in.Logs[i] = nil
	}
	if _, err := engines(&Input{Twins: in}); err == nil || !strings.Contains(err.Error(), "no training log to draw") {
		t.Errorf("trials without logs: %v", err)
	}
}
