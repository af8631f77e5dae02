package plan

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"focalgrid/setting"
)

// under returns the file's body with the keys that its at: section gives for
// the profile in place of its own.
func (g *gridFile) under(profile string) body {
	b, over := g.body, g.at[profile]
	if len(over.given) == 0 {
		return b
	}
	b.blocks = slices.Clone(b.blocks)
	for _, key := range over.given {
		switch key {
		case "table":
			b.table = over.table
		case "title":
			b.title = over.title
		case "description":
			b.description = over.description
		case "baseline":
			b.baseline = over.baseline
		case "seeds":
			b.seeds = over.seeds
		case "tune":
			b.tune = over.tune
		case "exclude":
			b.exclude = over.exclude
		case "claims":
			b.claims = over.claims
		default:
			with := over.blocks[slices.IndexFunc(over.blocks, func(x block) bool { return x.kind == key })]
			if i := slices.IndexFunc(b.blocks, func(x block) bool { return x.kind == key }); i >= 0 {
				b.blocks[i] = with
			} else {
				b.blocks = append(b.blocks, with)
			}
		}
	}
	return b
}

// expand turns the block into partial settings, in file order: a grid counts
// like an odometer, its last key fastest; zip takes the axes' values side by
// side; ablate is the baseline itself, then one value of one key at a time,
// leaving out what the baseline has already.
func (b *block) expand(baseline *Config) ([][]entry, error) {
	var out [][]entry
	switch b.kind {
	case "list":
		if len(b.rows) == 0 {
			return [][]entry{nil}, nil
		}
		return b.rows, nil
	case "grid":
		out = [][]entry{nil}
		for _, ax := range b.axes {
			if len(out)*len(ax.values) > MaxTrials {
				return nil, fmt.Errorf("%s: more than %d rows", b.at, MaxTrials)
			}
			next := make([][]entry, 0, len(out)*len(ax.values))
			for _, row := range out {
				for _, s := range ax.values {
					next = append(next, append(slices.Clip(row), s))
				}
			}
			out = next
		}
	case "zip":
		if len(b.axes) == 0 {
			return [][]entry{nil}, nil
		}
		for i := range b.axes[0].values {
			var row []entry
			for _, ax := range b.axes {
				row = append(row, ax.values[i])
			}
			out = append(out, row)
		}
	case "ablate":
		out = [][]entry{nil}
		for _, ax := range b.axes {
			for _, s := range ax.values {
				if !reflect.DeepEqual(s.value, baseline.Value(ax.key)) {
					out = append(out, []entry{s})
				}
			}
		}
	}
	return out, nil
}

// Row is one combination of settings.
type Row struct {
	Index int // the row of the printed table, from 0
	// Factors holds the swept keys that matter for this row (γ doesn't for ce): a string,
	// bool, int, float64, []float64, or nil for none.
	Factors map[string]any
	Config  Config

	Canonical []byte // Canonical of Config
}

// Trial is a row with a seed: one training.
type Trial struct {
	Row    int // index into Plan.Rows
	Seed   uint64
	Config Config
}

// Plan is a grid file expanded: exactly what will be run, in this order.
type Plan struct {
	Name        string // the ablation's name, or the file's without folder and extension
	File        string // the path as given, or inside the program's own ablations/
	FileHash    string // SHA-256 of the file, hex
	Text        string // of the file
	Table       string // the paper's table it mirrors, or empty
	Profile     string
	Title       string
	Description string
	Factors     []string // the swept keys, as ordered in the file
	Rows        []Row
	Seeds       []uint64
	Trials      []Trial // seed by seed: first all rows with the first seed
	Claims      []Claim // about the plan's rows, in file order
	Baseline    int     // the row that a table takes differences to: --baseline, or the row of the baseline itself; -1: none

	Tune *Tune // nil: the file has no section tune
	Best []int // by row of the printed table: its place in Rows at its own best values, -1: not chosen; see WithBest

	own Config // the file's baseline over its profile, without the command line's settings
	set []entry
}

// withFactors returns the row with more settings, as far as they matter for it, among its factors.
func (r Row) withFactors(keys []string) Row {
	if r.Factors = maps.Clone(r.Factors); r.Factors == nil {
		r.Factors = map[string]any{}
	}
	for _, key := range keys {
		if matters(&r.Config, key) {
			r.Factors[key] = r.Config.Value(key)
		}
	}
	return r
}

// base lays the profile, the file's baseline and the command line over each other. It also returns
// where each setting was last written.
func (b *body) base(profile []entry, sel parsedSelection) (Config, map[string]place) {
	layers := slices.Concat(profile, b.baseline, sel.set)
	at := map[string]place{}
	for _, s := range layers {
		at[s.key] = s.at
	}
	return b.in.config(layers), at
}

// config gives each setting the last of its values.
func (in *Catalogue) config(entries []entry) Config {
	c := Config{groups: map[string]setting.Values{}, in: in}
	for _, s := range entries {
		group, name, _ := strings.Cut(s.key, ".")
		if c.groups[group] == nil {
			c.groups[group] = setting.Values{}
		}
		c.groups[group][name] = s.value
	}
	return c
}

// plan expands a body over a profile.
func (b *body) plan(profile []entry, sel parsedSelection) (*Plan, error) {
	cfg, base := b.base(profile, sel)

	p := &Plan{Table: b.table, Title: b.title, Description: b.description, Seeds: b.seeds}
	if sel.seeds != nil {
		p.Seeds = sel.seeds
	}
	if len(p.Seeds) == 0 {
		return nil, fmt.Errorf("%s: no seeds; add seeds: [0] to the file, or pass --seeds 0", b.file)
	}

	combos, err := b.combos(&cfg, p)
	if err != nil {
		return nil, err
	}
	if b.tune != nil {
		if err := b.tune.check(p.Factors, b.seeds); err != nil {
			return nil, err
		}
		p.Tune = &Tune{Factors: b.tune.keys(), Seeds: b.tune.seeds, at: b.tune.at}
	}
	for _, s := range sel.set {
		if slices.Contains(p.Factors, s.key) {
			return nil, fmt.Errorf("%s: %s is varied by the file; choose rows with --only, or edit the file", s.at, s.key)
		}
	}

	var problems problems
	excluded := make([]bool, len(b.exclude))
	first := map[[sha256.Size]byte]int{} // what a row computes → its number
	where := locator{}
	kept := 0
	var selectable []candidate // by claims
	for _, combo := range combos {
		row := Row{Index: len(p.Rows), Config: cfg}
		for _, s := range combo {
			row.Config.Set(s.key, s.value)
		}
		if out := matchAny(b.exclude, &row.Config); out >= 0 {
			excluded[out] = true
			continue
		}
		kept++
		// What a folder holds is known first: settings of the generated set are not judged where it is COCO's.
		found := where.locate(&row.Config)
		found = append(found, row.Config.problems()...)
		at := func(key string) place {
			for _, s := range combo {
				if s.key == key {
					return s.at
				}
			}
			if at := base[key]; at.file != "" {
				return at
			}
			return place{file: b.file}
		}
		problems.add(found, at)
		row.Canonical = Canonical(&row.Config)
		row = row.withFactors(p.Factors)
		var candidates []Row
		if b.tune != nil && len(found) == 0 {
			if candidates, err = b.tune.expand(&row, &problems, at); err != nil {
				return nil, err
			}
		}
		same := sha256.Sum256(append(slices.Clip(row.Canonical), Paths(&row.Config)...))
		if i, dup := first[same]; dup && len(found) == 0 {
			problems.list = append(problems.list, fmt.Errorf("%s: row %d is row %d again: %s; every row must differ in something that matters for it",
				rowPlace(combo, b), kept, i, describe(p.Factors, &row.Config)))
		} else {
			first[same] = kept
		}
		if problems.full() {
			break
		}
		index := len(p.Rows)
		if !fit(sel.only, &row.Config) {
			index = -1
		}
		if len(b.claims) > 0 {
			selectable = append(selectable, candidate{&row.Config, describe(p.Factors, &row.Config), index})
		}
		if index < 0 {
			continue
		}
		p.Rows = append(p.Rows, row)
		if b.tune != nil {
			p.Tune.candidates = append(p.Tune.candidates, candidates...)
		}
	}
	for i, hit := range excluded {
		if !hit && !problems.full() {
			problems.list = append(problems.list, fmt.Errorf("%s: exclude: no row has these settings", b.exclude[i].at))
		}
	}
	if len(problems.list) == 0 {
		p.Claims = resolve(b.claims, selectable, b.tune != nil, &problems)
	}
	if err := problems.err(); err != nil {
		return nil, err
	}
	if kept == 0 {
		return nil, fmt.Errorf("%s: exclude leaves no row", b.file)
	}
	if len(p.Rows) == 0 {
		return nil, sel.noRows(combos, &cfg)
	}
	if len(p.Rows)*len(p.Seeds) > MaxTrials {
		return nil, fmt.Errorf("%s: %d rows × %d seeds are more than %d trials", b.file, len(p.Rows), len(p.Seeds), MaxTrials)
	}
	if t := p.Tune; t != nil && len(t.candidates)*len(t.Seeds) > MaxTrials {
		return nil, fmt.Errorf("%s: tune: %d candidates of the rows × %d seeds are more than %d trials", t.at, len(t.candidates), len(t.Seeds), MaxTrials)
	}
	p.Trials = trials(p.Rows, p.Seeds)
	p.set = sel.set
	p.own, _ = b.base(profile, parsedSelection{})
	p.Baseline, err = sel.chooseBaseline(p, &cfg)
	return p, err
}

// trials lists the trials of a plan, seed by seed.
func trials(rows []Row, seeds []uint64) []Trial {
	out := make([]Trial, 0, len(rows)*len(seeds))
	for _, seed := range seeds {
		for i := range rows {
			out = append(out, Trial{Row: i, Seed: seed, Config: rows[i].Config})
		}
	}
	return out
}

// combos expands all blocks, which multiply in file order, and lists the
// swept keys in p.Factors.
func (b *body) combos(baseline *Config, p *Plan) ([][]entry, error) {
	owner := map[string]place{} // of each swept key: the block
	sweep := func(key string, blk *block) error {
		at, known := owner[key]
		if !known {
			owner[key] = blk.at
			p.Factors = append(p.Factors, key)
		} else if at != blk.at {
			return fmt.Errorf("%s: %s is varied by %s and by the block of line %d; a key belongs to one block", blk.at, key, blk.kind, at.line)
		}
		return nil
	}
	out := [][]entry{nil}
	for i := range b.blocks {
		blk := &b.blocks[i]
		for _, ax := range blk.axes {
			if err := sweep(ax.key, blk); err != nil {
				return nil, err
			}
		}
		for _, row := range blk.rows {
			for _, s := range row {
				if err := sweep(s.key, blk); err != nil {
					return nil, err
				}
			}
		}
		parts, err := blk.expand(baseline)
		if err != nil {
			return nil, err
		}
		if len(out)*len(parts) > MaxTrials {
			return nil, fmt.Errorf("%s: more than %d rows", blk.at, MaxTrials)
		}
		next := make([][]entry, 0, len(out)*len(parts))
		for _, head := range out {
			for _, tail := range parts {
				next = append(next, append(slices.Clip(head), tail...))
			}
		}
		out = next
	}
	return out, nil
}

func matchAny(ex []exclusion, c *Config) int {
	return slices.IndexFunc(ex, func(e exclusion) bool {
		for _, s := range e.settings {
			if !reflect.DeepEqual(s.value, c.Value(s.key)) {
				return false
			}
		}
		return true
	})
}

// rowPlace returns the line of a row in the file, or of the block that it comes from.
func rowPlace(combo []entry, b *body) place {
	if len(combo) > 0 {
		return combo[len(combo)-1].at
	}
	if len(b.blocks) > 0 {
		return b.blocks[0].at
	}
	return place{file: b.file}
}

// describe writes the row's factors as key=value.
func describe(factors []string, c *Config) string {
	if len(factors) == 0 {
		return "the baseline"
	}
	parts := make([]string, len(factors))
	for i, key := range factors {
		parts[i] = key + "=" + setting.Shown(c.Value(key))
	}
	return strings.Join(parts, " ")
}

// problems collects what is wrong with rows, each once.
type problems struct {
	list []error
	seen map[string]bool
}

func (p *problems) full() bool { return len(p.list) >= maxProblems }

func (p *problems) err() error { return errors.Join(p.list...) }

func (p *problems) add(found []Problem, at func(key string) place) {
	for _, f := range found {
		err := fmt.Errorf("%s: %s", at(f.Key), f)
		if p.seen == nil {
			p.seen = map[string]bool{}
		}
		if !p.seen[err.Error()] && !p.full() {
			p.seen[err.Error()] = true
			p.list = append(p.list, err)
		}
	}
}
