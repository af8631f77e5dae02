package results

import (
	"database/sql"
	"encoding/json"
	"fmt"

	"focalgrid/results/record"
)

// SaveChoice records a choice, in place of an earlier choice for the same subject, in the database and as a bundle. The
// same choice again keeps its first time.
func (s *Store) SaveChoice(c record.Choice) error {
	return s.inTx("save choice", func(tx *sql.Tx) error {
		old, err := queryChoice(tx, c.Subject)
		if err != nil {
			return err
		}
		if old != nil && old.Same(&c) {
			c = *old
		} else if err := saveChoice(tx, &c); err != nil {
			return err
		}
		return c.Write(record.BundleDir(s.path))
	})
}

// saveChoice replaces the choice for the subject.
func saveChoice(tx *sql.Tx, c *record.Choice) error {
	if err := c.Check(); err != nil {
		return err
	}
	var id int64
	if err := tx.QueryRow("INSERT INTO choices (subject, best, chosen) VALUES (?, ?, ?) ON CONFLICT (subject) DO UPDATE SET best = excluded.best, chosen = excluded.chosen RETURNING id",
		c.Subject, c.Best, c.Chosen).Scan(&id); err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM candidates WHERE choice_id = ?", id); err != nil {
		return err
	}
	for i, o := range c.Candidates {
		keys, err := json.Marshal(o.Trials)
		if err != nil {
			return err
		}
		if _, err := tx.Exec("INSERT INTO candidates (choice_id, place, settings, ap, trials) VALUES (?, ?, ?, ?, ?)", id, i, o.Settings, o.AP, string(keys)); err != nil {
			return err
		}
	}
	return keepSum(tx, record.PartChoice, id, c.Sum())
}

// Choice returns the choice recorded for a subject; nil if there is none.
func (s *Store) Choice(subject string) (c *record.Choice, err error) {
	err = s.inTx("read choice", func(tx *sql.Tx) error {
		c, err = queryChoice(tx, subject)
		return err
	})
	return c, err
}

// HasChoices reports whether any choice is recorded.
func (s *Store) HasChoices() (has bool, err error) {
	err = s.inTx("read choices", func(tx *sql.Tx) error {
		subjects, err := querySubjects(tx)
		has = len(subjects) > 0
		return err
	})
	return has, err
}

// querySubjects reads for what choices are recorded, in order.
func querySubjects(q querier) (subjects []string, err error) {
	if known, err := hasTable(q, "choices"); err != nil || !known {
		return nil, err
	}
	err = each(q, func(rows *sql.Rows) error {
		var subject string
		err := rows.Scan(&subject)
		subjects = append(subjects, subject)
		return err
	}, "SELECT subject FROM choices ORDER BY subject")
	return subjects, err
}

// queryChoice reads the choice for a subject, nil if there is none, and compares it with its checksum.
func queryChoice(q querier, subject string) (*record.Choice, error) {
	if known, err := hasTable(q, "choices"); err != nil || !known {
		return nil, err
	}
	var c *record.Choice
	err := each(q, func(rows *sql.Rows) error {
		c = &record.Choice{Subject: subject}
		return rows.Scan(&c.Best, &c.Chosen)
	}, "SELECT best, chosen FROM choices WHERE subject = ?", subject)
	if err != nil || c == nil {
		return nil, err
	}
	err = each(q, func(rows *sql.Rows) error {
		var o record.Candidate
		var keys string
		if err := rows.Scan(&o.Settings, &o.AP, &keys); err != nil {
			return err
		}
		c.Candidates = append(c.Candidates, o)
		if err := json.Unmarshal([]byte(keys), &c.Candidates[len(c.Candidates)-1].Trials); err != nil {
			return fmt.Errorf("choice %s: trials: %w: %w", record.Short(subject), record.ErrSum, err)
		}
		return nil
	}, "SELECT settings, ap, trials FROM candidates JOIN choices ON choices.id = choice_id WHERE subject = ? ORDER BY place", subject)
	if err != nil {
		return nil, err
	}
	sum, _, err := recordedSum(q, record.PartChoice, "choices WHERE subject = ?", subject)
	if err != nil {
		return nil, err
	}
	return c, record.Differs("choice "+record.Short(subject), c.Sum(), sum)
}

// importChoice records a choice of another database. Where ours for its subject is another, keep decides, and conflict
// names what differs where it does not.
func importChoice(tx *sql.Tx, c *record.Choice, keep Keep) (conflict []string, err error) {
	ours, err := queryChoice(tx, c.Subject)
	switch {
	case err != nil:
		return nil, err
	case ours == nil || keep == KeepTheirs && !ours.Same(c):
		return nil, saveChoice(tx, c)
	case keep == KeepOurs || ours.Same(c):
		return nil, nil
	case ours.Best != c.Best:
		return []string{"best", "candidates"}, nil
	}
	return []string{"candidates"}, nil
}
