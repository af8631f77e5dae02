package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"focalgrid/columns"
	"focalgrid/nullable"
	"focalgrid/results/record"
	"focalgrid/stats"
)

// WriteComparison prints in what two sides differ: settings, environment,
// results, and their training curves side by side, the mean where a side has several
// trials. csv has the curves alone.
func WriteComparison(w io.Writer, a, b Side, format string) error {
	for _, s := range []Side{a, b} {
		if len(s.Trials) == 0 {
			return fmt.Errorf("%s: no trials to compare", s.Name)
		}
	}
	c := newCurves(a, b)
	if format == "csv" {
		return writeCurvesCSV(w, c)
	}
	settings, err := contrasts(a, b, settingsOf)
	if err != nil {
		return err
	}
	environment, err := contrasts(a, b, environmentOf)
	if err != nil {
		return err
	}
	switch format {
	case "json":
		return writeComparisonJSON(w, a, b, settings, environment, c)
	case "text":
		return writeComparisonText(w, a, b, settings, environment, c)
	}
	return fmt.Errorf("unknown comparison format %q; known: %s", format, strings.Join(CompareFormats(), ", "))
}

func writeComparisonJSON(w io.Writer, a, b Side, settings, environment []contrast, c curves) error {
	type side struct {
		Name   string   `json:"name"`
		Trials []string `json:"trials"`
	}
	type metric struct {
		A          stats.Summary `json:"a"`
		B          stats.Summary `json:"b"`
		Difference stats.Summary `json:"difference"`
		Paired     bool          `json:"paired"`
	}
	type point struct {
		Step int     `json:"step"`
		A    ordered `json:"a"`
		B    ordered `json:"b"`
	}
	out := struct {
		A           side       `json:"a"`
		B           side       `json:"b"`
		Common      []common   `json:"common"`
		Settings    []contrast `json:"settings"`
		Environment []contrast `json:"environment"`
		Metrics     ordered    `json:"metrics"`
		Curves      []point    `json:"curves"`
	}{Common: commonTrials(a, b), Settings: settings, Environment: environment, Metrics: ordered{}, Curves: []point{}}
	describe := func(s Side) side {
		d := side{Name: s.Name}
		for _, t := range s.Trials {
			d.Trials = append(d.Trials, t.Key)
		}
		return d
	}
	out.A, out.B = describe(a), describe(b)
	for _, m := range metricContrasts(a, b) {
		out.Metrics = append(out.Metrics, member{m.name, metric(m.Contrast)})
	}
	values := func(row []float64) ordered {
		if row == nil {
			return nil
		}
		o := ordered{}
		for i, q := range c.quantities {
			o = append(o, member{q.name, nullable.Float(row[i])})
		}
		return o
	}
	for _, step := range c.steps {
		out.Curves = append(out.Curves, point{step, values(c.a[step]), values(c.b[step])})
	}
	return writeIndented(w, out)
}

func writeComparisonText(w io.Writer, a, b Side, settings, environment []contrast, c curves) error {
	var buf bytes.Buffer
	for _, s := range []struct {
		letter string
		side   Side
	}{{"A", a}, {"B", b}} {
		keys := make([]string, 0, len(s.side.Trials))
		for _, t := range s.side.Trials {
			keys = append(keys, record.Short(t.Key)+" "+t.Status)
		}
		fmt.Fprintf(&buf, "%s  %s: %s\n", s.letter, columns.OneLine(s.side.Name), few(keys))
	}
	if both := commonTrials(a, b); len(both) > 0 {
		equal := 0
		for _, c := range both {
			if c.Equal {
				equal++
			}
		}
		fmt.Fprintf(&buf, "\n%d of these trials are on both sides: %d equal to the bit, %d not\n", len(both), equal, len(both)-equal)
		for _, c := range both {
			if !c.Equal {
				fmt.Fprintf(&buf, "  %s differs in %s\n", record.Short(c.Trial), strings.Join(c.Differs, ", "))
			}
		}
	}
	for _, part := range []struct {
		title string
		rows  []contrast
	}{{"settings", settings}, {"environment", environment}} {
		buf.WriteByte('\n')
		if len(part.rows) == 0 {
			fmt.Fprintf(&buf, "%s: no difference\n", part.title)
			continue
		}
		var lines [][]string
		for _, c := range part.rows {
			lines = append(lines, []string{c.Key, few(c.A), few(c.B)})
		}
		if err := columns.Ruled(&buf, []string{part.title, "A", "B"}, lines, 3); err != nil {
			return err
		}
	}
	if metrics := metricContrasts(a, b); len(metrics) > 0 {
		buf.WriteByte('\n')
		paired := false
		var lines [][]string
		for _, m := range metrics {
			difference := columns.Gap
			if m.Difference.Mean != nil {
				difference = spread(m.Difference, true)
			}
			paired = paired || m.Paired
			lines = append(lines, []string{m.name, spread(m.A, false), spread(m.B, false), difference})
		}
		if err := columns.Ruled(&buf, []string{"result", "A", "B", "B - A"}, lines, 1); err != nil {
			return err
		}
		how := ""
		if paired {
			how = ", B - A by pairs of one seed"
		}
		fmt.Fprintf(&buf, "× 100; %s over trials%s.\n", stats.Spread, how)
	}
	writeCurves(&buf, c)
	_, err := buf.WriteTo(w)
	return err
}

// few joins texts, cut after the first ones.
func few(texts []string) string {
	const most = 4
	switch {
	case len(texts) == 0:
		return columns.Gap
	case len(texts) > most:
		return strings.Join(texts[:most], ", ") + fmt.Sprintf(", … (%d)", len(texts))
	}
	return strings.Join(texts, ", ")
}

// spread prints a summary × 100.
func spread(s stats.Summary, signed bool) string {
	if s.Mean == nil {
		return columns.Gap
	}
	text := columns.Percent(*s.Mean)
	switch {
	case text == "-0.0":
		text = "0.0"
	case signed && *s.Mean > 0 && text != "0.0":
		text = "+" + text
	}
	if s.SD != nil {
		text += " ± " + columns.Percent(*s.SD)
	}
	return text
}
