package figure

import (
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
)

// ranges returns the ends of both axes of a panel.
func (p *Panel) ranges() (x, y [2]float64) {
	var xs, ys []float64
	for _, l := range p.Lines {
		for i := range l.X {
			if !p.drawn(l.X[i], l.Y[i]) {
				continue
			}
			xs, ys = append(xs, l.X[i]), append(ys, l.Y[i])
			if l.Low == nil {
				continue
			}
			if l.Across {
				xs = append(xs, l.Low[i], l.High[i])
			} else {
				ys = append(ys, l.Low[i], l.High[i])
			}
		}
	}
	for _, b := range p.Bars {
		xs, ys = append(xs, b.From, b.To), append(ys, 0, b.Height)
	}
	for _, l := range p.Labels {
		xs, ys = append(xs, l.X), append(ys, l.Y)
	}
	for _, s := range p.Shapes {
		xs, ys = append(xs, s.X...), append(ys, s.Y...)
	}
	return p.X.cover(xs), p.Y.cover(ys)
}

// drawn reports whether a point has a place between the axes.
func (p *Panel) drawn(x, y float64) bool { return p.X.has(x) && p.Y.has(y) }

func (a *Axis) has(v float64) bool { return finite(v) && (!a.Log || v >= 1/largest) }

// cover returns the ends of an axis that shows all values.
func (a *Axis) cover(values []float64) [2]float64 {
	if a.Names != nil {
		return [2]float64{-.5, float64(len(a.Names)) - .5}
	}
	if a.Min != 0 || a.Max != 0 {
		return [2]float64{a.Min, a.Max}
	}
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range slices.Concat(values, a.Also) {
		if a.has(v) {
			low, high = min(low, v), max(high, v)
		}
	}
	switch {
	case low > high && a.Log:
		return [2]float64{.1, 1}
	case low > high:
		return [2]float64{0, 1}
	case a.Log:
		margin := math.Pow(high/low, .05)
		if high == low {
			margin = 2
		}
		return [2]float64{low / margin, high * margin}
	}
	margin := .05 * (high - low)
	if size := max(math.Abs(low), math.Abs(high)); margin <= 1e-9*size || size < 1e-9 { // nothing but rounding
		margin = max(.1*size, 1e-9)
	}
	return [2]float64{low - margin, high + margin}
}

// ticks returns the ticks of an axis between its ends.
func (a *Axis) ticks(ends [2]float64) []plot.Tick {
	var out []plot.Tick
	add := func(v float64) { out = append(out, plot.Tick{Value: v, Label: spell(v)}) }
	switch {
	case a.Hidden:
	case a.Names != nil:
		for i, name := range a.Names {
			out = append(out, plot.Tick{Value: float64(i), Label: name})
		}
	case a.Ticks != nil:
		for _, v := range a.Ticks {
			if v >= ends[0] && v <= ends[1] {
				add(v)
			}
		}
	case a.Log:
		for _, v := range logTicks(ends) {
			add(v)
		}
	default:
		step := roundStep((ends[1] - ends[0]) / 6)
		first := math.Ceil(ends[0]/step - 1e-9)
		for k := 0.0; k <= 10 && (first+k)*step <= ends[1]+1e-9*step; k++ { // at most 7, but for rounding
			add((first + k) * step)
		}
	}
	return out
}

// mostTicks is how many powers of ten a logarithmic axis names: more would cover each other.
const mostTicks = 8

// logTicks are the powers of ten between the ends, every second or third and so on of many, and multiples of them where
// few fit.
func logTicks(ends [2]float64) []float64 {
	all := func(parts ...float64) (out []float64) {
		for e := math.Floor(math.Log10(ends[0])); e <= math.Ceil(math.Log10(ends[1])); e++ {
			for _, part := range parts {
				if v := part * math.Pow(10, e); v >= ends[0] && v <= ends[1] {
					out = append(out, v)
				}
			}
		}
		return out
	}
	if ten := all(1); len(ten) >= 4 {
		step := (len(ten) + mostTicks - 1) / mostTicks
		var some []float64
		for i := 0; i < len(ten); i += step {
			some = append(some, ten[i])
		}
		return some
	}
	if some := all(1, 2, 5); len(some) >= 3 {
		return some
	}
	return all(1, 2, 3, 4, 5, 6, 7, 8, 9)
}

// roundStep returns the step of 1, 2 or 5 times a power of ten that is nearest above a step.
func roundStep(step float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(step)))
	for _, part := range []float64{1, 2, 5} {
		if part*power >= step*(1-1e-9) {
			return part * power
		}
	}
	return 10 * power
}

// spell writes the number of a tick, without the noise of its last bits.
func spell(v float64) string {
	text := strconv.FormatFloat(v, 'g', 6, 64)
	short, err := strconv.ParseFloat(text, 64)
	if err != nil || short == 0 {
		return "0"
	}
	if a := math.Abs(short); a >= 1e-4 && a < 1e6 {
		text = strconv.FormatFloat(short, 'f', -1, 64)
	}
	if text[0] == '-' {
		text = "−" + text[1:]
	}
	return text
}
