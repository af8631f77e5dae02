package sweep

import (
	"context"
	"slices"

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
	t, err := TableOf(p, states)
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

func rowOf(c *plan.Config, factors map[string]any) figures.Row {
	row := figures.Row{Factors: factors, Settings: plan.Settings(c), Batch: c.Int("train.batch")}
	h, w := detector.InputSize(c)
	for _, l := range detector.ModelConfig(c, 1).Anchors.Levels(h, w) {
		row.Anchors += l.Anchors
	}
	return row
}

func (r *Records) log(t *record.Trial) ([]record.Step, error) { return r.Store.StepRows(t.Key) }
