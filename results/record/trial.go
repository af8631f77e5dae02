// Package record defines the record of a trial: the trial with its attempts, training log and metrics, the bundle that
// holds all of it in one file (JSON with a checksum; it reads every format ever written), and the checksums of its
// parts. Metrics are fractions. Package results stores records in a database; a worker fills them in without one.
package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"

	"focalgrid/stats"
)

// Kinds of trial.
const (
	KindTrain    = "train"    // trained and evaluated: a cell of a table
	KindPretrain = "pretrain" // makes the weights that others start from
)

// Status of a trial.
const (
	StatusRunning     = "running"
	StatusDone        = "done"
	StatusDiverged    = "diverged" // a loss or gradient was not finite: a result, not a failure
	StatusFailed      = "failed"
	StatusInterrupted = "interrupted"
)

// Statuses lists every status.
func Statuses() []string {
	return []string{StatusRunning, StatusDone, StatusDiverged, StatusFailed, StatusInterrupted}
}

// Trial describes one trial.
type Trial struct {
	Key      string // its identity: SHA-256, 64 lower-case hex digits
	Kind     string // KindTrain if empty
	Config   string // canonical JSON of the resolved settings
	Seed     uint64 // below 2^63
	Dataset  string // identity of the data
	Init     string // identity of the initial weights
	Engine   string
	Numerics string
	Started  string // RFC 3339

	// Labels are the detector's classes: Labels[i] is the meaning of label i. Nil in
	// records of versions that did not store them.
	Labels []Label

	// Provenance is a JSON object with facts that do not belong to the identity:
	// revision, dirty, Go version, kernel set, CPU, threads.
	Provenance string

	Attempts []Attempt // by number; filled in by reading

	Outcome
}

// Label is a class of a detector, as its training split names it.
type Label struct {
	ID   int64  `json:"id"` // of the category
	Name string `json:"name"`
}

// Outcome describes how a trial ended.
type Outcome struct {
	Status       string  // empty is not allowed in FinishTrial
	Error        string  // of a failed trial; of a diverged one what was not finite
	DivergedStep *int    // the step at which a diverged trial ended
	Finished     string  // RFC 3339
	WallSeconds  float64 // of all attempts together; in FinishTrial of the one that ends
	Weights      string  // hash of the final weights

	// Metrics are fractions by name: AP, AP50, AP75, APs, APm, APl, AR1, AR10,
	// AR100, ARs, ARm, ARl at the score threshold of the paper, and AP.001 with
	// detections from score .001 on. NaN: not defined.
	Metrics map[string]float64
}

// ClassMetric is the AP of one category; NaN where it has no ground truth.
type ClassMetric struct {
	Category       int64
	Name           string
	AP, AP50, AP75 float64
}

// Finish holds everything that FinishTrial writes at once.
type Finish struct {
	Outcome
	Steps   []Step
	Classes []ClassMetric
	// Detections is a COCO results file (JSON); nil: none.
	Detections []byte

	EndStep   int   // steps done when the attempt ended
	PeakBytes int64 // of memory in this attempt; 0: not known
}

// KeyPattern matches a SHA-256 in lower-case hex, such as a trial's key.
var KeyPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Check returns an error if a trial cannot be recorded as it is.
func (t Trial) Check() error {
	switch {
	case !KeyPattern.MatchString(t.Key):
		return errors.New("the key is not a SHA-256 in lower-case hex")
	case t.Kind != KindTrain && t.Kind != KindPretrain:
		return fmt.Errorf("kind is %q; known: %q, %q", t.Kind, KindTrain, KindPretrain)
	case !json.Valid([]byte(t.Config)):
		return errors.New("the configuration is not JSON")
	case !json.Valid([]byte(t.Provenance)):
		return errors.New("the provenance is not JSON")
	case t.Seed > math.MaxInt64:
		return fmt.Errorf("seed is %d, want less than 2^63", t.Seed)
	case t.Started == "":
		return errors.New("the start time is empty")
	}
	ids := map[int64]bool{}
	for _, l := range t.Labels {
		if ids[l.ID] {
			return fmt.Errorf("labels: category %d twice", l.ID)
		}
		ids[l.ID] = true
	}
	return nil
}

// Counts counts trials by how they ended. Trials that are running, interrupted or not begun are in none of the counts.
type Counts struct{ Done, Diverged, Failed int }

// Add counts a trial with that status.
func (c *Counts) Add(status string) {
	switch status {
	case StatusDone:
		c.Done++
	case StatusDiverged:
		c.Diverged++
	case StatusFailed:
		c.Failed++
	}
}

// Values returns a metric of the trials that are done or diverged, by which rows are compared: NaN where a trial that
// is done does not have it. A trial that diverged has none, and counts as 0 where stats compares runs.
func Values(trials []Trial, metric string) (values []stats.Value) {
	for _, t := range trials {
		switch t.Status {
		case StatusDone:
			v, ok := t.Metrics[metric]
			if !ok {
				v = math.NaN()
			}
			values = append(values, stats.Value{Seed: t.Seed, Value: v})
		case StatusDiverged:
			values = append(values, stats.Value{Seed: t.Seed, Diverged: true})
		}
	}
	return values
}

// Sweep is one ablation file as it was run.
type Sweep struct {
	Name    string // "gamma"
	File    string // the file's text
	Hash    string // SHA-256 of that text, hex
	Created string // RFC 3339
}

// Planned is one trial of a sweep's plan.
type Planned struct {
	Key string `json:"trial"`
	Row int    `json:"row"` // of the printed table, from 0; the seeds of one setting share it
}

// Check returns an error if a sweep cannot be recorded as it is.
func (sw *Sweep) Check() error {
	if sw.Name == "" || sw.Created == "" {
		return errors.New("sweep: its name and time must not be empty")
	}
	return nil
}

// Short returns the first digits of a key, for people.
func Short(key string) string {
	const digits = 12
	if len(key) > digits {
		return key[:digits]
	}
	return key
}
