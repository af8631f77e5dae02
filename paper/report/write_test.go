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

// TestWriteAnyName: a folder may be named with a slash at its end, as a shell completes it.
func TestWriteAnyName(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "new") + string(filepath.Separator)
	for range 2 {
		if err := Write(dir, map[string][]byte{"a": []byte("text")}); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(filepath.Join(dir, "a")); string(got) != "text" {
		t.Errorf("the file is %q (%v)", got, err)
	}
	if left, _ := os.ReadDir(parent); len(left) != 1 {
		t.Errorf("beside the folder: %v", left)
	}
}

// TestWriteAllOrNone: where a file cannot be replaced, no other file of an earlier report is, and nothing is left.
func TestWriteAllOrNone(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir, map[string][]byte{"report.html": []byte("old"), "figures/1.png": []byte("old")}); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "report.tex"), 0o777); err != nil {
		t.Fatal(err)
	}
	err := Write(dir, map[string][]byte{"report.html": []byte("new"), "figures/1.png": []byte("new"), "report.tex": []byte("new")})
	if want := filepath.Join(dir, "report.tex") + ": is a folder, want a file"; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	for _, name := range []string{"report.html", "figures/1.png"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != "old" {
			t.Errorf("%s is %q (%v), want what was there", name, got, err)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 3 {
		t.Errorf("left behind: %v", left)
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
