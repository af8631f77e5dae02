package plan

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"focalgrid/setting"
)

// Claim is a statement about two rows of a plan, made in the grid file before the rows are trained.
type Claim struct {
	Says string // the statement as a person reads it
	Rows [2]int // indices into Plan.Rows: the first is better than the second, or with Same they are not separated
	Same bool
	Rate Rate
}

// Rate tells at which learning rate the rows of a claim are compared.
type Rate string

const (
	CommonRate Rate = "common" // both rows at the file's own rate
	BestRate   Rate = "best"   // each row at the rate that was best for it on the split tune
)

// maxClaims keeps the search for the rows of all claims short. Claims are few: each makes the test of the others
// stricter.
const maxClaims = 100

// claim is a Claim as written, before its rows are known.
type claim struct {
	says string
	rows [2][]entry
	same bool
	rate Rate
	at   [2]place // of the selectors

	rateAt place
}

// claims reads the section claims, a list with an entry a claim.
func (r *reader) claims(v *yaml.Node) []claim {
	var out []claim
	r.items(v, "claims", func(i int, e *yaml.Node) {
		if i == maxClaims {
			r.problem(e.Line, "claims: more than %d", maxClaims)
		}
		if i >= maxClaims {
			return
		}
		before := len(r.problems)
		c := r.claim(e)
		if slices.ContainsFunc(out, func(o claim) bool { return o.says == c.says }) && len(r.problems) == before {
			r.problem(e.Line, "claims: %s is given twice", setting.Short(c.says))
		}
		out = append(out, c)
	})
	return out
}

// claim reads one entry of claims.
func (r *reader) claim(node *yaml.Node) claim {
	c := claim{rate: CommonRate}
	var given []string
	r.each(node, "a claim", func(key string, k, v *yaml.Node) {
		given = append(given, key)
		switch key {
		case "says":
			c.says = r.text("says", v)
			if v.Kind == yaml.ScalarNode && (strings.TrimSpace(c.says) == "" || strings.ContainsFunc(c.says, lineBreak)) {
				r.problem(v.Line, "says must be one line of text")
			}
		case "better", "than":
			i := slices.Index([]string{"better", "than"}, key)
			c.rows[i], c.at[i] = r.selector(v, key), place{r.file, v.Line}
		case "same":
			c.same = true
			if v.Kind != yaml.SequenceNode || len(v.Content) != 2 {
				r.problem(k.Line, "same must be a list of two rows, such as [{loss.gamma: 1}, {loss.gamma: 2}]")
				return
			}
			for i, e := range v.Content {
				c.rows[i], c.at[i] = r.selector(e, key), place{r.file, e.Line}
			}
		case "rate":
			c.rate, c.rateAt = Rate(r.text("rate", v)), place{r.file, v.Line}
			if c.rate != CommonRate && c.rate != BestRate {
				r.problem(v.Line, "rate must be %s or %s, is %s", CommonRate, BestRate, setting.Short(v.Value))
			}
		default:
			r.problem(k.Line, "unknown key %s in a claim; nearest: %s", setting.Short(key),
				setting.Nearest(key, []string{"says", "better", "than", "same", "rate"}))
		}
	})
	if node.Kind != yaml.MappingNode {
		return c
	}
	has := func(key string) bool { return slices.Contains(given, key) }
	if !has("says") {
		r.problem(node.Line, "a claim without says, the sentence that it stands for")
	}
	if has("same") == has("better") || has("better") != has("than") || has("same") && has("than") {
		r.problem(node.Line, "a claim has either better and than, a row each, or same, a list of two rows")
	}
	return c
}

// selector reads the settings that choose a row.
func (r *reader) selector(node *yaml.Node, what string) []entry {
	before := len(r.problems)
	settings := r.settings(node, what)
	if len(settings) == 0 && len(r.problems) == before {
		r.problem(node.Line, "%s: an empty entry would choose every row", what)
	}
	return settings
}

func lineBreak(c rune) bool { return c < ' ' || strings.ContainsRune("\u007f\u0085\u2028\u2029", c) }

// candidate is a row that a claim may choose.
type candidate struct {
	cfg  *Config
	name string // as in describe
	kept int    // its index in the plan, or -1 where --only leaves it out
}

// resolve finds the rows of the claims. It leaves out claims about rows that are not kept. tuned tells whether the file
// chooses own best rates.
func resolve(claims []claim, rows []candidate, tuned bool, report *problems) []Claim {
	var out []Claim
	for _, c := range claims {
		if c.rate == BestRate && !tuned && !report.full() {
			report.list = append(report.list, fmt.Errorf("%s: claims: rate is best, and the file has no section tune; add one, such as tune: {optim.lr: [0.025, 0.05, 0.1]}",
				c.rateAt))
		}
		resolved := Claim{Says: c.says, Same: c.same, Rate: c.rate}
		all := true
		for i := range c.rows {
			row, err := choose(c.rows[i], rows)
			if err != nil && !report.full() {
				report.list = append(report.list, fmt.Errorf("%s: claims: %s %w", c.at[i], describeEntries(c.rows[i]), err))
			}
			all = all && err == nil && row >= 0
			resolved.Rows[i] = row
		}
		if !all {
			continue
		}
		if resolved.Rows[0] == resolved.Rows[1] {
			if !report.full() {
				report.list = append(report.list, fmt.Errorf("%s: claims: both sides choose row %d; a claim is about two rows", c.at[1], resolved.Rows[0]+1))
			}
			continue
		}
		out = append(out, resolved)
	}
	return out
}

// choose returns the index of the one row that has the settings and whose result they change: γ chooses no row of cross
// entropy.
func choose(settings []entry, rows []candidate) (int, error) {
	var found []candidate
	for _, row := range rows {
		if !slices.ContainsFunc(settings, func(s entry) bool {
			return !matters(row.cfg, s.key) || !reflect.DeepEqual(s.value, row.cfg.Value(s.key))
		}) {
			found = append(found, row)
		}
	}
	switch len(found) {
	case 1:
		return found[0].kept, nil
	case 0:
		return 0, fmt.Errorf("chooses no row; `runner sweep FILE --dry-run` lists the rows")
	}
	return 0, fmt.Errorf("chooses %d rows, among them (%s) and (%s); give more settings until one is left", len(found), found[0].name, found[1].name)
}

func describeEntries(settings []entry) string {
	parts := make([]string, len(settings))
	for i, s := range settings {
		parts[i] = s.key + "=" + setting.Shown(s.value)
	}
	return strings.Join(parts, " ")
}
