package plan

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"focalgrid/setting"
)

// Selection holds the command line's choices for a grid file.
type Selection struct {
	Profile string   // replaces the file's profile; empty: the file's
	Set     []string // "train.iters=100": settings over profile and baseline
	Only    []string // "loss.gamma=2" or "loss.gamma=0,2": rows to keep; several keys must all hold
	Seeds   string   // "3", "0..9" or "1,2,5", in place of the file's; empty: the file's
	DataDir string   // data.dir; empty: as set elsewhere

	Baseline []string // "loss.gamma=0": the one row that a table takes differences to; all must hold
}

type parsedSelection struct {
	set   []entry
	only  []choice
	seeds []uint64 // nil: the file's

	baseline []choice
}

// choice keeps the rows in which key has one of the values.
type choice struct {
	key    string
	values []any
	flag   string
}

func (s *Selection) parse(in *Catalogue) (parsedSelection, error) {
	var p parsedSelection
	var errs []error
	for _, text := range s.Set {
		if v, err := in.parseSet(text); err != nil {
			errs = append(errs, err)
		} else {
			p.set = append(p.set, v)
		}
	}
	if s.DataDir != "" {
		p.set = append(p.set, entry{"data.dir", s.DataDir, place{file: "--data " + s.DataDir}})
	}
	var err error
	if p.only, err = in.choices("--only", s.Only); err != nil {
		errs = append(errs, err)
	}
	if p.baseline, err = in.choices("--baseline", s.Baseline); err != nil {
		errs = append(errs, err)
	}
	if s.Seeds != "" {
		seeds, err := parseSeeds(s.Seeds)
		if err != nil {
			errs = append(errs, fmt.Errorf("--seeds %s: %w", s.Seeds, err))
		}
		p.seeds = seeds
	}
	return p, errors.Join(errs...)
}

// flagField splits key=value and finds the key.
func (in *Catalogue) flagField(flag, text string) (*field, string, error) {
	key, value, ok := strings.Cut(text, "=")
	if !ok {
		return nil, "", fmt.Errorf("%s: want key=value, such as loss.gamma=2", flag)
	}
	key = strings.TrimSpace(key)
	fd, ok := in.byKey[key]
	switch {
	case ok:
		return fd, strings.TrimSpace(value), nil
	case in.groups[key]:
		return nil, "", fmt.Errorf("%s: %s is a group of settings; it has %s", flag, key, strings.Join(in.below(key), ", "))
	}
	return nil, "", fmt.Errorf("%s: unknown key %q; nearest: %s", flag, key, in.Nearest(key))
}

func (in *Catalogue) parseSet(text string) (entry, error) {
	flag := "--set " + text
	fd, value, err := in.flagField(flag, text)
	if err != nil {
		return entry{}, err
	}
	v, err := fd.parseText(value)
	if err != nil {
		return entry{}, fmt.Errorf("%s: %s %w", flag, fd.key, err)
	}
	return entry{fd.key, v, place{file: flag}}, nil
}

// choices parses the values of a flag that selects by settings; several values of one key are joined.
func (in *Catalogue) choices(flag string, texts []string) ([]choice, error) {
	var out []choice
	var errs []error
	for _, text := range texts {
		c, err := in.parseChoice(flag, text)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if i := slices.IndexFunc(out, func(o choice) bool { return o.key == c.key }); i >= 0 {
			out[i].values = append(out[i].values, c.values...)
		} else {
			out = append(out, c)
		}
	}
	return out, errors.Join(errs...)
}

func (in *Catalogue) parseChoice(flag, text string) (choice, error) {
	flag += " " + text
	fd, value, err := in.flagField(flag, text)
	if err != nil {
		return choice{}, err
	}
	c := choice{key: fd.key, flag: flag}
	values := []string{value}
	if fd.Kind != setting.Numbers {
		values = strings.Split(value, ",")
	}
	for _, one := range values {
		v, err := fd.parseText(strings.TrimSpace(one))
		if err != nil {
			return choice{}, fmt.Errorf("%s: %s %w", flag, fd.key, err)
		}
		c.values = append(c.values, v)
	}
	return c, nil
}

// Matching returns a function that reports whether settings have the values of every "key=value,value…", as --only
// keeps rows.
func (in *Catalogue) Matching(only []string) (func(*Config) bool, error) {
	choices, err := in.choices("--only", only)
	return func(c *Config) bool { return fit(choices, c) }, err
}

// fit reports whether the settings have a value of each choice. A setting without meaning, such as γ beside cross
// entropy, has none.
func fit(choices []choice, c *Config) bool {
	for _, o := range choices {
		if !matters(c, o.key) && !c.in.byKey[o.key].Path {
			return false
		}
		have := c.Value(o.key)
		if !slices.ContainsFunc(o.values, func(v any) bool { return reflect.DeepEqual(v, have) }) {
			return false
		}
	}
	return true
}

// noRows returns the error about an --only that no row passes, with the values of the file.
func (p *parsedSelection) noRows(combos [][]entry, baseline *Config) error {
	const most = 12
	var flags, known []string
	for _, o := range p.only {
		flags = append(flags, o.flag)
		var values []string
		for _, combo := range combos {
			v := setting.Shown(baseline.Value(o.key))
			for _, s := range combo {
				if s.key == o.key {
					v = setting.Shown(s.value)
				}
			}
			if !slices.Contains(values, v) && len(values) < most {
				values = append(values, v)
			}
		}
		known = append(known, o.key+" is "+strings.Join(values, " or "))
	}
	return fmt.Errorf("%s: no row left; in the file %s", strings.Join(flags, " "), strings.Join(known, ", "))
}

// maxSeed is the largest seed of a trial: a database holds whole numbers below 2^63.
const maxSeed = math.MaxInt64

// CheckSeed returns an error if no trial can have the seed.
func CheckSeed(seed uint64) error {
	if seed > maxSeed {
		return fmt.Errorf("seed %d is too large; the largest is %d, which is 2^63 - 1", seed, uint64(maxSeed))
	}
	return nil
}

// parseSeeds reads one seed ("3"), a range with both ends ("0..9") or a comma
// list ("1,2,5").
func parseSeeds(text string) ([]uint64, error) {
	one := func(s string) (uint64, error) {
		s = strings.TrimSpace(s)
		v, err := strconv.ParseUint(s, 10, 64)
		if err != nil || setting.LeadingZero(s) {
			return 0, fmt.Errorf("%q is no seed; want a whole number from 0, a range such as 0..9, or a list such as 1,2,5", s)
		}
		return v, CheckSeed(v)
	}
	if lo, hi, ok := strings.Cut(text, ".."); ok {
		a, err := one(lo)
		if err != nil {
			return nil, err
		}
		b, err := one(hi)
		if err != nil {
			return nil, err
		}
		if b < a {
			return nil, fmt.Errorf("the range %s falls", text)
		}
		if b-a >= MaxTrials {
			return nil, fmt.Errorf("the range %s has more than %d seeds", text, MaxTrials)
		}
		var out []uint64
		for i := uint64(0); i <= b-a; i++ {
			out = append(out, a+i)
		}
		return out, nil
	}
	var out []uint64
	seen := map[uint64]bool{}
	for _, s := range strings.Split(text, ",") {
		v, err := one(s)
		if err != nil {
			return nil, err
		}
		if seen[v] {
			return nil, fmt.Errorf("seed %d is given twice", v)
		}
		seen[v] = true
		if out = append(out, v); len(out) > MaxTrials {
			return nil, fmt.Errorf("more than %d seeds", MaxTrials)
		}
	}
	return out, nil
}
