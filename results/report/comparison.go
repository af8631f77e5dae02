package report

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"regexp"
	"strings"

	"focalgrid/columns"
	"focalgrid/nullable"
	"focalgrid/results/record"
	"focalgrid/stats"
)

// WriteComparison prints in what two sides differ: settings, environment,
// results, and their training curves side by side, the mean where a side has several
// trials. csv has the curves alone.
func WriteComparison(w io.Writer, c Comparison, format string) error {
	a, b := c.A, c.B
	for _, s := range []Side{a, b} {
		if len(s.Trials) == 0 {
			return fmt.Errorf("%s: no trials to compare", s.Name)
		}
	}
	curves := newCurves(a, b)
	if format == "csv" {
		return writeCurvesCSV(w, curves)
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
		return writeComparisonJSON(w, c, settings, environment, curves)
	case "text":
		return writeComparisonText(w, c, settings, environment, curves)
	}
	return fmt.Errorf("unknown comparison format %q; known: %s", format, strings.Join(CompareFormats(), ", "))
}

func writeComparisonJSON(w io.Writer, c Comparison, settings, environment []contrast, curves curves) error {
	type side struct {
		Name   string   `json:"name"`
		Trials []string `json:"trials"`
	}
	type metric struct {
		A          stats.Estimate   `json:"a"`
		B          stats.Estimate   `json:"b"`
		Difference stats.Difference `json:"difference"`
	}
	type point struct {
		Step int     `json:"step"`
		A    ordered `json:"a"`
		B    ordered `json:"b"`
	}
	out := struct {
		A           side            `json:"a"`
		B           side            `json:"b"`
		Common      []common        `json:"common"`
		Settings    []contrast      `json:"settings"`
		Environment []contrast      `json:"environment"`
		Metrics     ordered         `json:"metrics"`
		TwoLevel    *stats.TwoLevel `json:"two_level"` // of AP
		NoTwoLevel  string          `json:"no_two_level,omitempty"`
		Curves      []point         `json:"curves"`
	}{
		Common: commonTrials(c.A, c.B), Settings: settings, Environment: environment, Metrics: ordered{},
		TwoLevel: c.TwoLevel, NoTwoLevel: c.NoTwoLevel, Curves: []point{},
	}
	describe := func(s Side) side {
		d := side{Name: s.Name}
		for _, t := range s.Trials {
			d.Trials = append(d.Trials, t.Key)
		}
		return d
	}
	out.A, out.B = describe(c.A), describe(c.B)
	for _, m := range metricContrasts(c.A, c.B) {
		out.Metrics = append(out.Metrics, member{m.name, metric{m.a, m.b, m.difference}})
	}
	values := func(row []float64) ordered {
		if row == nil {
			return nil
		}
		o := ordered{}
		for i, q := range curves.quantities {
			o = append(o, member{q.name, nullable.Float(row[i])})
		}
		return o
	}
	for _, step := range curves.steps {
		out.Curves = append(out.Curves, point{step, values(curves.a[step]), values(curves.b[step])})
	}
	return writeIndented(w, out)
}

func writeComparisonText(w io.Writer, c Comparison, settings, environment []contrast, curves curves) error {
	var buf bytes.Buffer
	for _, s := range []struct {
		letter string
		side   Side
	}{{"A", c.A}, {"B", c.B}} {
		keys := make([]string, 0, len(s.side.Trials))
		for _, t := range s.side.Trials {
			keys = append(keys, record.Short(t.Key)+" "+t.Status)
		}
		fmt.Fprintf(&buf, "%s  %s: %s\n", s.letter, columns.OneLine(s.side.Name), few(keys))
	}
	writeEngines(&buf, c.A, c.B)
	if both := commonTrials(c.A, c.B); len(both) > 0 {
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
			lines = append(lines, []string{c.Key, few(shortened(c.Key, c.A)), few(shortened(c.Key, c.B))})
		}
		if err := columns.Ruled(&buf, []string{part.title, "A", "B"}, lines, 3); err != nil {
			return err
		}
	}
	if metrics := metricContrasts(c.A, c.B); len(metrics) > 0 {
		buf.WriteByte('\n')
		if err := writeMetrics(&buf, metrics); err != nil {
			return err
		}
	}
	switch two := c.TwoLevel; {
	case two != nil:
		fmt.Fprintf(&buf, "\nWith other seeds and other images B - A in AP would be %s (95 %%):\n%s, each of %s and of %s, from the stored detections.\n",
			plusMinus(two.Mean, (two.High-two.Low)/2, true), columns.Count(two.Resamples, "resample"), drawnRuns(*two), columns.Count(two.Images, "image"))
		for _, caveat := range two.Caveats {
			if caveat.Kind == stats.SeedsFixed {
				fmt.Fprintf(&buf, "  %s.\n", caveat)
			}
		}
	case c.NoTwoLevel != "":
		fmt.Fprintf(&buf, "\nNo interval over other images: %s.\n", columns.OneLine(c.NoTwoLevel))
	}
	if oneTraining(c.A, c.B, settings) {
		if err := writeStepByStep(&buf, c.A, c.B, curves); err != nil {
			return err
		}
	}
	writeCurves(&buf, curves)
	_, err := buf.WriteTo(w)
	return err
}

// hash matches a SHA-256, in parts that are shown and not.
var hash = regexp.MustCompile(`\b([0-9a-f]{12})[0-9a-f]{52}\b`)

// shortened returns the values of a key without what makes a table wide: the folder of a plugin, "PATH sha256:HASH", and
// most digits of hashes.
func shortened(key string, values []string) []string {
	var out []string
	for _, v := range values {
		if key == "plugin" {
			v = v[strings.LastIndexAny(v, `/\`)+1:]
		}
		out = append(out, hash.ReplaceAllString(v, "$1"))
	}
	return out
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

// writeMetrics writes each metric of both sides, their difference, and what the differences cannot show.
func writeMetrics(w io.Writer, metrics []metricContrast) error {
	var lines [][]string
	var caveats []stats.Caveat
	concerned := map[stats.Caveat][]string{} // the metrics of a caveat
	compared, paired := 0, false
	for _, m := range metrics {
		d := m.difference
		lines = append(lines, []string{
			m.name, estimateText(m.a), estimateText(m.b),
			plusMinus(d.Mean, d.HalfWidth(), true), columns.Decimals(d.P, 3), columns.Decimals(d.Superiority, 2),
		})
		if math.IsNaN(d.Mean) {
			continue
		}
		compared++
		paired = paired || d.Paired
		for _, c := range d.Caveats {
			if concerned[c] == nil {
				caveats = append(caveats, c)
			}
			concerned[c] = append(concerned[c], m.name)
		}
	}
	if err := columns.Ruled(w, []string{"result", "A", "B", "B - A", "p", "P(B > A)"}, lines, 1); err != nil {
		return err
	}
	how := ""
	if paired {
		how = "; B - A by pairs of one seed,\np by the exact sign-flip test, not adjusted for other comparisons"
	}
	if _, err := fmt.Fprintf(w, "× 100; mean ± half of the 95 %% t interval over trials%s.\n", how); err != nil {
		return err
	}
	for _, c := range caveats {
		of := ""
		if names := concerned[c]; len(names) < compared {
			of = strings.Join(names, ", ") + ": "
		}
		if _, err := fmt.Fprintf(w, "  %s%s.\n", of, c); err != nil {
			return err
		}
	}
	for _, m := range metrics {
		if m.name == "AP" {
			_, err := io.WriteString(w, planned(m.difference))
			return err
		}
	}
	return nil
}

// planned says, of an AP that is not separated, which differences so many pairs would show, and how many pairs this
// difference would take. It is empty where the spread over pairs is not known.
func planned(d stats.Difference) string {
	if d.Separated() || d.N < 2 {
		return ""
	}
	detectable, needed := stats.Detectable(d.SD, d.N, 1), stats.Needed(d.SD, d.Mean, 1)
	if math.IsInf(detectable, 1) || needed == 0 || needed <= d.N {
		return ""
	}
	return fmt.Sprintf("  AP is not separated: %d pairs show a difference of %s or more, with a chance of %.0f %%; this one takes %d.\n",
		d.N, columns.Percent(detectable), 100*stats.Power, needed)
}

// drawnRuns says which runs a resample has drawn.
func drawnRuns(two stats.TwoLevel) string {
	if two.N == 0 {
		return "the trials of each side"
	}
	return columns.Count(two.N, "pair")
}

// plusMinus prints a fraction × 100 and, where it is known, its half interval.
func plusMinus(mean, half float64, signed bool) string {
	text := columns.Percent(mean)
	switch {
	case math.IsNaN(mean):
		return columns.Gap
	case text == "-0.0":
		text = "0.0"
	case signed && mean > 0 && text != "0.0":
		text = "+" + text
	}
	if !math.IsNaN(half) {
		text += " ± " + columns.Percent(half)
	}
	return text
}
