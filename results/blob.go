package results

import (
	"bytes"
	"compress/gzip"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"focalgrid/results/files"
	"focalgrid/results/record"
)

// WeightsPath returns the file of final weights with that hash.
func (s *Store) WeightsPath(hash string) string { return files.Weights.Path(s.path, hash) }

// KeepDiff writes a difference of the code from its revision, as git prints it, to a file named by
// its hash. A trial's provenance has this hash as "diff".
func (s *Store) KeepDiff(data []byte) error {
	return s.keep(files.Diffs.File(s.path, files.BlobOf(data)), func() ([]byte, error) { return data, nil })
}

// Diff returns what KeepDiff wrote. The error is fs.ErrNotExist if there is none.
func (s *Store) Diff(hash string) ([]byte, error) {
	path := files.Diffs.Path(s.path, hash)
	data, err := files.Read(path)
	if err == nil && files.BlobOf(data).Hash != hash {
		err = files.Damaged(path)
	}
	return data, err
}

// keep writes a file under its hash, unless it is there and whole.
func (s *Store) keep(f files.File, data func() ([]byte, error)) error {
	wrong := f.Check()
	if wrong == nil {
		return nil
	}
	text, err := data()
	if err == nil {
		err = files.Write(f.Path, text)
	}
	if err == nil && s.Notice != nil && !errors.Is(wrong, fs.ErrNotExist) {
		s.Notice(wrong.Error() + "; it is written anew")
	}
	return err
}

// keepDetections writes a COCO results file under its hash.
func (s *Store) keepDetections(data []byte) (files.Blob, error) {
	if !json.Valid(data) {
		return files.Blob{}, errors.New("not JSON")
	}
	b := files.BlobOf(data)
	return b, s.keep(files.Detections.File(s.path, b), func() ([]byte, error) {
		var buf bytes.Buffer
		w := gzip.NewWriter(&buf)
		_, err := w.Write(data)
		err = errors.Join(err, w.Close())
		return buf.Bytes(), err
	})
}

// Detections returns the COCO results file that FinishTrial was given for a trial, nil if it was given none.
// Where their file is not beside the database, as after an import, the error wraps fs.ErrNotExist.
func (s *Store) Detections(key string) ([]byte, error) {
	blob, err := s.detections(key)
	if err != nil {
		return nil, err
	}
	if blob == (files.Blob{}) {
		return nil, nil
	}
	data, err := files.Detections.File(s.path, blob).Read()
	if err != nil {
		return nil, fmt.Errorf("detections of trial %s: %w", record.Short(key), err)
	}
	return data, nil
}

// DetectionsHash returns the SHA-256 of a trial's COCO results file, in hex, "" if it has none. The file may be elsewhere.
func (s *Store) DetectionsHash(key string) (string, error) {
	blob, err := s.detections(key)
	return blob.Hash, err
}

func (s *Store) detections(key string) (b files.Blob, err error) {
	err = s.inTx("read detections", func(tx *sql.Tx) (err error) {
		b, err = queryDetections(tx, key)
		return err
	})
	return b, err
}

func queryDetections(q querier, key string) (b files.Blob, err error) {
	err = q.QueryRow("SELECT hash, size FROM detections JOIN trials ON trials.id = trial_id WHERE key = ?", key).Scan(&b.Hash, &b.Size)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	if err == nil {
		err = compareSum(q, record.PartDetections, key, record.SumBlob(b))
	}
	return b, err
}

// blobs lists the files that a trial needs beside the database at path.
func blobs(b *record.Bundle, path string) []files.File {
	var needed []files.File
	if b.Weights != "" {
		needed = append(needed, files.Weights.File(path, files.Blob{Hash: b.Weights, Size: -1}))
	}
	if b.Detections != (files.Blob{}) {
		needed = append(needed, files.Detections.File(path, b.Detections))
	}
	for _, text := range append([]string{b.Provenance}, environments(b.Attempts)...) {
		var from struct{ Diff string }
		if json.Unmarshal([]byte(text), &from) == nil && record.KeyPattern.MatchString(from.Diff) {
			needed = append(needed, files.Diffs.File(path, files.Blob{Hash: from.Diff, Size: -1}))
		}
	}
	return needed
}

func environments(attempts []record.Attempt) []string {
	texts := make([]string, len(attempts))
	for i, a := range attempts {
		texts[i] = a.Environment
	}
	return texts
}
