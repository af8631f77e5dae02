package figures

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"

	"focalgrid/figure"
	"focalgrid/setting"
	"focalgrid/stats"
)

// scene is what the rows of both losses on one kind of images share.
type scene struct {
	ratio     float64 // of background to foreground anchors
	focal, ce *Row
}

// imbalance draws the gap in AP between focal loss and cross entropy over the ratio of background to foreground
// anchors.
func imbalance(in *Input) (*figure.Figure, error) {
	g := in.Grid
	if err := g.require(); err != nil {
		return nil, err
	}
	scenes, err := g.scenes()
	if err != nil {
		return nil, err
	}
	recipe := "one recipe for all"
	if own := ownScenes(scenes); own != nil {
		scenes, recipe = own, "each row at its own best recipe"
	}
	p := &figure.Panel{
		X: figure.Axis{Label: "background anchors for each foreground anchor", Log: true},
		Y: figure.Axis{Label: "AP × 100 of FL − AP × 100 of CE"},
	}
	line := figure.Line{Name: "gap", Mark: figure.Joined, Style: figure.Distinct(0)}
	var told []string
	var slope slopes
	for _, s := range scenes {
		d := stats.Paired(s.ce.runs(), s.focal.runs())
		if !d.Paired {
			continue
		}
		slope.add(s)
		line.X, line.Y = append(line.X, s.ratio), append(line.Y, d.Mean)
		line.Low, line.High = append(line.Low, d.Low), append(line.High, d.High)
		p.X.Ticks = append(p.X.Ticks, rounded(s.ratio))
		told = append(told, fmt.Sprintf("%s at %.0f", signed(d.Estimate), s.ratio))
	}
	if len(line.X) == 0 {
		return nil, fmt.Errorf("%s: no seed of both losses is done: `%s` trains them", g.Name, g.Sweep)
	}
	none := figure.Line{Name: "no gap", X: []float64{line.X[0], line.X[len(line.X)-1]}, Y: []float64{0, 0}, Style: figure.Muted()}
	p.Lines = []figure.Line{none, line}
	return &figure.Figure{
		Title: g.title("Gap between focal loss and cross entropy"),
		Caption: g.caption(fmt.Sprintf("Difference in AP × 100 by seed, %s, with its %.0f %% t interval: %s. %s. A diverged trial counts as 0. "+
			"The ratio is measured in training; ignored anchors count as background.", recipe, 100*stats.Confidence, strings.Join(told, "; "), slope.told())),
		Description: "The gap in AP × 100 at each ratio: " + strings.Join(told, "; ") + ". " + slope.told() + ".",
		Panels:      []*figure.Panel{p},
	}, nil
}

// slopes are by how much the gap grows with the ratio, seed by seed.
type slopes struct {
	scenes int
	x, y   map[uint64][]float64 // by seed: the decimal logarithm of the ratio, and the gap
}

func (s *slopes) add(of scene) {
	if s.scenes++; s.x == nil {
		s.x, s.y = map[uint64][]float64{}, map[uint64][]float64{}
	}
	ce, focal := of.ce.runs(), of.focal.runs()
	pairs, _ := stats.Pairs(ce, focal)
	for _, p := range pairs {
		seed := ce[p[0]].Seed
		s.x[seed] = append(s.x[seed], math.Log10(of.ratio))
		s.y[seed] = append(s.y[seed], focal[p[1]].Value-ce[p[0]].Value)
	}
}

// told says the slope of the least-squares line of each seed that has a gap at every ratio, as a mean over seeds.
func (s *slopes) told() string {
	var all []float64
	for _, seed := range slices.Sorted(maps.Keys(s.x)) {
		if len(s.x[seed]) == s.scenes && s.scenes > 1 {
			_, slope := stat.LinearRegression(s.x[seed], s.y[seed], nil, false)
			all = append(all, slope)
		}
	}
	if len(all) == 0 {
		return "No seed has a gap at two ratios or more, and at all of them: no slope"
	}
	return "Slope of the gap for ten times the ratio, by least squares in each seed: " + signed(stats.Mean(all))
}

// signed prints a difference with its interval: "+3.1 (−0.2 to +6.4, n = 3)".
func signed(e stats.Estimate) string {
	text := fmt.Sprintf("%+.1f (n = %d)", e.Mean, e.N)
	if e.N > 1 {
		text = fmt.Sprintf("%+.1f (%+.1f to %+.1f, n = %d)", e.Mean, e.Low, e.High, e.N)
	}
	return strings.ReplaceAll(text, "-", "−")
}

// scenes pairs rows that differ in the loss and the learning rate alone, by ascending ratio.
func (g *Grid) scenes() ([]scene, error) {
	found := map[string]*scene{}
	var order []string
	for i := range g.Rows {
		r := &g.Rows[i]
		var rest []string
		for _, key := range g.Factors {
			if !strings.HasPrefix(key, "loss.") && key != "optim.lr" {
				rest = append(rest, r.spell(key))
			}
		}
		at := strings.Join(rest, " ")
		if found[at] == nil {
			found[at] = &scene{}
			order = append(order, at)
		}
		gamma, _ := setting.NumberOf(r.Settings["loss.gamma"])
		switch kind := setting.Spell(r.Settings["loss.type"]); {
		case kind == "focal" && gamma > 0:
			found[at].focal = r
		case kind == "ce" || kind == "focal":
			found[at].ce = r
		}
	}
	var out []scene
	for _, at := range order {
		s := found[at]
		if s.focal == nil || s.ce == nil {
			continue
		}
		ratio, err := g.ratio(s.focal, s.ce)
		if err != nil {
			return nil, err
		}
		if s.ratio = ratio; ratio > 0 {
			out = append(out, *s)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: no two rows differ in the loss alone and have trials: `%s` trains them", g.Name, g.Sweep)
	}
	slices.SortFunc(out, func(a, b scene) int { return cmp.Compare(a.ratio, b.ratio) })
	return out, nil
}

// ownScenes returns the scenes with each row at its own best settings; nil where any row has none.
func ownScenes(scenes []scene) []scene {
	var out []scene
	for _, s := range scenes {
		if s.focal.Own == nil || s.ce.Own == nil {
			return nil
		}
		out = append(out, scene{s.ratio, s.focal.Own, s.ce.Own})
	}
	return out
}

// ratio returns how many other anchors there are for each anchor of an object, from what the training logs of rows
// count; 0 where there is no log.
func (g *Grid) ratio(rows ...*Row) (float64, error) {
	positives, all := 0.0, 0.0
	for _, r := range rows {
		for i := range r.Trials {
			log, err := g.Log(&r.Trials[i])
			if err != nil {
				return 0, err
			}
			for _, s := range log {
				positives += float64(s.Positives)
				all += float64(r.Anchors * r.Batch)
			}
		}
	}
	if positives == 0 {
		return 0, nil
	}
	return (all - positives) / positives, nil
}

// rounded gives a number two digits, for a tick.
func rounded(v float64) float64 {
	var out float64
	_, _ = fmt.Sscan(fmt.Sprintf("%.2g", v), &out) // it reads what it has written
	return out
}
