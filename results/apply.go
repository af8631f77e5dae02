package results

import (
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"

	"focalgrid/results/files"
	"focalgrid/results/record"
)

// Apply records the bundles in one transaction. Doing it again changes nothing.
// The error is ErrConflict, with nothing changed, if one of the trials is done or
// diverged already and the bundle has another status or other weights; ErrHeld if one
// is at work and the bundle's was interrupted or failed.
func (s *Store) Apply(bundles ...*record.Bundle) error {
	return s.inTx("record bundle", func(tx *sql.Tx) error {
		for _, b := range bundles {
			status, err := admits(tx, b.Key, b.Outcome)
			if err == nil && status == record.StatusRunning && !record.IsFinal(b.Status) {
				err = fmt.Errorf("trial %s: %w, and this result of it is %s", record.Short(b.Key), record.ErrHeld, b.Status)
			}
			if err != nil {
				return err
			}
			if err := apply(b, tx); err != nil {
				return err
			}
		}
		return nil
	})
}

// admits refuses an outcome that contradicts what is recorded. It returns the trial's
// status, empty if it is not recorded.
func admits(tx *sql.Tx, key string, o record.Outcome) (status string, err error) {
	var weights string
	err = tx.QueryRow("SELECT status, weights FROM trials WHERE key = ?", key).Scan(&status, &weights)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "", nil
	case err != nil:
		return "", err
	case record.IsFinal(status) && (status != o.Status || weights != o.Weights):
		return "", fmt.Errorf("trial %s is %s with weights %q, now %s with weights %q: %w",
			record.Short(key), status, record.Short(weights), o.Status, record.Short(o.Weights), ErrConflict)
	}
	return status, nil
}

// apply replaces all that is recorded of the trial by the bundle.
func apply(b *record.Bundle, tx *sql.Tx) error {
	if err := b.Check(); err != nil {
		return fmt.Errorf("bundle of trial %s: %w", record.Short(b.Key), err)
	}
	var id int64
	err := tx.QueryRow(`
		INSERT INTO trials (key, kind, config, seed, dataset, init, engine, numerics, status, error, diverged_step, started, finished, wall_seconds, provenance, weights)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (key) DO UPDATE SET
			kind = excluded.kind, config = excluded.config, seed = excluded.seed, dataset = excluded.dataset, init = excluded.init,
			engine = excluded.engine, numerics = excluded.numerics, status = excluded.status, error = excluded.error,
			diverged_step = excluded.diverged_step, started = excluded.started, finished = excluded.finished,
			wall_seconds = excluded.wall_seconds, provenance = excluded.provenance, weights = excluded.weights
		RETURNING id`,
		b.Key, b.Kind, b.Config, int64(b.Seed), b.Dataset, b.Init, b.Engine, b.Numerics, b.Status, b.Error, b.DivergedStep,
		b.Started, b.Finished, b.WallSeconds, b.Provenance, b.Weights).Scan(&id)
	if err != nil {
		return err
	}
	if err := dropRows(tx, id, append([]string{"attempts"}, resultTables...)...); err != nil {
		return err
	}
	if err := keepLabels(tx, id, b.Labels); err != nil {
		return err
	}
	for _, a := range b.Attempts {
		if _, err := tx.Exec(`INSERT INTO attempts (trial_id, number, owner, host, pid, start_step, end_step, beats, started, ended,
			wall_seconds, peak_bytes, exit, error, environment) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			id, a.Number, a.Owner, a.Host, a.PID, a.StartStep, a.EndStep, a.Beats, a.Started, a.Ended,
			a.WallSeconds, a.PeakBytes, a.Exit, a.Error, a.Environment); err != nil {
			return err
		}
	}
	if err := insertSteps(tx, id, b.Steps); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(b.Metrics)) {
		if _, err := tx.Exec("INSERT INTO metrics (trial_id, name, value) VALUES (?, ?, ?)", id, name, orNull(b.Metrics[name])); err != nil {
			return err
		}
	}
	for _, c := range b.Classes {
		if _, err := tx.Exec("INSERT INTO class_metrics (trial_id, category_id, name, ap, ap50, ap75) VALUES (?, ?, ?, ?, ?, ?)",
			id, c.Category, c.Name, orNull(c.AP), orNull(c.AP50), orNull(c.AP75)); err != nil {
			return err
		}
	}
	if b.Detections != (files.Blob{}) {
		if _, err := tx.Exec("INSERT INTO detections (trial_id, hash, size) VALUES (?, ?, ?)", id, b.Detections.Hash, b.Detections.Size); err != nil {
			return err
		}
	}
	return keepSums(b, tx, id)
}

// bundle returns all that is recorded of a trial that has ended. The key is the
// full key; the error is ErrNoTrial if there is none.
func (s *Store) bundle(key string) (b *record.Bundle, err error) {
	err = s.inTx("read trial", func(tx *sql.Tx) error {
		b, err = readBundle(tx, key)
		return err
	})
	return b, err
}

func readBundle(tx *sql.Tx, key string) (*record.Bundle, error) {
	trials, err := queryTrials(tx, " WHERE t.key = ?", key)
	if err != nil {
		return nil, err
	}
	if len(trials) == 0 {
		return nil, fmt.Errorf("trial %s: %w", record.Short(key), ErrNoTrial)
	}
	b := &record.Bundle{Trial: trials[0]}
	if b.Classes, err = queryClasses(tx, key); err != nil {
		return nil, err
	}
	if b.Steps, err = querySteps(tx, key); err != nil {
		return nil, err
	}
	if b.Detections, err = queryDetections(tx, key); err != nil {
		return nil, err
	}
	_, b.Unsealed, err = recordedSum(tx, record.PartTrial, "trials WHERE key = ?", key)
	return b, err
}
