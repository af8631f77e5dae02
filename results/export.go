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
	"slices"
	"strings"

	"focalgrid/results/files"
	"focalgrid/results/record"
)

// walk calls sweep for every sweep, in order of time, trial for every trial that has ended, by key, and choice for
// every choice, by subject.
func walk(tx *sql.Tx, sweep func(*record.SweepPlan) error, trial func(*record.Bundle) error, choice func(*record.Choice) error) error {
	sweeps, err := querySweeps(tx)
	if err != nil {
		return err
	}
	for _, sw := range sweeps {
		b, err := querySweep(tx, sw)
		if err != nil {
			return err
		}
		if err := sweep(b); err != nil {
			return err
		}
	}
	keys, err := queryKeys(tx, "WHERE status <> ? ORDER BY key", record.StatusRunning)
	if err != nil {
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
	subjects, err := querySubjects(tx)
	if err != nil {
		return err
	}
	for _, subject := range subjects {
		c, err := queryChoice(tx, subject)
		if err != nil {
			return err
		}
		if err := choice(c); err != nil {
			return err
		}
	}
	return nil
}

// Export writes all that is recorded as JSON Lines: the sweeps with their plans
// in order of time, then the trials that have ended by key, then the choices by
// subject, each line as in its bundle. Two databases hold the same if and only if their exports are equal; a trial
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
		err := walk(tx, func(sw *record.SweepPlan) error { return line(sw.Encode()) },
			func(b *record.Bundle) error { return line(b.Encode()) },
			func(c *record.Choice) error { return line(c.Encode()) })
		if err != nil {
			return err
		}
		return out.Flush()
	})
}

// Keep chooses which of two results of one trial Import keeps.
type Keep string

const (
	KeepNone   Keep = ""       // refuse
	KeepOurs   Keep = "ours"   // recorded already
	KeepTheirs Keep = "theirs" // in the line
)

// Imported counts what Import did.
type Imported struct {
	Sweeps  int      // read
	Choices int      // read
	Added   int      // trials
	Same    int      // trials recorded already with the same result, or not ended where ours has or is at work
	Kept    int      // conflicts in which ours was kept
	Changed int      // trials replaced: theirs has ended where ours had not, or was to be kept
	Missing []string // names of files that the trials need beside the database

	Refused   []error // by line: those that were left out, and why
	Unchecked         // of the lines taken
}

// Conflict is a trial of which two different results are known, or a row for which two choices are.
type Conflict struct {
	Of   string   // "trial 0123456789ab"
	At   string   // the line: "b.jsonl:12"
	What []string // what differs: "status", "weights", "metrics", …
}

// ConflictsError names all conflicts that Import found.
type ConflictsError struct{ Conflicts []Conflict }

func (e *ConflictsError) Error() string {
	var lines []string
	for _, c := range e.Conflicts {
		lines = append(lines, fmt.Sprintf("%s: %s is recorded with another result: %s differ", c.At, c.Of, strings.Join(c.What, ", ")))
	}
	return strings.Join(lines, "\n")
}

// Is makes errors.Is find ErrConflict.
func (e *ConflictsError) Is(target error) bool { return target == ErrConflict }

// Source is JSON Lines as Export writes them, with the name that errors give them.
type Source struct {
	Name string
	io.Reader
}

// Import merges exports into the database. A line that is not a bundle, was altered, or
// holds a trial under a key that is not its own is left out and named; of the others
// all are accepted or none. A trial that both sides have counts once if status, weights,
// metrics, classes, log and detections are equal, whoever computed them when; ours stays.
// Of two results, one done or diverged and one not, the former stays. Else they are in
// conflict, and keep decides; the error with KeepNone is a *ConflictsError. A trial that
// is running here is replaced only by a result.
//
// Sweeps of the same name and file become one, whose plan has the trials of both. Two choices for one subject that do
// not rest on the same candidates, trials and AP are in conflict too.
func (s *Store) Import(keep Keep, key record.KeyOf, sources ...Source) (Imported, error) {
	var done Imported
	var conflicts []Conflict
	taken := map[string]bool{} // by key: those that are there already are false
	var sweeps []*record.SweepPlan
	var choices []string // subjects
	err := s.inTx("import", func(tx *sql.Tx) error {
		for _, src := range sources {
			err := lines(src, func(at string, l record.Line, err error) error {
				b, sw := l.Trial, l.Sweep
				keyed := true
				if b != nil {
					keyed, err = key.Check(&b.Trial)
				}
				if err != nil {
					done.Refused = append(done.Refused, fmt.Errorf("%s: %w", at, err))
					return nil
				}
				if sw != nil {
					done.Sweeps++
					done.count(sw.Unsealed, true)
					merged, err := saveSweep(tx, sw.Sweep, sw.Plan)
					sweeps = append(sweeps, merged)
					return err
				}
				if c := l.Choice; c != nil {
					done.Choices++
					choices = append(choices, c.Subject)
					what, err := importChoice(tx, c, keep)
					if len(what) > 0 {
						conflicts = append(conflicts, Conflict{"choice " + record.Short(c.Subject), at, what})
					}
					return err
				}
				done.count(b.Unsealed, keyed)
				what, err := done.weigh(tx, b, keep)
				if err != nil {
					return err
				}
				taken[b.Key] = taken[b.Key] || what == nil
				if what == nil {
					return apply(b, tx)
				}
				if len(what) > 0 {
					conflicts = append(conflicts, Conflict{"trial " + record.Short(b.Key), at, what})
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
		return Imported{Refused: done.Refused}, err
	}
	done.Missing, err = s.bundleImported(sweeps, choices, taken)
	return done, err
}

// bundleImported writes the bundles of what was imported, and returns the files that the
// trials need and that are not there. It comes after the database has them: what is written
// here follows from it, and the same import again writes what an interruption left out.
func (s *Store) bundleImported(sweeps []*record.SweepPlan, choices []string, taken map[string]bool) (missing []string, err error) {
	for _, sw := range sweeps {
		if err := sw.Write(record.BundleDir(s.path)); err != nil {
			return nil, fmt.Errorf("import: %w", err)
		}
	}
	for _, subject := range choices {
		c, err := s.Choice(subject)
		if err == nil {
			err = c.Write(record.BundleDir(s.path))
		}
		if err != nil {
			return nil, fmt.Errorf("import: %w", err)
		}
	}
	absent := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(taken)) {
		b, err := s.bundle(key)
		if err != nil {
			return nil, err
		}
		if !record.IsEnd(b.Status) {
			continue
		}
		if err := s.mendBundle(b, taken[key]); err != nil {
			return nil, fmt.Errorf("import: %w", err)
		}
		for _, f := range blobs(b, s.path) {
			if !exists(f.Path) {
				absent[f.Path] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(absent)), nil
}

// mendBundle writes the bundle of a trial that has ended, if there is none, a damaged
// one, or one that is not what the database has. A sound bundle is replaced if the
// database is known to be right: it has just been written, or has a checksum.
func (s *Store) mendBundle(b *record.Bundle, written bool) error {
	text, err := b.Encode()
	if err != nil {
		return err
	}
	path := record.BundlePath(record.BundleDir(s.path), b.Key)
	if old, err := files.Read(path); err == nil && bytes.Equal(old, text) {
		return nil
	}
	_, err = record.ReadBundle(path)
	switch {
	case err == nil && b.Unsealed && !written:
		return nil
	case err != nil && !errors.Is(err, record.ErrBundle) && !errors.Is(err, os.ErrNotExist):
		return err
	}
	return record.WriteBundle(record.BundleDir(s.path), b)
}

// weigh decides about a bundle and counts it: nil, it is to be applied; empty, ours
// stays; else what is in conflict.
func (d *Imported) weigh(tx *sql.Tx, b *record.Bundle, keep Keep) ([]string, error) {
	ours, err := readBundle(tx, b.Key)
	if errors.Is(err, ErrNoTrial) {
		d.Added++
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	what, err := ours.Differences(b)
	if err != nil {
		return nil, err
	}
	switch final := record.IsFinal(ours.Status); {
	case len(what) == 0, !record.IsFinal(b.Status):
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

// lines calls f for every line of an export, with what it holds, or why it holds nothing.
func lines(src Source, f func(at string, l record.Line, err error) error) error {
	text := bufio.NewReader(src)
	if head, _ := text.Peek(len(magic)); string(head) == magic {
		return fmt.Errorf("%s: it is a database: import what `runner db export --db %s` writes", src.Name, src.Name)
	}
	in := bufio.NewScanner(text)
	in.Buffer(make([]byte, 0, 1<<16), files.MaxText)
	for n := 1; in.Scan(); n++ {
		text := bytes.TrimSpace(in.Bytes())
		if len(text) == 0 {
			continue
		}
		at := fmt.Sprintf("%s:%d", src.Name, n)
		l, err := record.DecodeLine(text)
		if err := f(at, l, err); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("%s: %w", src.Name, err)
	}
	return nil
}
