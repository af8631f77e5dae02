package files

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestDetectionsAreBounded: a file that unpacks to far more than is recorded, and a record of
// far more than the file holds, take no memory to speak of.
func TestDetectionsAreBounded(t *testing.T) {
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	zeros := make([]byte, 1<<20)
	for range 64 {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		size int64
		want string
	}{
		{1000, "has another length than recorded"},
		{MaxDetections, "has another length than recorded"},
		{MaxDetections + 1, "more than the 4294967296 that are read"},
		{math.MaxInt64, "more than the 4294967296 that are read"},
	} {
		f := Detections.File(filepath.Join(t.TempDir(), "x.db"), Blob{BlobOf(bomb.Bytes()).Hash, tt.size})
		if err := Write(f.Path, bomb.Bytes()); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := f.Read()
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("recorded as %d bytes: %v, want %q", tt.size, err, tt.want)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 4<<20 {
			t.Errorf("recorded as %d bytes: it took %d bytes", tt.size, took)
		}
	}
}

// TestBlob: a file is known by its content, with its size or without.
func TestBlob(t *testing.T) {
	data := []byte("+ a line\n")
	blob := BlobOf(data)
	db := filepath.Join(t.TempDir(), "x.db")
	for _, size := range []int64{blob.Size, -1} {
		f := Diffs.File(db, Blob{blob.Hash, size})
		if _, err := f.Read(); size >= 0 && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a file that is not there: %v", err)
		}
		if err := Write(f.Path, data); err != nil {
			t.Fatal(err)
		}
		if got, err := f.Read(); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%q, %v", got, err)
		}
	}
	f := Diffs.File(db, blob)
	if err := os.WriteFile(f.Path, []byte("+ a lime\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Read(); err == nil || err.Error() != Damaged(f.Path).Error() {
		t.Errorf("another content: %v", err)
	}
}
