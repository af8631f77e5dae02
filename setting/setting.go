// Package setting describes the settings of components: their names, the values they may have and
// what they mean, each declared once, beside the code that reads it. The package alone reads written
// values (strictly), judges values and spells them.
//
// A component (a loss, an optimiser, a source of data) exports its settings as a list of
// Param and is built from Values. A setting that chooses between components lists the
// settings that each of them brings (Param.Kinds). The package that joins the lists of all
// components (experiments/catalogue) names the groups of settings.
package setting

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Kind is the type of a setting's values; its text completes "must be …".
type Kind string

const (
	Text    Kind = "text"                  // string
	Bool    Kind = "true or false"         // bool
	Int     Kind = "a whole number"        // int
	Seed    Kind = "a whole number from 0" // uint64
	Number  Kind = "a number"              // float64
	Numbers Kind = "a list of numbers"     // []float64
)

// Param describes one setting.
type Param struct {
	Name string // within its group; a dot makes a group in the group, as in images.train
	Kind Kind
	None bool // a Number that may also be the word none

	Min, Max     float64  // of a number, and of each number of a list
	Above, Below bool     // Min or Max themselves are excluded
	Count        [2]int   // fewest and most numbers of a list
	Choices      []string // the values there are, as Spell writes them; nil: all in range

	// Kinds are the components to choose from, each with the settings it brings. The
	// setting's value is one of the names.
	Kinds map[string][]Param

	// Default is the value, as Spell writes it, where a profile does not mention the
	// component that brings the setting. Without one every profile states the value.
	Default string
	// Was is the value, as Spell writes it, that matches the program before it had the setting:
	// older records are read as if they had it.
	Was string

	Path bool // a file or folder, which counts by its content, not by its name

	// When reports whether the setting changes a result beside the other values of its
	// group; nil: always.
	When func(group Values) bool
	// Check returns an error if the value does not fit the other values of its group, each of
	// which is in range: "must be at most positive (0.5)".
	Check func(group Values) error

	Doc string // one line: the meaning and the unit
}

// Group is a named list of settings.
type Group struct {
	Name   string
	Params []Param
}

// Values are a group's settings by name: string, bool, int, uint64, float64, []float64, or
// nil for none.
type Values map[string]any

func value[T any](v Values, name string) T {
	x, ok := v[name].(T)
	if !ok {
		panic(fmt.Sprintf("setting: %s is %T, expected %T", name, v[name], x)) // a component reads what it does not declare
	}
	return x
}

// Text returns the value of a Text.
func (v Values) Text(name string) string { return value[string](v, name) }

// Bool returns the value of a Bool.
func (v Values) Bool(name string) bool { return value[bool](v, name) }

// Int returns the value of an Int.
func (v Values) Int(name string) int { return value[int](v, name) }

// Seed returns the value of a Seed.
func (v Values) Seed(name string) uint64 { return value[uint64](v, name) }

// NumberOf returns the value of a Number.
func (v Values) Number(name string) float64 { return value[float64](v, name) }

// Optional returns the value of a Number that may be none, which is nil.
func (v Values) Optional(name string) *float64 {
	if x, ok := v[name]; ok && x == nil {
		return nil
	}
	x := v.Number(name)
	return &x
}

// Numbers returns the value of a Numbers. The caller must not change it.
func (v Values) Numbers(name string) []float64 { return value[[]float64](v, name) }

// Options lists the values to choose from, as Spell writes them; nil: any in range.
func (p *Param) Options() []string {
	switch {
	case p.Kinds != nil:
		return slices.Sorted(maps.Keys(p.Kinds))
	case p.Kind == Bool:
		return []string{"true", "false"}
	}
	return p.Choices
}

// Judge returns an error if a value of the parameter's kind is not allowed: "is 2, must be from 0 to 1".
func (p *Param) Judge(v any) error {
	if p.allows(v) {
		return nil
	}
	return fmt.Errorf("is %s, must be %s", Shown(v), p.Range())
}

// JudgeGroup returns an error if the value does not fit the other values of the group.
func (p *Param) JudgeGroup(group Values) error {
	if p.Check == nil {
		return nil
	}
	if err := p.Check(group); err != nil {
		return fmt.Errorf("is %s, %w", Shown(group[p.Name]), err)
	}
	return nil
}

func (p *Param) allows(v any) bool {
	if p.Kinds != nil {
		_, known := p.Kinds[Spell(v)]
		return known
	}
	if p.Choices != nil {
		return slices.Contains(p.Choices, Spell(v))
	}
	switch v := v.(type) {
	case nil:
		return p.None
	case int:
		return p.within(float64(v))
	case float64:
		return p.within(v)
	case []float64:
		return len(v) >= p.Count[0] && len(v) <= p.Count[1] && !slices.ContainsFunc(v, func(x float64) bool { return !p.within(x) })
	}
	return true
}

func (p *Param) within(x float64) bool {
	return (x > p.Min || x == p.Min && !p.Above) && (x < p.Max || x == p.Max && !p.Below)
}

// Range describes the values that a parameter may have, to complete "must be …".
func (p *Param) Range() string {
	if options := p.Options(); p.Kind != Bool && options != nil {
		return "one of " + strings.Join(options, ", ")
	}
	switch p.Kind {
	case Text, Bool, Seed:
		return string(p.Kind)
	case Numbers:
		count := strconv.Itoa(p.Count[1])
		if p.Count[0] < p.Count[1] {
			count = fmt.Sprintf("%d to %d", p.Count[0], p.Count[1])
		}
		return count + " numbers " + p.bounds()
	}
	if p.None {
		return p.bounds() + ", or none"
	}
	return p.bounds()
}

// Allowed describes kind and range for a reader.
func (p *Param) Allowed() string {
	if (p.Kind == Int || p.Kind == Number) && p.Choices == nil {
		return string(p.Kind) + " " + p.Range()
	}
	return p.Range()
}

func (p *Param) bounds() string {
	if !p.Above && !p.Below {
		return "from " + p.limit(p.Min) + " to " + p.limit(p.Max)
	}
	low, high := "at least ", "at most "
	if p.Above {
		low = "above "
	}
	if p.Below {
		high = "below "
	}
	return low + p.limit(p.Min) + " and " + high + p.limit(p.Max)
}

// limit spells a bound, the largest float32 in two digits.
func (p *Param) limit(x float64) string {
	switch {
	case p.Kind == Int:
		return strconv.Itoa(int(x))
	case math.Abs(x) == math.MaxFloat32:
		return strconv.FormatFloat(x, 'g', 2, 64)
	}
	return Spell(x)
}

// NumberOf returns the value of a setting that is a number.
func NumberOf(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// Spell writes a value as in a grid file, with the shortest text of a number: 0.1 for .1
// and 1e-1, [0.5,1,2] for a list.
func Spell(v any) string {
	switch v := v.(type) {
	case nil:
		return "none"
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case []float64:
		return spellList(v)
	case []any:
		return spellList(v)
	}
	return fmt.Sprint(v)
}

func spellList[T any](list []T) string {
	parts := make([]string, len(list))
	for i, v := range list {
		parts[i] = Spell(v)
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// Shown spells a value for an error: short, on one line, text in quotes.
func Shown(v any) string {
	if s, ok := v.(string); ok {
		return Short(s)
	}
	return cut(Spell(v))
}

// Short quotes text for an error, cut where it is long.
func Short(s string) string { return strconv.Quote(cut(s)) }

func cut(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
