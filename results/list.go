package results

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// metricNames are the metrics of a trial in the order they are shown; others
// follow by name.
var metricNames = []string{"AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl", "AP.001"}

// WriteList prints trials in the order given, as text or json. Of the settings
// it shows those that differ among the trials listed.
func WriteList(w io.Writer, trials []Trial, format string) error {
	varying, err := varyingSettings(trials)
	if err != nil {
		return err
	}
	switch format {
	case "text":
		return writeListText(w, trials, varying)
	case "json":
		return writeListJSON(w, trials, varying)
	}
	return fmt.Errorf("unknown list format %q; known: json, text", format)
}

func writeListText(w io.Writer, trials []Trial, varying []ordered) error {
	if len(trials) == 0 {
		_, err := fmt.Fprintln(w, "no trials")
		return err
	}
	const mostSettings = 8
	header := []string{"trial", "status", "settings", "started", "seed", "AP", "wall"}
	var lines [][]string
	for i, t := range trials {
		status := t.Status
		if t.DivergedStep != nil {
			status += " at step " + strconv.Itoa(*t.DivergedStep)
		}
		var settings []string
		if t.Kind == KindPretrain {
			settings = append(settings, t.Kind)
		}
		for j, m := range varying[i] {
			if j == mostSettings {
				settings = append(settings, "…")
				break
			}
			settings = append(settings, m.key+"="+factorText(m.value))
		}
		if t.Error != "" {
			first, _, _ := strings.Cut(t.Error, "\n")
			settings = append(settings, "("+first+")")
		}
		ap := gap
		if v, ok := t.Metrics["AP"]; ok && !math.IsNaN(v) {
			ap = percent(v)
		}
		wall := gap
		if t.WallSeconds > 0 {
			wall = time.Duration(t.WallSeconds * float64(time.Second)).Round(time.Second).String()
		}
		lines = append(lines, []string{
			short(t.Key), status, strings.Join(settings, " "), t.Started, strconv.FormatUint(t.Seed, 10), ap, wall,
		})
	}
	return writeGrid(w, header, lines, 4, false)
}

type listedTrial struct {
	Trial        string   `json:"trial"`
	Status       string   `json:"status"`
	Kind         string   `json:"kind"`
	Seed         uint64   `json:"seed"`
	Settings     ordered  `json:"settings"`
	Metrics      ordered  `json:"metrics"`
	Started      string   `json:"started"`
	Finished     *string  `json:"finished"`
	WallSeconds  *float64 `json:"wall_seconds"`
	DivergedStep *int     `json:"diverged_step"`
	Error        *string  `json:"error"`
}

func listed(t Trial, settings ordered) listedTrial {
	l := listedTrial{
		Trial: t.Key, Status: t.Status, Kind: t.Kind, Seed: t.Seed, Settings: settings,
		Metrics: orderedMetrics(t.Metrics), Started: t.Started, DivergedStep: t.DivergedStep,
	}
	if t.Finished != "" {
		l.Finished, l.WallSeconds = &t.Finished, &t.WallSeconds
	}
	if t.Error != "" {
		l.Error = &t.Error
	}
	return l
}

func writeListJSON(w io.Writer, trials []Trial, varying []ordered) error {
	out := make([]listedTrial, len(trials))
	for i, t := range trials {
		out[i] = listed(t, varying[i])
	}
	return writeIndented(w, out)
}

// orderedMetrics are a trial's metrics in the order of metricNames, null where
// not defined.
func orderedMetrics(metrics map[string]float64) ordered {
	out := ordered{}
	add := func(name string) {
		if v, ok := metrics[name]; ok {
			out = append(out, member{name, finite(v)})
		}
	}
	for _, name := range metricNames {
		add(name)
	}
	for _, name := range sortedNames(metrics) {
		if !slices.Contains(metricNames, name) {
			add(name)
		}
	}
	return out
}

// varyingSettings are, for each trial, the settings whose value is not the same
// in all of them, by key. A pretraining has other settings than a training:
// each kind is compared within itself.
func varyingSettings(trials []Trial) ([]ordered, error) {
	flat := map[string]map[string]any{} // by config: the seeds of one setting share it
	texts := map[string]map[string]string{}
	type setting struct{ kind, key string }
	values := map[setting]map[string]bool{} // the texts each setting takes
	counts := map[setting]int{}             // configs that have it
	configs := map[string]int{}             // by kind
	for _, t := range trials {
		id := t.Kind + t.Config
		if flat[id] != nil {
			continue
		}
		configs[t.Kind]++
		settings, err := flatten(t.Config)
		if err != nil {
			return nil, fmt.Errorf("trial %s: configuration: %w", short(t.Key), err)
		}
		flat[id], texts[id] = settings, make(map[string]string, len(settings))
		for key, v := range settings {
			text := factorText(v)
			texts[id][key] = text
			s := setting{t.Kind, key}
			if values[s] == nil {
				values[s] = map[string]bool{}
			}
			values[s][text] = true
			counts[s]++
		}
	}
	varying := map[string][]string{} // by kind
	for s, texts := range values {
		if len(texts) > 1 || counts[s] < configs[s.kind] {
			varying[s.kind] = append(varying[s.kind], s.key)
		}
	}
	for _, keys := range varying {
		slices.Sort(keys)
	}
	out := make([]ordered, len(trials))
	for i, t := range trials {
		out[i] = ordered{}
		for _, key := range varying[t.Kind] {
			if v, ok := flat[t.Kind+t.Config][key]; ok {
				out[i] = append(out[i], member{key, v})
			}
		}
	}
	return out, nil
}

// flatten reads a JSON object of objects as dotted keys: {"loss":{"gamma":2}}
// is loss.gamma = 2. Numbers keep their text.
func flatten(config string) (map[string]any, error) {
	dec := json.NewDecoder(strings.NewReader(config))
	dec.UseNumber()
	var root map[string]any
	if err := dec.Decode(&root); err != nil {
		return nil, err
	}
	flat := map[string]any{}
	var walk func(prefix string, m map[string]any)
	walk = func(prefix string, m map[string]any) {
		for key, v := range m {
			if sub, ok := v.(map[string]any); ok {
				walk(prefix+key+".", sub)
			} else {
				flat[prefix+key] = v
			}
		}
	}
	walk("", root)
	return flat, nil
}

// WriteTrial prints all that is known of one trial, as text or json.
func WriteTrial(w io.Writer, t Trial, classes []ClassMetric, format string) error {
	switch format {
	case "text":
		return writeTrialText(w, t, classes)
	case "json":
		return writeTrialJSON(w, t, classes)
	}
	return fmt.Errorf("unknown trial format %q; known: json, text", format)
}

func writeTrialText(w io.Writer, t Trial, classes []ClassMetric) error {
	var buf bytes.Buffer
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&buf, "%-12s%s\n", name, value)
		}
	}
	line("trial", t.Key)
	line("kind", t.Kind)
	status := t.Status
	if t.DivergedStep != nil {
		status += " at step " + strconv.Itoa(*t.DivergedStep)
	}
	line("status", status)
	line("error", t.Error)
	line("seed", strconv.FormatUint(t.Seed, 10))
	line("dataset", t.Dataset)
	line("init", t.Init)
	line("engine", t.Engine)
	line("numerics", t.Numerics)
	line("weights", t.Weights)
	line("started", t.Started)
	line("finished", t.Finished)
	if t.Finished != "" {
		line("wall", strconv.FormatFloat(t.WallSeconds, 'f', 1, 64)+" s")
	}
	for _, part := range []struct{ name, text string }{{"provenance", t.Provenance}, {"config", t.Config}} {
		flat, err := flatten(part.text)
		if err != nil {
			return fmt.Errorf("trial %s: %s: %w", short(t.Key), part.name, err)
		}
		if len(flat) == 0 {
			continue
		}
		fmt.Fprintf(&buf, "\n%s\n", part.name)
		keys := make([]string, 0, len(flat))
		width := 0
		for key := range flat {
			keys = append(keys, key)
			width = max(width, len(key))
		}
		slices.Sort(keys)
		for _, key := range keys {
			fmt.Fprintf(&buf, "  %-*s  %s\n", width, key, factorText(flat[key]))
		}
	}
	if metrics := orderedMetrics(t.Metrics); len(metrics) > 0 {
		buf.WriteString("\nmetrics (× 100)\n")
		for _, m := range metrics {
			cell := gap
			if v, ok := m.value.(float64); ok {
				cell = percent(v)
			}
			fmt.Fprintf(&buf, "  %-6s  %5s\n", m.key, cell)
		}
	}
	if _, err := buf.WriteTo(w); err != nil {
		return err
	}
	if len(classes) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	var lines [][]string
	for _, c := range classes {
		cells := []string{c.Name, strconv.FormatInt(c.Category, 10)}
		for _, v := range []float64{c.AP, c.AP50, c.AP75} {
			cell := gap
			if !math.IsNaN(v) {
				cell = percent(v)
			}
			cells = append(cells, cell)
		}
		lines = append(lines, cells)
	}
	return writeGrid(w, []string{"class", "id", "AP", "AP50", "AP75"}, lines, 1, false)
}

func writeTrialJSON(w io.Writer, t Trial, classes []ClassMetric) error {
	type class struct {
		ID   int64  `json:"id"`
		Name string `json:"name"`
		AP   any    `json:"AP"`
		AP50 any    `json:"AP50"`
		AP75 any    `json:"AP75"`
	}
	out := struct {
		Trial        string          `json:"trial"`
		Kind         string          `json:"kind"`
		Status       string          `json:"status"`
		Error        *string         `json:"error"`
		DivergedStep *int            `json:"diverged_step"`
		Seed         uint64          `json:"seed"`
		Dataset      string          `json:"dataset"`
		Init         string          `json:"init"`
		Engine       string          `json:"engine"`
		Numerics     string          `json:"numerics"`
		Weights      *string         `json:"weights"`
		Started      string          `json:"started"`
		Finished     *string         `json:"finished"`
		WallSeconds  *float64        `json:"wall_seconds"`
		Provenance   json.RawMessage `json:"provenance"`
		Config       json.RawMessage `json:"config"`
		Metrics      ordered         `json:"metrics"`
		Classes      []class         `json:"classes"`
	}{
		Trial: t.Key, Kind: t.Kind, Status: t.Status, Seed: t.Seed, Dataset: t.Dataset, Init: t.Init,
		Engine: t.Engine, Numerics: t.Numerics, DivergedStep: t.DivergedStep, Started: t.Started,
		Provenance: json.RawMessage(t.Provenance), Config: json.RawMessage(t.Config),
		Metrics: orderedMetrics(t.Metrics), Classes: []class{},
	}
	l := listed(t, nil)
	out.Error, out.Finished, out.WallSeconds = l.Error, l.Finished, l.WallSeconds
	if t.Weights != "" {
		out.Weights = &t.Weights
	}
	for _, c := range classes {
		out.Classes = append(out.Classes, class{c.Category, c.Name, finite(c.AP), finite(c.AP50), finite(c.AP75)})
	}
	return writeIndented(w, out)
}
