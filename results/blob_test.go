package results

import (
	"bytes"
	"compress/gzip"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestDamagedFilesHeal: what is written under its hash again mends a file of that name, and
// says so; one that is whole stays as it is.
func TestDamagedFilesHeal(t *testing.T) {
	s := newStore(t)
	var said []string
	s.Notice = func(text string) { said = append(said, text) }
	diff := []byte("+ a line\n")
	for _, name := range []string{"a", "b", "c"} {
		if name == "c" { // the third time both are whole
			said = nil
		}
		must(t, s.KeepDiff(diff))
		begin(t, s, trialNamed(name))
		must(t, s.FinishTrial(keyOf(name), 1, finishDone()))
		if got, err := s.Detections(keyOf(name)); err != nil || !bytes.Equal(got, finishDone().Detections) {
			t.Errorf("detections of %s: %s, %v", name, got, err)
		}
		if got, err := s.Diff(blobOf(diff).Hash); err != nil || !bytes.Equal(got, diff) {
			t.Errorf("difference %q, %v", got, err)
		}
		switch name {
		case "a":
			for _, dir := range []string{"detections", "diffs"} {
				files, err := filepath.Glob(filepath.Join(filepath.Dir(s.Path()), dir, "*"))
				must(t, err)
				text, err := os.ReadFile(files[0])
				must(t, err)
				text[len(text)/2] ^= 1
				must(t, os.WriteFile(files[0], text, 0o666))
			}
		case "b":
			if len(said) != 2 || !strings.Contains(said[0], "diffs") || !strings.Contains(said[1], "detections") || !strings.HasSuffix(said[1], "; it is written anew") {
				t.Errorf("said %q", said)
			}
		case "c":
			if len(said) != 0 {
				t.Errorf("of whole files it said %q", said)
			}
		}
	}
}

// TestDetectionsAreBounded: a file that unpacks to far more than is recorded, and a record of
// far more than the file holds, take no memory to speak of.
func TestDetectionsAreBounded(t *testing.T) {
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	zeros := make([]byte, 1<<20)
	for range 64 {
		_, err := w.Write(zeros)
		must(t, err)
	}
	must(t, w.Close())
	for _, tt := range []struct {
		size int64
		want string
	}{
		{1000, "has another length than recorded"},
		{maxDetections, "has another length than recorded"},
		{maxDetections + 1, "more than the 4294967296 that are read"},
		{math.MaxInt64, "more than the 4294967296 that are read"},
	} {
		f := detectionsBlob.file(filepath.Join(t.TempDir(), "x.db"), Blob{keyOf("x"), tt.size})
		must(t, writeFile(f.path, bomb.Bytes()))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := readDetections(f)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("recorded as %d bytes: %v, want %q", tt.size, err, tt.want)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 4<<20 {
			t.Errorf("recorded as %d bytes: it took %d bytes", tt.size, took)
		}
	}
}
