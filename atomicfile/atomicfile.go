// Package atomicfile writes files that appear whole or not at all.
package atomicfile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// Prefix begins the temporary name of a file that is not complete yet. A process that is
// killed leaves such a file behind.
const Prefix = "."

// Write lets write fill a new file beside path, syncs the file, renames it to path and
// syncs the folder. After an error, path is as it was. Errors name path. A new file gets
// its permissions from the umask; a file that replaces another keeps the permissions of
// the other.
func Write(path string, write func(io.Writer) error) error {
	s, err := Stage(path, write)
	if err != nil {
		return err
	}
	defer s.Discard()
	return s.Place()
}

// Staged is a complete, synced file that does not have its name yet. Files that belong together
// are all staged before the first is placed: what can fail then fails before anything is replaced.
type Staged struct {
	path      string
	temporary string // empty: it is placed
}

// Stage does what Write does, but for the name.
func Stage(path string, write func(io.Writer) error) (s *Staged, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, errors.New("is a folder, want a file")
	}
	f, err := createBeside(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		return nil, err
	}
	if err := keepMode(path, f); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	return &Staged{path, f.Name()}, f.Close()
}

// Place renames the file to its path and syncs the folder.
func (s *Staged) Place() error {
	if err := Move(s.temporary, s.path); err != nil {
		return fmt.Errorf("write %s: %w", s.path, err)
	}
	s.temporary = ""
	return nil
}

// Discard removes a file that was not placed.
func (s *Staged) Discard() {
	if s.temporary != "" {
		os.Remove(s.temporary)
	}
}

// createBeside makes a file with a new name beside path. The system applies the umask to
// its mode; files of os.CreateTemp are readable by their owner only and would need a chmod
// afterwards.
func createBeside(path string) (*os.File, error) {
	name := filepath.Join(filepath.Dir(path), Prefix+filepath.Base(path)+"."+rand.Text()[:10])
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
}

// keepMode gives a file the permissions of the one at path, if there is one.
func keepMode(path string, f *os.File) error {
	old, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !old.Mode().IsRegular() {
		return nil
	}
	if err != nil {
		return err
	}
	if now, err := f.Stat(); err != nil || now.Mode().Perm() == old.Mode().Perm() {
		return err
	}
	return f.Chmod(old.Mode().Perm())
}

// Move renames a complete, synced file and syncs the folder.
func Move(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return SyncFolder(filepath.Dir(to))
}

// Publish gives a complete, synced file a second name and syncs the folder. It never
// replaces a file that already has the name: the error is then fs.ErrExist, and nothing has
// changed. Both names must be on one file system, which must support hard links.
func Publish(from, to string) error {
	if err := os.Link(from, to); err != nil {
		return err
	}
	return errors.Join(os.Remove(from), SyncFolder(filepath.Dir(to)))
}

// SyncFolder makes new names in a folder survive a power cut, if the file system can do
// that.
func SyncFolder(dir string) error {
	if runtime.GOOS == "windows" { // cannot open a folder, and keeps names by itself
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}
