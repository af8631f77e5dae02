package report

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"

	"focalgrid/columns"
	"focalgrid/results/record"
	"focalgrid/safecsv"
	"focalgrid/stats"
)

// quantity is a column of a training log that is compared.
type quantity struct {
	name string
	of   func(record.Step) float64
}

// quantities lists the columns of both sides' logs: the losses of a step follow their sum, in the
// order in which the logs first have them.
func quantities(sides ...Side) []quantity {
	out := []quantity{{"loss", func(s record.Step) float64 { return s.Loss }}}
	for _, side := range sides {
		for _, log := range side.Logs {
			if len(log) == 0 {
				continue
			}
			for _, l := range log[0].Losses {
				if key := l.Key(); !slices.ContainsFunc(out, func(q quantity) bool { return q.name == key }) {
					out = append(out, quantity{key, func(s record.Step) float64 { return lossOf(s, l.Name) }})
				}
			}
		}
	}
	return append(out,
		quantity{"lr", func(s record.Step) float64 { return s.LR }},
		quantity{"grad_norm", func(s record.Step) float64 { return s.GradNorm }},
		quantity{"positives", func(s record.Step) float64 { return float64(s.Positives) }})
}

// lossOf is the value of a loss by its name, NaN where the step has none.
func lossOf(s record.Step, name string) float64 {
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
			out[step] = append(out[step], stats.Mean(column).Mean)
		}
	}
	return out
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

// writeCurves draws each quantity of both sides on one scale, from the lowest to the highest
// value that is drawn. It is logarithmic where all of them are above 0: a loss that is ten times
// another falls by shares as it does.
func writeCurves(w *bytes.Buffer, c curves) {
	if len(c.steps) == 0 {
		return
	}
	fmt.Fprintf(w, "\ncurves, steps %d to %d: A and B on one scale, logarithmic where all is above 0; the first and last value\n",
		c.steps[0], c.steps[len(c.steps)-1])
	width := 9 // grad_norm
	for _, q := range c.quantities {
		width = max(width, len(q.name))
	}
	for i, q := range c.quantities {
		sides := [][]float64{column(c.steps, c.a, i), column(c.steps, c.b, i)}
		heights := drawnHeights(sides)
		for k, letter := range []string{"A", "B"} {
			values := slices.DeleteFunc(sides[k], math.IsNaN)
			if len(values) == 0 {
				fmt.Fprintf(w, "  %-*s %s %s\n", width, q.name, letter, columns.Gap)
				continue
			}
			fmt.Fprintf(w, "  %-*s %s %s %.4g to %.4g\n", width, q.name, letter, sparkline(heights[k]), values[0], values[len(values)-1])
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
			v := stats.Mean(values[i*len(values)/n : (i+1)*len(values)/n]).Mean
			if !math.IsNaN(v) {
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
