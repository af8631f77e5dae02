package results

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A database on a network file system is refused by the number that the system
// gives; one on a local disk is not. No such system is mounted here.
func TestNetworkFileSystem(t *testing.T) {
	for _, tt := range []struct {
		name  string
		magic int64
		want  string // "": local
	}{
		{"NFS", unix.NFS_SUPER_MAGIC, "it is on NFS"},
		{"CIFS, as a negative number", int64(int32(-0xacb2be)), "it is on CIFS"},
		{"SMB2", unix.SMB2_SUPER_MAGIC, "it is on SMB"},
		{"ext4", unix.EXT4_SUPER_MAGIC, ""},
		{"tmpfs", unix.TMPFS_MAGIC, ""},
		{"overlay", unix.OVERLAYFS_SUPER_MAGIC, ""},
		{"FUSE, which may be local", unix.FUSE_SUPER_MAGIC, ""},
	} {
		err := refuseNetwork("x.db", tt.magic)
		if (err == nil) != (tt.want == "") || err != nil && (!errors.Is(err, ErrNetwork) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
	if err := checkLocal(filepath.Join(t.TempDir(), "new.db")); err != nil {
		t.Errorf("a folder for tests: %v", err)
	}
}
