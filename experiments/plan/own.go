package plan

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"focalgrid/setting"
)

// chooseBaseline returns the row that the differences of the plan's table are taken to: the one row that passes every
// --baseline, or without any the row that is the baseline itself; -1 if there is none.
func (p *parsedSelection) chooseBaseline(of *Plan, baseline *Config) (int, error) {
	if len(p.baseline) == 0 {
		same := Canonical(baseline)
		return slices.IndexFunc(of.Rows, func(r Row) bool { return bytes.Equal(r.Canonical, same) }), nil
	}
	var found []int
	for i := range of.Rows {
		if fit(p.baseline, &of.Rows[i].Config) {
			found = append(found, i)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	named := found
	if len(found) == 0 {
		for i := range of.Rows {
			named = append(named, i)
		}
	}
	const most = 12
	var rows []string
	for _, i := range named[:min(len(named), most)] {
		row := &of.Rows[i]
		meant := slices.DeleteFunc(slices.Clone(of.Factors), func(key string) bool { return !matters(&row.Config, key) })
		rows = append(rows, describe(meant, &row.Config))
	}
	if len(named) > most {
		rows = append(rows, "…")
	}
	var flags []string
	for _, c := range p.baseline {
		flags = append(flags, c.flag)
	}
	if len(found) == 0 {
		return -1, fmt.Errorf("%s: no row of the table has this; the rows are: %s", strings.Join(flags, " "), strings.Join(rows, "; "))
	}
	return -1, fmt.Errorf("%s: %d rows have this, want one; add another --baseline key=value to choose from: %s",
		strings.Join(flags, " "), len(found), strings.Join(rows, "; "))
}

// Changed returns the settings that the command line gives another value than the file and its profile:
// "optim.lr=0.05 (in the file 0.1)". A folder of data is not among them.
func (p *Plan) Changed() []string {
	var out []string
	for i, s := range p.set {
		last := !slices.ContainsFunc(p.set[i+1:], func(later entry) bool { return later.key == s.key })
		if last && s.key != "data.dir" && !reflect.DeepEqual(s.value, p.own.Value(s.key)) {
			out = append(out, fmt.Sprintf("%s=%s (in the file %s)", s.key, setting.Spell(s.value), setting.Spell(p.own.Value(s.key))))
		}
	}
	return out
}

// elsewhere names the settings that say where the data of a table lies: the same table may be made of data in another
// folder, with other names of its splits.
var elsewhere = []string{"data.name", "data.dir", "data.train", "data.tune", "data.val"}

// Apart returns the keys in which a row's settings are not the table's own, which are the settings of the file and its
// profile: by what the row itself says or by the command line. It leaves out the keys for which varied is true, and
// where the data lies.
func (p *Plan) Apart(row *Row, varied func(key string) bool) []string {
	c := &row.Config
	var out []string
	for _, key := range c.in.sorted {
		if !varied(key) && !slices.Contains(elsewhere, key) && !reflect.DeepEqual(c.Value(key), p.own.Value(key)) && matters(c, key) {
			out = append(out, key)
		}
	}
	return out
}
