//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package filelock

import (
	"errors"
	"os"
)

func try(*os.File) (held bool, err error) { return false, errors.ErrUnsupported }
