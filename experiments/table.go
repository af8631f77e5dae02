package experiments

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"focalgrid/paper"
	"focalgrid/results"
)

// Table gathers what is recorded of a plan's rows, beside the published
// figures; with everySeed that of every recorded seed, whatever the plan's.
func (r *Runner) Table(ctx context.Context, p *Plan, everySeed bool) (*results.Table, error) {
	if everySeed && r.Store != nil {
		recorded, err := r.Store.Seeds()
		if err != nil {
			return nil, err
		}
		p = p.withSeeds(recorded)
	}
	states, err := r.States(ctx, p)
	if err != nil {
		return nil, err
	}
	return TableOf(p, states)
}

// TableOf is Table from states at hand.
func TableOf(p *Plan, states []State) (*results.Table, error) {
	t := &results.Table{ID: p.Table, Profile: p.Profile, Caption: p.Title, Factors: p.Factors, Extra: []string{"AP.001"}}
	if t.ID == "" {
		t.ID = p.Name
	}
	if len(p.Rows) > 0 {
		t.Ours = describeSetting(&p.Rows[0].Config, p.Factors)
	}
	var published *paper.Table
	if p.Table != "" {
		var err error
		if published, err = paper.Load(p.Table); err != nil {
			return nil, err
		}
		t.Paper = published.Setting()
	}
	recorded := make([][]results.Trial, len(p.Rows))
	for i := range states {
		if s := &states[i]; s.Recorded != nil {
			recorded[s.Row] = append(recorded[s.Row], *s.Recorded)
		}
	}
	for i, row := range p.Rows {
		var figures map[string]*float64
		if published != nil {
			if pr := published.Lookup(Settings(&row.Config)); pr != nil {
				figures = pr.Metrics
			}
		}
		t.Rows = append(t.Rows, results.NewRow(row.Factors, recorded[i], figures))
	}
	return t, nil
}

// withSeeds is the plan with more seeds, after its own.
func (p *Plan) withSeeds(more []uint64) *Plan {
	wide := *p
	wide.Seeds = slices.Clone(p.Seeds)
	for _, seed := range more {
		if !slices.Contains(p.Seeds, seed) {
			wide.Seeds = append(wide.Seeds, seed)
		}
	}
	wide.Trials = trials(wide.Rows, wide.Seeds)
	return &wide
}

// Finding is the paper's conclusion from the table that the plan mirrors, or "".
func (p *Plan) Finding() string {
	t, err := paper.Load(p.Table)
	if err != nil {
		return ""
	}
	return t.Finding
}

// describeSetting says in words what a table's rows share.
func describeSetting(c *Config, factors []string) string {
	varied := map[string]bool{}
	for _, f := range factors {
		varied[f] = true
	}
	var parts []string
	add := func(key, format string, a ...any) {
		if !varied[key] {
			parts = append(parts, fmt.Sprintf(format, a...))
		}
	}
	if synthetic(c) {
		parts = append(parts, fmt.Sprintf("synthetic %s (%d classes)", c.Data.Val, c.Data.Classes))
	} else {
		parts = append(parts, "COCO-format "+c.evalSplit())
	}
	add("model.depth", "ResNet-%d-FPN", c.Model.Depth)
	if c.Model.Width != 1 {
		parts[len(parts)-1] += fmt.Sprintf(" × %s width", Spell(c.Model.Width))
	}
	add("image.short", "%d px", c.Image.Short)
	add("train.iters", "%d iterations of %d images", c.Train.Iters, c.Train.Batch)
	return strings.Join(parts, ", ")
}
