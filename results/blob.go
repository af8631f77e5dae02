package results

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"focalgrid/atomicfile"
)

// A blobKind is a folder beside databases with what is too big for them, each file
// named by the SHA-256 of its content. All databases of a folder share it.
type blobKind struct{ dir, ext string }

var (
	weightsBlob    = blobKind{"weights", ".safetensors"}
	detectionsBlob = blobKind{"detections", ".json.gz"} // the hash is of what is inside
	diffBlob       = blobKind{"diffs", ".diff"}         // of the code from its revision

	blobKinds = []blobKind{weightsBlob, detectionsBlob, diffBlob}
)

func (k blobKind) path(db, hash string) string {
	return filepath.Join(filepath.Dir(db), k.dir, hash+k.ext)
}

// maxDetections bounds what a file of detections unpacks to: COCO's largest
// split, with 300 detections an image, takes a sixth of it.
const maxDetections = 4 << 30

// Blob names a file by its content. The zero Blob is none.
type Blob struct {
	Hash string `json:"sha256"`
	Size int64  `json:"size"` // bytes, before compression
}

func blobOf(data []byte) Blob {
	sum := sha256.Sum256(data)
	return Blob{hex.EncodeToString(sum[:]), int64(len(data))}
}

// WeightsPath is where final weights of that hash lie.
func (s *Store) WeightsPath(hash string) string { return weightsBlob.path(s.path, hash) }

// KeepDiff writes a difference of the code from its revision, as git tells it, under
// its hash, by which a trial's provenance names it as "diff".
func (s *Store) KeepDiff(data []byte) error {
	if path := diffBlob.path(s.path, blobOf(data).Hash); !exists(path) {
		return writeFile(path, data)
	}
	return nil
}

// Diff returns what KeepDiff wrote. The error is fs.ErrNotExist if there is none.
func (s *Store) Diff(hash string) ([]byte, error) {
	path := diffBlob.path(s.path, hash)
	data, err := readBounded(path)
	if err == nil && blobOf(data).Hash != hash {
		err = errDamaged(path)
	}
	return data, err
}

func errDamaged(path string) error {
	return fmt.Errorf("%s is damaged: its content has another hash than its name", path)
}

// keepDetections writes a COCO results file under its hash, unless it is there.
func (s *Store) keepDetections(data []byte) (Blob, error) {
	if !json.Valid(data) {
		return Blob{}, errors.New("not JSON")
	}
	b := blobOf(data)
	path := detectionsBlob.path(s.path, b.Hash)
	if exists(path) {
		return b, nil
	}
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write(data); err != nil {
		return Blob{}, err
	}
	if err := w.Close(); err != nil {
		return Blob{}, err
	}
	return b, writeFile(path, buf.Bytes())
}

// Detections returns a trial's COCO results file as it was given to
// FinishTrial, nil if none was.
func (s *Store) Detections(key string) ([]byte, error) {
	blob, err := queryDetections(s.db, key)
	if err != nil {
		return nil, s.explain("read detections", err)
	}
	if blob == (Blob{}) {
		return nil, nil
	}
	data, err := readDetections(detectionsBlob.path(s.path, blob.Hash), blob)
	if err != nil {
		return nil, fmt.Errorf("detections of trial %s: %w", short(key), err)
	}
	return data, nil
}

func queryDetections(q querier, key string) (b Blob, err error) {
	err = q.QueryRow("SELECT hash, size FROM detections JOIN trials ON trials.id = trial_id WHERE key = ?", key).Scan(&b.Hash, &b.Size)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return b, err
}

func readDetections(path string, b Blob) ([]byte, error) {
	if b.Size > maxDetections {
		return nil, fmt.Errorf("%d bytes, more than the %d that are read", b.Size, int64(maxDetections))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", path, err)
	}
	// One byte more than stated would show that the statement is wrong, and no
	// file can make this read without end.
	data, err := io.ReadAll(io.LimitReader(r, b.Size+1))
	if err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", path, err)
	}
	if blobOf(data).Hash != b.Hash {
		return nil, errDamaged(path)
	}
	return data, nil
}

// blobs are the files that a trial needs beside the database at path.
func (b *Bundle) blobs(path string) []string {
	var paths []string
	if b.Weights != "" {
		paths = append(paths, weightsBlob.path(path, b.Weights))
	}
	if b.Detections != (Blob{}) {
		paths = append(paths, detectionsBlob.path(path, b.Detections.Hash))
	}
	for _, text := range append([]string{b.Provenance}, environments(b.Attempts)...) {
		var from struct{ Diff string }
		if json.Unmarshal([]byte(text), &from) == nil && keyPattern.MatchString(from.Diff) {
			paths = append(paths, diffBlob.path(path, from.Diff))
		}
	}
	return paths
}

func environments(attempts []Attempt) []string {
	texts := make([]string, len(attempts))
	for i, a := range attempts {
		texts[i] = a.Environment
	}
	return texts
}

// maxText bounds what is read as one bundle or difference: a trial that logs a
// million steps takes about 100 MB.
const maxText = 256 << 20

// readBounded reads a file of at most maxText bytes.
func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxText {
		return nil, fmt.Errorf("%s: want a regular file of at most %d bytes", path, int64(maxText))
	}
	text, err := io.ReadAll(io.LimitReader(f, maxText))
	if err != nil {
		return nil, err
	}
	return text, nil
}

// writeFile writes a file whole or not at all. Its folder is made if need be.
func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}
