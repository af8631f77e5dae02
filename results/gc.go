package results

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"focalgrid/atomicfile"
	"focalgrid/results/files"
	"focalgrid/results/record"
)

// WorkDir is the folder with what the unfinished trials of the database at path go
// on from: a folder a trial, named by its key.
func WorkDir(path string) string { return path + ".work" }

// Garbage is a file or folder beside a database that nothing needs any more.
type Garbage struct {
	Path string
	Size int64 // bytes
	Why  string
}

// Remove deletes it.
func (g Garbage) Remove() error { return os.RemoveAll(g.Path) }

// Garbage lists what lies beside the database, was last changed before the given
// time, and is needed by nothing: files that were never written to their end, working
// folders of trials that are done, diverged or unknown, and weights,
// detections and differences of the code that no trial of any database in the same folder has, nor any bundle.
//
// A database in that folder which can't be read is an error: nobody knows what it
// needs.
func (s *Store) Garbage(before time.Time) ([]Garbage, error) {
	g := collector{before: before}
	dir := filepath.Dir(s.path)
	for _, suffix := range sidecars { // a folder, and the files that older versions made
		if path := rebuildPath(s.path) + suffix; exists(path) {
			g.add(path, unfinished)
		}
	}
	bundles := record.BundleDir(s.path)
	g.temporary(bundles, atomicfile.Prefix)
	g.temporary(filepath.Join(bundles, record.SweepDir), atomicfile.Prefix)
	g.temporary(filepath.Join(bundles, record.ChoiceDir), atomicfile.Prefix)
	if err := s.garbageOfWork(&g); err != nil {
		return nil, err
	}
	needed, err := neededIn(dir)
	if err != nil {
		return nil, err
	}
	for _, kind := range files.Kinds {
		blobs := filepath.Join(dir, kind.Dir)
		g.temporary(blobs, atomicfile.Prefix)
		for _, e := range g.entries(blobs) {
			path := filepath.Join(blobs, e.Name())
			if !strings.HasPrefix(e.Name(), ".") && !needed[path] {
				g.add(path, "no trial has them")
			}
		}
	}
	return g.found, g.err
}

// unfinished is why what a killed process left is garbage.
const unfinished = "never written to its end"

// collector gathers garbage, and the first error of looking for it.
type collector struct {
	before time.Time
	found  []Garbage
	err    error
}

func (g *collector) entries(dir string) []fs.DirEntry {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && g.err == nil {
		g.err = err
	}
	return entries
}

// temporary adds the files in dir whose name has the prefix: they were not yet moved to their place.
func (g *collector) temporary(dir, prefix string) {
	for _, e := range g.entries(dir) {
		if !e.IsDir() && strings.HasPrefix(e.Name(), prefix) {
			g.add(filepath.Join(dir, e.Name()), unfinished)
		}
	}
}

// add adds a file or folder, unless something in it has changed of late.
func (g *collector) add(path, why string) {
	var size int64
	recent := false
	err := filepath.WalkDir(path, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		recent = recent || !info.ModTime().Before(g.before)
		if !e.IsDir() {
			size += info.Size()
		}
		return nil
	})
	switch {
	case errors.Is(err, fs.ErrNotExist): // gone meanwhile
	case err != nil:
		if g.err == nil {
			g.err = err
		}
	case !recent:
		g.found = append(g.found, Garbage{path, size, why})
	}
}

// garbageOfWork adds the working folders that no trial goes on from.
func (s *Store) garbageOfWork(g *collector) error {
	for _, e := range g.entries(WorkDir(s.path)) {
		var status string
		err := s.db.QueryRow("SELECT status FROM trials WHERE key = ?", e.Name()).Scan(&status)
		path := filepath.Join(WorkDir(s.path), e.Name())
		switch {
		case errors.Is(err, sql.ErrNoRows):
			g.add(path, "its trial is not recorded")
		case err != nil:
			return s.explain("collect garbage", err)
		case record.IsFinal(status):
			g.add(path, "its trial is "+status)
		default:
			for _, f := range g.entries(path) {
				if strings.HasPrefix(f.Name(), ".") {
					g.add(filepath.Join(path, f.Name()), unfinished)
				}
			}
		}
	}
	return nil
}

// neededIn are the paths of all weights and detections that the databases in dir, or
// bundles there, refer to.
func neededIn(dir string) (map[string]bool, error) {
	needed := map[string]bool{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if e.IsDir() {
			if strings.HasSuffix(e.Name(), record.BundleDir("")) {
				err = needOfBundles(path, needed)
			}
		} else if e.Type().IsRegular() && checkHeader(path) == nil {
			err = needOfDatabase(path, needed)
		}
		if err != nil {
			return nil, fmt.Errorf("what is needed in %s can't be told: %w", dir, err)
		}
	}
	return needed, nil
}

func needOfBundles(dir string, needed map[string]bool) error {
	files, err := record.BundleFiles(dir)
	if err != nil {
		return err
	}
	for _, file := range files.Trials {
		b, err := record.ReadBundle(file)
		if err != nil {
			return err
		}
		for _, f := range blobs(b, strings.TrimSuffix(dir, record.BundleDir(""))) {
			needed[f.Path] = true
		}
	}
	return nil
}

func needOfDatabase(path string, needed map[string]bool) error {
	s, err := OpenExisting(path)
	if errors.Is(err, ErrForeign) {
		return nil
	}
	if err != nil {
		return err
	}
	defer s.Close()
	trials, err := s.Trials(Filter{})
	if err != nil {
		return err
	}
	for _, t := range trials {
		b := record.Bundle{Trial: t}
		if b.Detections, err = queryDetections(s.db, t.Key); err != nil {
			return s.explain("collect garbage", err)
		}
		for _, f := range blobs(&b, s.path) {
			needed[f.Path] = true
		}
	}
	return nil
}
