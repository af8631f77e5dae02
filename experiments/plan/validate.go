package plan

import (
	"fmt"
	"slices"
	"strings"

	"focalgrid/setting"
)

// Problem is a setting whose value is impossible.
type Problem struct {
	Key string // the setting
	Msg string // "is -1, must be at least 0"
}

func (p Problem) String() string {
	if strings.HasPrefix(p.Msg, ":") {
		return p.Key + p.Msg
	}
	return p.Key + " " + p.Msg
}

// validate reports every impossible value at once.
func (c *Config) validate() error {
	var all problems
	for _, p := range c.problems() {
		all.list = append(all.list, fmt.Errorf("%s", p))
	}
	return all.err()
}

// problems lists every impossible value of the settings that are in use. Combinations of values are
// judged if each value by itself is possible.
func (c *Config) problems() []Problem {
	out := c.judge(func(p *setting.Param, group setting.Values) error { return p.Judge(group[p.Name]) })
	if len(out) == 0 {
		out = c.judge((*setting.Param).JudgeGroup)
	}
	return out
}

func (c *Config) judge(by func(*setting.Param, setting.Values) error) []Problem {
	var out []Problem
	for _, fd := range c.in.fields {
		group, _ := c.group(fd.key)
		for _, p := range fd.inUse(c) {
			if err := by(p, group); err != nil {
				out = append(out, Problem{fd.key, err.Error()})
			}
		}
	}
	return slices.Compact(out)
}
