package report

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"focalgrid/atomicfile"
)

// Pixels is the width of the pictures that report.tex includes.
const Pixels = 1200

// Files renders report.html, report.tex and the pictures that it includes, by name.
func (s *Study) Files() (map[string][]byte, error) {
	out := map[string][]byte{}
	var err error
	if out["report.html"], err = s.HTML(); err != nil {
		return nil, fmt.Errorf("report.html: %w", err)
	}
	if out["report.tex"], err = s.LaTeX(); err != nil {
		return nil, fmt.Errorf("report.tex: %w", err)
	}
	drawn := s.Figures
	for i := range s.Parts {
		drawn = slices.Concat(drawn, s.Parts[i].Figures)
	}
	for _, f := range drawn {
		name := "figures/" + f.Name + ".png"
		if out[name], err = f.PNG(Pixels); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return out, nil
}

// Write writes files into a folder. A folder that does not exist appears whole or not at all; in one that does, all
// files are complete before the first is replaced, and other files stay.
func Write(dir string, files map[string][]byte) error {
	dir = filepath.Clean(dir)
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return writeNew(dir, files)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is a file, want a folder for report.html and report.tex", dir)
	}
	return fill(dir, files)
}

func writeNew(dir string, files map[string][]byte) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("folder %s: %w", dir, cause(err))
		}
	}()
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return err
	}
	made := filepath.Join(filepath.Dir(dir), atomicfile.Prefix+filepath.Base(dir)+"."+rand.Text()[:10])
	if err := os.Mkdir(made, 0o777); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(made)
		}
	}()
	if err := fill(made, files); err != nil {
		return err
	}
	return os.Rename(made, dir)
}

// cause returns an error without the path that it names, which is that of a folder in the making.
func cause(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}

func fill(dir string, files map[string][]byte) error {
	var staged []*atomicfile.Staged
	defer func() {
		for _, s := range staged {
			s.Discard()
		}
	}()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		s, err := atomicfile.Stage(path, func(w io.Writer) error {
			_, err := w.Write(files[name])
			return err
		})
		if err != nil {
			return err
		}
		staged = append(staged, s)
	}
	for _, s := range staged {
		if err := s.Place(); err != nil {
			return err
		}
	}
	return nil
}
