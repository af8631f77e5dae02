package sweep

import (
	"context"

	"focalgrid/detector"
	"focalgrid/experiments/plan"
	"focalgrid/paper/figures"
	"focalgrid/results/record"
)

// Grid gathers what figures are drawn from: what is recorded of a plan's rows, as Find finds it. sweep is the command
// that trains what is missing.
func (r *Records) Grid(ctx context.Context, p *plan.Plan, everySeed bool, sweep string) (*figures.Grid, error) {
	states, remarks, err := r.Find(ctx, p, everySeed)
	if err != nil {
		return nil, err
	}
	t, err := TableOf(p, states)
	if err != nil {
		return nil, err
	}
	g := &figures.Grid{
		Name: p.Name, Title: p.Title, Profile: p.Profile, Ours: t.Ours, Published: t.Paper,
		Factors: p.Factors, Remarks: remarks, Sweep: sweep, Log: r.log,
	}
	for i := range p.Rows {
		g.Rows = append(g.Rows, rowOf(&p.Rows[i].Config, p.Rows[i].Factors))
		g.Rows[i].Published = t.Blocks[0].Rows[i].Paper["AP"]
	}
	for i := range states {
		if s := &states[i]; s.Recorded != nil {
			g.Rows[s.Row].Trials = append(g.Rows[s.Row].Trials, *s.Recorded)
		}
	}
	return g, nil
}

// Alone is a grid of one trial.
func (r *Records) Alone(t *record.Trial) (*figures.Grid, error) {
	cfg, err := detector.Settings.ParseResolved("the settings of trial "+t.Key[:12], []byte(t.Config))
	if err != nil {
		return nil, err
	}
	row := rowOf(&cfg, nil)
	row.Trials = []record.Trial{*t}
	return &figures.Grid{
		Name: "trial " + t.Key[:12], Title: "trial " + t.Key[:12], Ours: plan.DescribeSetting(&cfg, nil, t.Init),
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
