package results

import (
	"database/sql"
	"errors"
	"fmt"

	"focalgrid/results/record"
)

// Beat records a heartbeat of an attempt, with its progress. The error is ErrLost
// if the attempt no longer holds the trial.
func (s *Store) Beat(key string, number int, p record.Progress) error {
	return s.inTx("heartbeat", func(tx *sql.Tx) error {
		id, err := holds(tx, key, number)
		if err != nil {
			return err
		}
		_, err = tx.Exec(`UPDATE attempts SET beats = beats + 1, end_step = ?, wall_seconds = ?, peak_bytes = max(peak_bytes, ?)
			WHERE trial_id = ? AND number = ?`, p.Step, p.WallSeconds, p.PeakBytes, id, number)
		return err
	})
}

// holds returns the trial's row id if that attempt is the one at work on it.
func holds(tx *sql.Tx, key string, number int) (int64, error) {
	id, err := trialID(tx, key)
	if err != nil {
		return 0, err
	}
	var held int
	err = tx.QueryRow("SELECT number FROM attempts WHERE trial_id = ? AND exit = ''", id).Scan(&held)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, fmt.Errorf("trial %s, attempt %d: %w: it has ended", record.Short(key), number, record.ErrLost)
	case err != nil:
		return 0, err
	case held != number:
		return 0, fmt.Errorf("trial %s, attempt %d: %w: attempt %d took over", record.Short(key), number, record.ErrLost, held)
	}
	return id, nil
}

// beginAttempt ends attempt number over, if that is the one at work, as killed,
// and adds a new one. Where the new one begins is where the dead one got to. The error
// is ErrHeld if it is to have a number that another has.
func beginAttempt(tx *sql.Tx, id int64, key string, a record.Attempt, over int) (int, error) {
	held, host, pid := 0, "", 0
	err := tx.QueryRow("SELECT number, host, pid FROM attempts WHERE trial_id = ? AND exit = ''", id).Scan(&held, &host, &pid)
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return 0, err
	case held != over:
		return 0, fmt.Errorf("trial %s: %w: attempt %d, process %d on %s", record.Short(key), record.ErrHeld, held, pid, host)
	default:
		if _, err := tx.Exec("UPDATE attempts SET exit = ?, ended = ?, end_step = max(end_step, ?) WHERE trial_id = ? AND number = ?",
			record.ExitKilled, a.Started, a.StartStep, id, held); err != nil {
			return 0, err
		}
	}
	var last int
	if err := tx.QueryRow("SELECT coalesce(max(number), 0) FROM attempts WHERE trial_id = ?", id).Scan(&last); err != nil {
		return 0, err
	}
	if a.Number != 0 && a.Number != last+1 {
		return 0, fmt.Errorf("trial %s: %w: attempt %d came first", record.Short(key), record.ErrHeld, last)
	}
	_, err = tx.Exec(`INSERT INTO attempts (trial_id, number, owner, host, pid, start_step, end_step, started, environment)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, id, last+1, a.Owner, a.Host, a.PID, a.StartStep, a.StartStep, a.Started, a.Environment)
	return last + 1, err
}

// endAttempt records how an attempt ended. Doing it again with the same exit is
// harmless; the error is ErrLost if it ended otherwise or another one began.
func endAttempt(tx *sql.Tx, id int64, key string, number int, f record.Finish) error {
	var last int
	if err := tx.QueryRow("SELECT coalesce(max(number), 0) FROM attempts WHERE trial_id = ?", id).Scan(&last); err != nil {
		return err
	}
	if last != number {
		return fmt.Errorf("trial %s, attempt %d: %w: attempt %d took over", record.Short(key), number, record.ErrLost, last)
	}
	var exit string
	if err := tx.QueryRow("SELECT exit FROM attempts WHERE trial_id = ? AND number = ?", id, number).Scan(&exit); err != nil {
		return err
	}
	if exit != "" && exit != f.Status {
		return fmt.Errorf("trial %s, attempt %d: %w: it has ended as %s", record.Short(key), number, record.ErrLost, exit)
	}
	_, err := tx.Exec(`UPDATE attempts SET exit = ?, error = ?, ended = ?, end_step = max(end_step, ?), wall_seconds = ?, peak_bytes = max(peak_bytes, ?)
		WHERE trial_id = ? AND number = ?`, f.Status, f.Error, f.Finished, f.EndStep, f.WallSeconds, f.PeakBytes, id, number)
	return err
}

// attemptColumns are scanned by scanAttempt.
const attemptColumns = `a.trial_id, a.number, a.owner, a.host, a.pid, a.start_step, a.end_step, a.beats, a.started, a.ended,
	a.wall_seconds, a.peak_bytes, a.exit, a.error, a.environment`

func scanAttempt(rows *sql.Rows) (a record.Attempt, id int64, err error) {
	err = rows.Scan(&id, &a.Number, &a.Owner, &a.Host, &a.PID, &a.StartStep, &a.EndStep, &a.Beats, &a.Started, &a.Ended,
		&a.WallSeconds, &a.PeakBytes, &a.Exit, &a.Error, &a.Environment)
	return a, id, err
}
