package sweep

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"focalgrid/experiments/plan"
	"focalgrid/paper"
	"focalgrid/results"
	"focalgrid/results/record"
	tables "focalgrid/results/report"
)

// Table gathers what is recorded of a plan's rows, as Find finds it, beside the published figures.
func (r *Records) Table(ctx context.Context, p *plan.Plan, everySeed bool) (*tables.Table, error) {
	p, tuned, err := r.WithChoices(ctx, p)
	if err != nil {
		return nil, err
	}
	states, remarks, err := r.Find(ctx, p, everySeed)
	if err != nil {
		return nil, err
	}
	t, err := TableOf(p, states)
	if err != nil {
		return nil, err
	}
	t.Remarks = slices.Concat(t.Remarks, remarks, tuned)
	return t, r.noteOthers(t, states)
}

// Find looks up what is recorded of a plan's rows; with everySeed, of all recorded seeds and not just the plan's. Where
// data or first weights are not at hand, it matches trials by their settings, and the remarks say so.
func (r *Records) Find(ctx context.Context, p *plan.Plan, everySeed bool) (states []State, remarks []string, err error) {
	if everySeed && r.Store != nil {
		recorded, err := r.Store.Seeds()
		if err != nil {
			return nil, nil, err
		}
		p = p.WithSeeds(recorded)
	}
	missing := p.Missing()
	if missing == nil {
		states, missing = r.States(ctx, p)
	}
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	if missing == nil {
		return states, nil, nil
	}
	// What names a trial includes its data and first weights. Where they are not at hand, its settings and seed still
	// show what is recorded.
	states, remark, err := r.statesBySettings(p)
	if err != nil {
		return nil, nil, err
	}
	why, _, _ := strings.Cut(missing.Error(), "\n")
	remarks = append(remarks, fmt.Sprintf("Trials are matched by their settings, as their data or first weights are not at hand (%s).", why))
	if remark != "" {
		remarks = append(remarks, remark)
	}
	return states, remarks, nil
}

// noteOthers notes under a table without any trial how many are recorded with other settings.
func (r *Records) noteOthers(t *tables.Table, states []State) error {
	if r.Store == nil || slices.ContainsFunc(states, func(s State) bool { return s.Recorded != nil }) {
		return nil
	}
	recorded, err := r.Store.Trials(results.Filter{Kind: record.KindTrain})
	if err != nil || len(recorded) == 0 {
		return err
	}
	t.Remarks = append(t.Remarks, fmt.Sprintf("None of these trials is recorded, but %d with other settings or data: pass the --set, --profile, --data and --seeds of their sweep.", len(recorded)))
	return nil
}

// statesBySettings looks the plan's trials up by settings and seed alone, among the trials of this engine and numerics.
// Where the same data settings stand for several data, or the same pretraining for several first weights, it uses the
// data and weights of the trial begun last; the remark counts the trials that it leaves out.
func (r *Records) statesBySettings(p *plan.Plan) (states []State, remark string, err error) {
	planned := map[string][]int{} // rows that differ in files alone have the same settings
	for i, t := range p.Trials {
		states = append(states, State{Trial: t})
		settings := trainingSettings(p.Rows[t.Row].Canonical, t.Seed)
		planned[settings] = append(planned[settings], i)
	}
	if r.Store == nil {
		return states, "", nil
	}
	recorded, err := r.pastTrainings()
	if err != nil {
		return nil, "", err
	}
	slices.SortStableFunc(recorded, func(a, b pastTraining) int { return strings.Compare(b.Started, a.Started) })
	data, init := map[string]string{}, map[string]string{} // of the trial begun last
	others := 0
	for _, t := range recorded {
		same := planned[t.settings]
		if len(same) > 1 {
			same = slices.DeleteFunc(slices.Clone(same), func(at int) bool { return plan.Paths(&states[at].Config) != plan.Paths(t.cfg) })
		}
		if len(same) == 0 {
			continue
		}
		at := same[0]
		anywhere := *t.cfg
		anywhere.Set("data.dir", "")
		from := dataSettings(&anywhere)
		weights := string(plan.PretrainCanonical(t.cfg))
		if _, ok := data[from]; !ok {
			data[from] = t.Dataset
		}
		if _, ok := init[weights]; !ok {
			init[weights] = t.Init
		}
		if data[from] != t.Dataset || init[weights] != t.Init {
			others++
			continue
		}
		states[at].Key, states[at].Recorded = t.Key, t.Trial
	}
	if others > 0 {
		remark = fmt.Sprintf("Left out: trials with these settings on other data or from other first weights than those begun last (%d).", others)
	}
	return states, remark, nil
}

// TableOf makes the table of a plan from its states.
func TableOf(p *plan.Plan, states []State) (*tables.Table, error) {
	t := &tables.Table{ID: p.Table, Profile: p.Profile, Caption: p.Title, Factors: p.Factors, Extra: []string{"AP.001"}}
	if t.ID == "" {
		t.ID = p.Name
	}
	if len(p.Rows) > 0 {
		init := ""
		if len(states) > 0 && states[0].Row == 0 {
			init = states[0].Init
		}
		t.Ours = plan.DescribeSetting(&p.Rows[0].Config, p.Factors, init)
	}
	var published *paper.Table
	if p.Table != "" {
		var err error
		if published, err = paper.Load(p.Table); err != nil {
			return nil, err
		}
		t.Paper = published.Setting()
	}
	recorded := make([][]record.Trial, len(p.Rows))
	for i := range states {
		if s := &states[i]; s.Recorded != nil {
			recorded[s.Row] = append(recorded[s.Row], *s.Recorded)
		}
	}
	for i, row := range p.Rows {
		var figures map[string]*float64
		if published != nil {
			if pr := published.Lookup(plan.Settings(&row.Config)); pr != nil {
				figures = pr.Metrics
			}
		}
		t.Rows = append(t.Rows, tables.NewRow(row.Factors, recorded[i], figures))
	}
	return t, nil
}

// Inputs describes what data and which first weights the rows of a plan are trained from: a line each.
func Inputs(p *plan.Plan, states []State) []string {
	var data, start []string
	for i := range states {
		c := &states[i].Config
		if d := c.DescribeData(states[i].classes()); d != "" && !slices.Contains(data, d) {
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
