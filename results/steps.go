package results

import (
	"database/sql"
	"fmt"

	"focalgrid/results/record"
)

func insertSteps(tx *sql.Tx, id int64, steps []record.Step) error {
	if len(steps) == 0 {
		return nil
	}
	row, err := tx.Prepare("INSERT INTO steps (trial_id, step, loss, lr, grad_norm, positives) VALUES (?, ?, ?, ?, ?, ?)")
	if err != nil {
		return err
	}
	defer row.Close()
	loss, err := tx.Prepare("INSERT INTO losses (trial_id, step, name, place, value) VALUES (?, ?, ?, ?, ?)")
	if err != nil {
		return err
	}
	defer loss.Close()
	for _, p := range steps {
		if _, err := row.Exec(id, p.Step, orNull(p.Loss), orNull(p.LR), orNull(p.GradNorm), p.Positives); err != nil {
			return fmt.Errorf("step %d: %w", p.Step, err)
		}
		for i, l := range p.Losses {
			if _, err := loss.Exec(id, p.Step, l.Name, i, orNull(l.Value)); err != nil {
				return fmt.Errorf("step %d: loss %s: %w", p.Step, l.Name, err)
			}
		}
	}
	return nil
}

// StepRows returns a trial's training log by step. The key is the full key.
func (s *Store) StepRows(key string) (steps []record.Step, err error) {
	err = s.inTx("read steps", func(tx *sql.Tx) error {
		steps, err = querySteps(tx, key)
		return err
	})
	return steps, err
}

func querySteps(q querier, key string) (steps []record.Step, err error) {
	named, err := hasTable(q, "losses")
	if err != nil {
		return nil, err
	}
	const of = "trial_id = (SELECT id FROM trials WHERE key = ?1)"
	losses := "(SELECT step, name, place, value FROM losses WHERE " + of + ")"
	if !named { // an older version's database, opened for reading
		losses = fmt.Sprintf(`(SELECT step, '%s' AS name, 0 AS place, cls_loss AS value FROM steps WHERE %s
			UNION ALL SELECT step, '%s', 1, box_loss FROM steps WHERE %s)`, record.FirstNames[0], of, record.FirstNames[1], of)
	}
	err = each(q, func(rows *sql.Rows) error {
		var p record.Step
		var loss, lr, norm, value sql.NullFloat64
		var name sql.NullString
		if err := rows.Scan(&p.Step, &loss, &lr, &norm, &p.Positives, &name, &value); err != nil {
			return err
		}
		if n := len(steps); n == 0 || steps[n-1].Step != p.Step {
			p.Loss, p.LR, p.GradNorm = orNaN(loss), orNaN(lr), orNaN(norm)
			steps = append(steps, p)
		}
		if name.Valid {
			last := &steps[len(steps)-1]
			last.Losses = append(last.Losses, record.Loss{Name: name.String, Value: orNaN(value)})
		}
		return nil
	}, `SELECT steps.step, loss, lr, grad_norm, positives, name, value
		FROM steps LEFT JOIN `+losses+` AS losses ON losses.step = steps.step WHERE `+of+` ORDER BY steps.step, place`, key)
	if err == nil {
		err = compareSum(q, record.PartSteps, key, record.SumSteps(steps))
	}
	return steps, err
}
