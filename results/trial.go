package results

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"

	"focalgrid/results/files"
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

// Errors of reading and writing trials.
var (
	// ErrNoTrial: no trial has the given key or prefix.
	ErrNoTrial = errors.New("no such trial")
	// ErrAmbiguous: more than one trial has the given prefix.
	ErrAmbiguous = errors.New("more than one trial")
	// ErrFinished is returned by BeginTrial for a trial that is done or
	// diverged: what is done is not done again.
	ErrFinished = errors.New("trial is already finished")
	// ErrConflict is returned by FinishTrial when the trial is already
	// recorded with another result.
	ErrConflict = errors.New("trial is already recorded with another result")
)

// Trial is what is known of one trial.
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

	// Labels are the detector's classes: Labels[i] is what it means by label i. Nil in
	// records of versions that did not keep them.
	Labels []Label

	// Provenance is a JSON object of what does not belong to the identity:
	// revision, dirty, Go version, kernel set, CPU, threads.
	Provenance string

	Attempts []Attempt // by number; filled in by reading

	Outcome
}

// Label is a class of a detector, as the split that it learned from names it.
type Label struct {
	ID   int64  `json:"id"` // of the category
	Name string `json:"name"`
}

// Outcome is how a trial ended.
type Outcome struct {
	Status       string  // empty is not allowed in FinishTrial
	Error        string  // of a failed trial; of a diverged one what was not finite
	DivergedStep *int    // the step at which a diverged trial ended
	Finished     string  // RFC 3339
	WallSeconds  float64 // of all attempts together; in FinishTrial of the one that ends
	Weights      string  // hash of the final weights

	// Metrics are fractions by name: AP, AP50, AP75, APs, APm, APl, AR1, AR10,
	// AR100, ARs, ARm, ARl at the score threshold of the paper, and AP.001 with
	// detections kept from score .001 on. NaN: not defined.
	Metrics map[string]float64
}

// ClassMetric is the AP of one category; NaN where it has no ground truth.
type ClassMetric struct {
	Category       int64
	Name           string
	AP, AP50, AP75 float64
}

// Finish is all that FinishTrial writes at once.
type Finish struct {
	Outcome
	Steps   []Step
	Classes []ClassMetric
	// Detections is a COCO results file (JSON); nil: none kept.
	Detections []byte

	EndStep   int   // steps done when the attempt ended
	PeakBytes int64 // of memory in this attempt; 0: not known
}

var keyPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

// BeginTrial records that an attempt at a trial begins, and returns the
// attempt's number. A trial recorded before as interrupted or failed goes on;
// what it recorded is dropped. over is the number of an attempt that the caller
// found dead, which then ends as killed; 0: none.
//
// The error is ErrFinished if the trial is done or diverged, ErrHeld if an
// attempt other than over is at work on it, or a.Number is not the next.
func (s *Store) BeginTrial(t Trial, a Attempt, over int) (number int, err error) {
	if t.Kind == "" {
		t.Kind = KindTrain
	}
	if t.Provenance == "" {
		t.Provenance = "{}"
	}
	if a.Environment == "" {
		a.Environment = t.Provenance
	}
	a.Started = t.Started
	if err := errors.Join(t.check(), a.check()); err != nil {
		return 0, fmt.Errorf("trial %s: %w", t.Key, err)
	}
	err = s.inTx("begin trial", func(tx *sql.Tx) error {
		var id int64
		recorded, err := queryTrials(tx, " WHERE t.key = ?", t.Key)
		switch {
		case err != nil:
			return err
		case len(recorded) == 0:
		case IsFinal(recorded[0].Status):
			return fmt.Errorf("trial %s is %s: %w", Short(t.Key), recorded[0].Status, ErrFinished)
		default:
			if id, err = trialID(tx, t.Key); err != nil {
				return err
			}
			if err := errors.Join(dropSums(tx, id), dropRows(tx, id, resultTables...)); err != nil {
				return err
			}
		}
		err = tx.QueryRow(`
			INSERT INTO trials (key, kind, config, seed, dataset, init, engine, numerics, status, started, provenance)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (key) DO UPDATE SET
				kind = excluded.kind, config = excluded.config, seed = excluded.seed, dataset = excluded.dataset, init = excluded.init,
				engine = excluded.engine, numerics = excluded.numerics, status = excluded.status, started = excluded.started, provenance = excluded.provenance,
				error = '', diverged_step = NULL, finished = '', wall_seconds = 0, weights = ''
			RETURNING id`,
			t.Key, t.Kind, t.Config, int64(t.Seed), t.Dataset, t.Init, t.Engine, t.Numerics, StatusRunning, t.Started, t.Provenance).Scan(&id)
		if err != nil {
			return err
		}
		if err := keepLabels(tx, id, t.Labels); err != nil {
			return err
		}
		number, err = beginAttempt(tx, id, t.Key, a, over)
		return err
	})
	return number, err
}

func (t Trial) check() error {
	switch {
	case !keyPattern.MatchString(t.Key):
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

// FinishTrial writes how an attempt and with it the trial ended, with its
// metrics, classes, steps and detections: these and the trial's bundle beside the
// database, all else in one transaction. Doing it again with the same result changes
// nothing. The error is ErrNoTrial if the
// trial has not begun, ErrLost if that attempt no longer holds it, ErrConflict
// if it is done or diverged already and this result has another status or other
// weights.
func (s *Store) FinishTrial(key string, number int, f Finish) error {
	if !isEnd(f.Status) {
		return fmt.Errorf("trial %s: it cannot end as %q; known: done, diverged, failed, interrupted", Short(key), f.Status)
	}
	var detections files.Blob
	if f.Detections != nil {
		var err error
		if detections, err = s.keepDetections(f.Detections); err != nil {
			return fmt.Errorf("trial %s: detections: %w", Short(key), err)
		}
	}
	return s.inTx("finish trial", func(tx *sql.Tx) error {
		id, err := trialID(tx, key)
		if err != nil {
			return err
		}
		// A trial that has ended may be ended again, and nothing of it may have changed.
		if _, err := queryTrials(tx, " WHERE t.key = ?", key); err != nil {
			return err
		}
		if err := dropSums(tx, id); err != nil {
			return err
		}
		if err := endAttempt(tx, id, key, number, f); err != nil {
			return err
		}
		if _, err := admits(tx, key, f.Outcome); err != nil {
			return err
		}
		b, err := readBundle(tx, key)
		if err != nil {
			return err
		}
		b.Outcome, b.Steps, b.Classes, b.Detections = f.Outcome, f.Steps, slices.Clone(f.Classes), detections
		slices.SortFunc(b.Classes, func(x, y ClassMetric) int { return cmp.Compare(x.Category, y.Category) })
		b.WallSeconds = 0
		for _, a := range b.Attempts {
			b.WallSeconds += a.WallSeconds
		}
		if err := b.apply(tx); err != nil {
			return err
		}
		// No other process can begin an attempt before this transaction ends, so
		// that one which no longer holds the trial never gets here.
		return WriteBundle(BundleDir(s.path), b)
	})
}

// resultTables hold what a trial has measured.
var resultTables = []string{"losses", "steps", "metrics", "class_metrics", "detections"}

// dropRows deletes a trial's rows in the given tables.
func dropRows(tx *sql.Tx, id int64, tables ...string) error {
	for _, table := range tables {
		if _, err := tx.Exec("DELETE FROM "+table+" WHERE trial_id = ?", id); err != nil {
			return err
		}
	}
	return nil
}

// keepLabels replaces a trial's labels.
func keepLabels(tx *sql.Tx, id int64, labels []Label) error {
	if err := dropRows(tx, id, "labels"); err != nil {
		return err
	}
	for i, l := range labels {
		if _, err := tx.Exec("INSERT INTO labels (trial_id, label, category_id, name) VALUES (?, ?, ?, ?)", id, i, l.ID, l.Name); err != nil {
			return fmt.Errorf("label %d: %w", i, err)
		}
	}
	return nil
}

func trialID(tx *sql.Tx, key string) (id int64, err error) {
	err = tx.QueryRow("SELECT id FROM trials WHERE key = ?", key).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("trial %s: %w", Short(key), ErrNoTrial)
	}
	return id, err
}

// finite turns what SQLite should keep as NULL into nil. It would do so for
// NaN by itself, but keeps infinities, which JSON cannot write.
func finite(v float64) any {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return v
}

func sortedNames(m map[string]float64) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Counts is how trials ended. Those running, interrupted or not begun are in none of them.
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

// SaveSweep records a sweep and its plan. The same file again keeps its first
// time and order: only trials not yet in the plan are added, at the end.
func (s *Store) SaveSweep(sw Sweep, plan []Planned) error {
	return s.inTx("save sweep", func(tx *sql.Tx) error {
		b, err := saveSweep(tx, sw, plan)
		if err != nil {
			return err
		}
		return b.write(BundleDir(s.path))
	})
}

func (sw *Sweep) check() error {
	if sw.Name == "" || sw.Created == "" {
		return errors.New("sweep: its name and time must not be empty")
	}
	return nil
}

// saveSweep adds to the sweep's plan what is new in it, and returns the whole.
func saveSweep(tx *sql.Tx, sw Sweep, plan []Planned) (*sweepBundle, error) {
	if err := sw.check(); err != nil {
		return nil, err
	}
	if _, err := tx.Exec("INSERT INTO sweeps (name, file, hash, created) VALUES (?, ?, ?, ?) ON CONFLICT (name, hash) DO NOTHING",
		sw.Name, sw.File, sw.Hash, sw.Created); err != nil {
		return nil, err
	}
	var id int64
	var next int
	if err := tx.QueryRow("SELECT id, file, created FROM sweeps WHERE name = ? AND hash = ?", sw.Name, sw.Hash).Scan(&id, &sw.File, &sw.Created); err != nil {
		return nil, err
	}
	if _, err := querySweep(tx, sw); err != nil { // before what is there is given a new checksum
		return nil, err
	}
	if err := tx.QueryRow("SELECT coalesce(max(ordinal) + 1, 0) FROM sweep_trials WHERE sweep_id = ?", id).Scan(&next); err != nil {
		return nil, err
	}
	stmt, err := tx.Prepare("INSERT INTO sweep_trials (sweep_id, ordinal, table_row, trial_key) VALUES (?, ?, ?, ?) ON CONFLICT (sweep_id, trial_key) DO NOTHING")
	if err != nil {
		return nil, err
	}
	defer stmt.Close()
	for _, p := range plan {
		res, err := stmt.Exec(id, next, p.Row, p.Key)
		if err != nil {
			return nil, err
		}
		added, err := res.RowsAffected()
		if err != nil {
			return nil, err
		}
		next += int(added)
	}
	b := &sweepBundle{Sweep: sw}
	if b.Plan, err = queryPlan(tx, sw.Name, sw.Hash); err != nil {
		return nil, err
	}
	return b, keepSum(tx, partSweep, id, b.sum())
}

// Short returns the first digits of a key, as people see it.
func Short(key string) string {
	const digits = 12
	if len(key) > digits {
		return key[:digits]
	}
	return key
}
