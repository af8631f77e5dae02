package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"focalgrid/results/files"
)

// Choice is the choice of the best of several candidates: the settings with which a row of a table scores the highest
// AP, on images and with seeds that the table does not report.
type Choice struct {
	Subject    string      // identity of the row without the chosen settings, and of candidates and seeds: SHA-256, 64 lower-case hex digits
	Best       string      // Settings of the chosen candidate
	Candidates []Candidate // as ordered in the grid file
	Chosen     string      // RFC 3339
}

// Candidate is one of the settings that a choice is made from, with what its trials scored.
type Candidate struct {
	Settings string   // JSON: the settings by key
	AP       float64  // mean over the trials, a fraction; a trial that diverged counts as 0
	Trials   []string // keys
}

// Check returns an error if a choice cannot be recorded as it is.
func (c *Choice) Check() error {
	switch {
	case !KeyPattern.MatchString(c.Subject):
		return errors.New("choice: its subject is not a SHA-256 in lower-case hex")
	case c.Chosen == "":
		return errors.New("choice: its time is empty")
	case !slices.ContainsFunc(c.Candidates, func(o Candidate) bool { return o.Settings == c.Best }):
		return fmt.Errorf("choice: the best, %.80q, is not a candidate", c.Best)
	}
	for i, o := range c.Candidates {
		var settings map[string]json.RawMessage
		switch err := json.Unmarshal([]byte(o.Settings), &settings); {
		case err != nil || len(settings) == 0:
			return fmt.Errorf("choice: candidate %d: %.80q are not settings by key", i+1, o.Settings)
		case math.IsNaN(o.AP) || o.AP < 0 || o.AP > 1:
			return fmt.Errorf("choice: candidate %d: AP is %v, want 0 to 1", i+1, o.AP)
		case len(o.Trials) == 0:
			return fmt.Errorf("choice: candidate %d has no trial", i+1)
		}
		for _, key := range o.Trials {
			if !KeyPattern.MatchString(key) {
				return fmt.Errorf("choice: candidate %d: trial %.80q is not a SHA-256 in lower-case hex", i+1, key)
			}
		}
	}
	return nil
}

// Same reports whether two choices are equal, whenever they were made.
func (c *Choice) Same(other *Choice) bool {
	return c.Subject == other.Subject && c.Best == other.Best && slices.EqualFunc(c.Candidates, other.Candidates, func(a, b Candidate) bool {
		return a.Settings == b.Settings && a.AP == b.AP && slices.Equal(a.Trials, b.Trials)
	})
}

// Sum returns the checksum of the choice.
func (c *Choice) Sum() string {
	d := newDigest()
	d.text(c.Subject, c.Best, c.Chosen)
	for _, o := range c.Candidates {
		d.text(o.Settings)
		d.float(o.AP)
		d.text(o.Trials...)
	}
	return d.hex()
}

// ChoiceDir is the folder with the choices' files, inside the folder of bundles.
const ChoiceDir = "choices"

// Path returns the choice's file in a folder of bundles.
func (c *Choice) Path(dir string) string {
	return filepath.Join(dir, ChoiceDir, c.Subject+bundleExt)
}

// Write writes the choice into a folder of bundles.
func (c *Choice) Write(dir string) error {
	text, err := c.Encode()
	if err != nil {
		return fmt.Errorf("bundle of choice %s: %w", Short(c.Subject), err)
	}
	return files.Write(c.Path(dir), text)
}

// ReadChoice reads a file that Choice.Write wrote.
func ReadChoice(path string) (*Choice, error) {
	text, err := files.Read(path)
	if err != nil {
		return nil, err
	}
	line, err := DecodeLine(text)
	if err == nil && line.Choice == nil {
		err = fmt.Errorf("%w of a choice: it holds something else", ErrBundle)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if filepath.Base(path) != line.Choice.Subject+bundleExt {
		return nil, fmt.Errorf("%s: %w: it holds choice %s", path, ErrBundle, Short(line.Choice.Subject))
	}
	return line.Choice, nil
}

// The JSON of a choice.
type (
	choiceJSON struct {
		Bundle     int             `json:"bundle"`
		Choice     string          `json:"choice"`
		Chosen     string          `json:"chosen"`
		Best       json.RawMessage `json:"best"`
		Candidates []candidateJSON `json:"candidates"`
		SHA256     string          `json:"sha256,omitempty"` // by seal
	}
	candidateJSON struct {
		Settings json.RawMessage `json:"settings"`
		AP       number          `json:"AP"`
		Trials   []string        `json:"trials"`
	}
)

// Encode writes the choice as one line of JSON that ends with its checksum.
func (c *Choice) Encode() ([]byte, error) {
	j := choiceJSON{Bundle: choiceFormat, Choice: c.Subject, Chosen: c.Chosen, Best: json.RawMessage(c.Best)}
	for _, o := range c.Candidates {
		j.Candidates = append(j.Candidates, candidateJSON{json.RawMessage(o.Settings), number(o.AP), o.Trials})
	}
	return seal(jsonLine(j))
}

func decodeChoice(text []byte) (*Choice, error) {
	var j choiceJSON
	if err := strictly(text, &j); err != nil {
		return nil, err
	}
	c := &Choice{Subject: j.Choice, Best: string(j.Best), Chosen: j.Chosen}
	for _, o := range j.Candidates {
		c.Candidates = append(c.Candidates, Candidate{string(o.Settings), float64(o.AP), o.Trials})
	}
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	return c, nil
}
