package gpu

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"focalgrid/filelock"
)

// Lease is a place on a device. It is held until Close, or until the end of this process and of those that inherited
// File.
type Lease struct {
	Device
	Place int      // on the device, from 0: how many others hold a place there
	File  *os.File // whose lock is the lease
}

// Take gives out a place on the device that has the fewest taken, of equals on the first. Processes on this machine
// that take places in the same folder, of whichever user, share the devices so; none waits for another.
func Take(devices []Device, dir string) (*Lease, error) {
	if len(devices) == 0 {
		return nil, errors.New("no device to give out")
	}
	for place := 0; ; place++ {
		for _, d := range devices {
			f, err := open(filepath.Join(dir, fmt.Sprintf("focalgrid-%s-%d.lock", d.UUID, place)))
			if err != nil {
				return nil, err
			}
			held, err := filelock.Try(f)
			if held {
				return &Lease{d, place, f}, nil
			}
			f.Close()
			if err != nil {
				return nil, fmt.Errorf("%s cannot be locked: %w", f.Name(), err)
			}
		}
	}
}

// Close gives the place back, unless a process that inherited File still lives.
func (l *Lease) Close() error { return l.File.Close() }

// Visible is the setting of the environment with which CUDA shows a process the leased device alone.
func (l *Lease) Visible() string { return "CUDA_VISIBLE_DEVICES=" + l.UUID }

// open opens a file that all users may lock. Where it is there, it is not opened to be made: in a folder for temporary
// files Linux refuses that to all but its owner.
func open(path string) (*os.File, error) {
	f, err := os.Open(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	f, err = os.OpenFile(path, os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) { // another process was first
		return os.Open(path)
	}
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(0o644); err != nil { // whatever the umask
		f.Close()
		return nil, err
	}
	return f, nil
}
