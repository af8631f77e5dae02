package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWrite: files of an older report are replaced, and others stay.
func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "report")
	for _, text := range []string{"old", "new"} {
		if err := Write(dir, map[string][]byte{"report.html": []byte(text), "figures/1.png": []byte(text)}); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"report.html", "figures/1.png"} {
			if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != text {
				t.Errorf("%s is %q (%v), want %q", name, got, err, text)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("mine"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(filepath.Join(dir, "notes.txt")); string(got) != "mine" {
		t.Errorf("a file of others is %q (%v)", got, err)
	}
}

// TestWriteFails: a new folder appears whole or not at all, and nothing is left beside it.
func TestWriteFails(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "report")
	// "a" cannot be both a file and a folder: the second of the two cannot be written.
	err := Write(dir, map[string][]byte{"a": nil, "a/b": nil})
	if err == nil {
		t.Error("no error")
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
	file := filepath.Join(parent, "file")
	if err := os.WriteFile(file, []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := Write(file, map[string][]byte{"a": nil}); err == nil || !strings.Contains(err.Error(), "is a file, want a folder") {
		t.Errorf("a file in the way: %v", err)
	}
	if got, _ := os.ReadFile(file); string(got) != "mine" {
		t.Errorf("the file is %q now", got)
	}
}
