package claims

import (
	"reflect"
	"slices"

	"focalgrid/paper"
)

// Published is a difference between two rows of one of the paper's tables.
type Published struct {
	Table   string     // "1b"
	Setting string     // under which the table was measured
	AP      [2]float64 // fractions
}

// Difference returns the first row's AP minus the second's.
func (p Published) Difference() float64 { return p.AP[0] - p.AP[1] }

// published finds the tables of the paper that have both rows.
func published(sides [2]Side) ([]Published, error) {
	var out []Published
	for _, id := range paper.IDs() {
		t, err := paper.Load(id)
		if err != nil {
			return nil, err
		}
		a, b := t.Lookup(sides[0].Settings), t.Lookup(sides[1].Settings)
		if a == nil || b == nil || a == b || !varies(t, sides) || a.Metrics["AP"] == nil || b.Metrics["AP"] == nil {
			continue
		}
		out = append(out, Published{Table: id, Setting: t.Setting(), AP: [2]float64{*a.Metrics["AP"], *b.Metrics["AP"]}})
	}
	return out, nil
}

// varies reports whether the table is about every setting in which the rows differ: a row with one anchor is not the
// row of Table 1b that has its γ. A setting that only one row has comes with a kind, such as loss.type, in which they
// differ too.
func varies(t *paper.Table, sides [2]Side) bool {
	for key, v := range sides[0].Settings {
		w, both := sides[1].Settings[key]
		if _, fixed := t.Fixed[key]; both && !fixed && !slices.Contains(t.Factors, key) && !reflect.DeepEqual(v, w) {
			return false
		}
	}
	return true
}
