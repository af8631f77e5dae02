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
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := Write(filepath.Join(path, "below"), func(io.Writer) error { return nil }); err == nil || !strings.Contains(err.Error(), "below") {
		t.Errorf("below a file: %v", err)
	}
}
