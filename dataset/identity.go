package dataset

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"focalgrid/dataset/picture"
)

// ErrChanged is returned where a picture's bytes are not those that its set was
// identified by.
var ErrChanged = errors.New("its bytes are not those that were hashed: the file was changed or damaged since")

// Identify reads the file of every image, on all cores, and sets Sums; where Sums are set
// already it holds the files against them. progress (which may be nil) is called with the
// bytes done. The error names the file and the image's id, or is ctx's.
func (s *Set) Identify(ctx context.Context, progress func(done, total int64)) error {
	paths := make([]string, len(s.Images))
	for i := range paths {
		paths[i] = s.Path(i)
	}
	sums := make([][sha256.Size]byte, len(paths))
	failed, err := hashAll(ctx, paths, progress, func(i int, _ int64, sum [sha256.Size]byte) error {
		if s.Sums != nil && s.Sums[i] != sum {
			return fmt.Errorf("%s: %w", paths[i], ErrChanged)
		}
		sums[i] = sum
		return nil
	})
	if err != nil && failed >= 0 {
		return fmt.Errorf("image id %d: %w", s.Images[failed].ID, err)
	}
	if err == nil {
		s.Sums = sums
	}
	return err
}

// Identity is a hash of exactly what training and scoring read of the split: its
// categories, images (id, size, bytes) and annotations (id, image, category, box, iscrowd and
// area, gaps filled), in their order. How the JSON is spelt, its other fields, what pictures
// are called and where they lie, and files that it does not name do not count, nor does
// Relabel. It is empty where Sums is nil.
func (s *Set) Identity() string {
	if s.Sums == nil {
		return ""
	}
	h := sha256.New()
	w := bufio.NewWriter(h)
	fmt.Fprintln(w, "focalgrid split")
	for _, c := range s.ownClasses() {
		fmt.Fprintf(w, "category %d %q\n", c.ID, c.Name)
	}
	for i, im := range s.Images {
		fmt.Fprintf(w, "image %d %d %d %x\n", im.ID, im.Width, im.Height, s.Sums[i])
	}
	for _, a := range s.truth.Annotations {
		fmt.Fprintf(w, "annotation %d %d %d %t %x", a.ID, a.ImageID, a.CategoryID, a.IsCrowd, math.Float64bits(a.Area))
		for _, v := range a.BBox {
			fmt.Fprintf(w, " %x", math.Float64bits(v))
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	return hex.EncodeToString(h.Sum(nil))
}

// FolderIdentity is the hash by which older versions knew a folder: the bytes of each
// split's annotations, and name, size and bytes of every file in its image folder. Linked
// folders count as if they stood there themselves; what is neither a file nor a folder, and
// links that lead nowhere, are left out. The order of the splits counts, the folder's own
// name does not. progress (which may be nil) is called with the bytes done.
func FolderIdentity(ctx context.Context, dir string, progress func(done, total int64), splits ...string) (string, error) {
	if len(splits) == 0 {
		return "", errors.New("folder identity: no split named, expected at least one")
	}
	var files, names []string
	for _, split := range splits {
		files = append(files, annotationsPath(dir, split))
		names = append(names, "annotations of "+split)
		err := walk(ctx, filepath.Join(dir, split), func(string) bool { return true }, func(f found) {
			if f.regular {
				files, names = append(files, f.path), append(names, split+"/"+f.name)
			}
		})
		if err != nil {
			return "", err
		}
	}
	lines := make([]string, len(files))
	_, err := hashAll(ctx, files, progress, func(i int, size int64, sum [sha256.Size]byte) error {
		// Quoted, a name with a line break cannot pass for two entries.
		lines[i] = fmt.Sprintf("%q=%d %x\n", names[i], size, sum)
		return nil
	})
	if err != nil {
		return "", err
	}
	h := sha256.Sum256([]byte("focalgrid folder\n" + strings.Join(lines, "")))
	return hex.EncodeToString(h[:]), nil
}

// hashAll calls each with size and SHA-256 of every file, on all cores. failed is the
// index of the file that the error is about, or -1.
func hashAll(ctx context.Context, files []string, progress func(done, total int64), each func(i int, size int64, sum [sha256.Size]byte) error) (failed int, err error) {
	var (
		lock        sync.Mutex
		done, total int64
	)
	failed = -1
	note := func(i int, err error) error {
		if err != nil && ctx.Err() == nil {
			lock.Lock()
			defer lock.Unlock()
			if failed < 0 || i < failed {
				failed = i
			}
		}
		return err
	}
	err = parallel(ctx, len(files), runtime.GOMAXPROCS(0), func(i int) error {
		info, err := picture.StatRegular(files[i])
		if err == nil {
			lock.Lock()
			defer lock.Unlock()
			total += info.Size()
		}
		return note(i, err)
	})
	if err != nil {
		return failed, err
	}
	err = parallel(ctx, len(files), runtime.GOMAXPROCS(0), func(i int) error {
		size, sum, err := hashFile(ctx, files[i])
		if err == nil {
			err = each(i, size, sum)
		}
		if err == nil && progress != nil {
			lock.Lock()
			defer lock.Unlock()
			done += size
			progress(done, max(done, total))
		}
		return note(i, err)
	})
	return failed, err
}

func hashFile(ctx context.Context, path string) (size int64, sum [sha256.Size]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, sum, err
	}
	defer f.Close()
	h := sha256.New()
	for buf := make([]byte, 1<<18); ; {
		if err := ctx.Err(); err != nil {
			return size, sum, err
		}
		n, err := f.Read(buf)
		h.Write(buf[:n])
		size += int64(n)
		if errors.Is(err, io.EOF) {
			return size, [sha256.Size]byte(h.Sum(nil)), nil
		}
		if err != nil {
			return size, sum, err
		}
	}
}
