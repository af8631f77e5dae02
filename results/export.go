package results

import (
	"bufio"
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"focalgrid/atomicfile"
)

// walk calls sweep for every sweep, in order of time, and trial for every trial
// that has ended, by key.
func walk(tx *sql.Tx, sweep func(*sweepBundle) error, trial func(*Bundle) error) error {
	sweeps, err := querySweeps(tx)
	if err != nil {
		return err
	}
	for _, sw := range sweeps {
		plan, err := queryPlan(tx, sw.Name, sw.Hash)
		if err != nil {
			return err
		}
		if err := sweep(&sweepBundle{sw, plan}); err != nil {
			return err
		}
	}
	var keys []string
	if err := each(tx, func(rows *sql.Rows) error {
		var key string
		err := rows.Scan(&key)
		keys = append(keys, key)
		return err
	}, "SELECT key FROM trials WHERE status <> ? ORDER BY key", StatusRunning); err != nil {
		return err
	}
	for _, key := range keys {
		b, err := readBundle(tx, key)
		if err != nil {
			return err
		}
		if err := trial(b); err != nil {
			return err
		}
	}
	return nil
}

// Export writes all that is recorded as JSON Lines: the sweeps with their plans
// in order of time, then the trials that have ended by key, each line as in its
// bundle. Two databases hold the same if and only if their exports are equal; a trial
// that is running is in none.
func (s *Store) Export(w io.Writer) error {
	return s.inTx("export", func(tx *sql.Tx) error {
		out := bufio.NewWriter(w)
		line := func(text []byte, err error) error {
			if err == nil {
				_, err = out.Write(text)
			}
			return err
		}
		err := walk(tx, func(sw *sweepBundle) error { return line(sw.encode()) }, func(b *Bundle) error { return line(b.encode()) })
		if err != nil {
			return err
		}
		return out.Flush()
	})
}

// Keep says which of two results of one trial Import keeps.
type Keep string

const (
	KeepNone   Keep = ""       // refuse
	KeepOurs   Keep = "ours"   // recorded already
	KeepTheirs Keep = "theirs" // in the line
)

// Imported is what Import did.
type Imported struct {
	Sweeps  int      // read
	Added   int      // trials
	Same    int      // trials recorded already with the same result, or not ended where ours has
	Kept    int      // conflicts in which ours was kept
	Changed int      // trials replaced: theirs has ended where ours had not, or was to be kept
	Missing []string // names of files that the imported trials need beside the database
}

// Conflict is a trial of which two different results are known.
type Conflict struct {
	Key  string
	At   string   // the line: "b.jsonl:12"
	What []string // what differs: "status", "weights", "metrics", …
}

// ConflictsError names all conflicts that Import found.
type ConflictsError struct{ Conflicts []Conflict }

func (e *ConflictsError) Error() string {
	var lines []string
	for _, c := range e.Conflicts {
		lines = append(lines, fmt.Sprintf("%s: trial %s is recorded with another result: %s differ", c.At, short(c.Key), strings.Join(c.What, ", ")))
	}
	return strings.Join(lines, "\n")
}

// Is makes errors.Is find ErrConflict.
func (e *ConflictsError) Is(target error) bool { return target == ErrConflict }

// A Source is JSON Lines as Export writes them, and how errors call them.
type Source struct {
	Name string
	io.Reader
}

// Import merges exports into the database, all or nothing. A trial that both
// sides have counts once if status, weights, metrics, classes, log and detections are
// equal, whoever computed them when; ours stays. Of two results one of which is
// done or diverged that one stays. Else they are in conflict, and keep decides; the
// error with KeepNone is a *ConflictsError.
//
// Sweeps of the same name and file become one, whose plan has the trials of both.
func (s *Store) Import(keep Keep, sources ...Source) (Imported, error) {
	var done Imported
	var conflicts []Conflict
	taken := map[string]bool{}
	var sweeps []*sweepBundle
	err := s.inTx("import", func(tx *sql.Tx) error {
		for _, src := range sources {
			err := lines(src, func(at string, b *Bundle, sw *sweepBundle) error {
				if sw != nil {
					done.Sweeps++
					merged, err := saveSweep(tx, sw.Sweep, sw.Plan)
					sweeps = append(sweeps, merged)
					return err
				}
				what, err := done.weigh(tx, b, keep)
				switch {
				case err != nil:
					return err
				case what == nil:
					taken[b.Key] = true
					return b.apply(tx)
				case len(what) > 0:
					conflicts = append(conflicts, Conflict{b.Key, at, what})
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		if len(conflicts) > 0 {
			return &ConflictsError{conflicts}
		}
		return nil
	})
	if err != nil {
		return Imported{}, err
	}
	// The bundles come after the database has them: what is written here follows from
	// it, and the same import again would write what an interruption left out.
	for _, sw := range sweeps {
		if err := sw.write(BundleDir(s.path)); err != nil {
			return done, fmt.Errorf("import: %w", err)
		}
	}
	missing := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(taken)) {
		b, err := s.Bundle(key)
		if err != nil {
			return done, err
		}
		if err := WriteBundle(BundleDir(s.path), b); err != nil {
			return done, fmt.Errorf("import: %w", err)
		}
		for _, path := range b.blobs(s.path) {
			if !exists(path) {
				missing[path] = true
			}
		}
	}
	done.Missing = slices.Sorted(maps.Keys(missing))
	return done, nil
}

// weigh decides about a bundle and counts it: nil, it is to be applied; empty, ours
// stays; else what is in conflict.
func (d *Imported) weigh(tx *sql.Tx, b *Bundle, keep Keep) ([]string, error) {
	ours, err := readBundle(tx, b.Key)
	if errors.Is(err, ErrNoTrial) {
		d.Added++
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	what, err := differences(ours, b)
	if err != nil {
		return nil, err
	}
	switch final := isFinal(ours.Status); {
	case len(what) == 0, final && !isFinal(b.Status), !final && !isFinal(b.Status) && ours.Status != StatusRunning:
		d.Same++
		return []string{}, nil
	case !final:
		d.Changed++
		return nil, nil
	case keep == KeepOurs:
		d.Kept++
		return []string{}, nil
	case keep == KeepTheirs:
		d.Changed++
		return nil, nil
	}
	return what, nil
}

// differences names the parts of a result in which two bundles of one trial
// differ, none of them being who computed it when.
func differences(a, b *Bundle) ([]string, error) {
	what := []string{}
	for _, part := range []struct {
		name string
		of   func(*Bundle) any
	}{
		{"status", func(b *Bundle) any { return []any{b.Status, b.DivergedStep} }},
		{"config", func(b *Bundle) any { return []any{b.Kind, b.Config, b.Seed, b.Dataset, b.Init, b.Engine, b.Numerics} }},
		{"weights", func(b *Bundle) any { return b.Weights }},
		{"metrics", func(b *Bundle) any { return orderedMetrics(b.Metrics) }},
		{"classes", func(b *Bundle) any { return classesJSON(b.Classes) }},
		{"steps", func(b *Bundle) any { return columns(b.Steps) }},
		{"detections", func(b *Bundle) any { return b.Detections }},
	} {
		x, err := jsonLine(part.of(a))
		if err != nil {
			return nil, err
		}
		y, err := jsonLine(part.of(b))
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(x, y) {
			what = append(what, part.name)
		}
	}
	return what, nil
}

// lines calls f for every line of an export, with the bundle or the sweep it
// holds. Errors name the line.
func lines(src Source, f func(at string, b *Bundle, sw *sweepBundle) error) error {
	in := bufio.NewScanner(src)
	in.Buffer(make([]byte, 0, 1<<16), maxText)
	for n := 1; in.Scan(); n++ {
		text := bytes.TrimSpace(in.Bytes())
		if len(text) == 0 {
			continue
		}
		at := fmt.Sprintf("%s:%d", src.Name, n)
		b, sw, err := decodeLine(text)
		if err == nil {
			err = f(at, b, sw)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("%s: %w", src.Name, err)
	}
	return nil
}

// Rebuild makes the database at path anew from its bundles, and returns how many
// trials and sweeps it has. A bundle that can't be read stops it, and nothing is left.
// It refuses where there is a database, and ErrNoBundles where no bundle is.
func Rebuild(path string) (trials, sweeps int, err error) {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if exists(path + suffix) {
			return 0, 0, fmt.Errorf("%s is there: move it away first, with its -wal and -shm if there are any", path+suffix)
		}
	}
	trialFiles, sweepFiles, err := bundleFiles(BundleDir(path))
	if err != nil {
		return 0, 0, err
	}
	if len(trialFiles)+len(sweepFiles) == 0 {
		return 0, 0, fmt.Errorf("%s: %w", BundleDir(path), ErrNoBundles)
	}
	// Under another name until it is whole.
	tmp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".rebuild")
	defer removeDatabase(tmp)
	if err := removeDatabase(tmp); err != nil {
		return 0, 0, err
	}
	s, err := Open(tmp)
	if err != nil {
		return 0, 0, err
	}
	err = s.fill(trialFiles, sweepFiles)
	if err = errors.Join(err, s.Close()); err != nil {
		return 0, 0, err
	}
	return len(trialFiles), len(sweepFiles), atomicfile.Move(tmp, path)
}

// ErrNoBundles is returned by Rebuild.
var ErrNoBundles = errors.New("no bundles to make a database of")

func removeDatabase(path string) error {
	var errs []error
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// fill applies the bundles, some hundred in a transaction.
func (s *Store) fill(trials, sweeps []string) error {
	var read []*sweepBundle
	for _, path := range sweeps {
		sw, err := readSweep(path)
		if err != nil {
			return err
		}
		read = append(read, sw)
	}
	if err := s.inTx("rebuild", func(tx *sql.Tx) error {
		for _, sw := range read {
			if _, err := saveSweep(tx, sw.Sweep, sw.Plan); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	const atOnce = 200
	for files := range slices.Chunk(trials, atOnce) {
		bundles := make([]*Bundle, len(files))
		for i, path := range files {
			var err error
			if bundles[i], err = ReadBundle(path); err != nil {
				return err
			}
		}
		if err := s.Apply(bundles...); err != nil {
			return err
		}
	}
	return nil
}
