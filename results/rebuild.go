package results

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"focalgrid/atomicfile"
	"focalgrid/localdisk"
	"focalgrid/results/record"
)

// ErrNoBundles is returned by Rebuild.
var ErrNoBundles = errors.New("no bundles to make a database of")

// Rebuilt counts what Rebuild found and did.
type Rebuilt struct {
	Found                   int     // bundles, of trials, sweeps and choices
	Trials, Sweeps, Choices int     // in the database
	Refused                 []error // by bundle: those that were left out, and why
	Unchecked                       // of the bundles taken
}

// Rebuild makes the database at path anew from its bundles. One that can't be read, was
// altered, or holds a trial under a key that is not its own is left out and named.
//
// It never replaces a database, not even one that appears while it works. The error is
// ErrNoBundles, and there is no database, where no bundle is or can be taken.
func Rebuild(path string, key record.KeyOf) (r Rebuilt, err error) {
	if err := checkFree(path); err != nil {
		return r, err
	}
	if err := refuseNetwork(path, localdisk.Network(path)); err != nil {
		return r, err
	}
	found, err := record.BundleFiles(record.BundleDir(path))
	if err != nil {
		return r, err
	}
	r.Found = found.Count()
	if r.Found == 0 {
		return r, fmt.Errorf("%s: %w", record.BundleDir(path), ErrNoBundles)
	}
	dir, err := rebuildDir(path)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, removeRebuildDir(dir)) }()
	tmp := filepath.Join(dir, filepath.Base(path))
	s, err := Open(tmp)
	if err != nil {
		return r, err
	}
	err = s.fill(found, key, &r)
	if err = errors.Join(err, s.Close()); err != nil {
		return r, err
	}
	if r.Trials+r.Sweeps+r.Choices == 0 {
		return r, fmt.Errorf("%s: %w: none of the %d there can be taken", record.BundleDir(path), ErrNoBundles, r.Found)
	}
	return r, publish(tmp, path)
}

// sidecars are the ends of the names of a database's files.
var sidecars = []string{"", "-wal", "-shm"}

// checkFree refuses a path with a database, or with what belongs to one.
func checkFree(path string) error {
	for _, suffix := range sidecars {
		if _, err := os.Lstat(path + suffix); err == nil {
			return fmt.Errorf("%s is there: move it away first, with its -wal and -shm if there are any", path+suffix)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// rebuildPath is where a database is made anew until it is whole.
func rebuildPath(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".rebuild")
}

// rebuildDir makes a folder for one rebuilding of the database at path; another process
// may be at the same.
func rebuildDir(path string) (string, error) {
	top := rebuildPath(path)
	if info, err := os.Lstat(top); err == nil && info.Mode().IsRegular() { // older versions made a file
		if err := removeDatabase(top); err != nil {
			return "", err
		}
	}
	if err := os.MkdirAll(top, 0o777); err != nil {
		return "", err
	}
	return os.MkdirTemp(top, "")
}

func removeRebuildDir(dir string) error {
	err := os.RemoveAll(dir)
	_ = os.Remove(filepath.Dir(dir)) // stays while another process works in it
	return err
}

func removeDatabase(path string) error {
	var errs []error
	for _, suffix := range sidecars {
		if err := os.Remove(path + suffix); !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// publish gives a database that is whole its name, if that is still free.
func publish(tmp, path string) error {
	err := checkFree(path)
	if err == nil {
		err = atomicfile.Publish(tmp, path)
	}
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s has appeared meanwhile and is left as it is; move it away first, and run the same command again", path)
	}
	return err
}

// fill applies the bundles, some hundred in a transaction, and counts what the database then
// holds.
func (s *Store) fill(found record.BundlePaths, key record.KeyOf, r *Rebuilt) error {
	refuse := func(err error) { r.Refused = append(r.Refused, err) }
	taken := 0
	if err := s.inTx("rebuild", func(tx *sql.Tx) error {
		for _, path := range found.Sweeps {
			sw, err := record.ReadSweep(path)
			if err != nil {
				refuse(err)
				continue
			}
			r.count(sw.Unsealed, true)
			taken++
			if _, err := saveSweep(tx, sw.Sweep, sw.Plan); err != nil {
				return err
			}
		}
		for _, path := range found.Choices {
			c, err := record.ReadChoice(path)
			if err != nil {
				refuse(err)
				continue
			}
			taken++
			if err := saveChoice(tx, c); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	const atOnce = 200
	for files := range slices.Chunk(found.Trials, atOnce) {
		var bundles []*record.Bundle
		for _, path := range files {
			b, err := record.ReadBundle(path)
			if err != nil {
				refuse(err)
				continue
			}
			keyed, err := key.Check(&b.Trial)
			if err != nil {
				refuse(fmt.Errorf("%s: %w", path, err))
				continue
			}
			r.count(b.Unsealed, keyed)
			bundles = append(bundles, b)
		}
		taken += len(bundles)
		if err := s.Apply(bundles...); err != nil {
			return err
		}
	}
	if err := s.Check(); err != nil {
		return err
	}
	if err := s.db.QueryRow("SELECT (SELECT count(*) FROM trials), (SELECT count(*) FROM sweeps), (SELECT count(*) FROM choices)").Scan(&r.Trials, &r.Sweeps, &r.Choices); err != nil {
		return s.explain("rebuild", err)
	}
	if held := r.Trials + r.Sweeps + r.Choices; held != taken {
		return fmt.Errorf("rebuild: the database holds %d of the %d bundles that were taken", held, taken)
	}
	return nil
}
