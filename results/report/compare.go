package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"focalgrid/results"
	"focalgrid/results/record"
	"focalgrid/setting"
	"focalgrid/stats"
)

// Side is one of the two things that are compared: a trial, the seeds of a row,
// or all trials of a database.
type Side struct {
	Name   string
	Trials []record.Trial
	Logs   [][]record.Step // of each trial
}

// Comparison is two sides and by how much B exceeds A.
type Comparison struct {
	A, B Side
	// TwoLevel is the difference in AP with the chance in seeds and images. Where it is nil, NoTwoLevel is the
	// reason; that is empty where nobody asked.
	TwoLevel   *stats.TwoLevel
	NoTwoLevel string
}

// CompareFormats are the forms that WriteComparison knows.
func CompareFormats() []string { return []string{"csv", "json", "text"} }

// LoadSide reads the training logs of a side's trials.
func LoadSide(store *results.Store, name string, trials []record.Trial) (Side, error) {
	side := Side{Name: name, Trials: trials, Logs: make([][]record.Step, len(trials))}
	for i, t := range trials {
		var err error
		if side.Logs[i], err = store.StepRows(t.Key); err != nil {
			return Side{}, err
		}
	}
	return side, nil
}

// Rows returns the trials of an engine with the settings "key=value,key=value"; meaningful leaves out of recorded
// settings those that do not matter for the trial, such as γ beside cross entropy, as nobody chose their values.
func Rows(store *results.Store, text, engine string, meaningful func(settings string) string) ([]record.Trial, error) {
	settings := map[string]string{}
	for _, part := range splitSettings(text) {
		key, value, ok := strings.Cut(part, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("%q: want settings as key=value,key=value", text)
		}
		settings[key] = value
	}
	all, err := store.Trials(results.Filter{Kind: record.KindTrain})
	if err != nil {
		return nil, err
	}
	of, err := matching(all, settings, meaningful)
	if err != nil {
		return nil, err
	}
	if len(of) == 0 {
		return nil, fmt.Errorf("%s: no recorded trial has these settings", text)
	}
	var trials []record.Trial
	others := map[string]bool{}
	for _, t := range of {
		if t.Engine == engine {
			trials = append(trials, t)
		} else {
			others[t.Engine] = true
		}
	}
	if len(trials) == 0 {
		err = fmt.Errorf("%s: no trial of engine %s has these settings, but trials of %s do: name an engine with --engine",
			text, engine, strings.Join(slices.Sorted(maps.Keys(others)), ", "))
	}
	return trials, err
}

// splitSettings splits settings at their commas, but not at the commas of a list in brackets.
func splitSettings(text string) []string {
	depth := 0
	return strings.FieldsFunc(text, func(r rune) bool {
		switch r {
		case '[':
			depth++
		case ']':
			depth--
		}
		return r == ',' && depth <= 0
	})
}

// matching returns the trainings that have those settings, given as the texts that a list
// shows: "loss.gamma" = "2". Numbers are compared as numbers. The error names a
// setting that no trial has.
func matching(trials []record.Trial, settings map[string]string, meaningful func(string) string) ([]record.Trial, error) {
	var out []record.Trial
	known := map[string]bool{}
	seen := map[string]map[string]any{} // by recorded settings, which the seeds of a row share
	for _, t := range trials {
		if t.Kind != record.KindTrain {
			continue
		}
		flat, ok := seen[t.Config]
		if !ok {
			var err error
			if flat, err = flatten(meaningful(t.Config)); err != nil {
				return nil, fmt.Errorf("trial %s: configuration: %w", record.Short(t.Key), err)
			}
			seen[t.Config] = flat
		}
		fits := true
		for key, want := range settings {
			v, ok := flat[key]
			known[key] = known[key] || ok
			fits = fits && ok && sameText(setting.Spell(v), want)
		}
		if fits {
			out = append(out, t)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		if !known[key] {
			return nil, fmt.Errorf("setting %s: no recorded trial has it", key)
		}
	}
	return out, nil
}

// sameText reports whether two texts of a setting mean the same; a list may have spaces.
func sameText(a, b string) bool {
	if strings.HasPrefix(a, "[") && strings.HasPrefix(b, "[") {
		items := func(list string) []string {
			return strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune("[], ", r) })
		}
		return slices.EqualFunc(items(a), items(b), sameText)
	}
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	return a == b || errX == nil && errY == nil && x == y
}

// contrast is a key with the values that each side has of it.
type contrast struct {
	Key string   `json:"key"`
	A   []string `json:"a"`
	B   []string `json:"b"`
}

// contrasts are the keys whose values are not the same on both sides, by key.
func contrasts(a, b Side, values func(record.Trial) (map[string]any, error)) ([]contrast, error) {
	gather := func(s Side) (map[string][]string, error) {
		out := map[string][]string{}
		for _, t := range s.Trials {
			flat, err := values(t)
			if err != nil {
				return nil, fmt.Errorf("trial %s: %w", record.Short(t.Key), err)
			}
			for key, v := range flat {
				if text := setting.Spell(v); !slices.Contains(out[key], text) {
					out[key] = append(out[key], text)
				}
			}
		}
		for _, texts := range out {
			slices.Sort(texts)
		}
		return out, nil
	}
	as, err := gather(a)
	if err != nil {
		return nil, err
	}
	bs, err := gather(b)
	if err != nil {
		return nil, err
	}
	all := maps.Clone(as)
	maps.Copy(all, bs)
	out := []contrast{}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if !slices.Equal(as[key], bs[key]) {
			out = append(out, contrast{key, append([]string{}, as[key]...), append([]string{}, bs[key]...)})
		}
	}
	return out, nil
}

func settingsOf(t record.Trial) (map[string]any, error) {
	flat, err := flatten(t.Config)
	if err == nil {
		flat["seed"] = t.Seed
	}
	return flat, err
}

// environmentOf is what a trial's last attempt ran with, and what its identity
// has besides settings.
func environmentOf(t record.Trial) (map[string]any, error) {
	text := t.Provenance
	if n := len(t.Attempts); n > 0 {
		text = t.Attempts[n-1].Environment
	}
	flat, err := flatten(text)
	if err == nil {
		flat["engine"], flat["numerics"], flat["dataset"], flat["init"] = t.Engine, t.Numerics, t.Dataset, t.Init
	}
	return flat, err
}

// metricContrast is a metric of the trials of each side that are done, and the difference between the sides by seed.
type metricContrast struct {
	name       string
	a, b       stats.Estimate
	difference stats.Difference
}

func metricContrasts(a, b Side) []metricContrast {
	known := map[string]float64{}
	for _, s := range []Side{a, b} {
		for _, t := range s.Trials {
			maps.Copy(known, t.Metrics)
		}
	}
	var out []metricContrast
	for _, name := range namesOf(known) {
		as, bs := record.Values(a.Trials, name), record.Values(b.Trials, name)
		out = append(out, metricContrast{name, stats.Mean(stats.Finished(as)), stats.Mean(stats.Finished(bs)), stats.Paired(as, bs)})
	}
	return out
}

// common is a trial that both sides have, which means: the same settings, seed,
// data, first weights, engine and numerics.
type common struct {
	Trial   string   `json:"trial"`
	Equal   bool     `json:"equal"`
	Differs []string `json:"differs"` // status, weights, names of metrics
}

func commonTrials(a, b Side) []common {
	byKey := map[string]record.Trial{}
	for _, t := range a.Trials {
		byKey[t.Key] = t
	}
	out := []common{}
	for _, y := range b.Trials {
		x, ok := byKey[y.Key]
		if !ok {
			continue
		}
		c := common{Trial: y.Key, Differs: []string{}}
		if x.Status != y.Status {
			c.Differs = append(c.Differs, "status")
		}
		if x.Weights != y.Weights {
			c.Differs = append(c.Differs, "weights")
		}
		names := maps.Clone(x.Metrics)
		maps.Copy(names, y.Metrics)
		for _, name := range namesOf(names) {
			v, okX := x.Metrics[name]
			w, okY := y.Metrics[name]
			if okX != okY || math.Float64bits(v) != math.Float64bits(w) && !(math.IsNaN(v) && math.IsNaN(w)) {
				c.Differs = append(c.Differs, name)
			}
		}
		c.Equal = len(c.Differs) == 0
		out = append(out, c)
	}
	return out
}
