package gpu

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Places go to the device that has the fewest taken, and come back when they are closed, or when their process and its
// heirs have ended.
func TestTake(t *testing.T) {
	dir := t.TempDir()
	devices := []Device{{Index: 0, UUID: one}, {Index: 1, UUID: two}}
	take := func(uuid string, place int) *Lease {
		t.Helper()
		l, err := Take(devices, dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		if l.UUID != uuid || l.Place != place || l.Visible() != "CUDA_VISIBLE_DEVICES="+uuid {
			t.Errorf("place %d of %s (%s), want %d of %s", l.Place, l.UUID, l.Visible(), place, uuid)
		}
		return l
	}
	take(one, 0)
	second := take(two, 0)
	take(one, 1)
	second.Close()
	heir := exec.Command("sleep", "600")
	third := take(two, 0)
	heir.ExtraFiles = []*os.File{third.File}
	if err := heir.Start(); err != nil {
		t.Skip(err)
	}
	third.Close()
	take(two, 1)
	heir.Process.Kill()
	heir.Wait()
	take(two, 0)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 4 {
		t.Errorf("files %v, %v; want one for each of 4 places", files, err)
	}
	for _, file := range files { // other users read them, whatever the umask
		if info, err := os.Stat(file); err != nil || info.Mode().Perm()&0o044 != 0o044 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
}

func TestTakeFails(t *testing.T) {
	if _, err := Take(nil, t.TempDir()); !says(err, "no device to give out") {
		t.Errorf("no devices: %v", err)
	}
	if _, err := Take([]Device{{UUID: one}}, filepath.Join(t.TempDir(), "gone")); !says(err, one+"-0.lock") {
		t.Errorf("no folder: %v", err)
	}
}
