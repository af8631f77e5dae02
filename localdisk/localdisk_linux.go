package localdisk

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

// networkFileSystems are the file systems on which locks and shared memory do not hold
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

// Network returns the name of the network file system that path lies on, or will lie on;
// empty if it is on a local disk, or if that is not known.
func Network(path string) string {
	var s unix.Statfs_t
	err := unix.Statfs(path, &s)
	if errors.Is(err, fs.ErrNotExist) {
		err = unix.Statfs(filepath.Dir(path), &s)
	}
	if err != nil {
		return ""
	}
	return network(int64(s.Type), func() string { return mountType(path) })
}

// network judges by the number that statfs gives, and where that is FUSE's by the
// type of the mount.
func network(magic int64, mount func() string) string {
	magic &= 0xffffffff // it is 32 bits, which some machines take for negative
	if magic != unix.FUSE_SUPER_MAGIC {
		return networkFileSystems[magic]
	}
	if name := mount(); !localFUSE[name] {
		return name
	}
	return ""
}

// mountType returns the type of the mount that holds path, such as "fuse.sshfs"; "FUSE" if
// it is not known.
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
