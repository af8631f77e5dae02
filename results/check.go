package results

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"focalgrid/results/files"
	"focalgrid/results/record"
)

// Finding is something that is damaged, and what to do about it.
type Finding struct{ What, Do string }

// Checked counts what Check looked at, and lists its findings.
type Checked struct {
	Trials, Sweeps, Choices int       // in the database
	Bundles                 int       // beside it
	Files                   int       // weights, detections and differences of the code that these name
	Mended                  []string  // bundles
	Missing                 []string  // files among these
	Found                   []Finding // damage
	Unchecked                         // of the trials
}

// Check reads all that belongs to the database at path: its rows, which it compares with
// their checksums, their keys and their bundles; the bundles; and the files that both name
// by their hash. It changes nothing; but if mend is set, bundles that are
// missing or damaged are written anew from rows that are sound.
//
// The error is about a file that is not a database of ours, or that can't be read for another
// reason than damage.
func Check(path string, key record.KeyOf, mend bool) (*Checked, error) {
	c := &checker{path: path, key: key, rows: map[string]row{}, files: map[string]files.File{}}
	s, err := OpenExisting(path)
	switch {
	case err == nil:
		defer s.Close()
		c.database(s)
	case errors.Is(err, ErrCorrupt):
		c.lost(err)
	case errors.Is(err, ErrNoDatabase) && exists(record.BundleDir(path)):
		c.rows = nil
		c.find(fmt.Errorf("%s: there is no database, and there are bundles of one", path), "run: runner db rebuild --db "+path)
	default:
		return nil, err
	}
	broken, err := c.bundles()
	if err != nil {
		return nil, err
	}
	for _, file := range slices.Sorted(maps.Keys(broken)) {
		if r := c.rows[file]; mend && r.write != nil {
			if err := r.write(); err != nil {
				return nil, err
			}
			c.Mended = append(c.Mended, file)
		} else {
			c.find(broken[file], c.restore(r))
		}
	}
	if err := c.work(); err != nil {
		return nil, err
	}
	for _, file := range slices.Sorted(maps.Keys(c.files)) {
		c.Files++
		switch err := c.files[file].Check(); {
		case errors.Is(err, fs.ErrNotExist):
			c.Missing = append(c.Missing, file)
		case err != nil:
			c.find(err, "copy it from a backup; or delete it and train its trial into another database of this folder, which writes it anew")
		}
	}
	return &c.Checked, nil
}

type checker struct {
	Checked
	path  string
	key   record.KeyOf
	rows  map[string]row        // by the bundle that is to hold the same; nil if the database can't be read
	files map[string]files.File // that sound rows and bundles name, by path
}

// row is a trial, a sweep or a choice as the database has it.
type row struct {
	sum      string       // of its bundle
	apart    bool         // from its bundle: it is damaged, or the trial is at work again
	unsealed bool         // it has no checksum
	write    func() error // writes its bundle; nil if it can't
}

func (c *checker) find(what error, do string) { c.Found = append(c.Found, Finding{what.Error(), do}) }

func (c *checker) rebuild() string {
	return "move the database away, with its -wal and -shm if there are any, and run: runner db rebuild --db " + c.path
}

// lost finds that the database can't be read.
func (c *checker) lost(err error) {
	c.find(err, c.rebuild())
	c.rows = nil
}

// restore returns advice about a bundle that differs from its row.
func (c *checker) restore(r row) string {
	if r.write == nil {
		return "copy it from a backup, or move it away: the database does not have its content"
	}
	return "run: runner db check --mend --db " + c.path
}

// database reads every row. One that is damaged does not keep the others from being read.
func (c *checker) database(s *Store) {
	if err := s.Check(); err != nil {
		c.find(err, c.rebuild())
	}
	if err := s.inTx("check", func(tx *sql.Tx) error {
		strays := 0
		if err := each(tx, func(*sql.Rows) error { strays++; return nil }, "PRAGMA foreign_key_check"); err != nil {
			return err
		}
		if strays > 0 {
			c.find(fmt.Errorf("%s: %d rows belong to no trial or sweep", c.path, strays), c.rebuild())
		}
		if err := errors.Join(c.sweepRows(tx), c.choiceRows(tx)); err != nil {
			return err
		}
		return c.trialRows(tx, s)
	}); err != nil {
		c.lost(err)
	}
}

func (c *checker) sweepRows(tx *sql.Tx) error {
	sweeps, err := querySweeps(tx)
	if err != nil {
		return err
	}
	c.Sweeps = len(sweeps)
	for _, sw := range sweeps {
		b, err := querySweep(tx, sw)
		if err == nil {
			err = b.Check()
		}
		var text []byte
		if err == nil {
			text, err = b.Encode()
		}
		dir := record.BundleDir(c.path)
		file := (&record.SweepPlan{Sweep: sw}).Path(dir)
		if err != nil {
			c.find(err, c.rebuild())
			c.rows[file] = row{apart: true}
			continue
		}
		c.rows[file] = row{sum: files.BlobOf(text).Hash, unsealed: b.Unsealed, write: func() error { return b.Write(dir) }}
	}
	return nil
}

func (c *checker) choiceRows(tx *sql.Tx) error {
	subjects, err := querySubjects(tx)
	if err != nil {
		return err
	}
	c.Choices = len(subjects)
	for _, subject := range subjects {
		choice, err := queryChoice(tx, subject)
		if err == nil {
			err = choice.Check()
		}
		var text []byte
		if err == nil {
			text, err = choice.Encode()
		}
		dir := record.BundleDir(c.path)
		file := (&record.Choice{Subject: subject}).Path(dir)
		if err != nil {
			c.find(err, c.rebuild())
			c.rows[file] = row{apart: true}
			continue
		}
		c.rows[file] = row{sum: files.BlobOf(text).Hash, write: func() error { return choice.Write(dir) }}
	}
	return nil
}

func (c *checker) trialRows(tx *sql.Tx, s *Store) error {
	keys, err := queryKeys(tx, "ORDER BY key")
	if err != nil {
		return err
	}
	c.Trials = len(keys)
	for _, key := range keys {
		file := record.BundlePath(record.BundleDir(c.path), key)
		b, err := readBundle(tx, key)
		if err == nil && !record.IsEnd(b.Status) {
			err = b.Trial.Check()
		} else if err == nil {
			err = b.Check()
		}
		keyed := true
		if err == nil {
			keyed, err = c.key.Check(&b.Trial)
		}
		var text []byte
		if err == nil {
			text, err = b.Encode()
		}
		if err != nil {
			c.find(err, c.rebuild())
			c.rows[file] = row{apart: true}
			continue
		}
		c.count(b.Unsealed, keyed)
		c.need(b)
		if !record.IsEnd(b.Status) {
			c.rows[file] = row{apart: true}
			continue
		}
		c.rows[file] = row{sum: files.BlobOf(text).Hash, unsealed: b.Unsealed, write: func() error {
			b, err := s.bundle(key)
			if err != nil {
				return err
			}
			return record.WriteBundle(record.BundleDir(c.path), b)
		}}
	}
	return nil
}

// need remembers the files that a trial names.
func (c *checker) need(b *record.Bundle) {
	for _, f := range blobs(b, c.path) {
		c.files[f.Path] = f
	}
}

// bundles reads every bundle, and returns by file what is wrong with those that the database's
// row, if that is sound, is right about.
func (c *checker) bundles() (broken map[string]error, err error) {
	found, err := record.BundleFiles(record.BundleDir(c.path))
	if err != nil {
		return nil, err
	}
	broken = map[string]error{}
	c.Bundles = found.Count()
	for _, file := range found.Trials {
		b, err := record.ReadBundle(file)
		if err == nil {
			if _, err = c.key.Check(&b.Trial); err != nil {
				err = fmt.Errorf("%s: %w", file, err)
			}
		}
		if err != nil {
			broken[file] = err
			continue
		}
		c.need(b)
		text, err := b.Encode()
		if err != nil {
			return nil, err
		}
		c.compare(file, text, broken)
	}
	for _, file := range found.Sweeps {
		sw, err := record.ReadSweep(file)
		if err != nil {
			broken[file] = err
			continue
		}
		text, err := sw.Encode()
		if err != nil {
			return nil, err
		}
		c.compare(file, text, broken)
	}
	for _, file := range found.Choices {
		choice, err := record.ReadChoice(file)
		if err != nil {
			broken[file] = err
			continue
		}
		text, err := choice.Encode()
		if err != nil {
			return nil, err
		}
		c.compare(file, text, broken)
	}
	for file, r := range c.rows {
		if !r.apart && !exists(file) {
			broken[file] = fmt.Errorf("%s: it is missing, and the database has its content", file)
		}
	}
	return broken, nil
}

// work finds checkpoints whose trial is not recorded: a record that was lost with the end of
// a damaged -wal file leaves no other trace.
func (c *checker) work() error {
	dir := WorkDir(c.path)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		_, recorded := c.rows[record.BundlePath(record.BundleDir(c.path), e.Name())]
		if c.rows != nil && !recorded && record.KeyPattern.MatchString(e.Name()) {
			c.find(fmt.Errorf("%s: checkpoints of a trial that the database does not have", filepath.Join(dir, e.Name())),
				"run its sweep again, which goes on from them; or delete them: runner db gc --delete --db "+c.path)
		}
	}
	return nil
}

// compare compares a sound bundle with its row.
func (c *checker) compare(file string, text []byte, broken map[string]error) {
	switch r, ok := c.rows[file]; {
	case c.rows == nil:
	case !ok:
		c.find(fmt.Errorf("%s: the database does not have its content", file), fmt.Sprintf("run: runner db import --db %s %s", c.path, file))
	case r.apart || r.sum == files.BlobOf(text).Hash:
	case r.unsealed:
		c.find(fmt.Errorf("%s: the database has another content, and no checksum of it", file), c.rebuild())
	default:
		broken[file] = fmt.Errorf("%s: the database has another content", file)
	}
}
