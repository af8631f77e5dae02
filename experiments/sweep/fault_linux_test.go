package sweep

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"focalgrid/experiments/plan"
	"focalgrid/results"
)

// tmpfs mounts a small disk, and skips the test where that is not allowed.
func tmpfs(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("no small disk can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// on gives a bench a database in that folder.
func (b *bench) on(t *testing.T, dir string) error {
	t.Helper()
	store, err := results.Open(filepath.Join(dir, "x.db"))
	if err != nil {
		return err
	}
	t.Cleanup(func() { store.Close() })
	b.Store = store
	return nil
}

// A full disk ends the sweep, wherever it is met, and says so. With some space
// the same command goes on, and nothing is wrong with what was recorded.
func TestExecutorFillsDisk(t *testing.T) {
	want := whole(t)
	for _, kib := range []int{40, 200, 1000, 2500, 3500, 5000} {
		t.Run(fmt.Sprint(kib, " KiB"), func(t *testing.T) {
			onEach(t, testWorker{}, func(t *testing.T, b *bench) {
				dir := tmpfs(t, fmt.Sprint(kib, "k"))
				b.CheckpointEvery = 1
				p := b.plan(t, tiny, plan.Selection{})
				err := b.on(t, dir)
				if err == nil {
					_, err = b.Sweep(t.Context(), p)
				}
				if err == nil {
					t.Fatal("four trials fit")
				}
				if text := err.Error(); !strings.Contains(text, "full") && !strings.Contains(text, "no space left") || strings.Count(text, "free some space and run the same command again") != 1 {
					t.Errorf("it said: %v", err)
				} else {
					t.Log(err)
				}
				if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=100m"); err != nil {
					t.Skip(err)
				}
				if err := b.on(t, dir); err != nil {
					t.Fatal(err)
				}
				// The attempt that could not say how it ended is this very process's.
				b.Lease = 60 * time.Millisecond
				if c, err := b.Sweep(t.Context(), p); err != nil || c.Done != 4 {
					t.Fatalf("with more space: %+v, %v", c, err)
				}
				for _, tr := range b.trials(t) {
					same(t, "trial "+tr.Key[:12], b.finished(t, tr.Key), want[tr.Key])
				}
				if err := b.Store.Check(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A folder that cannot be written is refused before anything is trained.
func TestReadOnlyFolder(t *testing.T) {
	dir := tmpfs(t, "10m")
	b := newBench(t, 1)
	if err := b.on(t, dir); err != nil {
		t.Fatal(err)
	}
	b.Store.Close()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skip(err)
	}
	for _, name := range []string{"x.db", "new.db", filepath.Join("sub", "new.db")} {
		_, err := results.Open(filepath.Join(dir, name))
		if err == nil || !strings.Contains(err.Error(), "cannot be opened or written: check its permissions, or name another file with --db") &&
			!strings.Contains(err.Error(), "read-only file system") {
			t.Errorf("%s: %v", name, err)
		} else {
			t.Log(err)
		}
	}
}

// A folder of data that is changed under a sweep that has begun ends it; allowed,
// it is trained on anew, and what was recorded stays.
func TestDataChanged(t *testing.T) {
	b := newBench(t, 2)
	folder := b.folder(t, "coco")
	sel := plan.Selection{Seeds: "0", DataDir: folder, Set: []string{"data.name=coco"}}
	p := b.plan(t, tiny, sel)
	half := *p
	half.Trials = p.Trials[:1]
	if c, err := b.Sweep(t.Context(), &half); err != nil || c.Done != 1 {
		t.Fatalf("%+v, %v", c, err)
	}
	names, err := filepath.Glob(filepath.Join(folder, "train", "*"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	text, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(names[0], append(text, 0), 0o666); err != nil {
		t.Fatal(err)
	}
	b.forget()
	_, err = b.Sweep(t.Context(), p)
	if !errors.Is(err, ErrDataChanged) || !strings.Contains(err.Error(), "--allow-changed-data") || !strings.Contains(err.Error(), folder) {
		t.Fatalf("changed data: %v", err)
	}
	t.Log(err)
	if n := len(b.trials(t)); n != 1 {
		t.Errorf("%d trials are recorded, want the 1 before", n)
	}
	b.AllowChangedData = true
	if c, err := b.Sweep(t.Context(), &half); err != nil || c.Done != 1 {
		t.Fatalf("allowed: %+v, %v", c, err)
	}
	b.AllowChangedData = false
	if c, err := b.Sweep(t.Context(), p); err != nil || c.Done != 2 {
		t.Fatalf("gone on with: %+v, %v", c, err)
	}
	if n := len(b.trials(t)); n != 3 {
		t.Errorf("%d trials are recorded, want 1 on the old data and 2 on the new", n)
	}
}

// A grid that is edited makes new trials; those recorded stay as they are.
func TestConfigEdited(t *testing.T) {
	b := newBench(t, 2)
	if c, err := b.Sweep(t.Context(), b.plan(t, tiny, plan.Selection{Seeds: "0"})); err != nil || c.Done != 2 {
		t.Fatalf("%+v, %v", c, err)
	}
	before := b.trials(t)
	edited := strings.Replace(tiny, "iters: 6", "iters: 5", 1)
	if c, err := b.Sweep(t.Context(), b.plan(t, edited, plan.Selection{Seeds: "0"})); err != nil || c.Done != 2 {
		t.Fatalf("%+v, %v", c, err)
	}
	after := b.trials(t)
	if len(after) != 4 || fmt.Sprintf("%+v", after[:2]) != fmt.Sprintf("%+v", before) {
		t.Errorf("%d trials, want 2 new ones and the old as they were", len(after))
	}
}

// A process whose entry in /proc is hidden is left alone as long as it is heard of, and
// one that is gone is known to be gone.
func TestHiddenProcess(t *testing.T) {
	machine, ok := machineName()
	if !ok {
		t.Skip("this system does not tell when a process started")
	}
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	begun, err := processStart(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("%s %d %s", machine, cmd.Process.Pid, begun)
	// The thread that looks has a /proc of its own, in which it sees no other process.
	looked := make(chan error)
	go func() {
		runtime.LockOSThread() // and ends with it, never unlocked
		looked <- func() error {
			if err := syscall.Unshare(syscall.CLONE_FS | syscall.CLONE_NEWNS); err != nil {
				return err
			}
			if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
				return err
			}
			dir := fmt.Sprintf("/proc/%d", cmd.Process.Pid)
			if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
				return err
			}
			if known, alive := processState(name); known || alive {
				t.Errorf("hidden: known %v, alive %v; want it unknown", known, alive)
			}
			return nil
		}()
	}()
	if err := <-looked; err != nil {
		t.Skipf("no process can be hidden here: %v", err)
	}
	if known, alive := processState(name); !known || !alive {
		t.Errorf("seen: known %v, alive %v", known, alive)
	}
}
