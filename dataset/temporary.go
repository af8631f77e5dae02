package dataset

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"focalgrid/filelock"
)

// temporaryPrefix begins the name of a folder that is being filled to become dir.
func temporaryPrefix(dir string) string { return "." + filepath.Base(dir) + ".tmp-" }

// temporary makes a folder beside dir, and locks it until release is called: it is thereby
// known not to be abandoned.
func temporary(dir string) (tmp string, release func(), err error) {
	for n := range 1000 {
		tmp = filepath.Join(filepath.Dir(dir), fmt.Sprintf("%s%d%03d", temporaryPrefix(dir), os.Getpid(), n))
		if err := os.Mkdir(tmp, 0o777); errors.Is(err, fs.ErrExist) {
			continue
		} else if err != nil {
			return "", nil, err
		}
		l, held, err := lock(tmp)
		switch {
		case errors.Is(err, fs.ErrNotExist) || err == nil && !held:
			continue // taken for abandoned before it was locked
		case err != nil:
			return tmp, func() {}, nil // no locks here: nobody will take it for abandoned, either
		case l.there(tmp):
			return tmp, l.unlock, nil
		}
		l.unlock()
	}
	return "", nil, fmt.Errorf("%s: no name left for a temporary folder beside it", dir)
}

// clearAbandoned removes the temporary folders for dir whose process is gone. What
// cannot be removed stays.
func clearAbandoned(dir string) {
	parent, prefix := filepath.Dir(dir), temporaryPrefix(dir)
	entries, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, e := range entries {
		number, ok := strings.CutPrefix(e.Name(), prefix)
		if !ok || !e.IsDir() || number == "" || strings.Trim(number, "0123456789") != "" {
			continue
		}
		path := filepath.Join(parent, e.Name())
		if l, held, err := lock(path); err == nil && held {
			_ = os.RemoveAll(path)
			l.unlock()
		}
	}
}

// lock locks a folder against other processes; held is false where one of them has the
// lock. The error reports that folders cannot be locked here.
func lock(path string) (l folderLock, held bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return l, false, err
	}
	if held, err = filelock.Try(f); !held {
		f.Close()
		return l, false, err
	}
	return folderLock{f}, true, nil
}

// folderLock is held until the process ends or unlocks it.
type folderLock struct{ folder *os.File }

func (l folderLock) unlock() { l.folder.Close() }

// there reports whether path still is the folder that was locked.
func (l folderLock) there(path string) bool {
	locked, err := l.folder.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(path)
	return err == nil && os.SameFile(locked, now)
}
