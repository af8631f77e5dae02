package results

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// networkFileSystems are those on which SQLite's locks and shared memory do not hold
// between machines, by the number that statfs gives.
var networkFileSystems = map[int64]string{
	unix.NFS_SUPER_MAGIC:  "NFS",
	unix.SMB_SUPER_MAGIC:  "SMB",
	unix.SMB2_SUPER_MAGIC: "SMB",
	unix.CIFS_SUPER_MAGIC: "CIFS",
	unix.AFS_SUPER_MAGIC:  "AFS",
	unix.AFS_FS_MAGIC:     "AFS",
	unix.CODA_SUPER_MAGIC: "Coda",
	unix.CEPH_SUPER_MAGIC: "Ceph",
	0x0bd00bd0:            "Lustre",
	0x47504653:            "GPFS",
	0x19830326:            "BeeGFS",
	0x013111a8:            "IBRIX",
	0xaad7aaea:            "PanFS",
}

// checkLocal refuses a database on a network file system.
func checkLocal(path string) error {
	var s unix.Statfs_t
	err := unix.Statfs(path, &s)
	if errors.Is(err, fs.ErrNotExist) {
		err = unix.Statfs(filepath.Dir(path), &s)
	}
	if err != nil {
		return nil // what cannot be asked is tried
	}
	return refuseNetwork(path, int64(s.Type))
}

func refuseNetwork(path string, magic int64) error {
	// The kernel's number is 32 bits, which some machines take for negative.
	if name, ok := networkFileSystems[magic&0xffffffff]; ok {
		return fmt.Errorf("%s: %w: it is on %s, where SQLite's locks do not keep two machines from writing at once; "+
			"name a file on a local disk with --db, and join the results of several machines with `runner db import`", path, ErrNetwork, name)
	}
	return nil
}
