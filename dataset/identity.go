package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
)

// FolderIdentity is a hash of what is in a folder, for data whose settings
// nobody knows: the bytes of each split's annotations, and name, size and bytes
// of every file in its image folder. It reads all of it, on all cores. The order
// of the splits counts, the folder's own name does not.
func FolderIdentity(dir string, splits ...string) (string, error) {
	if len(splits) == 0 {
		return "", errors.New("folder identity: no split named, expected at least one")
	}
	var files, names []string
	for _, split := range splits {
		files = append(files, annotationsPath(dir, split))
		names = append(names, "annotations of "+split)
		root := filepath.Join(dir, split)
		// WalkDir goes by name, so the listing has one order everywhere.
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			if !d.Type().IsRegular() && d.Type()&fs.ModeSymlink == 0 {
				return fmt.Errorf("%s: neither a file nor a folder", path)
			}
			rel, err := filepath.Rel(dir, path)
			files, names = append(files, path), append(names, filepath.ToSlash(rel))
			return err
		})
		if err != nil {
			return "", err
		}
	}
	pairs := make([]string, 2*len(files))
	err := parallel(context.Background(), len(files), runtime.GOMAXPROCS(0), func(i int) error {
		size, sum, err := hashFile(files[i])
		if err != nil {
			return err
		}
		// Quoted, a name with a line break cannot pass for two entries.
		pairs[2*i], pairs[2*i+1] = strconv.Quote(names[i]), fmt.Sprintf("%d %s", size, sum)
		return nil
	})
	if err != nil {
		return "", err
	}
	return fingerprint("focalgrid folder", pairs...), nil
}

func hashFile(path string) (size int64, sum string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.Copy(h, f)
	return size, hex.EncodeToString(h.Sum(nil)), err
}
