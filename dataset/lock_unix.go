//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package dataset

import (
	"errors"
	"os"
	"syscall"
)

// lock locks a folder against other processes; held is false where one of them has the
// lock. The error reports that folders cannot be locked here.
func lock(path string) (l folderLock, held bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return l, false, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err != nil {
		f.Close()
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return l, false, nil
	}
	return folderLock{f}, err == nil, err
}
