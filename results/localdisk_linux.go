package results

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

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
	unix.V9FS_MAGIC:       "9p",
	0x0bd00bd0:            "Lustre",
	0x47504653:            "GPFS",
	0x19830326:            "BeeGFS",
	0x013111a8:            "IBRIX",
	0xaad7aaea:            "PanFS",
}

// localFUSE are the file systems by FUSE that lie on this machine's disks, as the
// system's list of mounts names them. Of the others, such as fuse.sshfs, fuse.rclone or virtiofs,
// nobody knows who else writes to them.
var localFUSE = map[string]bool{
	"fuseblk": true, "fuse.fuse-overlayfs": true, "fuse.overlayfs": true, "fuse.mergerfs": true, "fuse.bindfs": true,
	"fuse.gocryptfs": true, "fuse.encfs": true, "fuse.cryfs": true, "fuse.ntfs-3g": true, "fuse.exfat": true,
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
	return refuseNetwork(path, int64(s.Type), func() string { return mountType(path) })
}

// refuseNetwork judges by the number that statfs gives, and where that is FUSE's by the
// type of the mount.
func refuseNetwork(path string, magic int64, mount func() string) error {
	magic &= 0xffffffff // it is 32 bits, which some machines take for negative
	name, ok := networkFileSystems[magic]
	if magic == unix.FUSE_SUPER_MAGIC {
		name = mount()
		ok = !localFUSE[name]
	}
	if ok {
		return fmt.Errorf("%s: %w: it is on %s, where SQLite's locks do not keep two machines from writing at once; "+
			"name a file on a local disk with --db, and join the results of several machines with `runner db import`", path, ErrNetwork, name)
	}
	return nil
}

// mountType is the type of the mount that holds path, such as "fuse.sshfs"; "FUSE" if
// that can't be told.
func mountType(path string) string {
	const unknown = "FUSE"
	var s unix.Stat_t
	err := unix.Stat(path, &s)
	if errors.Is(err, fs.ErrNotExist) {
		err = unix.Stat(filepath.Dir(path), &s)
	}
	if err != nil {
		return unknown
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return unknown
	}
	return cmp.Or(typeOfDevice(string(mounts), fmt.Sprintf("%d:%d", unix.Major(s.Dev), unix.Minor(s.Dev))), unknown)
}

// typeOfDevice finds the type of a device in a list of mounts as of proc(5): the third
// field of a line is the device, and the type follows a lone "-".
func typeOfDevice(mounts, device string) string {
	for line := range strings.Lines(mounts) {
		fields := strings.Fields(line)
		dash := slices.Index(fields, "-")
		if len(fields) > 3 && fields[2] == device && dash > 0 && dash+1 < len(fields) {
			return fields[dash+1]
		}
	}
	return ""
}
