package results

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"fmt"
	"io"

	"focalgrid/results/files"
	"focalgrid/results/record"
)

// bundlesSince is the schema from which each trial that ends leaves a bundle,
// and detections lie in files.
const bundlesSince = 3

// moveDetections takes detections out of the database into files. The table of
// artifacts goes: what a trial needs follows from the hashes recorded of it.
func (s *Store) moveDetections(_ context.Context, tx *sql.Tx) error {
	if _, err := tx.Exec(`
		CREATE TABLE detections_by_hash (
			trial_id INTEGER PRIMARY KEY REFERENCES trials (id) ON DELETE CASCADE,
			hash     TEXT NOT NULL,   -- SHA-256 of the COCO results JSON, hex; names its file
			size     INTEGER NOT NULL -- its bytes, before compression
		) STRICT;
		DROP TABLE artifacts;
		DROP INDEX trials_by_start`); err != nil {
		return err
	}
	var trials []int64
	if err := each(tx, func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		trials = append(trials, id)
		return err
	}, "SELECT trial_id FROM detections ORDER BY trial_id"); err != nil {
		return err
	}
	for _, id := range trials {
		var size int64
		var packed []byte
		if err := tx.QueryRow("SELECT size, results FROM detections WHERE trial_id = ?", id).Scan(&size, &packed); err != nil {
			return err
		}
		r, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			return fmt.Errorf("detections: %w", err)
		}
		data, err := io.ReadAll(io.LimitReader(r, min(size, files.MaxDetections)+1))
		if err != nil {
			return fmt.Errorf("detections: %w", err)
		}
		b, err := s.keepDetections(data)
		if err != nil {
			return fmt.Errorf("detections: %w", err)
		}
		if _, err := tx.Exec("INSERT INTO detections_by_hash (trial_id, hash, size) VALUES (?, ?, ?)", id, b.Hash, b.Size); err != nil {
			return err
		}
	}
	_, err := tx.Exec("DROP TABLE detections; ALTER TABLE detections_by_hash RENAME TO detections")
	return err
}

// writeBundles writes the bundles of all trials and sweeps recorded.
func (s *Store) writeBundles() error {
	return s.inTx("write bundles", func(tx *sql.Tx) error {
		dir := record.BundleDir(s.path)
		return walk(tx, func(sw *record.SweepPlan) error { return sw.Write(dir) },
			func(b *record.Bundle) error { return record.WriteBundle(dir, b) },
			func(c *record.Choice) error { return c.Write(dir) })
	})
}
