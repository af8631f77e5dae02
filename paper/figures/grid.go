package figures

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"focalgrid/results/record"
	"focalgrid/setting"
	"focalgrid/stats"
)

// Grid is a grid file with what is recorded of its rows.
type Grid struct {
	Name      string
	Title     string // of the table of the file; may be empty
	Profile   string
	Ours      string   // in which setting the trials were measured: data, network, schedule
	Published string   // in which setting the published figures were measured; empty: there are none
	Factors   []string // the settings that the file varies, as ordered in it
	Rows      []Row    // at the recipe that they share
	Remarks   []string // how the trials were found

	Sweep string // the command that trains what is missing

	// Log returns the training log of a trial.
	Log func(t *record.Trial) ([]record.Step, error)
}

// Row is a row of a grid file.
type Row struct {
	Factors   map[string]any // the swept settings that matter for the row
	Settings  map[string]any // all settings that matter for the row
	Trials    []record.Trial // what is recorded of the row, one trial a seed
	Published *float64       // AP, a fraction; nil: not published
	Own       *Row           // the row at its own best settings; nil: none are chosen
	// Anchors is the number of anchors on an image of the usual size, and Batch the images of a step: what a log's
	// count of positive anchors is compared with.
	Anchors, Batch int
}

// symbols are short names of settings on axes and in legends; others have the last part of their key.
var symbols = map[string]string{
	"loss.gamma": "γ", "loss.alpha": "α", "loss.beta": "β", "loss.type": "loss", "optim.lr": "lr", "model.depth": "depth",
	"model.prior": "prior π", "image.short": "scale (px)", "anchors.scales": "scales", "anchors.ratios": "ratios", "sampler.type": "sampler",
}

func symbol(key string) string {
	if s, ok := symbols[key]; ok {
		return s
	}
	return key[strings.LastIndexByte(key, '.')+1:]
}

// spell writes the value of a setting, and a dash for a setting that does not matter for the row.
func (r *Row) spell(key string) string {
	v, ok := r.Factors[key]
	if !ok {
		return "–"
	}
	return setting.Spell(v)
}

// name tells the row apart by settings: "γ 2, α 0.25". It leaves out what does not matter for the row, and none.
func (r *Row) name(keys []string) string {
	return r.list(slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return r.Factors[key] == nil }))
}

// nameBeside names the settings that matter for the row and are not those of another row, none too: "γ 0, α none".
func (r *Row) nameBeside(other *Row, keys []string) string {
	return r.list(slices.DeleteFunc(slices.Clone(keys), func(key string) bool {
		_, matters := r.Factors[key]
		return !matters || r.spell(key) == other.spell(key)
	}))
}

// list writes settings, each with its symbol; what is of a type has a name of its own.
func (r *Row) list(keys []string) string {
	var parts []string
	for _, key := range keys {
		if strings.HasSuffix(key, ".type") {
			parts = append(parts, r.spell(key))
		} else {
			parts = append(parts, symbol(key)+" "+r.spell(key))
		}
	}
	return strings.Join(parts, ", ")
}

// varied lists the factors in which rows differ.
func (g *Grid) varied() []string {
	var out []string
	for _, key := range g.Factors {
		if slices.ContainsFunc(g.Rows, func(r Row) bool { return r.spell(key) != g.Rows[0].spell(key) }) {
			out = append(out, key)
		}
	}
	return out
}

// ap estimates AP × 100 from the trials that are done.
func (r *Row) ap() stats.Estimate { return stats.Mean(stats.Finished(r.runs())) }

// runs are the AP × 100 of the trials by seed; a diverged trial is 0.
func (r *Row) runs() []stats.Value {
	runs := record.Values(r.Trials, "AP")
	for i := range runs {
		runs[i].Value *= 100
	}
	return runs
}

// count counts the trials of a status.
func (g *Grid) count(status string) (n int) {
	for _, r := range g.Rows {
		for _, t := range r.Trials {
			if t.Status == status {
				n++
			}
		}
	}
	return n
}

// require is an error where no trial has an AP.
func (g *Grid) require() error {
	if slices.ContainsFunc(g.Rows, func(r Row) bool { return r.ap().N > 0 }) {
		return nil
	}
	if n := g.count(record.StatusDone); n > 0 {
		return fmt.Errorf("%s: nothing to draw: none of the %d trials that are done has an AP, as the scored split has no object of their classes", g.Name, n)
	}
	if n := g.count(record.StatusDiverged); n > 0 {
		return fmt.Errorf("%s: nothing to draw: the %d recorded trials diverged, so none has an AP", g.Name, n)
	}
	return fmt.Errorf("%s: no trial of it is done: %s trains them", g.Name, "`"+g.Sweep+"`")
}

// seeds tells over how many seeds the rows with a result are averaged: "n = 3", "n = 1 to 3".
func (g *Grid) seeds() string {
	low, high := math.MaxInt, 0
	for i := range g.Rows {
		if n := g.Rows[i].ap().N; n > 0 {
			low, high = min(low, n), max(high, n)
		}
	}
	if low == high {
		return fmt.Sprintf("n = %d", low)
	}
	return fmt.Sprintf("n = %d to %d", low, high)
}

// caption says what the values of a figure are, over how many seeds, of which profile, and what is missing.
func (g *Grid) caption(what string) string {
	parts := []string{what}
	setting := g.Ours
	if g.Profile != "" {
		setting = strings.TrimSuffix("profile "+g.Profile+": "+setting, ": ")
	}
	if setting != "" {
		parts = append(parts, upper(setting)+".")
	}
	if n := g.count(record.StatusDiverged); n > 0 {
		parts = append(parts, fmt.Sprintf("Trials that diverged and have no AP: %d.", n))
	}
	empty := 0
	for i := range g.Rows {
		if g.Rows[i].ap().N == 0 {
			empty++
		}
	}
	if empty > 0 {
		parts = append(parts, fmt.Sprintf("Rows without a result: %d of %d.", empty, len(g.Rows)))
	}
	return strings.Join(append(parts, g.Remarks...), " ")
}

// spread says what intervals are, over the seeds of a grid.
func (g *Grid) spread() string {
	return fmt.Sprintf("mean over seeds (%s) with its %.0f %% t interval where n > 1", g.seeds(), 100*stats.Confidence)
}

func upper(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// title is the title of a figure of the grid.
func (g *Grid) title(what string) string {
	if g.Title == "" {
		return what
	}
	return what + ": " + g.Title
}
