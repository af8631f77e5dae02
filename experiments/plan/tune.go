package plan

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"focalgrid/setting"
)

// tuneSplit is the split on which settings are chosen; tables report another.
const tuneSplit = "tune"

// tuneSeeds are the seeds of a tune section that gives none.
var tuneSeeds = []uint64{100, 101, 102}

// tuneSection is the section tune: of a grid file as written.
type tuneSection struct {
	axes  []axis
	seeds []uint64
	at    place
}

// Tune holds what a row's own best settings are chosen from: candidates, which are tried on the split tune with seeds
// that the table does not report.
type Tune struct {
	Factors []string // the settings that are chosen, as ordered in the file
	Seeds   []uint64

	candidates []Row // every row of the plan at each combination of candidates, scored on the split tune
	at         place
}

// tune reads the section tune.
func (r *reader) tune(k, v *yaml.Node) *tuneSection {
	t := &tuneSection{seeds: tuneSeeds, at: place{r.file, k.Line}}
	before := len(r.problems)
	settings := *v
	settings.Content = nil
	r.each(v, "tune", func(name string, k, v *yaml.Node) {
		if name == "seeds" {
			t.seeds = r.seeds(v)
		} else {
			settings.Content = append(settings.Content, k, v)
		}
	})
	if len(r.problems) > before {
		return t
	}
	t.axes = r.axes(&settings, "tune")
	if len(t.axes) == 0 && len(r.problems) == before {
		r.problem(k.Line, "tune: no setting to choose; give its candidates, such as optim.lr: [0.025, 0.05, 0.1]")
	}
	for _, ax := range t.axes {
		if r.in.fixed(ax.key) {
			r.problem(ax.at.line, "tune: %s changes the data or the first weights, which all candidates share", ax.key)
		}
		for i, v := range ax.values {
			if slices.ContainsFunc(ax.values[:i], func(w entry) bool { return reflect.DeepEqual(v.value, w.value) }) {
				r.problem(v.at.line, "tune: %s: %s is given twice", ax.key, setting.Shown(v.value))
			}
		}
	}
	return t
}

// fixed reports whether a setting chooses the data or the first weights of a trial.
func (in *Catalogue) fixed(key string) bool {
	group, _, _ := strings.Cut(key, ".")
	return group == "data" || group == "eval" || group == "pretrain" || bodySettings[key] || key == "model.group_channels"
}

// check refuses candidates for what the file varies, and seeds that the table reports.
func (t *tuneSection) check(factors []string, seeds []uint64) error {
	for _, ax := range t.axes {
		if slices.Contains(factors, ax.key) {
			return fmt.Errorf("%s: tune: %s is varied by the rows of the table; a setting is varied or chosen, not both", ax.at, ax.key)
		}
	}
	return disjoint(seeds, t.seeds, t.at)
}

// disjoint refuses a seed that the table reports and that chooses its rows.
func disjoint(table, tune []uint64, at place) error {
	for _, seed := range tune {
		if slices.Contains(table, seed) {
			return fmt.Errorf("%s: tune: seed %d is a seed of the table too; settings are chosen with other seeds than the table reports", at, seed)
		}
	}
	return nil
}

// expand returns the row at each combination of candidates, the last setting fastest, scored on the split tune.
// Combinations that differ in nothing that matters for the row are one. It adds impossible values to the problems.
func (t *tuneSection) expand(row *Row, problems *problems, at func(key string) place) ([]Row, error) {
	combos, err := (&block{kind: "grid", axes: t.axes, at: t.at}).expand(&row.Config)
	if err != nil {
		return nil, err
	}
	var out []Row
	for _, combo := range combos {
		c := *row
		c.Config.Set("eval.split", tuneSplit)
		for _, s := range combo {
			c.Config.Set(s.key, s.value)
		}
		problems.add(c.Config.problems(), func(key string) place {
			if i := slices.IndexFunc(combo, func(s entry) bool { return s.key == key }); i >= 0 {
				return combo[i].at
			}
			return at(key)
		})
		c.Canonical = Canonical(&c.Config)
		if !slices.ContainsFunc(out, func(o Row) bool { return bytes.Equal(o.Canonical, c.Canonical) }) {
			out = append(out, c.withFactors(t.keys()))
		}
	}
	return out, nil
}

func (t *tuneSection) keys() []string {
	var keys []string
	for _, ax := range t.axes {
		keys = append(keys, ax.key)
	}
	return keys
}

// Tuning returns the plan of the trials that choose: each row at each of its candidates, scored on the split tune, with
// the seeds of tune. The index of its rows is the index of the row that they are of.
//
// The error says why nothing can be chosen: the file has no section tune, or the table reports the split or the seeds
// that choose.
func (p *Plan) Tuning() (*Plan, error) {
	if p.Tune == nil {
		return nil, fmt.Errorf("%s: nothing to choose; add a line such as\ntune: {optim.lr: [0.025, 0.05, 0.1]}", p.File)
	}
	if err := disjoint(p.Seeds, p.Tune.Seeds, p.Tune.at); err != nil {
		return nil, err
	}
	for i := range p.Rows {
		c := &p.Rows[i].Config
		if tune := c.Text("data." + tuneSplit); c.EvalSplit() == tune || c.Text("data.train") == tune {
			return nil, fmt.Errorf("%s: tune: settings are chosen on the split %s (data.tune), so that the table must report and train on others; it trains on %s and reports %s",
				p.Tune.at, tune, c.Text("data.train"), c.EvalSplit())
		}
	}
	t := *p
	t.Title, t.Description, t.Table = "Choosing "+strings.Join(p.Tune.Factors, ", ")+" for each row", "", ""
	t.Factors, t.Baseline = slices.Concat(p.Factors, p.Tune.Factors), -1
	t.Rows, t.Seeds = p.Tune.candidates, p.Tune.Seeds
	t.Trials = trials(t.Rows, t.Seeds)
	return &t, nil
}

// Chosen writes the values that c has for the settings of tune, as a line of JSON that WithBest reads.
func (t *Tune) Chosen(c *Config) string {
	return string(write(c, func(_ *Config, key string) bool { return slices.Contains(t.Factors, key) }, false))
}

// Subject writes what a choice is for: the settings of a candidate without those that are chosen, in the form of
// Canonical, and the candidates and seeds that it is chosen by, so that two grid files with one row choose apart.
// Candidates are as Chosen writes them, in the order of the file; all of a row have the same subject.
func (t *Tune) Subject(c *Config, candidates []string) []byte {
	row := canonical(c, func(c *Config, key string) bool { return matters(c, key) && !slices.Contains(t.Factors, key) })
	return fmt.Appendf(row, "\nof %s by seeds %d", candidates, t.Seeds)
}

// WithBest returns the plan with a second block of rows: each row at its own best values, as Chosen wrote them; ""
// where nothing is chosen. A row whose best are the values that it has is not there twice.
func (p *Plan) WithBest(chosen []string) (*Plan, error) {
	wide := *p
	wide.Factors = slices.Concat(p.Factors, p.Tune.Factors)
	wide.Rows, wide.Best = nil, make([]int, len(p.Rows))
	for _, row := range p.Rows {
		wide.Rows = append(wide.Rows, row.withFactors(p.Tune.Factors))
	}
	for i, text := range chosen {
		wide.Best[i] = -1
		if text == "" {
			continue
		}
		own, err := p.Rows[i].at(text)
		if err != nil {
			return nil, err
		}
		if bytes.Equal(own.Canonical, p.Rows[i].Canonical) {
			wide.Best[i] = i
			continue
		}
		wide.Best[i] = len(wide.Rows)
		wide.Rows = append(wide.Rows, own.withFactors(p.Tune.Factors))
	}
	wide.Trials = trials(wide.Rows, wide.Seeds)
	return &wide, nil
}

// at returns the row with the values that Chosen wrote.
func (r Row) at(chosen string) (Row, error) {
	in := &reader{in: r.Config.in, file: "a recorded choice", recorded: true}
	if root := in.document([]byte(chosen)); root != nil {
		for _, s := range in.settings(root, "the choice") {
			r.Config.Set(s.key, s.value)
		}
	}
	if err := in.err(); err != nil {
		return r, err
	}
	if err := r.Config.validate(); err != nil {
		return r, fmt.Errorf("a recorded choice: %w", err)
	}
	r.Canonical = Canonical(&r.Config)
	return r, nil
}

// SpellChosen spells values that Chosen wrote, as far as they matter for the row: "optim.lr=0.05".
func (p *Plan) SpellChosen(row int, chosen string) (string, error) {
	r, err := p.Rows[row].at(chosen)
	if err != nil {
		return "", err
	}
	var parts []string
	for _, key := range p.Tune.Factors {
		if matters(&r.Config, key) {
			parts = append(parts, key+"="+setting.Spell(r.Config.Value(key)))
		}
	}
	return strings.Join(parts, " "), nil
}

// Less reports whether candidate a is preferred to b, which the file lists first, where both score the same: the first
// setting that differs has the smaller number in a.
func (t *Tune) Less(a, b *Config) bool {
	for _, key := range t.Factors {
		x, y := a.Value(key), b.Value(key)
		if reflect.DeepEqual(x, y) {
			continue
		}
		v, ok := setting.NumberOf(x)
		w, both := setting.NumberOf(y)
		return ok && both && v < w
	}
	return false
}

// EdgesOf describes those settings of a row's own best that are at the edge of the file's candidates, as Edges does.
func (p *Plan) EdgesOf(row int, best *Config) ([]string, error) {
	var candidates []string
	for i := range p.Tune.candidates {
		if c := &p.Tune.candidates[i]; c.Index == row {
			candidates = append(candidates, p.Tune.Chosen(&c.Config))
		}
	}
	return p.Edges(row, p.Tune.Chosen(best), candidates)
}

// Edges describes the chosen settings that are the smallest or the largest of their candidates, where the best may lie
// beyond, and the candidate to add. Chosen wrote all of them.
func (p *Plan) Edges(row int, best string, candidates []string) ([]string, error) {
	chosen, err := p.Rows[row].at(best)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, key := range p.Tune.Factors {
		var values []float64
		for _, text := range candidates {
			c, err := p.Rows[row].at(text)
			if err != nil {
				return nil, err
			}
			if v, ok := setting.NumberOf(c.Config.Value(key)); ok {
				values = append(values, v)
			}
		}
		slices.Sort(values)
		values = slices.Compact(values)
		v, ok := setting.NumberOf(chosen.Config.Value(key))
		if !ok || len(values) < 2 {
			continue
		}
		which, next := "smallest", values[1]
		switch v {
		case values[0]:
		case values[len(values)-1]:
			which, next = "largest", values[len(values)-2]
		default:
			continue
		}
		text := fmt.Sprintf("%s=%s is the %s candidate", key, setting.Spell(chosen.Config.Value(key)), which)
		if beyond, ok := chosen.Config.beyond(key, v, next); ok {
			text += ": add " + beyond
		}
		out = append(out, text)
	}
	return out, nil
}

// beyond returns the value that continues from a candidate's neighbour over the candidate, in the same ratio, or in the
// same step where one is not above zero. It is not ok where no trial can have that value.
func (c Config) beyond(key string, candidate, neighbour float64) (value string, ok bool) {
	v := candidate + (candidate - neighbour)
	if candidate > 0 && neighbour > 0 {
		v = candidate * candidate / neighbour
	}
	digits := strconv.FormatFloat(v, 'g', 3, 64) // a round number rather than the exact one
	fd := c.in.byKey[key]
	if fd.Kind == setting.Int {
		digits = strconv.FormatFloat(math.Round(v), 'f', -1, 64)
	}
	read, err := fd.parseText(digits)
	if err != nil || reflect.DeepEqual(read, c.Value(key)) {
		return "", false
	}
	c.Set(key, read)
	return setting.Spell(read), len(c.problems()) == 0
}
