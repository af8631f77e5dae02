//go:build unix

package weights

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A pipe is refused without waiting for who would write into it.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resnet18.pth")
	if err := syscall.Mkfifo(path, 0o644); err != nil {
		t.Skip(err)
	}
	failed := make(chan error)
	go func() {
		_, err := Open(path)
		failed <- err
	}()
	select {
	case err := <-failed:
		if err == nil || !strings.Contains(err.Error(), "expected a regular file") {
			t.Errorf("Open of a pipe: %v, want that it is no regular file", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("Open of a pipe waits for its writer")
	}
}
