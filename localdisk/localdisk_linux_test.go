package localdisk

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A network file system is known by the number that the system gives. No such system is
// mounted here.
func TestNetworkFileSystem(t *testing.T) {
	for _, tt := range []struct {
		name  string
		magic int64
		mount string // its type, asked for FUSE alone
		want  string // "": local
	}{
		{"NFS", unix.NFS_SUPER_MAGIC, "", "NFS"},
		{"CIFS, as a negative number", int64(int32(-0xacb2be)), "", "CIFS"},
		{"9p", unix.V9FS_MAGIC, "", "9p"},
		{"SMB2", unix.SMB2_SUPER_MAGIC, "", "SMB"},
		{"ext4", unix.EXT4_SUPER_MAGIC, "", ""},
		{"tmpfs", unix.TMPFS_MAGIC, "", ""},
		{"overlay", unix.OVERLAYFS_SUPER_MAGIC, "", ""},
		{"FUSE on a disk", unix.FUSE_SUPER_MAGIC, "fuseblk", ""},
		{"FUSE in a container", unix.FUSE_SUPER_MAGIC, "fuse.fuse-overlayfs", ""},
		{"FUSE over ssh", unix.FUSE_SUPER_MAGIC, "fuse.sshfs", "fuse.sshfs"},
		{"FUSE of a virtual machine's host", unix.FUSE_SUPER_MAGIC, "virtiofs", "virtiofs"},
		{"FUSE of which nothing is known", unix.FUSE_SUPER_MAGIC, "FUSE", "FUSE"},
	} {
		if got := network(tt.magic, func() string { return tt.mount }); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	if got := Network(filepath.Join(t.TempDir(), "new.db")); got != "" {
		t.Errorf("a folder for tests is on %s", got)
	}
}

func TestTypeOfDevice(t *testing.T) {
	const mounts = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
36 22 0:45 / /mnt/my\040host rw,nosuid master:1 propagate_from:2 - fuse.sshfs me@host:/ rw,user_id=0
37 22 0:46 / /mnt/x rw
`
	for device, want := range map[string]string{"8:1": "ext4", "0:45": "fuse.sshfs", "0:46": "", "9:9": ""} {
		if got := typeOfDevice(mounts, device); got != want {
			t.Errorf("%s is %q, want %q", device, got, want)
		}
	}
}
