package filelock

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A lock is held by one opened file at a time, until the last copy of it is closed.
func TestTry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE, 0o666)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	want := func(f *os.File, when string, want bool) {
		t.Helper()
		held, err := Try(f)
		if errors.Is(err, errors.ErrUnsupported) {
			t.Skip("files cannot be locked here")
		}
		if held != want || err != nil {
			t.Errorf("%s: held is %v, %v; want %v", when, held, err, want)
		}
	}
	one, two := open(), open()
	want(one, "free", true)
	want(one, "held by the same file", true)
	want(two, "held by another file", false)
	heir := exec.Command("sleep", "600")
	heir.ExtraFiles = []*os.File{one}
	if err := heir.Start(); err != nil {
		t.Skip(err)
	}
	one.Close()
	want(two, "held by a process that inherited it", false)
	heir.Process.Kill()
	heir.Wait()
	want(two, "after the death of that process", true)
}
