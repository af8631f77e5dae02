package figures

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"focalgrid/figure"
	"focalgrid/results/record"
)

type factors = map[string]any

// row returns a row with a trial for each AP, by seed from 0; NaN is a trial that diverged.
func row(f factors, aps ...float64) Row {
	r := Row{Factors: f, Settings: f, Anchors: 1000, Batch: 2}
	for seed, ap := range aps {
		t := record.Trial{Key: fmt.Sprint(f, seed), Seed: uint64(seed), Outcome: record.Outcome{Status: record.StatusDone, Metrics: map[string]float64{"AP": ap}}}
		if math.IsNaN(ap) {
			t.Status, t.Metrics = record.StatusDiverged, nil
		}
		r.Trials = append(r.Trials, t)
	}
	return r
}

// grid returns a grid whose logs are empty.
func grid(keys []string, rows ...Row) *Grid {
	return &Grid{
		Name: "own", Title: "a test", Profile: "mini", Ours: "synthetic val", Factors: keys, Rows: rows, Sweep: "runner sweep own",
		Log: func(*record.Trial) ([]record.Step, error) { return nil, nil },
	}
}

func drawn(t *testing.T, draw func(*Input) (*figure.Figure, error), g *Grid) *figure.Figure {
	t.Helper()
	f, err := draw(&Input{Grid: g})
	if err != nil {
		t.Fatal(err)
	}
	check(t, g.Name, f)
	return f
}

func nearly(a, b float64) bool { return math.Abs(a-b) < 1e-3 }

// TestNoValue: there is no figure of trials that have no AP, whether they are done, diverged, or not there.
func TestNoValue(t *testing.T) {
	done := row(factors{"loss.gamma": 0.0}, .2)
	done.Trials[0].Metrics["AP"] = math.NaN()
	for want, r := range map[string]Row{
		"none of the 1 trials that are done has an AP": done,
		"the 1 recorded trials diverged":               row(factors{"loss.gamma": 0.0}, math.NaN()),
		"no trial of it is done":                       row(factors{"loss.gamma": 0.0}),
	} {
		if _, err := Results(&Input{Grid: grid([]string{"loss.gamma"}, r)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestPoints: the mean of a row and its t interval by hand, t(.975, 1) = 12.7062; a row of one seed has no interval;
// a published figure is in a panel of its own.
func TestPoints(t *testing.T) {
	published := .34
	g := grid([]string{"loss.gamma"}, row(factors{"loss.gamma": 0.0}, .20), row(factors{"loss.gamma": 2.0}, .30, .32), row(factors{"loss.gamma": 5.0}))
	g.Rows[1].Published, g.Published = &published, "COCO minival"
	g.Rows[2].Trials = []record.Trial{{Outcome: record.Outcome{Status: record.StatusDone}}} // its images have no object, so it has no AP
	f := drawn(t, Results, g)
	if len(f.Panels) != 2 {
		t.Fatalf("%d panels, want ours and the published one", len(f.Panels))
	}
	ours, theirs := f.Panels[0].Lines[0], f.Panels[1].Lines[0]
	if !nearly(ours.Y[0], 20) || !math.IsNaN(ours.Low[0]) {
		t.Errorf("one seed: %g from %g", ours.Y[0], ours.Low[0])
	}
	if half := 12.7062 * math.Sqrt2 / math.Sqrt2; !nearly(ours.Y[1], 31) || !nearly(ours.Low[1], 31-half) || !nearly(ours.High[1], 31+half) {
		t.Errorf("two seeds: %g from %g to %g, want 31 ± %g", ours.Y[1], ours.Low[1], ours.High[1], half)
	}
	if !math.IsNaN(ours.Y[2]) || !nearly(theirs.Y[1], 34) || !math.IsNaN(theirs.Y[0]) || fmt.Sprint(theirs.Style) != fmt.Sprint(figure.Muted()) {
		t.Errorf("ours %v, published %v", ours.Y, theirs.Y)
	}
	for _, want := range []string{"n = 1 to 2", "95 %", "Profile mini: synthetic val.", "Rows without a result: 1 of 3.", "COCO minival"} {
		if !strings.Contains(f.Caption, want) {
			t.Errorf("the caption lacks %q: %s", want, f.Caption)
		}
	}
}

// TestOwn: rows at their own best settings have a panel of their own, and make the gap of imbalance.
func TestOwn(t *testing.T) {
	keys := []string{"loss.gamma", "optim.lr"}
	at := func(gamma, rate float64, aps ...float64) Row {
		return row(factors{"loss.type": "focal", "loss.gamma": gamma, "optim.lr": rate}, aps...)
	}
	g := grid(keys, at(0, .1, .1, .1), at(2, .1, .2, .2))
	g.Log = func(*record.Trial) ([]record.Step, error) { return []record.Step{{Positives: 20}}, nil }
	ce, focal := at(0, .05, .15, .15), g.Rows[1]
	g.Rows[0].Own, g.Rows[1].Own = &ce, &focal
	f := drawn(t, Results, g)
	if len(f.Panels) != 2 || !nearly(f.Panels[1].Lines[0].Y[0], 15) || !nearly(f.Panels[1].Lines[0].Y[1], 20) {
		t.Errorf("%d panels, want one recipe and own recipes", len(f.Panels))
	}
	for _, p := range f.Panels {
		if slices.Min(p.Y.Also) != 10 || slices.Max(p.Y.Also) != 20 {
			t.Errorf("%s: the axis covers %v, want all that was measured, 10 to 20", p.Title, p.Y.Also)
		}
	}
	f = drawn(t, imbalance, g)
	if gap := f.Panels[0].Lines[1]; !nearly(gap.Y[0], 5) || !strings.Contains(f.Caption, "each row at its own best recipe") {
		t.Errorf("gap %v at own best recipes, want 5: %s", gap.Y, f.Caption)
	}
	g.Rows[0].Own = nil
	f = drawn(t, imbalance, g)
	if gap := f.Panels[0].Lines[1]; !nearly(gap.Y[0], 10) || !strings.Contains(f.Caption, "one recipe for all") {
		t.Errorf("gap %v at one recipe, want 10: %s", gap.Y, f.Caption)
	}
}

// TestLying: rows whose names are long are listed at the left, the first at the top with all its settings, each other
// with what differs from it, with whiskers across.
func TestLying(t *testing.T) {
	keys := []string{"loss.type", "loss.alpha", "sampler.type", "sampler.ratio", "sampler.batch"}
	all := func(alpha any) factors {
		return factors{"loss.type": "focal", "loss.alpha": alpha, "sampler.type": "all"}
	}
	mined := factors{"loss.type": "ce", "loss.alpha": nil, "sampler.type": "ohem", "sampler.ratio": 3.0, "sampler.batch": 512}
	g := grid(keys, row(all(.25), .2, .3), row(mined, .1, .1), row(all(.5), .3))
	f := drawn(t, Results, g)
	p := f.Panels[0]
	want := []string{"α 0.5", "ce, α none, ohem, ratio 3, batch 512", "focal, α 0.25, all"} // from below
	for i, name := range p.Y.Names {
		if got := strings.ReplaceAll(name, "\n", " "); got != want[i] {
			t.Errorf("row %d from below is named %q, want %q", i, got, want[i])
		}
	}
	if l := p.Lines[0]; !l.Across || !nearly(l.X[0], 25) || l.Y[0] != 2 {
		t.Errorf("the first row is at %g, %g, across %t", l.X[0], l.Y[0], l.Across)
	}
	const said = "What a row does not name is as in the first row."
	if !strings.Contains(f.Caption, said) {
		t.Errorf("the caption does not say what names leave out: %s", f.Caption)
	}
	if f := drawn(t, Results, grid([]string{"loss.alpha"}, row(all(.25), .2), row(all(.5), .3))); strings.Contains(f.Caption, said) {
		t.Errorf("short names leave nothing out: %s", f.Caption)
	}
}

// TestRates: one line for each loss, by ascending rate, whatever the order of rows.
func TestRates(t *testing.T) {
	g := grid([]string{"optim.lr", "loss.type"},
		row(factors{"optim.lr": .1, "loss.type": "ce"}, .10), row(factors{"optim.lr": .05, "loss.type": "ce"}, .15),
		row(factors{"optim.lr": .1, "loss.type": "focal"}, .25), row(factors{"optim.lr": .05, "loss.type": "focal"}))
	f := drawn(t, Results, g)
	lines := f.Panels[0].Lines
	if len(lines) != 2 || lines[0].Name != "ce" || lines[1].Name != "focal" {
		t.Fatalf("lines %v", lines)
	}
	if got := lines[0].Y; len(got) != 2 || !nearly(got[0], 15) || !nearly(got[1], 10) {
		t.Errorf("ce is %v, want 15 at .05 and 10 at .1", got)
	}
	if len(lines[1].X) != 1 {
		t.Errorf("a row without a result is drawn: %v", lines[1].X)
	}
}

// TestHeat: a cell a pair, the best of each column framed, empty where there is no result.
func TestHeat(t *testing.T) {
	pair := func(alpha, gamma float64, ap ...float64) Row {
		return row(factors{"loss.alpha": alpha, "loss.gamma": gamma}, ap...)
	}
	g := grid([]string{"loss.alpha", "loss.gamma"}, pair(.75, 2, .1, .2), pair(.25, 2, .3), pair(.75, 0, .2), pair(.25, 0))
	for name, draw := range map[string]func(*Input) (*figure.Figure, error){"alpha_gamma": alphaGamma, "any grid": Results} {
		p := drawn(t, draw, g).Panels[0]
		h := p.Heat
		if h == nil {
			t.Fatalf("%s: no heat map", name)
		}
		if fmt.Sprint(p.X.Names, p.Y.Names) != "[0 2] [0.25 0.75]" {
			t.Errorf("%s: axes %v and %v", name, p.X.Names, p.Y.Names)
		}
		if v := h.Values; !math.IsNaN(v[0][0]) || !nearly(v[0][1], 30) || !nearly(v[1][0], 20) || !nearly(v[1][1], 15) {
			t.Errorf("%s: cells %v", name, v)
		}
		if fmt.Sprint(h.Ring) != "[[false true] [true false]]" {
			t.Errorf("%s: framed %v", name, h.Ring)
		}
	}
}

// TestImbalance: the gap by seed, at the ratio that logs give: 1000 anchors × 2 images with 20 positives are 99 : 1.
func TestImbalance(t *testing.T) {
	scene := func(objects, gamma float64, aps ...float64) Row {
		return row(factors{"data.objects": objects, "loss.type": "focal", "loss.gamma": gamma}, aps...)
	}
	g := grid([]string{"data.objects", "loss.gamma"},
		scene(1, 0, .10, .20), scene(1, 2, .20, .31), scene(4, 0, .30, .30), scene(4, 2, .33, math.NaN()), scene(9, 2, .1))
	positives := map[string]int{}
	for i, n := range []int{20, 20, 80, 80, 180} {
		for _, trial := range g.Rows[i].Trials {
			positives[trial.Key] = n
		}
	}
	g.Log = func(t *record.Trial) ([]record.Step, error) {
		return []record.Step{{Step: 0, Positives: positives[t.Key]}, {Step: 1, Positives: positives[t.Key]}}, nil
	}
	f := drawn(t, imbalance, g)
	lines := f.Panels[0].Lines
	gap := lines[len(lines)-1]
	if len(gap.X) != 2 || !nearly(gap.X[0], 24) || !nearly(gap.X[1], 99) {
		t.Fatalf("ratios %v, want 24 and 99; rows without a partner have no gap", gap.X)
	}
	if !nearly(gap.Y[1], 10.5) || !nearly(gap.Low[1], 10.5-12.7062*.5) {
		t.Errorf("the gap at 99 is %g from %g, want 10.5 ± 6.35", gap.Y[1], gap.Low[1])
	}
	if !nearly(gap.Y[0], (3.-30)/2) {
		t.Errorf("the gap at 24 is %g; a diverged trial counts as 0", gap.Y[0])
	}
	for _, want := range []string{
		"diverged", "; +10.5 (+4.1 to +16.9, n = 2) at 99. ",
		// By hand: from 24 to 99 is log10(99/24) = .6154 of a decade. In it the gap of seed 0 rises from 3 to 10, and
		// that of seed 1 from -30 to 11: by 11.4 and 66.6 in a decade, whose mean is 39.0 ± 12.706 × 27.6.
		"Slope of the gap for ten times the ratio, by least squares in each seed: +39.0 (−312.0 to +390.0, n = 2).",
	} {
		if !strings.Contains(f.Caption, want) {
			t.Errorf("the caption lacks %q: %s", want, f.Caption)
		}
	}
}

// TestEffective: a pair is effective within 2 AP of focal loss, if no seed diverged.
func TestEffective(t *testing.T) {
	star := func(gamma, beta float64, aps ...float64) Row {
		return row(factors{"loss.type": "focal_star", "loss.gamma": gamma, "loss.beta": beta}, aps...)
	}
	g := grid([]string{"loss.type", "loss.gamma", "loss.beta"}, row(factors{"loss.type": "focal", "loss.gamma": 2.0}, .30),
		star(2, 1, .29), star(4, 0, .27), star(1, 0, .31, math.NaN()), star(1, 2, math.NaN()), star(2, 2))
	g.Rows[0] = row(factors{"loss.type": "focal", "loss.gamma": 2.0}, .30, .20) // the second seed is no match of the others
	lines := drawn(t, effective, g).Panels[0].Lines
	var got []string
	for _, l := range lines {
		got = append(got, l.Name)
	}
	if want := []string{"effective", "not effective", "not effective", "not effective"}; !slices.Equal(got, want) {
		t.Errorf("pairs are %q, want %q and none for a row that was not tried", got, want)
	}
	if v := at(t, lines[0], -1); !nearly(v, .65663) {
		t.Errorf("FL* γ=2 β=1 at -1 is %g, want .6566", v)
	}
}

// TestCurves: each loss over the steps, as the mean over seeds with its interval; a log that ends early counts as far
// as it goes.
func TestCurves(t *testing.T) {
	g := grid([]string{"loss.gamma"}, row(factors{"loss.gamma": 0.0}, .2, .3), row(factors{"loss.gamma": 2.0}, .3))
	g.Log = func(t *record.Trial) (log []record.Step, err error) {
		n := 100
		if t.Seed == 1 {
			n = 50
		}
		for i := range n {
			v := 2 + 2*float64(t.Seed)
			log = append(log, record.Step{Step: i, Loss: v + 1, Losses: []record.Loss{{Name: "class", Value: v}, {Name: "box", Value: 1}}})
		}
		return log, nil
	}
	f := drawn(t, Curves, g)
	if len(f.Panels) != 3 || len(f.Panels[0].Lines) != 2 {
		t.Fatalf("%d panels, want total, class and box", len(f.Panels))
	}
	class := f.Panels[1].Lines[0]
	if !nearly(class.Y[0], 3) || !nearly(class.Low[0], 3-12.7062) {
		t.Errorf("class begins at %g from %g, want 3 ± 12.71: the mean of 2 and 4", class.Y[0], class.Low[0])
	}
	if last := len(class.X) - 1; !nearly(class.Y[last], 2) || !math.IsNaN(class.Low[last]) || class.X[last] < 90 {
		t.Errorf("class ends with %g from %g at step %g, want 2 of the seed that went on", class.Y[last], class.Low[last], class.X[last])
	}
	one := g
	one.Rows = g.Rows[1:]
	if f := drawn(t, Curves, one); len(f.Panels) != 1 || len(f.Panels[0].Lines) != 3 {
		t.Errorf("one row has %d panels, want all losses in one", len(f.Panels))
	}
}

// TestNothingRecorded: a figure without its trials says which command trains them.
func TestNothingRecorded(t *testing.T) {
	draws := map[string]func(*Input) (*figure.Figure, error){"results": Results, "curves": Curves}
	for _, name := range Names() {
		if fig, _ := Of(name); fig.Needs == Rows {
			draws[name] = fig.Draw
		}
	}
	for name, draw := range draws {
		_, err := draw(&Input{Grid: grid([]string{"loss.gamma"}, row(factors{"loss.gamma": 0.0}), row(factors{"loss.gamma": 2.0}))})
		if err == nil || !strings.Contains(err.Error(), "`runner sweep own` trains them") {
			t.Errorf("%s of nothing: %v", name, err)
		}
	}
}
