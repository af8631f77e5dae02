package figures

import (
	"fmt"
	"math"
	"strings"

	"focalgrid/figure"
	"focalgrid/results/record"
	"focalgrid/stats"
)

// Twins is one training that several engines made: trials that differ in nothing but their engine, the first of which
// the others are compared with.
type Twins struct {
	Trials  []record.Trial
	Logs    [][]record.Step // of each trial
	Loss    string          // "loss.type=focal loss.alpha=0.25 loss.gamma=2"
	Setting string          // what was trained: "synthetic val (4 classes), ResNet-18-FPN × 0.25 width, 128 px"
}

const (
	// rounding is the most by which rounding to float32 changes a number, in relation to the number.
	rounding = 1. / (1 << 24)
	// equal is where a logarithmic axis shows differences that are smaller, and those of equal losses.
	equal = 1e-8
)

// engines draws the losses of one training on several engines, and below them by how much they differ.
func engines(in *Input) (*figure.Figure, error) {
	t := in.Twins
	steps := figure.Axis{Label: "step, counted from 1", Log: true}
	losses := &figure.Panel{X: steps, Y: figure.Axis{Label: "loss", Log: true}}
	apart := &figure.Panel{X: steps, Y: figure.Axis{Label: "difference", Log: true}}
	var trials, told []string
	longest := 0
	first := map[int]float64{}
	for _, s := range t.Logs[0] {
		first[s.Step] = s.Loss
	}
	for i, trial := range t.Trials {
		loss := figure.Line{Name: trial.Engine, Style: figure.Distinct(i)}
		between := figure.Line{Style: loss.Style}
		for _, s := range t.Logs[i] {
			at := float64(s.Step + 1)
			loss.X, loss.Y = append(loss.X, at), append(loss.Y, s.Loss)
			longest = max(longest, s.Step+1)
			d := math.Abs(s.Loss-first[s.Step]) / math.Abs(first[s.Step])
			if d <= math.MaxFloat64 { // both have the step, and a finite loss there
				between.X, between.Y = append(between.X, at), append(between.Y, max(equal, d))
			}
		}
		losses.Lines = append(losses.Lines, widening(loss))
		if i > 0 {
			told = append(told, tell(trial.Engine, between))
			apart.Lines = append(apart.Lines, widening(between))
		}
		trials = append(trials, fmt.Sprintf("%s %s (%s)", trial.Engine, record.Short(trial.Key), ended(&trial)))
	}
	if longest == 0 {
		return nil, fmt.Errorf("trial %s: it has no training log to draw", record.Short(t.Trials[0].Key))
	}
	ends := []float64{1, float64(longest)}
	losses.X.Also = ends
	apart.Lines = append(apart.Lines, figure.Line{Name: "rounding of float32", X: ends, Y: []float64{rounding, rounding}, Style: figure.Muted()})
	one := t.Trials[0]
	return &figure.Figure{
		Title: fmt.Sprintf("One training on %d engines, step by step", len(t.Trials)),
		Caption: "Above: loss of a batch in nats, divided by the foreground anchors. " +
			fmt.Sprintf("Below: |loss − loss on %[1]s| / loss on %[1]s; equal losses are drawn at %.0[2]e. ", one.Engine, equal) +
			"Both are means over windows of a tenth of the step. " +
			fmt.Sprintf("Trials: %s. ", strings.Join(trials, ", ")) +
			fmt.Sprintf("The same settings, seed (%d), data and first weights, %d steps: %s; %s. ", one.Seed, longest, t.Loss, t.Setting) +
			"Engines add up in different orders, so rounding parts them first. Then a value before a ReLU lies on the other side " +
			"of 0 on one of them, and from there on each trains on by itself.",
		Description: "Above, a loss curve for each engine. Below, the relative difference of the loss " +
			fmt.Sprintf("to that on %s, by step from 0, where equal losses have %.0e: %s.", one.Engine, equal, strings.Join(told, "; ")),
		Panels: []*figure.Panel{losses, apart},
	}, nil
}

// widening averages a line in windows that are a tenth of their place wide: on a logarithmic axis all look the same.
func widening(l figure.Line) figure.Line {
	out := l
	out.X, out.Y = nil, nil
	for i := 0; i < len(l.X); {
		end := i + 1
		for end < len(l.X) && l.X[end] < 1.1*l.X[i] {
			end++
		}
		out.X, out.Y = append(out.X, stats.Mean(l.X[i:end]).Mean), append(out.Y, stats.Mean(l.Y[i:end]).Mean)
		i = end
	}
	return out
}

// ended says how a trial ended: its AP, or its status.
func ended(t *record.Trial) string {
	if ap, ok := t.Metrics["AP"]; ok && !math.IsNaN(ap) {
		return fmt.Sprintf("AP × 100 = %.1f", 100*ap)
	}
	return t.Status
}

// tell says the differences of an engine at the first step, at powers of two, and at the last.
func tell(engine string, l figure.Line) string {
	var at []string
	for i, x := range l.X {
		if step := int(x) - 1; step&(step-1) == 0 || i == len(l.X)-1 {
			at = append(at, fmt.Sprintf("%.0e at %d", l.Y[i], step))
		}
	}
	return engine + " " + strings.Join(at, ", ")
}
