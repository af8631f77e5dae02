package claims

import "focalgrid/paper"

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
		if a == nil || b == nil || a == b || a.Metrics["AP"] == nil || b.Metrics["AP"] == nil {
			continue
		}
		out = append(out, Published{Table: id, Setting: t.Setting(), AP: [2]float64{*a.Metrics["AP"], *b.Metrics["AP"]}})
	}
	return out, nil
}
