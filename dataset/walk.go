package dataset

import (
	"context"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// found is what walk meets.
type found struct {
	name    string // below the root, with slashes
	path    string // the file itself: links of folders resolved, its own not
	regular bool   // a file, or a link to one; not a pipe, a device or a link that leads nowhere
}

// walk calls each with everything below root that is no folder, a folder's entries by
// name. root may be a link. A link to a folder is followed where follow says so of its
// name, but no folder is entered twice, nor one that root lies in, so that links in a
// circle end. Nothing is opened but folders.
func walk(ctx context.Context, root string, follow func(name string) bool, each func(found)) error {
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		return err
	}
	w := walker{ctx: ctx, root: real, follow: follow, each: each, entered: map[string]bool{}}
	return w.folder(real, "")
}

type walker struct {
	ctx     context.Context
	root    string
	follow  func(name string) bool
	each    func(found)
	entered map[string]bool // by path without links
}

func (w *walker) folder(dir, name string) error {
	if w.entered[dir] {
		return nil
	}
	w.entered[dir] = true
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		f := found{name: path.Join(name, e.Name()), path: filepath.Join(dir, e.Name()), regular: e.Type().IsRegular()}
		isFolder, target := e.IsDir(), f.path
		if e.Type()&fs.ModeSymlink != 0 {
			info, err := os.Stat(f.path)
			f.regular = err == nil && info.Mode().IsRegular()
			if err == nil && info.IsDir() {
				isFolder = w.follow(f.name)
				if target, err = filepath.EvalSymlinks(f.path); err != nil || within(w.root, target) {
					isFolder = false
				}
			}
		}
		if !isFolder {
			w.each(f)
			continue
		}
		if err := w.folder(target, f.name); err != nil {
			return err
		}
	}
	return nil
}

// within reports whether a path is a folder or lies below it; both are without links.
func within(path, folder string) bool {
	rel, err := filepath.Rel(folder, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}
