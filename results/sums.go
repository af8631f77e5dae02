package results

import (
	"database/sql"
	"errors"

	"focalgrid/results/record"
)

// keepSums records the checksums of a trial that has ended.
func keepSums(b *record.Bundle, tx *sql.Tx, id int64) error {
	for part, sum := range map[string]string{
		record.PartTrial: b.Trial.Sum(), record.PartSteps: record.SumSteps(b.Steps), record.PartClasses: record.SumClasses(b.Classes), record.PartDetections: record.SumBlob(b.Detections),
	} {
		if err := keepSum(tx, part, id, sum); err != nil {
			return err
		}
	}
	return nil
}

func keepSum(tx *sql.Tx, part string, id int64, sum string) error {
	_, err := tx.Exec("INSERT INTO checksums (part, id, sha256) VALUES (?, ?, ?) ON CONFLICT (part, id) DO UPDATE SET sha256 = excluded.sha256", part, id, sum)
	return err
}

// dropSums forgets the checksums of a trial that is about to change.
func dropSums(tx *sql.Tx, id int64) error {
	_, err := tx.Exec("DELETE FROM checksums WHERE id = ? AND part NOT IN (?, ?)", id, record.PartSweep, record.PartChoice)
	return err
}

// compareSum compares a part of a trial with its checksum, if it has one.
func compareSum(q querier, part, key, sum string) error {
	want, none, err := recordedSum(q, part, "trials WHERE key = ?", key)
	if err != nil || none {
		return err
	}
	return record.Differs("trial "+record.Short(key)+": its "+part, sum, want)
}

// recordedSum returns the checksum of a part of a row, if there is one.
func recordedSum(q querier, part, row string, args ...any) (sum string, none bool, err error) {
	if known, err := hasTable(q, "checksums"); err != nil || !known {
		return "", true, err
	}
	err = q.QueryRow("SELECT sha256 FROM checksums WHERE part = ? AND id = (SELECT id FROM "+row+")", append([]any{part}, args...)...).Scan(&sum)
	if errors.Is(err, sql.ErrNoRows) {
		return "", true, nil
	}
	return sum, false, err
}

// Unchecked counts the bundles and rows that could not be checked.
type Unchecked struct {
	Unsealed int // without a checksum: an older version wrote it, or it is a trial at work
	Unkeyed  int // trials whose key could not be compared with their settings
}

func (u *Unchecked) count(unsealed, keyed bool) {
	if unsealed {
		u.Unsealed++
	}
	if !keyed {
		u.Unkeyed++
	}
}
