package results

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"focalgrid/results/files"
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
		if got, err := s.Diff(files.BlobOf(diff).Hash); err != nil || !bytes.Equal(got, diff) {
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
