package results

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
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
		status := statusText(t)
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
		if v, ok := t.Metrics["AP"]; ok {
			ap = percent(v)
		}
		wall := gap
		if t.WallSeconds > 0 && t.WallSeconds < math.MaxInt64/float64(time.Second) {
			wall = time.Duration(t.WallSeconds * float64(time.Second)).Round(time.Second).String()
		}
		lines = append(lines, []string{
			short(t.Key), status, strings.Join(settings, " "), t.Started, strconv.FormatUint(t.Seed, 10), ap, wall,
		})
	}
	return writeGrid(w, header, lines, 4, false)
}

// listedAttempt is an attempt in the list; Exit is null while it is at work.
type listedAttempt struct {
	Start int     `json:"start_step"`
	End   int     `json:"end_step"`
	Exit  *string `json:"exit"`
}

// statusText is a trial's status, with the step that it ended at or was last heard of
// if it is not done.
func statusText(t Trial) string {
	switch {
	case t.DivergedStep != nil:
		return t.Status + " at step " + strconv.Itoa(*t.DivergedStep)
	case len(t.Attempts) > 0 && (t.Status == StatusRunning || t.Status == StatusInterrupted):
		return t.Status + " at step " + strconv.Itoa(t.Attempts[len(t.Attempts)-1].EndStep)
	}
	return t.Status
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

	Attempts []listedAttempt `json:"attempts"`
}

func listed(t Trial, settings ordered) listedTrial {
	l := listedTrial{
		Trial: t.Key, Status: t.Status, Kind: t.Kind, Seed: t.Seed, Settings: settings,
		Metrics: orderedMetrics(t.Metrics), Started: t.Started, DivergedStep: t.DivergedStep,
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
			return nil, fmt.Errorf("trial %s: configuration: %w", short(t.Key), err)
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
	for _, k := range kinds {
		k.keys = slices.Sorted(maps.Keys(k.varying))
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

// leaves reads a JSON object of objects as dotted keys with the text of their values:
// {"loss":{"gamma":2}} is loss.gamma = 2. It finds where values begin and end alone,
// some ten times faster than encoding/json, which counts in a list of thousands.
func leaves(config string) (map[string]string, error) {
	if !json.Valid([]byte(config)) {
		return nil, errors.New("not JSON")
	}
	flat := make(map[string]string, strings.Count(config, ":"))
	var walk func(prefix, text string) error
	walk = func(prefix, text string) error {
		text, ok := strings.CutPrefix(strings.TrimSpace(text), "{")
		if !ok {
			return errors.New("not a JSON object")
		}
		for {
			text = strings.TrimLeft(text, ", \t\r\n")
			if text == "}" {
				return nil
			}
			n := jsonEnd(text)
			key := text[1 : n-1]
			if strings.Contains(key, `\`) {
				if err := json.Unmarshal([]byte(text[:n]), &key); err != nil {
					return err
				}
			}
			text = strings.TrimLeft(text[n:], ": \t\r\n")
			n = jsonEnd(text)
			if value := strings.TrimSpace(text[:n]); value[0] != '{' {
				flat[prefix+key] = value
			} else if err := walk(prefix+key+".", value); err != nil {
				return err
			}
			text = text[n:]
		}
	}
	return flat, walk("", config)
}

// jsonEnd is where the JSON value at the beginning of valid text ends.
func jsonEnd(text string) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			for i++; text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth <= 0 {
				return i + 1 + depth // of the value itself, or of what it stands in
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
	return len(text)
}

// valueOf is a leaf's value; numbers keep their text.
func valueOf(text string) (v any) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	_ = dec.Decode(&v) // leaves has checked the text
	return v
}

// sameValue tells whether two leaves are printed the same.
func sameValue(v, w string) bool { return v == w || factorText(valueOf(v)) == factorText(valueOf(w)) }

// flatten reads the leaves with their values.
func flatten(config string) (map[string]any, error) {
	settings, err := leaves(config)
	if err != nil {
		return nil, err
	}
	flat := make(map[string]any, len(settings))
	for key, v := range settings {
		flat[key] = valueOf(v)
	}
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
		if value = strings.TrimSpace(value); value != "" { // further lines stand below the first
			fmt.Fprintf(&buf, "%-12s%s\n", name, strings.ReplaceAll(value, "\n", "\n"+strings.Repeat(" ", 12)))
		}
	}
	line("trial", t.Key)
	line("kind", t.Kind)
	line("status", statusText(t))
	line("error", t.Error)
	line("seed", strconv.FormatUint(t.Seed, 10))
	line("dataset", t.Dataset)
	if n := cmp.Or(len(t.Labels), len(classes)); n > 0 { // older records have no labels
		line("classes", strconv.Itoa(n))
	}
	line("init", t.Init)
	line("engine", t.Engine)
	line("numerics", t.Numerics)
	line("weights", t.Weights)
	line("started", t.Started)
	line("finished", t.Finished)
	if t.Finished != "" {
		line("wall", seconds(t.WallSeconds))
	}
	if err := writeAttempts(&buf, t); err != nil {
		return err
	}
	for _, part := range []struct{ name, text string }{{"provenance", t.Provenance}, {"config", t.Config}} {
		flat, err := flatten(part.text)
		if err != nil {
			return fmt.Errorf("trial %s: %s: %w", short(t.Key), part.name, err)
		}
		writeSettings(&buf, part.name, flat)
	}
	if metrics := orderedMetrics(t.Metrics); len(metrics) > 0 {
		buf.WriteString("\nmetrics (× 100)\n")
		for _, m := range metrics {
			cell := gap
			if v, ok := m.value.(float64); ok {
				cell = percent(v)
			}
			fmt.Fprintf(&buf, "  %-6s  %5s\n", oneLine(m.key), cell)
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
			cells = append(cells, percent(v))
		}
		lines = append(lines, cells)
	}
	return writeGrid(w, []string{"class", "id", "AP", "AP50", "AP75"}, lines, 1, false)
}

// writeSettings prints a section of keys and values, unless it is empty.
func writeSettings(w *bytes.Buffer, title string, flat map[string]any) {
	if len(flat) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", title)
	width := 0
	for key := range flat {
		width = max(width, len(key))
	}
	for _, key := range slices.Sorted(maps.Keys(flat)) {
		fmt.Fprintf(w, "  %-*s  %s\n", width, oneLine(key), oneLine(factorText(flat[key])))
	}
}

// seconds prints a time; a gap for what is no number.
func seconds(v float64) string {
	if finite(v) == nil {
		return gap
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " s"
}

// writeAttempts prints the attempts of a trial and, where they did not all run
// with the same, in what each differed from the last.
func writeAttempts(w *bytes.Buffer, t Trial) error {
	if len(t.Attempts) == 0 {
		return nil
	}
	last, err := flatten(t.Attempts[len(t.Attempts)-1].Environment)
	if err != nil {
		return fmt.Errorf("trial %s: environment: %w", short(t.Key), err)
	}
	w.WriteByte('\n')
	var lines [][]string
	for i, a := range t.Attempts {
		exit := a.Exit
		switch {
		case exit == "":
			exit = "at work"
		case a.Error != "" && a.Error != exit:
			first, _, _ := strings.Cut(a.Error, "\n")
			exit += " (" + first + ")"
		}
		memory := gap
		if a.PeakBytes > 0 {
			memory = fmt.Sprintf("%d MB", a.PeakBytes/1e6)
		}
		steps := fmt.Sprintf("%d to %d", a.StartStep, a.EndStep)
		if lost := lostSteps(t.Attempts, i); lost > 0 {
			steps += fmt.Sprintf(", %d lost", lost)
		}
		lines = append(lines, []string{
			strconv.Itoa(a.Number), exit, a.Host, a.Started, strconv.Itoa(a.PID), steps,
			seconds(a.WallSeconds), memory,
		})
	}
	if err := writeGrid(w, []string{"attempt", "exit", "host", "started", "process", "steps", "wall", "memory"}, lines, 4, false); err != nil {
		return err
	}
	for _, a := range t.Attempts[:len(t.Attempts)-1] {
		flat, err := flatten(a.Environment)
		if err != nil {
			return fmt.Errorf("trial %s: environment: %w", short(t.Key), err)
		}
		for key := range last {
			if _, ok := flat[key]; !ok {
				flat[key] = nil
			}
		}
		maps.DeleteFunc(flat, func(key string, v any) bool {
			other, ok := last[key]
			return ok && factorText(other) == factorText(v)
		})
		writeSettings(w, fmt.Sprintf("attempt %d ran with", a.Number), flat)
	}
	return nil
}

// lostSteps is how many steps of attempt i the next one had to do again: those after
// its last checkpoint, as far as it was heard of.
func lostSteps(attempts []Attempt, i int) int {
	if i+1 == len(attempts) {
		return 0
	}
	return max(0, attempts[i].EndStep-attempts[i+1].StartStep)
}

func writeTrialJSON(w io.Writer, t Trial, classes []ClassMetric) error {
	type class struct {
		ID   int64  `json:"id"`
		Name string `json:"name"`
		AP   any    `json:"AP"`
		AP50 any    `json:"AP50"`
		AP75 any    `json:"AP75"`
	}
	type attempt struct {
		Number      int             `json:"number"`
		Host        string          `json:"host"`
		PID         int             `json:"pid"`
		StartStep   int             `json:"start_step"`
		EndStep     int             `json:"end_step"`
		LostSteps   int             `json:"lost_steps"`
		Started     string          `json:"started"`
		Ended       *string         `json:"ended"`
		WallSeconds float64         `json:"wall_seconds"`
		PeakBytes   int64           `json:"peak_bytes"`
		Exit        *string         `json:"exit"`
		Error       *string         `json:"error"`
		Environment json.RawMessage `json:"environment"`
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
		Attempts     []attempt       `json:"attempts"`
		Provenance   json.RawMessage `json:"provenance"`
		Config       json.RawMessage `json:"config"`
		Labels       []Label         `json:"labels"`
		Metrics      ordered         `json:"metrics"`
		Classes      []class         `json:"classes"`
	}{
		Trial: t.Key, Kind: t.Kind, Status: t.Status, Seed: t.Seed, Dataset: t.Dataset, Init: t.Init,
		Engine: t.Engine, Numerics: t.Numerics, DivergedStep: t.DivergedStep, Started: t.Started, Weights: optional(t.Weights), Attempts: []attempt{},
		Provenance: json.RawMessage(t.Provenance), Config: json.RawMessage(t.Config), Labels: t.Labels,
		Metrics: orderedMetrics(t.Metrics), Classes: []class{},
	}
	l := listed(t, nil)
	out.Error, out.Finished, out.WallSeconds = l.Error, l.Finished, l.WallSeconds
	for i, a := range t.Attempts {
		out.Attempts = append(out.Attempts, attempt{
			a.Number, a.Host, a.PID, a.StartStep, a.EndStep, lostSteps(t.Attempts, i), a.Started, optional(a.Ended), a.WallSeconds, a.PeakBytes,
			optional(a.Exit), optional(a.Error), json.RawMessage(a.Environment),
		})
	}
	for _, c := range classes {
		out.Classes = append(out.Classes, class{c.Category, c.Name, finite(c.AP), finite(c.AP50), finite(c.AP75)})
	}
	return writeIndented(w, out)
}
