package report

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"focalgrid/detector"
	"focalgrid/experiments/plan"
	"focalgrid/results"
	"focalgrid/results/record"
	"focalgrid/setting"
)

// changed adds tables of trials that a sweep trained with settings changed by --set, or on other data by --data, or
// that were planned by another text of a grid file than the program has. A record does not hold the flags, so they are
// found again by comparing a trial's settings with the rows of the file.
func (g *gatherer) changed(sweeps []record.Sweep) error {
	for _, s := range sweeps {
		trials, err := g.r.Store.Trials(results.Filter{Kind: record.KindTrain, Sweep: s.Name})
		if err != nil {
			return err
		}
		text := textOf(s)
		tried := map[string]bool{}
		for i := range trials {
			t := &trials[i]
			if g.shown[t.Key] {
				continue
			}
			sel, ok := selectionOf(t, text.read)
			if id := fmt.Sprint(sel.Profile, sel.DataDir, sel.Set); !ok || tried[id] {
				continue
			} else {
				tried[id] = true
			}
			p, err := text.read(sel)
			if err != nil {
				continue // rest counts the trial as one of no table
			}
			from := text
			if text.hidden {
				program := inside(s.Name)
				if its, err := program.read(sel); err == nil && sameRows(p, its) {
					p, from = its, program
				}
			}
			args, set := []string{from.name}, sel.Set
			if sel.Profile != "" {
				args = append(args, "--profile", sel.Profile)
			}
			if sel.DataDir != "" {
				args = append(args, "--data", sel.DataDir)
				set = append([]string{"data.dir=" + sel.DataDir}, set...)
			}
			for _, s := range sel.Set {
				args = append(args, "--set", s)
			}
			if err := g.part(from, p, args, set); err != nil {
				return err
			}
		}
	}
	return nil
}

// sameRows reports whether two plans have the same rows in the same order.
func sameRows(p, q *plan.Plan) bool {
	return slices.EqualFunc(p.Rows, q.Rows, func(a, b plan.Row) bool { return slices.Equal(a.Canonical, b.Canonical) })
}

// mostSet is the most settings in which a trial may differ from a row to be of that row's table.
const mostSet = 4

// selectionOf finds the flags with which a grid file's row gets the settings of a trial: of all profiles, the data of
// the file or the trial's own, and all rows, the ones with the fewest settings to change. A trial that chooses
// settings, on the split tune, is of no table but its own file's.
func selectionOf(t *record.Trial, read func(plan.Selection) (*plan.Plan, error)) (plan.Selection, bool) {
	cfg, err := detector.Settings.ParseResolved(t.Key, []byte(t.Config))
	if err != nil {
		return plan.Selection{}, false
	}
	settings := plan.Settings(&cfg)
	var data []plan.Selection // with the file's data, and on the trial's own
	if data = append(data, plan.Selection{}); cfg.Text("data.dir") != "" {
		data = append(data, plan.Selection{DataDir: cfg.Text("data.dir"), Set: []string{"data.name=" + cfg.Text("data.name")}})
	}
	var best plan.Selection
	fewest := mostSet + 1
	for _, profile := range append([]string{""}, plan.Profiles()...) {
		for _, sel := range data {
			sel.Profile = profile
			p, err := read(sel)
			if err != nil {
				continue
			}
			for i := range p.Rows {
				row := plan.Settings(&p.Rows[i].Config)
				set, ok := differences(row, settings)
				tunes := slices.ContainsFunc(set, func(s string) bool { return strings.HasPrefix(s, "eval.split=") })
				if ok && !tunes && len(set) < fewest {
					fewest, best = len(set), sel
					best.Set = slices.Concat(sel.Set, set)
				}
			}
		}
	}
	return best, fewest <= mostSet
}

// differences lists the settings of b that a has otherwise, by key, and whether both have the same keys.
func differences(a, b map[string]any) (set []string, same bool) {
	if len(a) != len(b) {
		return nil, false
	}
	for key, v := range b {
		w, ok := a[key]
		if !ok {
			return nil, false
		}
		if !reflect.DeepEqual(v, w) {
			set = append(set, key+"="+setting.Spell(v))
		}
	}
	slices.Sort(set)
	return set, true
}
