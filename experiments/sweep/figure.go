package sweep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"focalgrid/detector"
	"focalgrid/experiments/plan"
	"focalgrid/paper/figures"
	"focalgrid/results/record"
)

// Grid gathers what figures are drawn from: what is recorded of a plan's rows, as for its table. With everySeed all
// recorded seeds count, and not just the plan's. train is the command that trains what is missing.
func (r *Records) Grid(ctx context.Context, p *plan.Plan, everySeed bool, train string) (*figures.Grid, error) {
	p, tuned, err := r.WithChoices(ctx, p)
	if err != nil {
		return nil, err
	}
	p, states, found, err := r.Find(ctx, p, everySeed)
	if err != nil {
		return nil, err
	}
	elsewhere, err := r.elsewhere(p, states)
	if err != nil {
		return nil, err
	}
	if elsewhere != "" {
		if !slices.ContainsFunc(states, func(s State) bool { return s.Recorded != nil }) {
			return nil, fmt.Errorf("%s: nothing to draw. %s", p.Name, elsewhere)
		}
		found = append(found, elsewhere)
	}
	t, err := r.TableOf(p, states)
	if err != nil {
		return nil, err
	}
	g := &figures.Grid{
		Name: p.Name, Title: p.Title, Profile: p.Profile, Ours: t.Ours, Published: t.Paper,
		Factors: p.Factors, Remarks: slices.Concat(found, tuned), Sweep: train, Log: r.log,
	}
	rows := make([]figures.Row, len(p.Rows))
	for i := range p.Rows {
		rows[i] = rowOf(&p.Rows[i].Config, p.Rows[i].Factors)
	}
	for i := range states {
		if s := &states[i]; s.Recorded != nil {
			rows[s.Row].Trials = append(rows[s.Row].Trials, *s.Recorded)
		}
	}
	for i, row := range blocks(p)[0] {
		g.Rows = append(g.Rows, rows[row])
		g.Rows[i].Published = t.Blocks[0].Rows[i].Paper["AP"]
		if p.Best != nil && p.Best[row] >= 0 {
			g.Rows[i].Own = &rows[p.Best[row]]
		}
	}
	return g, nil
}

// Alone is a grid of one trial.
func (r *Records) Alone(t *record.Trial) (*figures.Grid, error) {
	name := "trial " + record.Short(t.Key)
	cfg, err := detector.Settings.ParseResolved("the settings of "+name, []byte(t.Config))
	if err != nil {
		return nil, err
	}
	row := rowOf(&cfg, nil)
	row.Trials = []record.Trial{*t}
	return &figures.Grid{
		Name: name, Title: name, Ours: plan.DescribeSetting(&cfg, nil, t.Init),
		Rows: []figures.Row{row}, Log: r.log,
	}, nil
}

// ErrOneEngine is returned by Twins where no training was made on several engines.
var ErrOneEngine = errors.New("no training on several engines")

// Twins returns one training that several engines made: finished trials with the same settings, seed, data, first
// weights and numerics. With t it is the training of t, which comes first; without, it is that of the trial begun last,
// and the trial of the engine first comes first, if it has one.
func (r *Records) Twins(t *record.Trial, first string) (*figures.Twins, error) {
	recorded, err := r.trainings(func(string) bool { return true })
	if err != nil {
		return nil, err
	}
	training := func(p pastTraining) string { return strings.Join([]string{p.settings, p.Dataset, p.Init}, "\n") }
	made := map[string][]pastTraining{}
	chosen := ""
	for _, p := range recorded {
		if !record.IsFinal(p.Status) {
			continue
		}
		of := training(p)
		made[of] = append(made[of], p)
		if t == nil && len(made[of]) > 1 || t != nil && p.Key == t.Key {
			chosen = of
		}
	}
	twins := made[chosen]
	switch {
	case t != nil && len(twins) < 2:
		return nil, fmt.Errorf("%w: trial %s is of engine %s, and no other has a finished trial of its settings, seed, data and first weights: sweep its grid file with another --engine",
			ErrOneEngine, record.Short(t.Key), t.Engine)
	case len(twins) < 2:
		return nil, fmt.Errorf("%w is in %s: sweep a grid file again with another --engine", ErrOneEngine, r.Store.Path())
	}
	if t != nil {
		first = t.Engine
	}
	slices.SortFunc(twins, func(a, b pastTraining) int {
		switch first {
		case a.Engine:
			return -1
		case b.Engine:
			return 1
		}
		return strings.Compare(a.Engine, b.Engine)
	})
	cfg := twins[0].cfg
	out := &figures.Twins{Loss: cfg.DescribeLoss(), Setting: plan.DescribeSetting(cfg, nil, twins[0].Init)}
	for _, p := range twins {
		log, err := r.log(p.Trial)
		if err != nil {
			return nil, err
		}
		out.Trials, out.Logs = append(out.Trials, *p.Trial), append(out.Logs, log)
	}
	return out, nil
}

func rowOf(c *plan.Config, factors map[string]any) figures.Row {
	row := figures.Row{Factors: factors, Settings: plan.Settings(c), Batch: c.Int("train.batch")}
	h, w := detector.InputSize(c)
	for _, l := range detector.ModelConfig(c, 1).Anchors.Levels(h, w) {
		row.Anchors += l.Anchors
	}
	return row
}

func (r *Records) log(t *record.Trial) ([]record.Step, error) { return r.Store.StepRows(t.Key) }
