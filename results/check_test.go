package results

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"focalgrid/results/record"
)

// TestCheck: each kind of damage is found where it is, with what to do about it.
func TestCheck(t *testing.T) {
	bundle := func(s *Store, name string) string { return record.BundlePath(record.BundleDir(s.Path()), keyOf(name)) }
	exec := func(t *testing.T, s *Store, statement string, args ...any) {
		t.Helper()
		db, err := sql.Open("sqlite3", s.Path())
		must(t, err)
		_, err = db.Exec(statement, args...)
		must(t, errors.Join(err, db.Close()))
	}
	alter := func(t *testing.T, path, old, new string) {
		t.Helper()
		text, err := os.ReadFile(path)
		must(t, err)
		if !strings.Contains(string(text), old) {
			t.Fatalf("%s has no %s", path, old)
		}
		must(t, os.WriteFile(path, []byte(strings.Replace(string(text), old, new, 1)), 0o666))
	}
	for _, tt := range []struct {
		name   string
		damage func(*testing.T, *Store)
		what   string // of the one finding; empty: none
		do     string
		mended bool // by mend
	}{
		{"none", func(*testing.T, *Store) {}, "", "", false},
		{"a metric in the database", func(t *testing.T, s *Store) { exec(t, s, "UPDATE metrics SET value = .9 WHERE name = 'AP50'") }, "the content no longer has its checksum", "db rebuild", false},
		{"a loss", func(t *testing.T, s *Store) { exec(t, s, "UPDATE steps SET loss = 7 WHERE step = 1 AND trial_id = 1") }, "its steps: the content no longer", "db rebuild", false},
		{"a plan", func(t *testing.T, s *Store) { exec(t, s, "UPDATE sweep_trials SET table_row = 9 WHERE ordinal = 1") }, `sweep "gamma": the content no longer`, "db rebuild", false},
		{"no checksum, and a bundle that says otherwise", func(t *testing.T, s *Store) {
			exec(t, s, "DELETE FROM checksums")
			exec(t, s, "UPDATE metrics SET value = .9 WHERE name = 'AP50'")
		}, "the database has another content, and no checksum of it", "db rebuild", false},
		{"a setting of a trial at work", func(t *testing.T, s *Store) { exec(t, s, "UPDATE trials SET seed = 4 WHERE key = ?", keyOf("d")) }, "have the key", "db rebuild", false},
		{"a bundle", func(t *testing.T, s *Store) { alter(t, bundle(s, "a"), `"seed":3`, `"seed":4`) }, "its content has another checksum", "db check --mend", true},
		{"no bundle", func(t *testing.T, s *Store) { must(t, os.Remove(bundle(s, "b"))) }, "it is missing, and the database has its content", "db check --mend", true},
		{"the record of a trial at work", func(t *testing.T, s *Store) {
			must(t, os.MkdirAll(filepath.Join(WorkDir(s.Path()), keyOf("nobody's")), 0o777))
		}, "checkpoints of a trial that the database does not have", "run its sweep again", false},
		{"a bundle of a sweep", func(t *testing.T, s *Store) {
			files, err := filepath.Glob(filepath.Join(record.BundleDir(s.Path()), record.SweepDir, "*"))
			must(t, err)
			alter(t, files[0], "table: 1b", "table: 1a")
		}, "its content has another checksum", "db check --mend", true},
		{"a bundle of another result", func(t *testing.T, s *Store) {
			b, err := record.ReadBundle(bundle(s, "a"))
			must(t, err)
			b.Metrics["AP50"] = .75
			must(t, record.WriteBundle(record.BundleDir(s.Path()), b))
		}, "the database has another content", "db check --mend", true},
		{"a bundle that the database lacks", func(t *testing.T, s *Store) {
			b, err := record.ReadBundle(bundle(s, "c"))
			must(t, err)
			b.Key = keyOf("e")
			must(t, record.WriteBundle(record.BundleDir(s.Path()), b))
		}, "the database does not have its content", "db import", false},
		{"detections", func(t *testing.T, s *Store) {
			files, err := filepath.Glob(filepath.Join(filepath.Dir(s.Path()), "detections", "*"))
			must(t, err)
			must(t, os.Truncate(files[0], 30))
		}, "is damaged: unexpected EOF", "copy it from a backup", false},
		{"no database", func(t *testing.T, s *Store) { must(t, removeDatabase(s.Path())) }, "there is no database, and there are bundles of one", "db rebuild", false},
		{"not SQLite inside", func(t *testing.T, s *Store) {
			must(t, os.WriteFile(s.Path(), []byte("SQLite format 3\x00"+strings.Repeat("noise", 2000)), 0o666))
		}, "database is damaged", "db rebuild", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := filled(t)
			weights := s.WeightsPath(keyOf("weights")) // as filled names it; no content has that hash
			must(t, s.Close())
			tt.damage(t, s)
			key := record.KeyOf(func(t *record.Trial) (string, error) {
				if t.Seed != 3 {
					return keyOf("another"), nil
				}
				return t.Key, nil
			})
			c, err := Check(s.Path(), key, false)
			must(t, err)
			if len(c.Missing) != 1 || c.Missing[0] != weights {
				t.Errorf("missing %v, want %s", c.Missing, weights)
			}
			switch {
			case tt.what == "" && len(c.Found) == 0:
			case len(c.Found) != 1 || !strings.Contains(c.Found[0].What, tt.what) || !strings.Contains(c.Found[0].Do, tt.do):
				t.Errorf("found %q, want %q and what to do: %q", c.Found, tt.what, tt.do)
			}
			again, err := Check(s.Path(), key, true)
			must(t, err)
			if (len(again.Mended) == 1) != tt.mended || tt.mended && len(again.Found) > 0 {
				t.Errorf("mended %v, found %q", again.Mended, again.Found)
			}
			if after, err := Check(s.Path(), key, false); err != nil || tt.mended && len(after.Found) > 0 {
				t.Errorf("after mending: %+v, %v", after, err)
			}
		})
	}
	if _, err := Check(filepath.Join(t.TempDir(), "x.db"), nil, false); !errors.Is(err, ErrNoDatabase) {
		t.Errorf("without anything: %v, want ErrNoDatabase", err)
	}
}

// TestDamageIsNotSealed: what reads a damaged row to write it anew refuses.
func TestDamageIsNotSealed(t *testing.T) {
	for name, write := range map[string]func(*Store) error{
		"a result again": func(s *Store) error { return s.FinishTrial(keyOf("a"), 1, finishDone()) },
		"another attempt": func(s *Store) error {
			_, err := s.BeginTrial(trialNamed("c"), attemptOf(2), 0)
			return err
		},
		"a sweep": func(s *Store) error {
			return s.SaveSweep(record.Sweep{Name: "gamma", Hash: keyOf("file"), Created: "2031-01-01T00:00:00Z"}, []record.Planned{{Key: keyOf("e"), Row: 2}})
		},
		"an import": func(s *Store) error {
			b := &record.Bundle{Trial: trialNamed("a")}
			b.Outcome = finishDone().Outcome
			line, err := b.Encode()
			if err == nil {
				_, err = s.Import(KeepTheirs, nil, Source{"x", strings.NewReader(string(line))})
			}
			return err
		},
		"a list": func(s *Store) error { _, err := s.Trials(Filter{}); return err },
	} {
		s := filled(t)
		for _, damage := range []string{
			"UPDATE trials SET started = '2020-01-01T00:00:00Z' WHERE status <> 'running'",
			"UPDATE sweeps SET file = 'table: 1a'",
		} {
			_, err := s.db.Exec(damage)
			must(t, err)
		}
		before := dump(t, s)
		if err := write(s); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "runner db rebuild") {
			t.Errorf("%s: %v, want ErrCorrupt", name, err)
		}
		if after := dump(t, s); after != before {
			t.Errorf("%s changed the database", name)
		}
	}
}

// TestImportAgain: the same import again writes the bundles that an interruption left out
// or half-changed.
func TestImportAgain(t *testing.T) {
	all := export(t, filled(t))
	s := newStore(t)
	source := func() Source { return Source{"x", strings.NewReader(all)} }
	_, err := s.Import(KeepNone, nil, source())
	must(t, err)
	must(t, os.Remove(record.BundlePath(record.BundleDir(s.Path()), keyOf("a"))))
	must(t, os.WriteFile(record.BundlePath(record.BundleDir(s.Path()), keyOf("b")), []byte("{"), 0o666))
	stale, err := s.bundle(keyOf("c"))
	must(t, err)
	stale.Error = "of an earlier attempt"
	must(t, record.WriteBundle(record.BundleDir(s.Path()), stale))
	if did, err := s.Import(KeepNone, nil, source()); err != nil || did.Same != 3 {
		t.Errorf("again: %+v, %v", did, err)
	}
	for _, name := range []string{"a", "b", "c"} {
		want, err := s.bundle(keyOf(name))
		must(t, err)
		x, err := want.Encode()
		must(t, err)
		if y, err := os.ReadFile(record.BundlePath(record.BundleDir(s.Path()), keyOf(name))); err != nil || string(y) != string(x) {
			t.Errorf("the bundle of %s is\n%s, %v; want\n%s", name, y, err, x)
		}
	}
}

// TestImportWhileRunning: a trial that is at work is left to it, unless the other has a
// result.
func TestImportWhileRunning(t *testing.T) {
	for _, tt := range []struct {
		status string
		lost   bool
	}{{record.StatusInterrupted, false}, {record.StatusFailed, false}, {record.StatusDone, true}} {
		theirs := newStore(t)
		begin(t, theirs, trialNamed("a"))
		f := finishDone()
		f.Status = tt.status
		must(t, theirs.FinishTrial(keyOf("a"), 1, f))
		s := newStore(t)
		begin(t, s, trialNamed("a"))
		b, err := theirs.bundle(keyOf("a"))
		must(t, err)
		if err := s.Apply(b); errors.Is(err, record.ErrHeld) == tt.lost {
			t.Errorf("applied one that is %s: %v", tt.status, err)
		}
		s = newStore(t)
		begin(t, s, trialNamed("a"))
		did, err := s.Import(KeepTheirs, nil, Source{"x", strings.NewReader(export(t, theirs))})
		must(t, err)
		if want := fmt.Sprint(!tt.lost, tt.lost); fmt.Sprint(did.Same == 1, did.Changed == 1) != want {
			t.Errorf("imported one that is %s: %+v", tt.status, did)
		}
		if err := s.Beat(keyOf("a"), 1, record.Progress{Step: 1}); errors.Is(err, record.ErrLost) != tt.lost {
			t.Errorf("after importing one that is %s a heartbeat says %v", tt.status, err)
		}
	}
}
