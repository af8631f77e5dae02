package results

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"focalgrid/safecsv"
)

// Side is one of the two things that are compared: a trial, the seeds of a row,
// or all trials of a database.
type Side struct {
	Name   string
	Trials []Trial
	Logs   [][]Step // of each trial
}

// CompareFormats are the forms that WriteComparison knows.
func CompareFormats() []string { return []string{"csv", "json", "text"} }

// LoadSide reads the training logs of a side's trials.
func (s *Store) LoadSide(name string, trials []Trial) (Side, error) {
	side := Side{Name: name, Trials: trials, Logs: make([][]Step, len(trials))}
	for i, t := range trials {
		var err error
		if side.Logs[i], err = s.StepRows(t.Key); err != nil {
			return Side{}, err
		}
	}
	return side, nil
}

// Matching returns the trainings that have those settings, given as the texts that a list
// shows: "loss.gamma" = "2". Numbers are compared as numbers. The error names a
// setting that no trial has.
func Matching(trials []Trial, settings map[string]string) ([]Trial, error) {
	var out []Trial
	known := map[string]bool{}
	for _, t := range trials {
		if t.Kind != KindTrain {
			continue
		}
		flat, err := flatten(t.Config)
		if err != nil {
			return nil, fmt.Errorf("trial %s: configuration: %w", short(t.Key), err)
		}
		fits := true
		for key, want := range settings {
			v, ok := flat[key]
			known[key] = known[key] || ok
			fits = fits && ok && sameText(factorText(v), want)
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

// sameText tells whether two texts of a setting mean the same; a list may have spaces.
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
func contrasts(a, b Side, values func(Trial) (map[string]any, error)) ([]contrast, error) {
	gather := func(s Side) (map[string][]string, error) {
		out := map[string][]string{}
		for _, t := range s.Trials {
			flat, err := values(t)
			if err != nil {
				return nil, fmt.Errorf("trial %s: %w", short(t.Key), err)
			}
			for key, v := range flat {
				if text := factorText(v); !slices.Contains(out[key], text) {
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

func settingsOf(t Trial) (map[string]any, error) {
	flat, err := flatten(t.Config)
	if err == nil {
		flat["seed"] = t.Seed
	}
	return flat, err
}

// environmentOf is what a trial's last attempt ran with, and what its identity
// has besides settings.
func environmentOf(t Trial) (map[string]any, error) {
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

// metricContrast is a metric over the trials of each side that are done.
type metricContrast struct {
	name       string
	a, b       Stat
	difference Stat // B - A, by seed where both sides have each one trial of it
	paired     bool
}

func metricContrasts(a, b Side) []metricContrast {
	values := func(s Side, name string) (all []float64, bySeed map[uint64][]float64) {
		bySeed = map[uint64][]float64{}
		for _, t := range s.Trials {
			if v, ok := t.Metrics[name]; ok && t.Status == StatusDone && !math.IsNaN(v) {
				all = append(all, v)
				bySeed[t.Seed] = append(bySeed[t.Seed], v)
			}
		}
		return all, bySeed
	}
	names := map[string]float64{}
	for _, s := range []Side{a, b} {
		for _, t := range s.Trials {
			maps.Copy(names, t.Metrics)
		}
	}
	var out []metricContrast
	for _, m := range orderedMetrics(names) {
		va, seedsA := values(a, m.key)
		vb, seedsB := values(b, m.key)
		c := metricContrast{name: m.key, a: Summarize(va), b: Summarize(vb)}
		var pairs []float64
		for _, seed := range slices.Sorted(maps.Keys(seedsA)) {
			if x, y := seedsA[seed], seedsB[seed]; len(x) == 1 && len(y) == 1 {
				pairs = append(pairs, y[0]-x[0])
			}
		}
		switch {
		case len(pairs) > 0:
			c.difference, c.paired = Summarize(pairs), true
		case c.a.N > 0 && c.b.N > 0:
			d := *c.b.Mean - *c.a.Mean
			c.difference = Stat{Mean: &d, N: 1}
		}
		out = append(out, c)
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
	byKey := map[string]Trial{}
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
		for _, m := range orderedMetrics(names) {
			v, okX := x.Metrics[m.key]
			w, okY := y.Metrics[m.key]
			if okX != okY || math.Float64bits(v) != math.Float64bits(w) && !(math.IsNaN(v) && math.IsNaN(w)) {
				c.Differs = append(c.Differs, m.key)
			}
		}
		c.Equal = len(c.Differs) == 0
		out = append(out, c)
	}
	return out
}

// quantity is a column of a training log that is compared.
type quantity struct {
	name string
	of   func(Step) float64
}

// quantities are those of both sides' logs: the losses of a step stand after their sum, in the
// order in which the logs first have them.
func quantities(sides ...Side) []quantity {
	out := []quantity{{"loss", func(s Step) float64 { return s.Loss }}}
	for _, side := range sides {
		for _, log := range side.Logs {
			if len(log) == 0 {
				continue
			}
			for _, l := range log[0].Losses {
				if key := l.Key(); !slices.ContainsFunc(out, func(q quantity) bool { return q.name == key }) {
					out = append(out, quantity{key, func(s Step) float64 { return lossOf(s, l.Name) }})
				}
			}
		}
	}
	return append(out,
		quantity{"lr", func(s Step) float64 { return s.LR }},
		quantity{"grad_norm", func(s Step) float64 { return s.GradNorm }},
		quantity{"positives", func(s Step) float64 { return float64(s.Positives) }})
}

// lossOf is the value of a loss by its name, NaN where the step has none.
func lossOf(s Step, name string) float64 {
	for _, l := range s.Losses {
		if l.Name == name {
			return l.Value
		}
	}
	return math.NaN()
}

// curves are the mean training logs of two sides.
type curves struct {
	quantities []quantity
	steps      []int
	a, b       map[int][]float64 // by step, for each quantity; NaN where no log has it
}

func newCurves(a, b Side) curves {
	c := curves{quantities: quantities(a, b)}
	c.a, c.b = c.mean(a), c.mean(b)
	both := maps.Clone(c.a)
	maps.Copy(both, c.b)
	c.steps = slices.Sorted(maps.Keys(both))
	return c
}

// mean is the mean of a side's training logs.
func (c curves) mean(s Side) map[int][]float64 {
	values := map[int][][]float64{}
	for _, log := range s.Logs {
		for _, row := range log {
			if values[row.Step] == nil {
				values[row.Step] = make([][]float64, len(c.quantities))
			}
			for i, q := range c.quantities {
				values[row.Step][i] = append(values[row.Step][i], q.of(row))
			}
		}
	}
	out := map[int][]float64{}
	for step, columns := range values {
		for _, column := range columns {
			v := math.NaN()
			if mean := Summarize(column).Mean; mean != nil {
				v = *mean
			}
			out[step] = append(out[step], v)
		}
	}
	return out
}

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

func writeCurvesCSV(w io.Writer, c curves) error {
	out := safecsv.NewWriter(w)
	header := []string{"step"}
	for _, q := range c.quantities {
		header = append(header, "A "+q.name, "B "+q.name)
	}
	if err := out.Write(header); err != nil {
		return err
	}
	cell := func(row []float64, i int) string {
		if row == nil || math.IsNaN(row[i]) {
			return ""
		}
		return strconv.FormatFloat(row[i], 'g', -1, 64)
	}
	for _, step := range c.steps {
		record := []string{strconv.Itoa(step)}
		for i := range c.quantities {
			record = append(record, cell(c.a[step], i), cell(c.b[step], i))
		}
		if err := out.Write(record); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func writeComparisonJSON(w io.Writer, a, b Side, settings, environment []contrast, c curves) error {
	type side struct {
		Name   string   `json:"name"`
		Trials []string `json:"trials"`
	}
	type stat struct {
		Mean *float64 `json:"mean"`
		SD   *float64 `json:"sd"`
		N    int      `json:"n"`
	}
	type metric struct {
		A          stat `json:"a"`
		B          stat `json:"b"`
		Difference stat `json:"difference"`
		Paired     bool `json:"paired"`
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
		out.Metrics = append(out.Metrics, member{m.name, metric{stat(m.a), stat(m.b), stat(m.difference), m.paired}})
	}
	values := func(row []float64) ordered {
		if row == nil {
			return nil
		}
		o := ordered{}
		for i, q := range c.quantities {
			o = append(o, member{q.name, finite(row[i])})
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
			keys = append(keys, short(t.Key)+" "+t.Status)
		}
		fmt.Fprintf(&buf, "%s  %s: %s\n", s.letter, oneLine(s.side.Name), few(keys))
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
				fmt.Fprintf(&buf, "  %s differs in %s\n", short(c.Trial), strings.Join(c.Differs, ", "))
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
		if err := writeGrid(&buf, []string{part.title, "A", "B"}, lines, 3, false); err != nil {
			return err
		}
	}
	if metrics := metricContrasts(a, b); len(metrics) > 0 {
		buf.WriteByte('\n')
		paired := false
		var lines [][]string
		for _, m := range metrics {
			difference := gap
			if m.difference.Mean != nil {
				difference = spread(m.difference, true)
			}
			paired = paired || m.paired
			lines = append(lines, []string{m.name, spread(m.a, false), spread(m.b, false), difference})
		}
		if err := writeGrid(&buf, []string{"result", "A", "B", "B - A"}, lines, 1, false); err != nil {
			return err
		}
		if paired {
			buf.WriteString("× 100; mean ± sample standard deviation over trials, B - A by pairs of one seed.\n")
		} else {
			buf.WriteString("× 100; mean ± sample standard deviation over trials.\n")
		}
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
		return gap
	case len(texts) > most:
		return strings.Join(texts[:most], ", ") + fmt.Sprintf(", … (%d)", len(texts))
	}
	return strings.Join(texts, ", ")
}

// spread prints a Stat × 100.
func spread(s Stat, signed bool) string {
	if s.Mean == nil {
		return gap
	}
	text := percent(*s.Mean)
	switch {
	case text == "-0.0":
		text = "0.0"
	case signed && *s.Mean > 0 && text != "0.0":
		text = "+" + text
	}
	if s.SD != nil {
		text += " ± " + percent(*s.SD)
	}
	return text
}

// writeCurves draws each quantity of both sides on one scale, from the lowest to the highest
// value that is drawn. It is logarithmic where all of them are above 0: a loss that is ten times
// another falls by shares as it does.
func writeCurves(w *bytes.Buffer, c curves) {
	if len(c.steps) == 0 {
		return
	}
	fmt.Fprintf(w, "\ncurves, steps %d to %d: A and B on one scale, logarithmic where all is above 0; the first and last value\n",
		c.steps[0], c.steps[len(c.steps)-1])
	for i, q := range c.quantities {
		sides := [][]float64{column(c.steps, c.a, i), column(c.steps, c.b, i)}
		heights := drawnHeights(sides)
		for k, letter := range []string{"A", "B"} {
			values := slices.DeleteFunc(sides[k], math.IsNaN)
			if len(values) == 0 {
				fmt.Fprintf(w, "  %-10s%s %s\n", q.name, letter, gap)
				continue
			}
			fmt.Fprintf(w, "  %-10s%s %s %.4g to %.4g\n", q.name, letter, sparkline(heights[k]), values[0], values[len(values)-1])
		}
	}
}

// column is quantity i at each step, NaN where there is none.
func column(steps []int, rows map[int][]float64, i int) []float64 {
	values := make([]float64, len(steps))
	for at, step := range steps {
		values[at] = math.NaN()
		if row := rows[step]; row != nil {
			values[at] = row[i]
		}
	}
	return values
}

// drawnHeights are the means that at most 48 characters stand for, from 0, the lowest of all
// sides, to 1, the highest; NaN where there is none.
func drawnHeights(sides [][]float64) [][]float64 {
	const width = 48
	lowest, highest := math.Inf(1), math.Inf(-1)
	out := make([][]float64, len(sides))
	for k, values := range sides {
		n := min(width, len(values))
		for i := range n {
			v := math.NaN()
			if mean := Summarize(values[i*len(values)/n : (i+1)*len(values)/n]).Mean; mean != nil {
				v = *mean
				lowest, highest = min(lowest, v), max(highest, v)
			}
			out[k] = append(out[k], v)
		}
	}
	scale := func(v float64) float64 { return v }
	if lowest > 0 {
		scale = math.Log
	}
	for _, values := range out {
		for i, v := range values {
			if values[i] = 0; highest > lowest || math.IsNaN(v) {
				values[i] = (scale(v) - scale(lowest)) / (scale(highest) - scale(lowest))
			}
		}
	}
	return out
}

// sparkline draws heights from 0 to 1 in eight characters; a space is where there is none.
func sparkline(heights []float64) string {
	marks := []rune("▁▂▃▄▅▆▇█")
	out := make([]rune, len(heights))
	for i, v := range heights {
		out[i] = ' '
		if !math.IsNaN(v) {
			out[i] = marks[min(int(v*float64(len(marks))), len(marks)-1)]
		}
	}
	return string(out)
}
