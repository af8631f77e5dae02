package setting

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Scalar is one value as it is written.
type Scalar struct {
	Text   string
	Quoted bool // in quotes or as a block, so that it is text
	Null   bool // YAML's null, or nothing at all
}

func (s Scalar) String() string {
	if s.Null {
		return "empty"
	}
	return Short(s.Text)
}

var (
	decimal = regexp.MustCompile(`^[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?$`)
	octal   = regexp.MustCompile(`^[-+]?0[0-9]`)
)

// Scalar reads a value strictly; ReadNumber reads the values of a list one by one. YAML's own
// reading is too lenient: 010 is 8 there, 1_0 is 10, and null leaves a number as it was.
func (p *Param) Scalar(s Scalar) (any, error) {
	if s.Null {
		if p.None {
			return nil, errors.New("is null; write none, or a number")
		}
		return nil, fmt.Errorf("has no value, must be %s", p.Form())
	}
	switch p.Kind {
	case Text:
		return s.Text, nil
	case Bool:
		if !s.Quoted && (s.Text == "true" || s.Text == "false") {
			return s.Text == "true", nil
		}
		return nil, fmt.Errorf("must be true or false, is %s", s)
	case Int:
		if err := s.whole(); err != nil {
			return nil, err
		}
		v, err := strconv.ParseInt(s.Text, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("must be %s, is %s", p.Kind, s)
		}
		return int(v), nil
	case Seed:
		if err := s.whole(); err != nil {
			return nil, err
		}
		v, err := strconv.ParseUint(s.Text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("must be %s, is %s", p.Kind, s)
		}
		return v, nil
	case Number:
		if p.None && s.Text == "none" {
			return nil, nil
		}
		return ReadNumber(s)
	}
	return nil, fmt.Errorf("must be %s, is %s", p.Kind, s)
}

// Form completes "must be …" where a value is not of the parameter's kind.
func (p *Param) Form() string {
	if p.None {
		return string(p.Kind) + " or none"
	}
	return string(p.Kind)
}

func (s Scalar) whole() error {
	if s.Quoted || LeadingZero(s.Text) {
		return fmt.Errorf("must be a whole number without leading zeros or quotes, is %s", s)
	}
	return nil
}

// LeadingZero reports whether the text is a number that YAML may read as octal.
func LeadingZero(text string) bool { return octal.MatchString(text) }

// ReadNumber reads one number strictly.
func ReadNumber(s Scalar) (float64, error) {
	switch {
	case s.Quoted:
		return 0, fmt.Errorf("must be a number, is the text %s; take the quotes away", Short(s.Text))
	case LeadingZero(s.Text):
		return 0, fmt.Errorf("is %s; leave out the leading zero, which YAML may read as octal", s)
	case !decimal.MatchString(s.Text):
		return 0, fmt.Errorf("must be a number, is %s", s)
	}
	v, err := strconv.ParseFloat(s.Text, 64)
	if err != nil {
		return 0, fmt.Errorf("is %s, which is out of range", s)
	}
	return v + 0, nil // -0 is 0
}

// Parse reads what Spell writes.
func (p *Param) Parse(text string) (any, error) {
	if p.Kind != Numbers {
		return p.Scalar(Scalar{Text: text, Null: text == "" && p.Kind != Text})
	}
	inner, opened := strings.CutPrefix(text, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	if !opened || !closed {
		return nil, fmt.Errorf("must be %s, is %s", p.Kind, Short(text))
	}
	out := []float64{}
	if inner == "" {
		return out, nil
	}
	for part := range strings.SplitSeq(inner, ",") {
		v, err := ReadNumber(Scalar{Text: part})
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}
