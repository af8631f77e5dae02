package results

import (
	"cmp"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"focalgrid/results/files"
	"focalgrid/results/record"
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

// BeginTrial records that an attempt at a trial begins, and returns the
// attempt's number. A trial recorded before as interrupted or failed goes on;
// what it recorded is dropped. over is the number of an attempt that the caller
// found dead, which then ends as killed; 0: none.
//
// The error is ErrFinished if the trial is done or diverged, ErrHeld if an
// attempt other than over is at work on it, or a.Number is not the next.
func (s *Store) BeginTrial(t record.Trial, a record.Attempt, over int) (number int, err error) {
	if t.Kind == "" {
		t.Kind = record.KindTrain
	}
	if t.Provenance == "" {
		t.Provenance = "{}"
	}
	if a.Environment == "" {
		a.Environment = t.Provenance
	}
	a.Started = t.Started
	if err := errors.Join(t.Check(), a.Check()); err != nil {
		return 0, fmt.Errorf("trial %s: %w", t.Key, err)
	}
	err = s.inTx("begin trial", func(tx *sql.Tx) error {
		var id int64
		recorded, err := queryTrials(tx, " WHERE t.key = ?", t.Key)
		switch {
		case err != nil:
			return err
		case len(recorded) == 0:
		case record.IsFinal(recorded[0].Status):
			return fmt.Errorf("trial %s is %s: %w", record.Short(t.Key), recorded[0].Status, ErrFinished)
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
			t.Key, t.Kind, t.Config, int64(t.Seed), t.Dataset, t.Init, t.Engine, t.Numerics, record.StatusRunning, t.Started, t.Provenance).Scan(&id)
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

// FinishTrial writes how an attempt and with it the trial ended, with its metrics,
// classes, steps and detections: the detections and the trial's bundle beside the
// database, everything else in one transaction. Doing it again with the same result
// changes nothing. The error is ErrNoTrial if the trial has not begun, ErrLost if that
// attempt no longer holds it, ErrConflict if it is done or diverged already and this
// result has another status or other weights.
func (s *Store) FinishTrial(key string, number int, f record.Finish) error {
	if !record.IsEnd(f.Status) {
		return fmt.Errorf("trial %s: it cannot end as %q; known: done, diverged, failed, interrupted", record.Short(key), f.Status)
	}
	var detections files.Blob
	if f.Detections != nil {
		var err error
		if detections, err = s.keepDetections(f.Detections); err != nil {
			return fmt.Errorf("trial %s: detections: %w", record.Short(key), err)
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
		slices.SortFunc(b.Classes, func(x, y record.ClassMetric) int { return cmp.Compare(x.Category, y.Category) })
		b.WallSeconds = 0
		for _, a := range b.Attempts {
			b.WallSeconds += a.WallSeconds
		}
		if err := apply(b, tx); err != nil {
			return err
		}
		// No other process can begin an attempt before this transaction ends, so
		// that one which no longer holds the trial never gets here.
		return record.WriteBundle(record.BundleDir(s.path), b)
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
func keepLabels(tx *sql.Tx, id int64, labels []record.Label) error {
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
		return 0, fmt.Errorf("trial %s: %w", record.Short(key), ErrNoTrial)
	}
	return id, err
}

// SaveSweep records a sweep and its plan. The same file again keeps its first
// time and order: only trials not yet in the plan are added, at the end.
func (s *Store) SaveSweep(sw record.Sweep, plan []record.Planned) error {
	return s.inTx("save sweep", func(tx *sql.Tx) error {
		b, err := saveSweep(tx, sw, plan)
		if err != nil {
			return err
		}
		return b.Write(record.BundleDir(s.path))
	})
}

// saveSweep adds to the sweep's plan what is new in it, and returns the whole.
func saveSweep(tx *sql.Tx, sw record.Sweep, plan []record.Planned) (*record.SweepPlan, error) {
	if err := sw.Check(); err != nil {
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
	b := &record.SweepPlan{Sweep: sw}
	if b.Plan, err = queryPlan(tx, sw.Name, sw.Hash); err != nil {
		return nil, err
	}
	return b, keepSum(tx, record.PartSweep, id, b.Sum())
}
