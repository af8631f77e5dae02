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
		init := ""
		if len(states) > 0 && states[0].Row == 0 {
			init = states[0].Init
		}
		t.Ours = describeSetting(&p.Rows[0].Config, p.Factors, init)
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

// Inputs says in words what data and which first weights the rows of a plan are
// trained from: a line each.
func (p *Plan) Inputs(states []State) []string {
	var data, start []string
	for i := range states {
		c := &states[i].Config
		if d := c.describeData(states[i].Classes); d != "" && !slices.Contains(data, d) {
			data = append(data, d)
		}
		if b := strings.TrimPrefix(c.Backbone(states[i].Init), "backbone "); !slices.Contains(start, b) {
			start = append(start, b)
		}
	}
	var lines []string
	if len(data) > 0 {
		lines = append(lines, "Data: "+strings.Join(data, "; ")+".")
	}
	return append(lines, "Backbone: "+strings.Join(start, "; ")+".")
}

// describeData says which folder the data is, and as what it is read; empty for the
// generator's own.
func (c *Config) describeData(classes int) string {
	switch {
	case c.Data.Dir == "":
		return ""
	case synthetic(c):
		return c.Data.Dir + ", the synthetic set"
	}
	learned := ""
	if classes > 0 {
		learned = fmt.Sprintf(" (%d classes)", classes)
	}
	return fmt.Sprintf("%s, read as COCO: trained on %s%s, scored on %s", c.Data.Dir, c.Data.Train, learned, c.evalSplit())
}

// Backbone says in words what the backbone of a trial of c starts from. init is the
// identity of its initial weights; "" leaves it out.
func (c *Config) Backbone(init string) string {
	identity := ""
	if init != "" {
		identity = fmt.Sprintf(", identity %.12s", init)
	}
	switch {
	case c.Pretrain.Type == "crops":
		return "backbone pretrained on synthetic crops" + identity
	case c.Pretrain.Type == "none":
		return "backbone from random weights"
	case c.Pretrain.File == "":
		return "backbone from a file that is not named yet"
	}
	return "backbone from " + c.Pretrain.File + identity
}

// describeSetting says in words what a table's rows share.
func describeSetting(c *Config, factors []string, init string) string {
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
	if !slices.ContainsFunc(factors, func(f string) bool { return strings.HasPrefix(f, "pretrain.") }) {
		parts = append(parts, c.Backbone(init))
	}
	add("image.short", "%d px", c.Image.Short)
	add("train.iters", "%d iterations of %d images", c.Train.Iters, c.Train.Batch)
	return strings.Join(parts, ", ")
}
