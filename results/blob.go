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
	"io/fs"
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
	return s.keep(diffBlob.file(s.path, blobOf(data)), func() ([]byte, error) { return data, nil })
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

// keep writes a file under its hash, unless it is there and whole.
func (s *Store) keep(f blobFile, data func() ([]byte, error)) error {
	wrong := f.check()
	if wrong == nil {
		return nil
	}
	text, err := data()
	if err == nil {
		err = writeFile(f.path, text)
	}
	if err == nil && s.Notice != nil && !errors.Is(wrong, fs.ErrNotExist) {
		s.Notice(wrong.Error() + "; it is written anew")
	}
	return err
}

// keepDetections writes a COCO results file under its hash.
func (s *Store) keepDetections(data []byte) (Blob, error) {
	if !json.Valid(data) {
		return Blob{}, errors.New("not JSON")
	}
	b := blobOf(data)
	return b, s.keep(detectionsBlob.file(s.path, b), func() ([]byte, error) {
		var buf bytes.Buffer
		w := gzip.NewWriter(&buf)
		_, err := w.Write(data)
		err = errors.Join(err, w.Close())
		return buf.Bytes(), err
	})
}

// Detections returns a trial's COCO results file as it was given to
// FinishTrial, nil if none was.
func (s *Store) Detections(key string) ([]byte, error) {
	var blob Blob
	err := s.inTx("read detections", func(tx *sql.Tx) (err error) {
		blob, err = queryDetections(tx, key)
		return err
	})
	if err != nil {
		return nil, err
	}
	if blob == (Blob{}) {
		return nil, nil
	}
	data, err := readDetections(detectionsBlob.file(s.path, blob))
	if err != nil {
		return nil, fmt.Errorf("detections of trial %s: %w", Short(key), err)
	}
	return data, nil
}

func queryDetections(q querier, key string) (b Blob, err error) {
	err = q.QueryRow("SELECT hash, size FROM detections JOIN trials ON trials.id = trial_id WHERE key = ?", key).Scan(&b.Hash, &b.Size)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	if err == nil {
		err = compareSum(q, partDetections, key, b.sum())
	}
	return b, err
}

// readDetections unpacks a file of detections. No more memory is taken than it has been
// found to need by unpacking it once.
func readDetections(f blobFile) ([]byte, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	data := bytes.NewBuffer(make([]byte, 0, f.Size))
	if err := f.unpack(data); err != nil {
		return nil, err
	}
	if blobOf(data.Bytes()).Hash != f.Hash {
		return nil, errDamaged(f.path) // changed in between
	}
	return data.Bytes(), nil
}

// blobFile is a file named by the hash of its content.
type blobFile struct {
	Blob // its size is -1 where it is not recorded
	path string
	gzip bool
}

func (k blobKind) file(db string, b Blob) blobFile {
	return blobFile{b, k.path(db, b.Hash), k == detectionsBlob}
}

// unpack writes the content of the file, no more than a byte beyond its recorded size.
func (f blobFile) unpack(to io.Writer) error {
	if f.gzip && f.Size > maxDetections {
		return fmt.Errorf("%s: %d bytes, more than the %d that are read", f.path, f.Size, int64(maxDetections))
	}
	file, err := openRegular(f.path)
	if err != nil {
		return err
	}
	defer file.Close()
	var r io.Reader = file
	if f.gzip {
		// One byte more than stated would show that the statement is wrong, and no
		// file can make this read without end.
		unzip, err := gzip.NewReader(file)
		if err != nil {
			return fmt.Errorf("%s is damaged: %w", f.path, err)
		}
		r = io.LimitReader(unzip, f.Size+1)
	}
	n, err := io.Copy(to, r)
	switch {
	case err != nil && f.gzip:
		return fmt.Errorf("%s is damaged: %w", f.path, err)
	case err != nil:
		return err
	case f.Size >= 0 && n != f.Size:
		return fmt.Errorf("%s is damaged: its content has another length than recorded, %d bytes", f.path, f.Size)
	}
	return nil
}

// check compares the content of the file with its hash.
func (f blobFile) check() error {
	sum := sha256.New()
	if err := f.unpack(sum); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != f.Hash {
		return errDamaged(f.path)
	}
	return nil
}

// blobs are the files that a trial needs beside the database at path.
func (b *Bundle) blobs(path string) []blobFile {
	var files []blobFile
	if b.Weights != "" {
		files = append(files, weightsBlob.file(path, Blob{b.Weights, -1}))
	}
	if b.Detections != (Blob{}) {
		files = append(files, detectionsBlob.file(path, b.Detections))
	}
	for _, text := range append([]string{b.Provenance}, environments(b.Attempts)...) {
		var from struct{ Diff string }
		if json.Unmarshal([]byte(text), &from) == nil && keyPattern.MatchString(from.Diff) {
			files = append(files, diffBlob.file(path, Blob{from.Diff, -1}))
		}
	}
	return files
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

// openRegular opens a file for reading; a pipe or device, which may never answer, is refused.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: it is %s, want a regular file", path, kindOf(info))
	}
	return os.Open(path)
}

// kindOf says what a file is that is not a regular one.
func kindOf(info fs.FileInfo) string {
	switch mode := info.Mode(); {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}

// readBounded reads a file of at most maxText bytes.
func readBounded(path string) ([]byte, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > maxText {
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
