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

// changed adds tables of trials that a sweep trained with settings changed by --set, or that were planned by another
// text of a grid file than the program has. A record does not hold the flags, so they are found again by comparing a
// trial's settings with the rows of the file.
func (g *gatherer) changed(sweeps []record.Sweep) error {
	for _, s := range sweeps {
		trials, err := g.r.Store.Trials(results.Filter{Kind: record.KindTrain, Sweep: s.Name})
		if err != nil {
			return err
		}
		source := s.Name + ".yaml"
		read := func(sel plan.Selection) (*plan.Plan, error) {
			return detector.Settings.Parse(source, []byte(s.File), sel)
		}
		tried := map[string]bool{}
		for i := range trials {
			t := &trials[i]
			if g.shown[t.Key] || !record.IsFinal(t.Status) {
				continue
			}
			sel, ok := selectionOf(t, read)
			if id := fmt.Sprint(sel.Profile, sel.Set); !ok || tried[id] {
				continue
			} else {
				tried[id] = true
			}
			p, err := read(sel)
			if err != nil {
				continue // rest counts the trial as one of no table
			}
			args := []string{source}
			if slices.Contains(plan.Ablations(), s.Name) {
				if inside, err := detector.Settings.Load(s.Name, sel); err == nil && sameRows(p, inside) {
					p, args[0] = inside, s.Name
				}
			}
			if sel.Profile != "" {
				args = append(args, "--profile", sel.Profile)
			}
			for _, set := range sel.Set {
				args = append(args, "--set", set)
			}
			if err := g.part(true, p, args, sel.Set); err != nil {
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

// selectionOf finds the flags with which a grid file's row gets the settings of a trial: of all profiles and rows the
// ones with the fewest settings to change. A trial that chooses settings, on the split tune, is of no table but its own
// file's.
func selectionOf(t *record.Trial, read func(plan.Selection) (*plan.Plan, error)) (plan.Selection, bool) {
	cfg, err := detector.Settings.ParseResolved(t.Key, []byte(t.Config))
	if err != nil {
		return plan.Selection{}, false
	}
	settings := plan.Settings(&cfg)
	var best plan.Selection
	fewest := mostSet + 1
	for _, profile := range append([]string{""}, plan.Profiles()...) {
		p, err := read(plan.Selection{Profile: profile})
		if err != nil {
			continue
		}
		for i := range p.Rows {
			row := plan.Settings(&p.Rows[i].Config)
			set, ok := differences(row, settings)
			tunes := slices.ContainsFunc(set, func(s string) bool { return strings.HasPrefix(s, "eval.split=") })
			if ok && !tunes && len(set) < fewest {
				fewest, best = len(set), plan.Selection{Profile: profile, Set: set}
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
