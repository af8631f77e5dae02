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

// Prefix begins the name under which a file is written before it is whole; a
// process that is killed leaves such a file behind.
const Prefix = "."

// Write lets write fill a new file beside path, brings it to the disk, moves it to
// path and brings the folder's names to the disk. After an error path is as it was.
// Errors name path. Who may read the file is for the umask to say, or is as it was for a
// file that is replaced.
func Write(path string, write func(io.Writer) error) (err error) {
	f, err := createBeside(path)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := keepMode(path, f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return Move(f.Name(), path)
}

// createBeside makes a file of a new name beside path. The system takes the umask off its
// mode, which os.CreateTemp's files, their owner's alone, would have to be given afterwards.
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

// Move renames a file that is whole and on the disk, and brings the folder's names
// to the disk.
func Move(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return SyncFolder(filepath.Dir(to))
}

// Publish gives a file that is whole and on the disk another name, and brings the folder's
// names to the disk. A file that has the name is never replaced: the error is then
// fs.ErrExist, and all is as it was. Both names must lie on one file system, and that must know
// hard links.
func Publish(from, to string) error {
	if err := os.Link(from, to); err != nil {
		return err
	}
	return errors.Join(os.Remove(from), SyncFolder(filepath.Dir(to)))
}

// SyncFolder makes new names in a folder outlast a power cut, where the file system
// can do that.
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
