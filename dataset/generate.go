package dataset

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"focalgrid/atomicfile"
	"focalgrid/dataset/picture"
	"focalgrid/dataset/synthetic"
)

// ErrOtherFolder is returned where a folder holds something else than the set asked for,
// be it only a damaged copy of it; nothing in it is touched.
var ErrOtherFolder = errors.New("folder holds other data")

// GenerateOptions sets how a set is drawn.
type GenerateOptions struct {
	Own      bool                  // the folder is the program's own, in its cache: what is damaged in it is drawn again
	Progress func(done, total int) // of the images drawn; may be nil
}

// Generate writes the synthetic set to dir in COCO's layout, with the checksum of every
// file. The folder appears whole or not at all: it is filled under a temporary name beside
// dir and then renamed, so that an interruption, also by ctx, leaves nothing half done at dir
// and of several processes the first one wins.
//
// A folder that holds this very set is left as it is, once its files are seen to have their
// checksums. A folder that an older version drew has none: its files are compared with the set
// drawn again, and get them. Where a file is damaged or missing, it is drawn again in a folder of our
// Own, each file whole or not at all, with a note; in any other folder nothing is touched, and the
// error is ErrOtherFolder.
func Generate(ctx context.Context, dir string, c synthetic.Config, o GenerateOptions) (note string, err error) {
	g := drawing{synthetic.New(c), c}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real // a link stays one: what it points to is filled
	}
	clearAbandoned(dir)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		err := g.create(ctx, dir, o.Progress)
		if err == nil || ctx.Err() != nil {
			return "", err
		}
		// Another process may have finished first: its folder is the same.
		if entries, rerr := os.ReadDir(dir); rerr != nil || len(entries) == 0 {
			return "", err
		}
	} else if err != nil {
		return "", err
	}
	if !o.Own {
		if err := claims(dir, c); err != nil {
			return "", err
		}
	}
	return g.mend(ctx, dir, o)
}

// claims returns an error unless a folder's marker names the set of c.
func claims(dir string, c synthetic.Config) error {
	path := filepath.Join(dir, markerName)
	data, err := picture.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s has no %s: name a new or an empty folder", ErrOtherFolder, dir, markerName)
	}
	if err != nil {
		return err
	}
	id, err := parseMarker(data)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrOtherFolder, path, err)
	}
	if want := synthetic.Identity(c); id != want {
		return fmt.Errorf("%w: %s is of synthetic set %.12s, asked for is %.12s: name another folder, or remove it", ErrOtherFolder, dir, id, want)
	}
	return nil
}

// create draws the set where nothing is.
func (g drawing) create(ctx context.Context, dir string, progress func(done, total int)) (err error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return err
	}
	tmp, release, err := temporary(dir)
	if err != nil {
		return err
	}
	defer release()
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(tmp))
		}
	}()
	for _, folder := range append([]string{annotationsFolder}, synthetic.Splits...) {
		if err := os.Mkdir(filepath.Join(tmp, folder), 0o777); err != nil {
			return err
		}
	}
	files := g.files()
	err = g.draw(ctx, files, progress, func(f *file, data []byte) error {
		f.sum = sha256.Sum256(data)
		return writeFile(f.in(tmp), data)
	})
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(tmp, sumsName), formatSums(files)); err != nil {
		return err
	}
	for _, folder := range append([]string{annotationsFolder, "."}, synthetic.Splits...) {
		if err := atomicfile.SyncFolder(filepath.Join(tmp, folder)); err != nil {
			return err
		}
	}
	// An empty folder at dir gives way; not every system lets a rename do it. One
	// that is not empty stays, and the rename says so.
	if info, err := os.Lstat(dir); err == nil && info.IsDir() {
		_ = os.Remove(dir)
	}
	if err := os.Rename(tmp, dir); err != nil {
		return err
	}
	return atomicfile.SyncFolder(filepath.Dir(dir))
}

// IsSynthetic reports whether a folder's marker names the synthetic set of c. The error is
// ErrOtherFolder if it names another set.
func IsSynthetic(dir string, c synthetic.Config) (bool, error) {
	if _, err := os.Stat(filepath.Join(dir, markerName)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	err := claims(dir, c)
	return err == nil, err
}

// mend holds the files of a folder against their checksums, and those that do not have
// theirs against what they should be. Files that are not the set's are left alone.
func (g drawing) mend(ctx context.Context, dir string, o GenerateOptions) (note string, err error) {
	files := g.files()
	listed, there := listedSums(dir, files)
	suspect, err := suspects(ctx, dir, files, listed)
	if err != nil {
		return "", err
	}
	var doubtful []file
	for i, f := range files {
		if suspect[i] {
			doubtful = append(doubtful, f)
		}
	}
	if len(doubtful) == 0 {
		return "", nil
	}
	var (
		lock sync.Mutex
		bad  []string
	)
	err = g.draw(ctx, doubtful, o.Progress, func(f *file, data []byte) error {
		was, err := picture.ReadFile(f.in(dir))
		if err == nil && f.part < 0 && listed == nil {
			if id, err := parseMarker(was); err == nil && id == synthetic.Identity(g.config) {
				data = was // however an older version wrote it
			}
		}
		f.sum = sha256.Sum256(data)
		if err == nil && bytes.Equal(was, data) {
			return nil
		}
		lock.Lock()
		bad = append(bad, f.name)
		lock.Unlock()
		if !o.Own {
			return nil
		}
		if err := os.MkdirAll(filepath.Dir(f.in(dir)), 0o777); err != nil {
			return err
		}
		return atomicfile.Write(f.in(dir), func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		})
	})
	if err != nil {
		return "", err
	}
	slices.Sort(bad)
	if len(bad) > 0 && !o.Own {
		return "", notAsDrawn(dir, fmt.Sprintf("%s, such as %s", plural(len(bad), "file"), bad[0]))
	}
	for i := range files {
		if suspect[i] {
			files[i].sum, doubtful = doubtful[0].sum, doubtful[1:]
		}
	}
	err = atomicfile.Write(filepath.Join(dir, sumsName), func(w io.Writer) error {
		_, err := w.Write(formatSums(files))
		return err
	})
	if err != nil && !o.Own {
		err = nil // a folder that cannot be written is compared again the next time
	}
	switch {
	case err != nil:
		return "", err
	case len(bad) > 0:
		return fmt.Sprintf("synthetic set in %s: %s damaged or missing, such as %s: drawn again", dir, plural(len(bad), "file"), bad[0]), nil
	case there:
		return fmt.Sprintf("synthetic set in %s: %s was damaged: written again", dir, sumsName), nil
	}
	return "", nil
}

// suspects returns which of a folder's files are missing or do not have the checksums listed, all of
// them if none are listed, and sets the files' checksums to the listed ones.
func suspects(ctx context.Context, dir string, files []file, listed [][sha256.Size]byte) ([]bool, error) {
	suspect := make([]bool, len(files))
	err := parallel(ctx, len(files), runtime.GOMAXPROCS(0), func(i int) error {
		f := &files[i]
		if listed == nil {
			suspect[i] = true
			return nil
		}
		f.sum = listed[i]
		data, err := picture.ReadFile(f.in(dir))
		suspect[i] = err != nil || sha256.Sum256(data) != f.sum
		return nil
	})
	return suspect, err
}

// notAsDrawn returns the error about a generated folder that is damaged, or was changed on purpose.
func notAsDrawn(dir, what string) error {
	return fmt.Errorf("%w: %s is not as it was drawn (%s): remove it to have it drawn again, or remove its %s if it is now data of your own",
		ErrOtherFolder, dir, what, markerName)
}

// writeFile writes and syncs a file in a folder that is not in use yet.
func writeFile(path string, data []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}
