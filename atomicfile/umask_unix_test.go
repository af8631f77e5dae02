//go:build unix

package atomicfile

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestUmask: what the umask keeps others from is kept from them.
func TestUmask(t *testing.T) {
	for _, mask := range []int{0o077, 0o027, 0o002} {
		path := filepath.Join(t.TempDir(), "x")
		before := syscall.Umask(mask)
		err := Write(path, func(io.Writer) error { return nil })
		syscall.Umask(before)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if want := os.FileMode(0o666 &^ mask); err != nil || info.Mode().Perm() != want {
			t.Errorf("umask %03o: mode %v, %v, want %v", mask, info.Mode().Perm(), err, want)
		}
	}
}
