//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package dataset

import "errors"

// lock returns an error: folders cannot be locked here.
func lock(string) (l folderLock, held bool, err error) { return l, false, errors.ErrUnsupported }
