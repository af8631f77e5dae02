package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"focalgrid/detector"
	"focalgrid/experiments/sweep"
	"focalgrid/figure"
	"focalgrid/paper/figures"
	"focalgrid/results/record"
)

// trainedLimit bounds the time that a report gives to Figure 4, for which a detector runs over images. At the profile
// mini it takes some seconds.
const trainedLimit = 10 * time.Second

// Undrawn is a figure that a report does not have.
type Undrawn struct{ Name, Why string }

func (u Undrawn) String() string { return fmt.Sprintf("Figure %s is not drawn: %s.", u.Name, u.Why) }

// partFigures draws the part's figures: the named ones of its grid file, and AP by row, where a command draws it.
func (g *gatherer) partFigures(part *Part, grid *figures.Grid, args []string) {
	in := &figures.Input{Grid: grid}
	add := func(name, shows string, draw func(*figures.Input) (*figure.Figure, error), command []string) {
		drawn, err := draw(in)
		if err != nil {
			part.Undrawn = append(part.Undrawn, Undrawn{name, firstLine(err)})
			return
		}
		part.Figures = append(part.Figures, Figure{Name: name + "-" + part.ID, Shows: shows, Figure: drawn, Draw: g.o.Command("plot", command...)})
	}
	for _, name := range figures.Names() {
		if f, _ := figures.Of(name); f.Needs == figures.Rows && f.Grid == part.Source {
			add(name, f.Title, f.Draw, slices.Concat([]string{name}, args[1:], []string{"-o", name + ".svg"}))
		}
	}
	if _, named := figures.Of(part.Source); !named { // where it is, the command draws that figure
		add("results", "", figures.Results, slices.Concat(args, []string{"-o", part.Name + ".svg"}))
	}
}

// paperFigures draws the figures that are of no grid file, and names those whose grid file has no part.
func (g *gatherer) paperFigures(all []record.Trial) error {
	for _, name := range figures.Names() {
		f, _ := figures.Of(name)
		command := g.o.Command("plot", name, "-o", name+".svg")
		var drawn *figure.Figure
		var err error
		switch {
		case f.Needs == figures.Rows:
			if !slices.ContainsFunc(g.study.Parts, func(p Part) bool { return p.Source == f.Grid }) {
				g.undrawn(name, fmt.Sprintf("too few trials of `%s` are recorded", g.o.Command("sweep", f.Grid)))
			}
			continue
		case f.Needs == figures.Engines:
			twins, err := g.r.Twins(nil, g.study.Engine)
			if errors.Is(err, sweep.ErrOneEngine) {
				continue // most databases are of one engine, and lack nothing
			}
			if err == nil {
				drawn, err = f.Draw(&figures.Input{Twins: twins})
			}
			if err != nil {
				return fmt.Errorf("figure %s: %w", name, err)
			}
		case f.Needs == figures.Trial:
			trial, beside := g.focalTrial(all)
			if trial == nil {
				g.undrawn(name, fmt.Sprintf("no trial of focal loss with γ = 2 is done; `%s` trains one", g.o.Command("sweep", "gamma", "--only", "loss.gamma=2")))
				continue
			}
			command = g.o.Command("plot", name, "--trial", record.Short(trial.Key), "-o", name+".svg")
			if g.o.Trained == nil {
				break
			}
			if !beside {
				g.undrawn(name, fmt.Sprintf("the weights of no trial of focal loss with γ = 2 are beside the database; where they are, `%s` draws it", command))
				continue
			}
			if drawn, err = g.trained(trial); err != nil {
				if g.ctx.Err() != nil {
					return g.ctx.Err()
				}
				g.undrawn(name, fmt.Sprintf("%s; `%s` takes its time", firstLine(err), command))
				continue
			}
		case f.Needs == figures.Network:
			profile := "mini"
			if len(g.study.Parts) > 0 {
				profile = g.study.Parts[0].Profile
			}
			command = g.o.Command("plot", name, "--profile", profile, "-o", name+".svg")
			if g.o.Network == nil {
				break
			}
			if drawn, err = g.o.Network(g.ctx, profile); err != nil {
				g.undrawn(name, firstLine(err))
				continue
			}
		default:
			if drawn, err = f.Draw(&figures.Input{}); err != nil {
				return fmt.Errorf("figure %s: %w", name, err)
			}
		}
		g.study.Figures = append(g.study.Figures, Figure{Name: "figure-" + name, Figure: drawn, Shows: f.Title, Draw: command})
	}
	return nil
}

func (g *gatherer) trained(t *record.Trial) (*figure.Figure, error) {
	ctx, stop := context.WithTimeoutCause(g.ctx, trainedLimit, fmt.Errorf("it takes longer than %s", trainedLimit))
	defer stop()
	f, err := g.o.Trained(ctx, t)
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return f, err
}

func (g *gatherer) undrawn(name, why string) {
	g.study.Undrawn = append(g.study.Undrawn, Undrawn{name, why})
}

// focalTrial returns the trial that Figure 4 is drawn from: focal loss with γ = 2, done on the engine of the report,
// scored on another split than tune if there is one, and of those the smallest seed. It prefers trials whose weights
// are beside the database.
func (g *gatherer) focalTrial(all []record.Trial) (t *record.Trial, beside bool) {
	type candidate struct {
		*record.Trial
		beside, tune bool
	}
	var found []candidate
	for i := range all {
		t := &all[i]
		if t.Kind != record.KindTrain || t.Status != record.StatusDone || t.Engine != g.study.Engine || t.Weights == "" {
			continue
		}
		cfg, err := detector.Settings.ParseResolved(t.Key, []byte(t.Config))
		if err != nil || cfg.Text("loss.type") != "focal" || cfg.Value("loss.gamma") != any(2.0) {
			continue
		}
		c := candidate{Trial: t, tune: cfg.Text("eval.split") == "tune"}
		if g.o.Trained != nil {
			_, err := os.Stat(g.r.Store.WeightsPath(t.Weights))
			c.beside = err == nil
		}
		found = append(found, c)
	}
	if len(found) == 0 {
		return nil, false
	}
	first := slices.MinFunc(found, func(a, b candidate) int {
		return cmp.Or(after(!a.beside, !b.beside), after(a.tune, b.tune), cmp.Compare(a.Seed, b.Seed), strings.Compare(a.Key, b.Key))
	})
	return first.Trial, first.beside
}

// after orders false before true.
func after(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return strings.TrimSuffix(line, ".")
}
