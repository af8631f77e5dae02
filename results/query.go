package results

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"focalgrid/results/record"
)

// Filter selects trials; an empty field selects all, a list that is not nil none but
// those in it.
type Filter struct {
	Keys     []string // full keys
	Statuses []string
	Kind     string
	Sweep    string // name of a sweep whose plan holds the trial
}

// trialColumns are scanned by scanTrial.
const trialColumns = `t.id, t.key, t.kind, t.config, t.seed, t.dataset, t.init, t.engine, t.numerics,
	t.status, t.error, t.diverged_step, t.started, t.finished, t.wall_seconds, t.provenance, t.weights`

func scanTrial(rows interface{ Scan(...any) error }) (t record.Trial, id int64, err error) {
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
func (s *Store) Trials(f Filter) (trials []record.Trial, err error) {
	var where []string
	var args []any
	if f.Kind != "" {
		where, args = append(where, "t.kind = ?"), append(args, f.Kind)
	}
	// A list of any length travels as one value.
	for _, in := range []struct {
		column string
		values []string
	}{{"t.status", f.Statuses}, {"t.key", f.Keys}} {
		if in.values != nil {
			list, err := json.Marshal(in.values)
			if err != nil {
				return nil, err
			}
			where, args = append(where, in.column+" IN (SELECT value FROM json_each(?))"), append(args, string(list))
		}
	}
	if f.Sweep != "" {
		where = append(where, "t.key IN (SELECT trial_key FROM sweep_trials JOIN sweeps ON sweeps.id = sweep_id WHERE sweeps.name = ?)")
		args = append(args, f.Sweep)
	}
	clause := ""
	if len(where) > 0 {
		clause = " WHERE " + strings.Join(where, " AND ")
	}
	// A reader sees one moment of a database that others are writing to.
	err = s.inTx("read trials", func(tx *sql.Tx) error {
		trials, err = queryTrials(tx, clause, args...)
		return err
	})
	return trials, err
}

// querier is a database or a transaction in it.
type querier interface {
	Query(query string, args ...any) (*sql.Rows, error)
	QueryRow(query string, args ...any) *sql.Row
}

// each calls scan for every row of the answer.
func each(q querier, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := q.Query(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// queryKeys reads the keys of the trials that the clause selects.
func queryKeys(q querier, clause string, args ...any) (keys []string, err error) {
	err = each(q, func(rows *sql.Rows) error {
		var key string
		err := rows.Scan(&key)
		keys = append(keys, key)
		return err
	}, "SELECT key FROM trials "+clause, args...)
	return keys, err
}

// queryTrials reads the trials t that the clause selects, with their metrics and
// attempts, by start time, then key. SQLite would sort whole rows.
func queryTrials(q querier, clause string, args ...any) ([]record.Trial, error) {
	var trials []record.Trial
	index := map[int64]int{}
	err := each(q, func(rows *sql.Rows) error {
		t, id, err := scanTrial(rows)
		index[id] = len(trials)
		trials = append(trials, t)
		return err
	}, "SELECT "+trialColumns+" FROM trials t"+clause, args...)
	if err != nil {
		return nil, err
	}
	at := func(id int64) (*record.Trial, error) {
		if i, ok := index[id]; ok {
			return &trials[i], nil
		}
		return nil, fmt.Errorf("row %d of the trials: %w", id, record.ErrSum)
	}
	err = each(q, func(rows *sql.Rows) error {
		var id int64
		var name string
		var value sql.NullFloat64
		if err := rows.Scan(&id, &name, &value); err != nil {
			return err
		}
		t, err := at(id)
		if err == nil {
			t.Metrics[name] = orNaN(value)
		}
		return err
	}, "SELECT m.trial_id, m.name, m.value FROM metrics m JOIN trials t ON t.id = m.trial_id"+clause, args...)
	if err != nil {
		return nil, err
	}
	err = each(q, func(rows *sql.Rows) error {
		a, id, err := scanAttempt(rows)
		if err != nil {
			return err
		}
		t, err := at(id)
		if err == nil {
			t.Attempts = append(t.Attempts, a)
		}
		return err
	}, "SELECT "+attemptColumns+" FROM attempts a JOIN trials t ON t.id = a.trial_id"+clause+" ORDER BY a.trial_id, a.number", args...)
	if err == nil {
		err = queryLabels(q, at, clause, args...)
	}
	if err == nil {
		err = compareTrials(q, at, clause, args...)
	}
	slices.SortFunc(trials, func(a, b record.Trial) int {
		return cmp.Or(strings.Compare(a.Started, b.Started), strings.Compare(a.Key, b.Key))
	})
	return trials, err
}

// queryLabels fills in the labels of the trials; at gives the one with a row id.
func queryLabels(q querier, at func(id int64) (*record.Trial, error), clause string, args ...any) error {
	if known, err := hasTable(q, "labels"); err != nil || !known {
		return err
	}
	return each(q, func(rows *sql.Rows) error {
		var id int64
		var l record.Label
		if err := rows.Scan(&id, &l.ID, &l.Name); err != nil {
			return err
		}
		t, err := at(id)
		if err == nil {
			t.Labels = append(t.Labels, l)
		}
		return err
	}, "SELECT l.trial_id, l.category_id, l.name FROM labels l JOIN trials t ON t.id = l.trial_id"+clause+" ORDER BY l.trial_id, l.label", args...)
}

// compareTrials compares the trials with their checksums.
func compareTrials(q querier, at func(id int64) (*record.Trial, error), clause string, args ...any) error {
	if known, err := hasTable(q, "checksums"); err != nil || !known {
		return err
	}
	return each(q, func(rows *sql.Rows) error {
		var id int64
		var recorded string
		if err := rows.Scan(&id, &recorded); err != nil {
			return err
		}
		t, err := at(id)
		if err == nil {
			err = record.Differs("trial "+record.Short(t.Key), t.Sum(), recorded)
		}
		return err
	}, "SELECT c.id, c.sha256 FROM checksums c JOIN trials t ON t.id = c.id AND c.part = '"+record.PartTrial+"'"+clause, args...)
}

// hasTable reports whether the database has a table: the database of an older version, opened for
// reading, lacks later tables.
func hasTable(q querier, name string) (known bool, err error) {
	err = q.QueryRow("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?", name).Scan(&known)
	return known, err
}

// Trial returns the trial with the given key, or whose key alone begins with
// it. The error is ErrNoTrial if there is none, ErrAmbiguous, with the first
// few, if there are several.
func (s *Store) Trial(prefix string) (*record.Trial, error) {
	if err := checkPrefix(prefix); err != nil {
		return nil, err
	}
	const shown = 4
	// 'g' follows the last hex digit, so this is the range of all keys that
	// begin with the prefix.
	keys, err := queryKeys(s.db, "WHERE key >= ? AND key < ? ORDER BY key LIMIT ?", prefix, prefix+"g", shown+1)
	if err != nil {
		return nil, s.explain("find trial", err)
	}
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
				list += ", " + record.Short(key)
			default:
				list = record.Short(key)
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

// Seeds returns the seeds of the recorded trials, ascending.
func (s *Store) Seeds() (seeds []uint64, err error) {
	err = each(s.db, func(rows *sql.Rows) error {
		var seed int64
		err := rows.Scan(&seed)
		seeds = append(seeds, uint64(seed))
		return err
	}, "SELECT DISTINCT seed FROM trials ORDER BY seed")
	return seeds, s.explain("read seeds", err)
}

// Engines returns the engines of the recorded trainings, by name.
func (s *Store) Engines() (engines []string, err error) {
	err = each(s.db, func(rows *sql.Rows) error {
		var engine string
		err := rows.Scan(&engine)
		engines = append(engines, engine)
		return err
	}, "SELECT DISTINCT engine FROM trials WHERE kind = ? ORDER BY engine", record.KindTrain)
	return engines, s.explain("read engines", err)
}

// Status counts the selected trials by status.
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

// Classes returns a trial's AP by category, in order of category id.
func (s *Store) Classes(key string) (classes []record.ClassMetric, err error) {
	err = s.inTx("read classes", func(tx *sql.Tx) error {
		classes, err = queryClasses(tx, key)
		return err
	})
	return classes, err
}

func queryClasses(q querier, key string) (classes []record.ClassMetric, err error) {
	err = each(q, func(rows *sql.Rows) error {
		var c record.ClassMetric
		var ap, ap50, ap75 sql.NullFloat64
		err := rows.Scan(&c.Category, &c.Name, &ap, &ap50, &ap75)
		c.AP, c.AP50, c.AP75 = orNaN(ap), orNaN(ap50), orNaN(ap75)
		classes = append(classes, c)
		return err
	}, `SELECT category_id, name, ap, ap50, ap75
		FROM class_metrics JOIN trials ON trials.id = trial_id WHERE key = ? ORDER BY category_id`, key)
	if err == nil {
		err = compareSum(q, record.PartClasses, key, record.SumClasses(classes))
	}
	return classes, err
}

// Sweeps returns the recorded sweeps in order of time, then name.
func (s *Store) Sweeps() (sweeps []record.Sweep, err error) {
	err = s.inTx("read sweeps", func(tx *sql.Tx) error {
		sweeps, err = querySweeps(tx)
		return err
	})
	return sweeps, err
}

// Swept returns the keys of the trials that sweeps of each name have planned.
func (s *Store) Swept() (map[string]map[string]bool, error) {
	out := map[string]map[string]bool{}
	err := s.inTx("read sweeps", func(tx *sql.Tx) error {
		return each(tx, func(rows *sql.Rows) error {
			var name, key string
			err := rows.Scan(&name, &key)
			if out[name] == nil {
				out[name] = map[string]bool{}
			}
			out[name][key] = true
			return err
		}, "SELECT name, trial_key FROM sweep_trials JOIN sweeps ON sweeps.id = sweep_id")
	})
	return out, err
}

// querySweeps reads the sweeps in order of time, then name.
func querySweeps(q querier) (sweeps []record.Sweep, err error) {
	err = each(q, func(rows *sql.Rows) error {
		var w record.Sweep
		err := rows.Scan(&w.Name, &w.File, &w.Hash, &w.Created)
		sweeps = append(sweeps, w)
		return err
	}, "SELECT name, file, hash, created FROM sweeps ORDER BY created, name, hash")
	return sweeps, err
}

// querySweep reads the plan of a sweep, and compares the whole with its checksum if it
// has one.
func querySweep(q querier, sw record.Sweep) (*record.SweepPlan, error) {
	b := &record.SweepPlan{Sweep: sw}
	var err error
	if b.Plan, err = queryPlan(q, sw.Name, sw.Hash); err != nil {
		return nil, err
	}
	var recorded string
	recorded, b.Unsealed, err = recordedSum(q, record.PartSweep, "sweeps WHERE name = ? AND hash = ?", sw.Name, sw.Hash)
	if err != nil || b.Unsealed {
		return b, err
	}
	return b, record.Differs(fmt.Sprintf("sweep %q", sw.Name), b.Sum(), recorded)
}

// queryPlan reads the trials of a sweep in their order.
func queryPlan(q querier, name, hash string) (plan []record.Planned, err error) {
	err = each(q, func(rows *sql.Rows) error {
		var p record.Planned
		err := rows.Scan(&p.Key, &p.Row)
		plan = append(plan, p)
		return err
	}, `SELECT trial_key, table_row FROM sweep_trials JOIN sweeps ON sweeps.id = sweep_id
		WHERE sweeps.name = ? AND sweeps.hash = ? ORDER BY ordinal`, name, hash)
	return plan, err
}

// orNull returns nil, which SQLite stores as NULL, for a number that is not finite. SQLite would do so
// for NaN by itself, but store infinities, which JSON cannot write.
func orNull(v float64) any {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return v
}

// orNaN is the inverse of orNull.
func orNaN(v sql.NullFloat64) float64 {
	if v.Valid {
		return v.Float64
	}
	return math.NaN()
}
