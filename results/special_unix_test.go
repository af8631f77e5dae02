//go:build unix

package results

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"focalgrid/results/files"
	"focalgrid/results/record"
)

// TestSpecialFiles: what is no regular file is refused at once, wherever one is expected.
func TestSpecialFiles(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	must(t, syscall.Mkfifo(pipe, 0o666))
	socket := filepath.Join(dir, "socket")
	l, err := net.Listen("unix", socket)
	must(t, err)
	defer l.Close()
	f := files.Detections.File(filepath.Join(dir, "x.db"), files.Blob{Hash: keyOf("x"), Size: 3})
	must(t, os.MkdirAll(filepath.Dir(f.Path), 0o777))
	must(t, syscall.Mkfifo(f.Path, 0o666))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for path, want := range map[string]string{pipe: "it is a pipe", socket: "it is a socket", os.DevNull: "it is a device", dir: "it is a folder"} {
			for name, open := range map[string]func(string) (*Store, error){"Open": Open, "OpenExisting": OpenExisting} {
				if _, err := open(path); !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), want) {
					t.Errorf("%s of %s: %v, want ErrForeign and %q", name, path, err, want)
				}
			}
			if _, err := record.ReadBundle(path); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("a bundle that is %s: %v, want %q", path, err, want)
			}
		}
		if _, err := f.Read(); err == nil || !strings.Contains(err.Error(), "it is a pipe") {
			t.Errorf("detections from a pipe: %v", err)
		}
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("it waits for a pipe")
	}
}
