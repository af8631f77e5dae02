// Package settingtest draws settings for tests of what must hold at every value that a
// component allows.
package settingtest

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"

	"focalgrid/setting"
)

// Draw gives each parameter, and each parameter of all kinds to choose from, a value that is
// allowed beside the kinds chosen. Numbers lie from -most to most as far as their range lets
// them; the ends come often.
func Draw(r *rand.Rand, params []setting.Param, most float64) setting.Values {
	for {
		v := setting.Values{}
		if draw(r, params, most, v); !slices.ContainsFunc(params, func(p setting.Param) bool { return !allowed(p, v) }) {
			return v
		}
	}
}

// allowed reports whether the group of values is what the parameter and its chosen kind allow.
func allowed(p setting.Param, v setting.Values) bool {
	if p.Judge(v[p.Name]) != nil || p.JudgeGroup(v) != nil {
		return false
	}
	for _, of := range p.Kinds[setting.Spell(v[p.Name])] {
		if !allowed(of, v) {
			return false
		}
	}
	return true
}

func draw(r *rand.Rand, params []setting.Param, most float64, v setting.Values) {
	for _, p := range params {
		v[p.Name] = value(r, &p, most)
		for _, kind := range slices.Sorted(maps.Keys(p.Kinds)) {
			draw(r, p.Kinds[kind], most, v)
		}
		draw(r, p.Kinds[setting.Spell(v[p.Name])], most, v) // last, as kinds may share a name
	}
}

func value(r *rand.Rand, p *setting.Param, most float64) any {
	if options := p.Options(); options != nil {
		v, err := p.Parse(options[r.IntN(len(options))])
		if err != nil {
			panic(err) // a choice is not of the parameter's kind
		}
		return v
	}
	switch p.Kind {
	case setting.Seed:
		return r.Uint64()
	case setting.Int:
		return int(number(r, p, most))
	case setting.Number:
		if p.None && r.IntN(8) == 0 {
			return nil
		}
		return number(r, p, most)
	case setting.Numbers:
		out := make([]float64, p.Count[0]+r.IntN(p.Count[1]-p.Count[0]+1))
		for i := range out {
			out[i] = number(r, p, most)
		}
		return out
	}
	return "text " + strconv.Itoa(r.IntN(10))
}

// number returns one end of the range or, more often, a float32 whose distance from the value
// closest to 0 is of any order of magnitude.
func number(r *rand.Rand, p *setting.Param, most float64) float64 {
	low, high := max(p.Min, min(-most, p.Max)), min(p.Max, max(most, p.Min))
	switch r.IntN(8) {
	case 0:
		return low
	case 1:
		return high
	}
	x := min(max(low, 0), high) + r.NormFloat64()*math.Exp(3*r.NormFloat64())
	return min(max(float64(float32(x)), low), high)
}
