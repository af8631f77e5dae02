package figures

import (
	"fmt"
	"math"
	"slices"

	"focalgrid/figure"
	"focalgrid/results/record"
	"focalgrid/stats"
)

// windows is the number of places at which a learning curve is drawn: the losses of single batches jump too much to
// be read.
const windows = 40

// curve is a training log in windows of equal numbers of steps, by the name of the loss.
type curve struct {
	steps  []float64
	losses map[string][]float64
}

// total names the sum of the losses, which is what was optimised.
const total = "total"

// Curves draws the losses of a grid's trials over the steps of training: the total and each term in a panel, with one
// line a row. A row of several trials has a band.
func Curves(in *Input) (*figure.Figure, error) {
	g := in.Grid
	keys := g.varied()
	var names []string // of losses
	drawn := make([][]curve, len(g.Rows))
	trials := 0
	for i := range g.Rows {
		for k := range g.Rows[i].Trials {
			log, err := g.Log(&g.Rows[i].Trials[k])
			if err != nil {
				return nil, err
			}
			if len(log) == 0 {
				continue
			}
			drawn[i] = append(drawn[i], curveOf(log))
			trials++
			for _, l := range log[0].Losses {
				if !slices.Contains(names, l.Name) {
					names = append(names, l.Name)
				}
			}
		}
	}
	if trials == 0 {
		return nil, fmt.Errorf("%s: no trial of it has a training log: `%s` trains them", g.Name, g.Sweep)
	}
	f := &figure.Figure{
		Title:       g.title("Learning curves"),
		Caption:     g.caption(fmt.Sprintf("Loss of a batch in nats, divided by the foreground anchors, as means of windows of steps. Trials: %d. %s", trials, bands(drawn))),
		Description: "Losses over the steps of training, on a logarithmic axis: the total, then each of its terms.",
	}
	names = append([]string{total}, names...)
	if len(g.Rows) == 1 {
		f.Panels = []*figure.Panel{terms(drawn[0], names)}
		return f, nil
	}
	for _, name := range names {
		p := &figure.Panel{
			X: figure.Axis{Label: "step"},
			Y: figure.Axis{Label: name + " loss", Log: true},
		}
		for i := range g.Rows {
			if line := mean(drawn[i], name); len(line.X) > 0 {
				line.Name, line.Style = g.Rows[i].name(keys), style(i, len(g.Rows))
				p.Lines = append(p.Lines, line)
			}
		}
		f.Panels = append(f.Panels, p)
	}
	return f, nil
}

// terms draws all losses of one row in one panel.
func terms(curves []curve, names []string) *figure.Panel {
	p := &figure.Panel{
		X: figure.Axis{Label: "step"},
		Y: figure.Axis{Label: "loss", Log: true},
	}
	for i, name := range names {
		line := mean(curves, name)
		line.Name, line.Style = name, style(i, len(names))
		p.Lines = append(p.Lines, line)
	}
	return p
}

// bands says what the bands of learning curves are, where there are any.
func bands(drawn [][]curve) string {
	if !slices.ContainsFunc(drawn, func(c []curve) bool { return len(c) > 1 }) {
		return "One seed a row: no band."
	}
	return fmt.Sprintf("Bands: %.0f %% t intervals of the mean over seeds.", 100*stats.Confidence)
}

// curveOf averages a log in windows. The ends of windows depend on steps alone, so that logs of equal length have the
// same windows.
func curveOf(log []record.Step) curve {
	c := curve{losses: map[string][]float64{}}
	n := min(windows, len(log))
	for w := range n {
		part := log[w*len(log)/n : (w+1)*len(log)/n]
		step := 0.0
		values := map[string][]float64{}
		for _, s := range part {
			step += float64(s.Step) / float64(len(part))
			values[total] = append(values[total], s.Loss)
			for _, l := range s.Losses {
				values[l.Name] = append(values[l.Name], l.Value)
			}
		}
		c.steps = append(c.steps, step)
		for name, v := range values {
			for len(c.losses[name]) < w { // a loss that began later
				c.losses[name] = append(c.losses[name], math.NaN())
			}
			c.losses[name] = append(c.losses[name], stats.Mean(v).Mean)
		}
	}
	return c
}

// mean is the mean of a loss over several curves, with its interval. Logs of different length, such as those of
// diverged trials, count as far as they go at the places of the longest.
func mean(curves []curve, name string) figure.Line {
	line := figure.Line{Mark: figure.Curve}
	var longest []float64
	for _, c := range curves {
		if len(c.steps) > 0 && (longest == nil || c.steps[len(c.steps)-1] > longest[len(longest)-1]) {
			longest = c.steps
		}
	}
	for _, step := range longest {
		var values []float64
		for _, c := range curves {
			values = append(values, c.at(name, step))
		}
		e := stats.Mean(values)
		if e.N == 0 {
			continue
		}
		line.X, line.Y = append(line.X, step), append(line.Y, e.Mean)
		line.Low, line.High = append(line.Low, e.Low), append(line.High, e.High)
	}
	return line
}

// at is the loss at a step, between the two windows around it; NaN where the curve has ended.
func (c *curve) at(name string, step float64) float64 {
	values := c.losses[name]
	i, found := slices.BinarySearch(c.steps, step)
	switch {
	case found && i < len(values):
		return values[i]
	case i == 0 || i >= len(values):
		return math.NaN()
	}
	share := (step - c.steps[i-1]) / (c.steps[i] - c.steps[i-1])
	return values[i-1]*(1-share) + values[i]*share
}
