package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWrite: a file is replaced whole, or after an error stays what it was, and
// nothing else is left in its folder.
func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.json")
	put := func(text string, err error) error {
		return Write(path, func(w io.Writer) error {
			if _, err := io.WriteString(w, text); err != nil {
				t.Fatal(err)
			}
			return err
		})
	}
	broken := errors.New("broken")
	for _, v := range []struct {
		text string
		err  error
		want string
	}{{"half", broken, ""}, {"first", nil, "first"}, {"half of another", broken, "first"}, {"second", nil, "second"}} {
		err := put(v.text, v.err)
		if !errors.Is(err, v.err) || err != nil && !strings.HasPrefix(err.Error(), "write "+path+": ") {
			t.Errorf("%q: %v", v.text, err)
		}
		if got, err := os.ReadFile(path); string(got) != v.want || (err == nil) != (v.want != "") {
			t.Errorf("after %q there is %q, %v; want %q", v.text, got, err, v.want)
		}
		if rest, _ := filepath.Glob(filepath.Join(filepath.Dir(path), Prefix+"*")); len(rest) > 0 {
			t.Errorf("%q left %v", v.text, rest)
		}
	}
	if err := Write(filepath.Join(path, "below"), func(io.Writer) error { return nil }); err == nil || !strings.Contains(err.Error(), "below") {
		t.Errorf("below a file: %v", err)
	}
}

// TestMode: a file that replaces another has that one's mode.
func TestMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, want := range []os.FileMode{0o600, 0o666, 0o640} {
		if err := os.Chmod(path, want); err != nil {
			t.Fatal(err)
		}
		err := Write(path, func(io.Writer) error { return nil })
		info, serr := os.Stat(path)
		if err := errors.Join(err, serr); err != nil || info.Mode().Perm() != want {
			t.Errorf("a file replaced had mode %v and has %v, %v", want, info.Mode().Perm(), err)
		}
	}
}

// TestPublish: a name that is taken stays whose it is.
func TestPublish(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	put := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	put(from, "new")
	put(to, "old")
	if err := Publish(from, to); !errors.Is(err, os.ErrExist) {
		t.Errorf("onto a file: %v, want ErrExist", err)
	}
	for path, want := range map[string]string{from: "new", to: "old"} {
		if got, err := os.ReadFile(path); string(got) != want {
			t.Errorf("%s holds %q, %v; want %q", path, got, err, want)
		}
	}
	if err := os.Remove(to); err != nil {
		t.Fatal(err)
	}
	if err := Publish(from, to); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(to); string(got) != "new" {
		t.Errorf("published %q, %v", got, err)
	}
	if _, err := os.Stat(from); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the first name is still there: %v", err)
	}
}

// TestStage: a file that is staged replaces nothing until it is placed, and leaves nothing where it is not.
func TestStage(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	fill := func(text string) func(io.Writer) error {
		return func(w io.Writer) error { _, err := io.WriteString(w, text); return err }
	}
	if err := Write(path, fill("old")); err != nil {
		t.Fatal(err)
	}
	for _, place := range []bool{false, true} {
		s, err := Stage(path, fill("new"))
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(path); string(got) != "old" {
			t.Errorf("staged, and the file is %q already", got)
		}
		want := "old"
		if place {
			want = "new"
			if err := s.Place(); err != nil {
				t.Error(err)
			}
		}
		s.Discard()
		if got, _ := os.ReadFile(path); string(got) != want {
			t.Errorf("placed %v, and the file is %q", place, got)
		}
	}
	if _, err := Stage(dir, fill("new")); err == nil || err.Error() != "write "+dir+": is a folder, want a file" {
		t.Errorf("onto a folder: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}
