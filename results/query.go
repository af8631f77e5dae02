package results

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Filter selects trials; an empty field selects all.
type Filter struct {
	Keys     []string // full keys
	Statuses []string
	Kind     string
	Sweep    string // name of a sweep whose plan holds the trial
}

// trialColumns are scanned by scanTrial.
const trialColumns = `t.id, t.key, t.kind, t.config, t.seed, t.dataset, t.init, t.engine, t.numerics,
	t.status, t.error, t.diverged_step, t.started, t.finished, t.wall_seconds, t.provenance, t.weights`

func scanTrial(rows interface{ Scan(...any) error }) (t Trial, id int64, err error) {
	var seed int64
	var diverged sql.NullInt64
	err = rows.Scan(&id, &t.Key, &t.Kind, &t.Config, &seed, &t.Dataset, &t.Init, &t.Engine, &t.Numerics,
		&t.Status, &t.Error, &diverged, &t.Started, &t.Finished, &t.WallSeconds, &t.Provenance, &t.Weights)
	t.Seed = uint64(seed)
	if diverged.Valid {
		step := int(diverged.Int64)
		t.DivergedStep = &step
	}
	t.Metrics = map[string]float64{}
	return t, id, err
}

// Trials returns the selected trials with their metrics and attempts, by start time, then
// key.
func (s *Store) Trials(f Filter) ([]Trial, error) {
	var where []string
	var args []any
	if f.Kind != "" {
		where, args = append(where, "t.kind = ?"), append(args, f.Kind)
	}
	if len(f.Statuses) > 0 {
		where = append(where, "t.status IN ("+placeholders(len(f.Statuses))+")")
		for _, v := range f.Statuses {
			args = append(args, v)
		}
	}
	if f.Sweep != "" {
		where = append(where, "t.key IN (SELECT trial_key FROM sweep_trials JOIN sweeps ON sweeps.id = sweep_id WHERE sweeps.name = ?)")
		args = append(args, f.Sweep)
	}
	if f.Keys == nil {
		return s.trials(where, args)
	}
	// SQLite takes a limited number of values in one statement.
	const most = 10_000
	var all []Trial
	for keys := f.Keys; len(keys) > 0; {
		n := min(most, len(keys))
		part := append([]any{}, args...)
		for _, k := range keys[:n] {
			part = append(part, k)
		}
		got, err := s.trials(append(where[:len(where):len(where)], "t.key IN ("+placeholders(n)+")"), part)
		if err != nil {
			return nil, err
		}
		all = append(all, got...)
		keys = keys[n:]
	}
	sortTrials(all)
	return all, nil
}

func (s *Store) trials(where []string, args []any) ([]Trial, error) {
	clause := ""
	if len(where) > 0 {
		clause = " WHERE " + strings.Join(where, " AND ")
	}
	var trials []Trial
	// A reader sees one moment of a database that others are writing to.
	err := s.inTx("read trials", func(tx *sql.Tx) error {
		rows, err := tx.Query("SELECT "+trialColumns+" FROM trials t"+clause+" ORDER BY t.started, t.key", args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		index := map[int64]int{}
		for rows.Next() {
			t, id, err := scanTrial(rows)
			if err != nil {
				return err
			}
			index[id] = len(trials)
			trials = append(trials, t)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		metrics, err := tx.Query("SELECT m.trial_id, m.name, m.value FROM metrics m JOIN trials t ON t.id = m.trial_id"+clause, args...)
		if err != nil {
			return err
		}
		defer metrics.Close()
		for metrics.Next() {
			var id int64
			var name string
			var value sql.NullFloat64
			if err := metrics.Scan(&id, &name, &value); err != nil {
				return err
			}
			trials[index[id]].Metrics[name] = orNaN(value)
		}
		if err := metrics.Err(); err != nil {
			return err
		}
		attempts, err := tx.Query("SELECT "+attemptColumns+" FROM attempts a JOIN trials t ON t.id = a.trial_id"+clause+" ORDER BY a.trial_id, a.number", args...)
		if err != nil {
			return err
		}
		defer attempts.Close()
		for attempts.Next() {
			a, id, err := scanAttempt(attempts)
			if err != nil {
				return err
			}
			t := &trials[index[id]]
			t.Attempts = append(t.Attempts, a)
		}
		return attempts.Err()
	})
	if err != nil {
		return nil, err
	}
	return trials, nil
}

// Trial returns the trial with the given key, or whose key alone begins with
// it. The error is ErrNoTrial if there is none, ErrAmbiguous, with the first
// few, if there are several.
func (s *Store) Trial(prefix string) (*Trial, error) {
	if err := checkPrefix(prefix); err != nil {
		return nil, err
	}
	const shown = 4
	var keys []string
	// 'g' follows the last hex digit, so this is the range of all keys that
	// begin with the prefix.
	rows, err := s.db.Query("SELECT key FROM trials WHERE key >= ? AND key < ? ORDER BY key LIMIT ?", prefix, prefix+"g", shown+1)
	if err != nil {
		return nil, s.explain("find trial", err)
	}
	defer rows.Close()
	for rows.Next() {
		var key string
		if err := rows.Scan(&key); err != nil {
			return nil, s.explain("find trial", err)
		}
		keys = append(keys, key)
	}
	if err := rows.Err(); err != nil {
		return nil, s.explain("find trial", err)
	}
	rows.Close() // frees the one connection of a writing store
	switch {
	case len(keys) == 0:
		return nil, fmt.Errorf("trial %s in %s: %w; `runner ls` lists them", prefix, s.path, ErrNoTrial)
	case len(keys) > 1:
		list := ""
		for i, key := range keys {
			switch {
			case i == shown:
				list += ", …"
			case i > 0:
				list += ", " + short(key)
			default:
				list = short(key)
			}
		}
		return nil, fmt.Errorf("trial %s in %s: %w: %s; give more digits", prefix, s.path, ErrAmbiguous, list)
	}
	trials, err := s.Trials(Filter{Keys: keys})
	if err != nil {
		return nil, err
	}
	if len(trials) != 1 {
		return nil, fmt.Errorf("trial %s in %s: %w", prefix, s.path, ErrNoTrial)
	}
	return &trials[0], nil
}

// checkPrefix refuses what cannot begin a key.
func checkPrefix(prefix string) error {
	if prefix == "" {
		return errors.New("a trial is named by the first digits of its key; `runner ls` lists them")
	}
	if len(prefix) > 64 {
		return fmt.Errorf("%d digits, and a trial's key has 64", len(prefix))
	}
	for _, c := range prefix {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return fmt.Errorf("%q is not the beginning of a trial's key (digits 0-9 and a-f); `runner ls` lists them", prefix)
		}
	}
	return nil
}

// Status counts the trials of that filter by status.
func (s *Store) Status(f Filter) (map[string]int, error) {
	trials, err := s.Trials(f)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, t := range trials {
		counts[t.Status]++
	}
	return counts, nil
}

// StepRows returns a trial's training log by step. The key is the full key.
func (s *Store) StepRows(key string) ([]Step, error) {
	rows, err := s.db.Query(`SELECT step, loss, cls_loss, box_loss, lr, grad_norm, positives
		FROM steps JOIN trials ON trials.id = trial_id WHERE key = ? ORDER BY step`, key)
	if err != nil {
		return nil, s.explain("read steps", err)
	}
	defer rows.Close()
	var steps []Step
	for rows.Next() {
		var p Step
		var loss, cls, box, lr, norm sql.NullFloat64
		if err := rows.Scan(&p.Step, &loss, &cls, &box, &lr, &norm, &p.Positives); err != nil {
			return nil, s.explain("read steps", err)
		}
		p.Loss, p.ClsLoss, p.BoxLoss, p.LR, p.GradNorm = orNaN(loss), orNaN(cls), orNaN(box), orNaN(lr), orNaN(norm)
		steps = append(steps, p)
	}
	return steps, s.explain("read steps", rows.Err())
}

// Classes returns a trial's AP by category, in order of category id.
func (s *Store) Classes(key string) ([]ClassMetric, error) {
	rows, err := s.db.Query(`SELECT category_id, name, ap, ap50, ap75
		FROM class_metrics JOIN trials ON trials.id = trial_id WHERE key = ? ORDER BY category_id`, key)
	if err != nil {
		return nil, s.explain("read classes", err)
	}
	defer rows.Close()
	var classes []ClassMetric
	for rows.Next() {
		var c ClassMetric
		var ap, ap50, ap75 sql.NullFloat64
		if err := rows.Scan(&c.Category, &c.Name, &ap, &ap50, &ap75); err != nil {
			return nil, s.explain("read classes", err)
		}
		c.AP, c.AP50, c.AP75 = orNaN(ap), orNaN(ap50), orNaN(ap75)
		classes = append(classes, c)
	}
	return classes, s.explain("read classes", rows.Err())
}

// Detections returns a trial's COCO results file as it was given to
// FinishTrial, nil if none was.
func (s *Store) Detections(key string) ([]byte, error) {
	var size int64
	var packed []byte
	err := s.db.QueryRow("SELECT size, results FROM detections JOIN trials ON trials.id = trial_id WHERE key = ?", key).Scan(&size, &packed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, s.explain("read detections", err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("detections of trial %s: %w (%w)", short(key), s.damaged(), err)
	}
	// One byte more than stated would show that the statement is wrong, and no
	// file can make this read without end.
	data, err := io.ReadAll(io.LimitReader(r, size+1))
	if err == nil && int64(len(data)) != size {
		err = fmt.Errorf("%d bytes or more, want %d", len(data), size)
	}
	if err != nil {
		return nil, fmt.Errorf("detections of trial %s: %w (%w)", short(key), s.damaged(), err)
	}
	return data, nil
}

// Artifact returns what is recorded under a hash, nil if nothing is.
func (s *Store) Artifact(hash string) (*Artifact, error) {
	a := Artifact{Hash: hash}
	var path sql.NullString
	err := s.db.QueryRow("SELECT kind, size, path, content FROM artifacts WHERE hash = ?", hash).Scan(&a.Kind, &a.Size, &path, &a.Content)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, s.explain("read artifact", err)
	}
	a.Path = path.String
	return &a, nil
}

// Sweeps returns the recorded sweeps in order of time, then name.
func (s *Store) Sweeps() ([]Sweep, error) {
	rows, err := s.db.Query("SELECT name, file, hash, created FROM sweeps ORDER BY created, name, hash")
	if err != nil {
		return nil, s.explain("read sweeps", err)
	}
	defer rows.Close()
	var sweeps []Sweep
	for rows.Next() {
		var w Sweep
		if err := rows.Scan(&w.Name, &w.File, &w.Hash, &w.Created); err != nil {
			return nil, s.explain("read sweeps", err)
		}
		sweeps = append(sweeps, w)
	}
	return sweeps, s.explain("read sweeps", rows.Err())
}

// Plan returns the trials of a sweep in their order.
func (s *Store) Plan(name, hash string) ([]Planned, error) {
	rows, err := s.db.Query(`SELECT trial_key, table_row FROM sweep_trials JOIN sweeps ON sweeps.id = sweep_id
		WHERE sweeps.name = ? AND sweeps.hash = ? ORDER BY ordinal`, name, hash)
	if err != nil {
		return nil, s.explain("read plan", err)
	}
	defer rows.Close()
	var plan []Planned
	for rows.Next() {
		var p Planned
		if err := rows.Scan(&p.Key, &p.Row); err != nil {
			return nil, s.explain("read plan", err)
		}
		plan = append(plan, p)
	}
	return plan, s.explain("read plan", rows.Err())
}

func orNaN(v sql.NullFloat64) float64 {
	if v.Valid {
		return v.Float64
	}
	return math.NaN()
}

func sortTrials(trials []Trial) {
	slices.SortFunc(trials, func(a, b Trial) int {
		return cmp.Or(strings.Compare(a.Started, b.Started), strings.Compare(a.Key, b.Key))
	})
}
