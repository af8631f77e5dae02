package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"focalgrid/columns"
	"focalgrid/results/record"
	"focalgrid/setting"
)

// WriteList prints trials in the order given, as text or json. Of the settings
// it shows those that differ among the trials listed, first those that tell most trials apart.
// atWork reports whether somebody works on a trial that is recorded as running.
func WriteList(w io.Writer, trials []record.Trial, format string, atWork func(*record.Trial) bool) error {
	varying, err := varyingSettings(trials)
	if err != nil {
		return err
	}
	switch format {
	case "text":
		return writeListText(w, trials, varying, atWork)
	case "json":
		return writeListJSON(w, trials, varying, atWork)
	}
	return fmt.Errorf("unknown list format %q; known: json, text", format)
}

func writeListText(w io.Writer, trials []record.Trial, varying []ordered, atWork func(*record.Trial) bool) error {
	if len(trials) == 0 {
		_, err := fmt.Fprintln(w, "no trials")
		return err
	}
	const mostSettings = 8
	header := []string{"trial", "status", "settings", "started", "seed", "AP", "wall"}
	besides := besideSettings(trials)
	var lines [][]string
	for i, t := range trials {
		status := statusText(t)
		if t.Status == record.StatusRunning && !atWork(&t) {
			status += ", abandoned"
		}
		var settings []string
		if t.Kind == record.KindPretrain {
			settings = append(settings, t.Kind)
		}
		for j, m := range append(besides[i], varying[i]...) {
			if j == mostSettings {
				settings = append(settings, "…")
				break
			}
			settings = append(settings, m.key+"="+setting.Spell(m.value))
		}
		if t.Error != "" {
			first, _, _ := strings.Cut(t.Error, "\n")
			settings = append(settings, "("+first+")")
		}
		ap := columns.Gap
		if v, ok := t.Metrics["AP"]; ok {
			ap = columns.Percent(v)
		}
		wall := columns.Gap
		if t.WallSeconds > 0 && t.WallSeconds < math.MaxInt64/float64(time.Second) {
			wall = time.Duration(t.WallSeconds * float64(time.Second)).Round(time.Second).String()
		}
		lines = append(lines, []string{
			record.Short(t.Key), status, strings.Join(settings, " "), t.Started, strconv.FormatUint(t.Seed, 10), ap, wall,
		})
	}
	return columns.Ruled(w, header, lines, 4)
}

// listedAttempt is an attempt in the list; Exit is null while it is at work.
type listedAttempt struct {
	Start int     `json:"start_step"`
	End   int     `json:"end_step"`
	Exit  *string `json:"exit"`
}

// statusText is a trial's status, with the step that it ended at or was last heard of
// if it is not done.
func statusText(t record.Trial) string {
	switch {
	case t.DivergedStep != nil:
		return t.Status + " at step " + strconv.Itoa(*t.DivergedStep)
	case len(t.Attempts) > 0 && (t.Status == record.StatusRunning || t.Status == record.StatusInterrupted):
		return t.Status + " at step " + strconv.Itoa(t.Attempts[len(t.Attempts)-1].EndStep)
	}
	return t.Status
}

type listedTrial struct {
	Trial        string   `json:"trial"`
	Status       string   `json:"status"`
	AtWork       *bool    `json:"at_work,omitempty"` // of one that is running
	Kind         string   `json:"kind"`
	Engine       string   `json:"engine"`
	Seed         uint64   `json:"seed"`
	Settings     ordered  `json:"settings"`
	Metrics      ordered  `json:"metrics"`
	Started      string   `json:"started"`
	Finished     *string  `json:"finished"`
	WallSeconds  *float64 `json:"wall_seconds"`
	DivergedStep *int     `json:"diverged_step"`
	Error        *string  `json:"error"`

	Attempts []listedAttempt `json:"attempts"`
}

func listed(t record.Trial, settings ordered) listedTrial {
	l := listedTrial{
		Trial: t.Key, Status: t.Status, Kind: t.Kind, Engine: t.Engine, Seed: t.Seed, Settings: settings,
		Metrics: metricsJSON(t.Metrics), Started: t.Started, DivergedStep: t.DivergedStep,
		Attempts: make([]listedAttempt, len(t.Attempts)),
	}
	for i, a := range t.Attempts {
		l.Attempts[i] = listedAttempt{a.StartStep, a.EndStep, optional(a.Exit)}
	}
	if t.Finished != "" {
		l.Finished, l.WallSeconds = &t.Finished, &t.WallSeconds
	}
	l.Error = optional(t.Error)
	return l
}

// optional is nil for an empty text.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func writeListJSON(w io.Writer, trials []record.Trial, varying []ordered, atWork func(*record.Trial) bool) error {
	out := make([]listedTrial, len(trials))
	for i, t := range trials {
		out[i] = listed(t, varying[i])
		if t.Status == record.StatusRunning {
			works := atWork(&t)
			out[i].AtWork = &works
		}
	}
	return writeIndented(w, out)
}

// besideSettings are, for each trial, what its identity has besides settings and seed and tells it apart: the engine
// where trials of several are listed, and the rest where trials with the same settings and seed differ in it.
func besideSettings(trials []record.Trial) []ordered {
	parts := []struct {
		name string
		of   func(*record.Trial) string
	}{
		{"engine", func(t *record.Trial) string { return t.Engine }},
		{"numerics", func(t *record.Trial) string { return t.Numerics }},
		{"dataset", func(t *record.Trial) string { return record.Short(t.Dataset) }},
		{"init", func(t *record.Trial) string { return record.Short(t.Init) }},
	}
	type sameSettings struct {
		kind, config string
		seed         uint64
	}
	alike := map[sameSettings][]int{}
	engines := false
	for i, t := range trials {
		engines = engines || t.Engine != trials[0].Engine
		of := sameSettings{t.Kind, t.Config, t.Seed}
		alike[of] = append(alike[of], i)
	}
	out := make([]ordered, len(trials))
	for _, group := range alike {
		for _, part := range parts {
			first := part.of(&trials[group[0]])
			if !(part.name == "engine" && engines) && !slices.ContainsFunc(group, func(i int) bool { return part.of(&trials[i]) != first }) {
				continue
			}
			for _, i := range group {
				out[i] = append(out[i], member{part.name, part.of(&trials[i])})
			}
		}
	}
	return out
}

// varyingSettings are, for each trial, the settings whose value is not the same
// in all of them, the most telling first. A pretraining has other settings than a training:
// each kind is compared within itself.
func varyingSettings(trials []record.Trial) ([]ordered, error) {
	type kind struct {
		first   map[string]string // the settings that others are compared with
		varying map[string]bool
		keys    []string // those that vary, in order
	}
	kinds := map[string]*kind{}
	configs := map[string]map[string]string{} // by kind and text: the seeds of one setting share it
	for _, t := range trials {
		if configs[t.Kind+t.Config] != nil {
			continue
		}
		settings, err := leaves(t.Config)
		if err != nil {
			return nil, fmt.Errorf("trial %s: configuration: %w", record.Short(t.Key), err)
		}
		configs[t.Kind+t.Config] = settings
		k := kinds[t.Kind]
		if k == nil {
			k = &kind{settings, map[string]bool{}, nil}
			kinds[t.Kind] = k
		}
		shared := 0
		for key, v := range settings {
			w, ok := k.first[key]
			if ok {
				shared++
			}
			if !ok || !k.varying[key] && !sameValue(v, w) {
				k.varying[key] = true
			}
		}
		if shared == len(k.first) {
			continue
		}
		for key := range k.first {
			if _, ok := settings[key]; !ok {
				k.varying[key] = true
			}
		}
	}
	for of, k := range kinds {
		k.keys = byTelling(trials, of, slices.Sorted(maps.Keys(k.varying)), configs)
	}
	out := make([]ordered, len(trials))
	for i, t := range trials {
		out[i] = ordered{}
		for _, key := range kinds[t.Kind].keys {
			if v, ok := configs[t.Kind+t.Config][key]; ok {
				out[i] = append(out[i], member{key, valueOf(v)})
			}
		}
	}
	return out, nil
}

// byTelling orders settings by how well they tell the trials of a kind apart: by the entropy of their values (Shannon,
// "A Mathematical Theory of Communication", 1948), which is largest where each value is equally common and there are
// many. Settings that tell as much stay in their order.
func byTelling(trials []record.Trial, kind string, keys []string, configs map[string]map[string]string) []string {
	entropy := map[string]float64{}
	for _, key := range keys {
		counts := map[string]int{}
		n := 0
		for i := range trials {
			if t := &trials[i]; t.Kind == kind {
				counts[configs[t.Kind+t.Config][key]]++
				n++
			}
		}
		for _, count := range slices.Sorted(maps.Values(counts)) { // in one order, so that the sum has the same bits
			p := float64(count) / float64(n)
			entropy[key] -= p * math.Log2(p)
		}
	}
	ordered := slices.Clone(keys)
	slices.SortStableFunc(ordered, func(a, b string) int { return cmp.Compare(entropy[b], entropy[a]) })
	return ordered
}
