//go:build unix && !solaris && !illumos && !aix

package dataset

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"focalgrid/coco"
	"focalgrid/dataset/synthetic"
)

// soon runs f, which must end soon.
func soon(t *testing.T, f func()) {
	t.Helper()
	done := make(chan bool)
	go func() { f(); close(done) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("does not end")
	}
}

// untidy makes a folder of two splits as people have them: links to folders, in a circle and
// to the folder itself, links that lead nowhere, a pipe, and files that nothing names.
func untidy(t *testing.T) (dir string) {
	t.Helper()
	root := t.TempDir()
	dir = filepath.Join(root, "data")
	d := sample()
	d.Images[0].FileName = "sub/b.png"
	writeSet(t, dir, "train", d)
	writeSet(t, dir, "val", sample())
	at := func(name ...string) string { return filepath.Join(append([]string{dir}, name...)...) }
	far := filepath.Join(root, "far")
	for _, err := range []error{
		os.Mkdir(far, 0o755),
		os.Rename(at("val"), filepath.Join(far, "val")),
		os.Symlink(filepath.Join(far, "val"), at("val")),
		os.Rename(at("train", "sub"), filepath.Join(far, "sub")),
		os.Symlink(filepath.Join(far, "sub"), at("train", "sub")),
		os.Symlink(at("train"), filepath.Join(far, "sub", "circle")),
		os.Symlink("..", at("train", "up")),
		os.Symlink("/gone/x.jpg", at("train", "old.jpg")),
		syscall.Mkfifo(at("train", "pipe.jpg"), 0o644),
	} {
		if err != nil {
			t.Skipf("no links or pipes here: %v", err)
		}
	}
	return dir
}

// TestUntidyFolder: links are followed, and what no annotation names is left out, never
// opened and never followed for ever.
func TestUntidyFolder(t *testing.T) {
	dir := untidy(t)
	soon(t, func() {
		for _, decode := range []bool{false, true} {
			found, err := Check(t.Context(), dir, []string{"train", "val"}, CheckOptions{Decode: decode})
			if err != nil {
				t.Error(err)
			}
			var notes []string
			for _, p := range found {
				if !p.Note {
					t.Errorf("a problem: %s", p)
				} else if p.Subject == "" {
					notes = append(notes, p.Text)
				}
			}
			if want := `4 entries that the annotations do not name, such as "old.jpg": left out`; len(notes) != 1 || notes[0] != want {
				t.Errorf("notes %q, want %q", notes, want)
			}
		}
		identified(t, dir, "train")
		if _, err := FolderIdentity(t.Context(), dir, nil, "train", "val"); err != nil {
			t.Error(err)
		}
	})

	// A folder has one identity, links or not, by both ways of naming it.
	plain, d := t.TempDir(), sample()
	d.Images[0].FileName = "sub/b.png"
	writeSet(t, plain, "train", d)
	writeSet(t, plain, "val", sample())
	for _, split := range []string{"train", "val"} {
		if a, b := identified(t, dir, split).Identity(), identified(t, plain, split).Identity(); a != b {
			t.Errorf("%s: %s through links, %s without", split, a, b)
		}
	}
	a, err := FolderIdentity(t.Context(), dir, nil, "train", "val")
	b, berr := FolderIdentity(t.Context(), plain, nil, "train", "val")
	if err := errors.Join(err, berr); a != b || err != nil {
		t.Errorf("all files: %s through links, %s without (%v)", a, b, err)
	}

	// A pipe that an annotation names is refused without a look into it.
	d.Images[1].FileName = "pipe.jpg"
	if err := coco.WriteDataset(annotationsPath(dir, "train"), d); err != nil {
		t.Fatal(err)
	}
	soon(t, func() {
		s, err := Open(dir, "train")
		if err != nil {
			t.Error(err)
			return
		}
		if err := s.Identify(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "not a regular file") || !strings.Contains(err.Error(), "image id 7") {
			t.Errorf("Identify: %v", err)
		}
		if _, err := s.Decode(1); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("Decode: %v", err)
		}
		// So is what should say that a folder is generated,
		mark := filepath.Join(dir, markerName)
		if err := syscall.Mkfifo(mark, 0o644); err != nil {
			t.Error(err)
		}
		if _, err := Open(dir, "train"); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("Open of a folder whose %s is a pipe: %v", markerName, err)
		}
		if _, err := IsSynthetic(dir, synthetic.Config{}); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("IsSynthetic of a folder whose %s is a pipe: %v", markerName, err)
		}
		if err := os.Remove(mark); err != nil {
			t.Error(err)
		}
		// and so are annotations that are a pipe.
		if err := errors.Join(os.Remove(annotationsPath(dir, "val")), syscall.Mkfifo(annotationsPath(dir, "val"), 0o644)); err != nil {
			t.Error(err)
		}
		if _, err := Open(dir, "val"); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("Open: %v", err)
		}
	})
}
