package files

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"
)

// A Kind is a folder beside databases with what is too big for them, each file
// named by the SHA-256 of its content. All databases of a folder share it.
type Kind struct{ Dir, ext string }

// The kinds of file. To add one, add it to Kinds too.
var (
	Weights    = Kind{"weights", ".safetensors"}
	Detections = Kind{"detections", ".json.gz"} // the hash is of what is inside
	Diffs      = Kind{"diffs", ".diff"}         // of the code from its revision

	Kinds = []Kind{Weights, Detections, Diffs}
)

// Path returns where the file of that hash lies beside the database.
func (k Kind) Path(db, hash string) string {
	return filepath.Join(filepath.Dir(db), k.Dir, hash+k.ext)
}

// MaxDetections bounds what a file of detections unpacks to: COCO's largest
// split, with 300 detections an image, takes a sixth of it.
const MaxDetections = 4 << 30

// Blob names a file by its content. The zero Blob is none.
type Blob struct {
	Hash string `json:"sha256"`
	Size int64  `json:"size"` // bytes, before compression
}

// BlobOf names data.
func BlobOf(data []byte) Blob {
	sum := sha256.Sum256(data)
	return Blob{hex.EncodeToString(sum[:]), int64(len(data))}
}

// Damaged is the error about a file whose content is not what its name says.
func Damaged(path string) error {
	return fmt.Errorf("%s is damaged: its content has another hash than its name", path)
}

// File is a file that is named by the hash of its content.
type File struct {
	Blob // its size is -1 where it is not recorded
	Path string
	gzip bool
}

// File returns the file of a blob beside the database.
func (k Kind) File(db string, b Blob) File {
	return File{b, k.Path(db, b.Hash), k == Detections}
}

// unpack writes the content of the file, no more than a byte beyond its recorded size.
func (f File) unpack(to io.Writer) error {
	if f.gzip && f.Size > MaxDetections {
		return fmt.Errorf("%s: %d bytes, more than the %d that are read", f.Path, f.Size, int64(MaxDetections))
	}
	file, err := open(f.Path)
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
			return fmt.Errorf("%s is damaged: %w", f.Path, err)
		}
		r = io.LimitReader(unzip, f.Size+1)
	}
	n, err := io.Copy(to, r)
	switch {
	case err != nil && f.gzip:
		return fmt.Errorf("%s is damaged: %w", f.Path, err)
	case err != nil:
		return err
	case f.Size >= 0 && n != f.Size:
		return fmt.Errorf("%s is damaged: its content has another length than recorded, %d bytes", f.Path, f.Size)
	}
	return nil
}

// Check compares the content of the file with its hash.
func (f File) Check() error {
	sum := sha256.New()
	if err := f.unpack(sum); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != f.Hash {
		return Damaged(f.Path)
	}
	return nil
}

// Read unpacks the content of the file. No more memory is taken than it has been
// found to need by unpacking it once.
func (f File) Read() ([]byte, error) {
	if err := f.Check(); err != nil {
		return nil, err
	}
	data := bytes.NewBuffer(make([]byte, 0, max(f.Size, 0)))
	if err := f.unpack(data); err != nil {
		return nil, err
	}
	if BlobOf(data.Bytes()).Hash != f.Hash {
		return nil, Damaged(f.Path) // changed in between
	}
	return data.Bytes(), nil
}
