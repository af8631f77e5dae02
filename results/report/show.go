package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"focalgrid/columns"
	"focalgrid/nullable"
	"focalgrid/results/record"
	"focalgrid/setting"
)

// WriteTrial prints all that is known of one trial, as text or json.
func WriteTrial(w io.Writer, t record.Trial, classes []record.ClassMetric, format string) error {
	switch format {
	case "text":
		return writeTrialText(w, t, classes)
	case "json":
		return writeTrialJSON(w, t, classes)
	}
	return fmt.Errorf("unknown trial format %q; known: json, text", format)
}

func writeTrialText(w io.Writer, t record.Trial, classes []record.ClassMetric) error {
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
			return fmt.Errorf("trial %s: %s: %w", record.Short(t.Key), part.name, err)
		}
		writeSettings(&buf, part.name, flat)
	}
	if len(t.Metrics) > 0 {
		buf.WriteString("\nmetrics (× 100)\n")
		for _, name := range namesOf(t.Metrics) {
			fmt.Fprintf(&buf, "  %-6s  %5s\n", columns.OneLine(name), columns.Percent(t.Metrics[name]))
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
			cells = append(cells, columns.Percent(v))
		}
		lines = append(lines, cells)
	}
	return columns.Ruled(w, []string{"class", "id", "AP", "AP50", "AP75"}, lines, 1)
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
		fmt.Fprintf(w, "  %-*s  %s\n", width, columns.OneLine(key), columns.OneLine(setting.Spell(flat[key])))
	}
}

// seconds prints a time; a gap for what is not finite.
func seconds(v float64) string {
	if text := columns.Decimals(v, 1); text != columns.Gap {
		return text + " s"
	}
	return columns.Gap
}

// writeAttempts prints the attempts of a trial and, where they did not all run
// with the same, in what each differed from the last.
func writeAttempts(w *bytes.Buffer, t record.Trial) error {
	if len(t.Attempts) == 0 {
		return nil
	}
	last, err := flatten(t.Attempts[len(t.Attempts)-1].Environment)
	if err != nil {
		return fmt.Errorf("trial %s: environment: %w", record.Short(t.Key), err)
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
		memory := columns.Gap
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
	if err := columns.Ruled(w, []string{"attempt", "exit", "host", "started", "process", "steps", "wall", "memory"}, lines, 4); err != nil {
		return err
	}
	for _, a := range t.Attempts[:len(t.Attempts)-1] {
		flat, err := flatten(a.Environment)
		if err != nil {
			return fmt.Errorf("trial %s: environment: %w", record.Short(t.Key), err)
		}
		for key := range last {
			if _, ok := flat[key]; !ok {
				flat[key] = nil
			}
		}
		maps.DeleteFunc(flat, func(key string, v any) bool {
			other, ok := last[key]
			return ok && setting.Spell(other) == setting.Spell(v)
		})
		writeSettings(w, fmt.Sprintf("attempt %d ran with", a.Number), flat)
	}
	return nil
}

// lostSteps is how many steps of attempt i the next one had to do again: those after
// its last checkpoint, as far as it was heard of.
func lostSteps(attempts []record.Attempt, i int) int {
	if i+1 == len(attempts) {
		return 0
	}
	return max(0, attempts[i].EndStep-attempts[i+1].StartStep)
}

func writeTrialJSON(w io.Writer, t record.Trial, classes []record.ClassMetric) error {
	type class struct {
		ID   int64          `json:"id"`
		Name string         `json:"name"`
		AP   nullable.Float `json:"AP"`
		AP50 nullable.Float `json:"AP50"`
		AP75 nullable.Float `json:"AP75"`
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
		Labels       []record.Label  `json:"labels"`
		Metrics      ordered         `json:"metrics"`
		Classes      []class         `json:"classes"`
	}{
		Trial: t.Key, Kind: t.Kind, Status: t.Status, Seed: t.Seed, Dataset: t.Dataset, Init: t.Init,
		Engine: t.Engine, Numerics: t.Numerics, DivergedStep: t.DivergedStep, Started: t.Started, Weights: optional(t.Weights), Attempts: []attempt{},
		Provenance: json.RawMessage(t.Provenance), Config: json.RawMessage(t.Config), Labels: t.Labels,
		Metrics: metricsJSON(t.Metrics), Classes: []class{},
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
		out.Classes = append(out.Classes, class{c.Category, c.Name, nullable.Float(c.AP), nullable.Float(c.AP50), nullable.Float(c.AP75)})
	}
	return writeIndented(w, out)
}
