package sweep

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"focalgrid/experiments/plan"
	"focalgrid/paper"
	"focalgrid/results"
	"focalgrid/results/record"
	tables "focalgrid/results/report"
)

// TableOptions says what a table is made of.
type TableOptions struct {
	EverySeed bool // all recorded seeds count, and not just the plan's
	PerClass  bool // with AP by class
}

// Table gathers what is recorded of a plan's rows, beside the published figures. Where data or first weights are not at
// hand, it matches trials by their settings, with a remark.
func (r *Records) Table(ctx context.Context, p *plan.Plan, o TableOptions) (*tables.Table, error) {
	p, tuned, err := r.WithChoices(ctx, p)
	if err != nil {
		return nil, err
	}
	p, states, remarks, err := r.Find(ctx, p, o.EverySeed)
	if err != nil {
		return nil, err
	}
	t, err := r.TableOf(p, states)
	if err != nil {
		return nil, err
	}
	t.Remarks = slices.Concat(t.Remarks, remarks, tuned)
	return t, r.complete(t, p, states, o)
}

// TableOf makes the table of a plan from its states, and names the engine where it is not the default.
func (r *Records) TableOf(p *plan.Plan, states []State) (*tables.Table, error) {
	t, err := TableOf(p, states)
	if name := r.Engine.Info().Name; err == nil && r.Default != "" && name != r.Default {
		t.Ours += ", engine " + name
	}
	return t, err
}

// Find returns a plan and the states of its trials; with everySeed the plan has all recorded seeds. What names a trial
// includes its data and first weights. Where they are not at hand, its settings and seed still show what is recorded,
// and a remark says so.
func (r *Records) Find(ctx context.Context, p *plan.Plan, everySeed bool) (found *plan.Plan, states []State, remarks []string, err error) {
	if everySeed && r.Store != nil {
		recorded, err := r.Store.Seeds()
		if err != nil {
			return nil, nil, nil, err
		}
		p = p.WithSeeds(recorded)
	}
	if err = p.Missing(); err == nil {
		states, err = r.States(ctx, p)
	}
	if ctx.Err() != nil {
		return nil, nil, nil, ctx.Err()
	}
	if err == nil {
		return p, states, nil, nil
	}
	states, remark, lookErr := r.statesBySettings(p)
	if lookErr != nil {
		return nil, nil, nil, lookErr
	}
	why, _, _ := strings.Cut(err.Error(), "\n")
	remarks = []string{fmt.Sprintf("Trials are matched by their settings, as their data or first weights are not at hand (%s).", why)}
	if remark != "" {
		remarks = append(remarks, remark)
	}
	return p, states, remarks, nil
}

// complete adds to a table what only the database knows.
func (r *Records) complete(t *tables.Table, p *plan.Plan, states []State, o TableOptions) error {
	if o.PerClass && r.Store != nil {
		t.PerClass = true
		classes := make([][][]record.ClassMetric, len(p.Rows))
		for _, s := range states {
			if s.Recorded == nil || s.Recorded.Status != record.StatusDone {
				continue
			}
			c, err := r.Store.Classes(s.Key)
			if err != nil {
				return err
			}
			classes[s.Row] = append(classes[s.Row], c)
		}
		for i, rows := range blocks(p) {
			for j, row := range rows {
				t.Blocks[i].Rows[j].AddClasses(classes[row])
			}
		}
	}
	return r.noteOthers(t, p, states)
}

// noteOthers notes under a table with empty rows which engines have trained them, or, under a table without any trial,
// how many are recorded with other settings.
func (r *Records) noteOthers(t *tables.Table, p *plan.Plan, states []State) error {
	if r.Store == nil {
		return nil
	}
	elsewhere, err := r.elsewhere(p, states)
	if err != nil {
		return err
	}
	if elsewhere != "" {
		t.Remarks = append(t.Remarks, elsewhere)
		return nil
	}
	if slices.ContainsFunc(states, func(s State) bool { return s.Recorded != nil }) {
		return nil
	}
	recorded, err := r.Store.Trials(results.Filter{Kind: record.KindTrain})
	if err != nil || len(recorded) == 0 {
		return err
	}
	t.Remarks = append(t.Remarks, fmt.Sprintf("None of these trials is recorded, but %d with other settings or data: pass the --set, --profile, --data and --seeds of their sweep.", len(recorded)))
	return nil
}

// elsewhere says which rows without a trial other engines have trained, and how to see them; "" where there are none.
func (r *Records) elsewhere(p *plan.Plan, states []State) (string, error) {
	empty := make([]bool, len(p.Rows))
	for _, s := range states {
		empty[s.Row] = true
	}
	for _, s := range states {
		if s.Recorded != nil {
			empty[s.Row] = false
		}
	}
	if r.Store == nil || !slices.Contains(empty, true) {
		return "", nil
	}
	planned := map[string]int{} // the empty rows, by the settings of their trainings
	for _, s := range states {
		if empty[s.Row] {
			planned[trainingSettings(p.Rows[s.Row].Canonical, s.Seed)] = s.Row
		}
	}
	own := r.Engine.Info().Name
	recorded, err := r.trainings(func(engine string) bool { return engine != own })
	if err != nil {
		return "", err
	}
	rows, engines := map[int]bool{}, map[string]bool{}
	for _, t := range recorded {
		if row, ok := planned[t.settings]; ok {
			rows[row], engines[t.Engine] = true, true
		}
	}
	names := slices.Sorted(maps.Keys(engines))
	switch len(names) {
	case 0:
		return "", nil
	case 1:
		return fmt.Sprintf("Rows that engine %s has not trained, but %s has: %d; `--engine %s` shows its trials.", own, names[0], len(rows), names[0]), nil
	}
	return fmt.Sprintf("Rows that engine %s has not trained, but others have: %d; `--engine` with one of their names shows its trials: %s.",
		own, len(rows), strings.Join(names, ", ")), nil
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
	t := &tables.Table{ID: p.Table, Profile: p.Profile, Caption: p.Title, Changed: p.Changed(), Factors: p.Factors, Extra: []string{"AP.001"}}
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
	published := func(*plan.Row) *paper.Row { return nil }
	if p.Table != "" {
		mirrored, err := paper.Load(p.Table)
		if err != nil {
			return nil, err
		}
		t.Paper = mirrored.Setting()
		published = func(row *plan.Row) *paper.Row { return publishedRow(t, p, mirrored, row) }
	}
	recorded := make([][]record.Trial, len(p.Rows))
	for i := range states {
		if s := &states[i]; s.Recorded != nil {
			recorded[s.Row] = append(recorded[s.Row], *s.Recorded)
		}
	}
	for i, list := range blocks(p) {
		var b tables.Block
		for _, at := range list {
			of := &p.Rows[at]
			row := tables.NewRow(of.Factors, recorded[at], nil)
			row.Baseline = of.Index == p.Baseline
			if i == 0 { // the paper's rows share one recipe
				if figures := published(of); figures != nil {
					row.Paper, row.Millis = figures.Metrics, figures.Millis
				}
			}
			b.Rows = append(b.Rows, row)
		}
		t.Blocks = append(t.Blocks, b)
	}
	if len(t.Blocks) > 1 {
		t.Blocks[0].Title, t.Blocks[1].Title = "Same recipe", "Own best recipe"
	}
	return t, nil
}

// blocks lists the rows of the plan in each block of its table: the rows as the file has them and, if any is chosen,
// the rows at their own best values.
func blocks(p *plan.Plan) [][]int {
	same := make([]int, len(p.Rows))
	for i := range same {
		same[i] = i
	}
	if p.Best == nil {
		return [][]int{same}
	}
	var own []int
	for _, at := range p.Best {
		if at >= 0 {
			own = append(own, at)
		}
	}
	return [][]int{same[:len(p.Best)], own}
}

// publishedRow returns the published row that a row of ours corresponds to, nil if there is none. The row's other
// settings have to be the table's own: otherwise it is another experiment, and the table notes in what.
func publishedRow(t *tables.Table, p *plan.Plan, mirrored *paper.Table, row *plan.Row) *paper.Row {
	found := mirrored.Lookup(plan.Settings(&row.Config))
	if found == nil {
		return nil
	}
	apart := p.Apart(row, func(key string) bool {
		_, fixed := mirrored.Fixed[key]
		return fixed || slices.Contains(mirrored.Factors, key)
	})
	for _, key := range apart {
		if !slices.Contains(t.Apart, key) {
			t.Apart = append(t.Apart, key)
		}
	}
	if len(apart) > 0 {
		return nil
	}
	return found
}

// PublishedIDs lists the tables of the paper.
func PublishedIDs() []string { return paper.IDs() }

// Published returns the table of the paper with this id as published, without anything of ours. The error is
// paper.ErrNoTable if the paper has none.
func Published(id string) (*tables.Table, error) {
	of, err := paper.Load(id)
	if err != nil {
		return nil, err
	}
	t := &tables.Table{ID: id, Published: true, Caption: of.Caption, Paper: of.Setting(), Factors: slices.Clone(of.Factors)}
	const label = "row"
	var rows []tables.Row
	for _, r := range of.Rows {
		row := tables.NewRow(maps.Clone(r.Factors), nil, r.Metrics)
		row.Millis = r.Millis
		if r.Label != "" {
			row.Factors[label] = r.Label
			if !slices.Contains(t.Factors, label) {
				t.Factors = slices.Insert(t.Factors, 0, label)
			}
		}
		rows = append(rows, row)
	}
	t.Blocks = []tables.Block{{Rows: rows}}
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
