// Package results keeps what trials measured in one SQLite file.
//
// Open, BeginTrial, Beat and FinishTrial write; everything else reads. An attempt holds
// its trial from BeginTrial to FinishTrial, and no other process can write it meanwhile.
// Metrics are fractions in [0,1]; one that has no ground truth behind it is NaN
// in Go, NULL in the file and null in JSON. Times are RFC 3339 text in UTC that the caller
// hands in: there is no clock here.
//
// How a trial was trained, what its settings mean and how it is printed is elsewhere:
// a results file opens on a machine that has no ML installed.
package results

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/mattn/go-sqlite3"
	"github.com/pressly/goose/v3"

	"focalgrid/localdisk"
	"focalgrid/results/files"
	"focalgrid/results/record"
)

//go:embed migrations/*.sql
var migrations embed.FS

// applicationID is "FGRD" in SQLite's header, set by the first migration.
const applicationID = 0x46475244

// busyTimeout is how long a statement waits for another process's write.
const busyTimeout = 10 * time.Second

// Processes that create one database at the same time get it in so many tries.
const (
	openTries = 3
	openPause = 100 * time.Millisecond
)

// Errors of opening a file.
var (
	// ErrNoDatabase is returned by OpenExisting when there is no file.
	ErrNoDatabase = errors.New("no results database")
	// ErrForeign: the file is not SQLite, or a SQLite file of another program.
	ErrForeign = errors.New("not a results database")
	// ErrNewer: the file was written by a newer version of this program.
	ErrNewer = errors.New("database is newer than this program")
	// ErrOlder: the file must be migrated, which reading does not do.
	ErrOlder = errors.New("database is older than this program")
	// ErrCorrupt: SQLite finds the file damaged, when opening it or later.
	ErrCorrupt = errors.New("database is damaged")
	// ErrNetwork: the file is not on a local disk.
	ErrNetwork = errors.New("results database is on a network file system")
)

// Store is an open results file. Its methods may be called by several
// goroutines; writes of several processes wait for each other.
type Store struct {
	// Notice, if set, is called with what was mended while writing, in words.
	Notice func(text string)

	db   *sql.DB
	path string
}

// Open opens the results file at path for writing, with its folder created, a
// new file made if there is none, and an older one migrated.
//
// The error is ErrForeign, ErrNewer or ErrCorrupt if the file is not one that
// this program may write to, ErrNetwork if it cannot do so safely where the file is;
// the file is then left as it was.
func Open(path string) (*Store, error) {
	if path == "" {
		return nil, errors.New("path of the results database is empty")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, fmt.Errorf("folder for results database %s: %w", path, err)
	}
	if err := refuseNetwork(path, localdisk.Network(path)); err != nil {
		return nil, err
	}
	switch err := checkHeader(path); {
	case err == nil:
		if err := probe(path); err != nil {
			return nil, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	for try := 1; ; try++ {
		s, err := connect(path, "mode=rwc&_journal_mode=WAL&_synchronous=FULL&_txlock=immediate", 1)
		if err != nil {
			return nil, err
		}
		err = errors.Join(s.migrate(), s.checkPragmas("wal"))
		if err == nil {
			return s, nil
		}
		s.Close()
		// SQLite does not wait for its turn to switch a new file to WAL.
		if try == openTries || !isCode(err, sqlite3.ErrBusy, sqlite3.ErrLocked) {
			return nil, err
		}
		time.Sleep(openPause)
	}
}

// OpenExisting opens the results file at path for reading. It creates and
// changes nothing; another process may be writing meanwhile.
//
// The error is ErrNoDatabase if there is no file, ErrOlder if it has to be
// migrated by a program that writes, else as for Open.
func OpenExisting(path string) (*Store, error) {
	if err := checkHeader(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: %w; `runner sweep smoke --db %s` makes one, or name another file with --db", path, ErrNoDatabase, path)
		}
		return nil, err
	}
	// Not mode=ro: such a connection may not clean up, and would leave the
	// files that go with a WAL database behind.
	s, err := connect(path, "mode=rw&_query_only=on", 4)
	if err != nil {
		return nil, err
	}
	err = s.checkSchema()
	if isCode(err, sqlite3.ErrCantOpen, sqlite3.ErrReadonly) && !exists(path+"-wal") {
		// A WAL database needs a -shm file beside it, which a read-only folder
		// refuses. With no -wal file nobody is writing, and the file alone is
		// the whole database.
		s.Close()
		if s, err = connect(path, "mode=ro&immutable=1&_query_only=on", 4); err != nil {
			return nil, err
		}
		err = s.checkSchema()
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close closes the file.
func (s *Store) Close() error { return s.db.Close() }

// Path returns the file's path as given to Open.
func (s *Store) Path() string { return s.path }

// Check has SQLite read the whole file; the error is ErrCorrupt with what it
// found.
func (s *Store) Check() error {
	var found string
	if err := s.db.QueryRow("PRAGMA integrity_check(1)").Scan(&found); err != nil {
		return s.explain("check", err)
	}
	if found != "ok" {
		return fmt.Errorf("%w: %s", s.damaged(), found)
	}
	return nil
}

// connect opens the pool. Every connection gets its settings from the
// connection string: a PRAGMA statement would reach one of them only.
func connect(path, params string, connections int) (*Store, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("results database %s: %w", path, err)
	}
	dsn := (&url.URL{Scheme: "file", Path: abs}).String() +
		fmt.Sprintf("?%s&_foreign_keys=on&_busy_timeout=%d", params, busyTimeout.Milliseconds())
	db, err := sql.Open("sqlite3", dsn)
	if err != nil {
		return nil, fmt.Errorf("results database %s: %w", path, err)
	}
	db.SetMaxOpenConns(connections)
	return &Store{db: db, path: path}, nil
}

// magic begins every file of SQLite's.
const magic = "SQLite format 3\x00"

// checkHeader refuses a file that is not SQLite before SQLite touches it. A
// missing file is fs.ErrNotExist, an empty one is as good as missing.
func checkHeader(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("results database: %w", err)
	case info.IsDir():
		return fmt.Errorf("%s: %w: it is a folder; name a file, such as %s", path, ErrForeign, filepath.Join(path, "focalgrid.db"))
	case !info.Mode().IsRegular(): // to open it might wait for ever
		return fmt.Errorf("%s: %w: it is %s; name a file with --db", path, ErrForeign, files.KindOf(info))
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("results database: %w", err)
	}
	defer f.Close()
	head := make([]byte, len(magic))
	n, err := io.ReadFull(f, head)
	switch {
	case n == 0 && errors.Is(err, io.EOF):
		return fmt.Errorf("%s is empty: %w", path, fs.ErrNotExist)
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("results database %s: %w", path, err)
	case string(head[:n]) != magic:
		return fmt.Errorf("%s: %w: it is not a SQLite file; name another with --db", path, ErrForeign)
	}
	return nil
}

// probe reads whose file it is before a connection that would turn its journal
// to WAL.
func probe(path string) error {
	s, err := connect(path, "mode=rw&_query_only=on", 1)
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := s.version(); errors.Is(err, ErrForeign) || errors.Is(err, ErrNewer) || errors.Is(err, ErrCorrupt) {
		return err
	}
	return nil
}

// version reads the schema's version: 0 for a file without tables. The error
// is ErrForeign for another program's file, ErrNewer for a newer schema.
func (s *Store) version() (int64, error) {
	var id, tables int64
	if err := s.db.QueryRow("PRAGMA application_id").Scan(&id); err != nil {
		return 0, s.explain("open", err)
	}
	if err := s.db.QueryRow("SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'goose%' AND name NOT LIKE 'sqlite%'").Scan(&tables); err != nil {
		return 0, s.explain("open", err)
	}
	if id != applicationID {
		if tables > 0 || id != 0 {
			return 0, fmt.Errorf("%s: %w: it belongs to another program; name another file with --db", s.path, ErrForeign)
		}
		return 0, nil
	}
	var version sql.NullInt64
	if err := s.db.QueryRow("SELECT max(version_id) FROM goose_db_version WHERE is_applied").Scan(&version); err != nil {
		return 0, s.explain("open", err)
	}
	known, err := latest()
	if err != nil {
		return 0, err
	}
	if version.Int64 > known {
		return 0, fmt.Errorf("%s: %w: it has schema %d, this program knows %d; update the program, or name another file with --db",
			s.path, ErrNewer, version.Int64, known)
	}
	return version.Int64, nil
}

// readableSince is the oldest schema that is read without being migrated: what came later is in
// tables of its own, which reading does without.
const readableSince = 3

func (s *Store) checkSchema() error {
	version, err := s.version()
	if err != nil {
		return err
	}
	known, err := latest()
	if err != nil {
		return err
	}
	if version < readableSince {
		return fmt.Errorf("%s: %w: it has schema %d, this program reads %d to %d; the next `runner sweep` with --db %s migrates it",
			s.path, ErrOlder, version, readableSince, known, s.path)
	}
	return nil
}

// goMigrations are the steps of the schema's history that SQL alone can't take.
// The others are files in migrations/.
func (s *Store) goMigrations() []*goose.Migration {
	return []*goose.Migration{
		goose.NewGoMigration(bundlesSince, &goose.GoFunc{RunTx: s.moveDetections}, nil),
	}
}

// latest is the highest number among the migrations.
func latest() (int64, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return 0, err
	}
	var newest int64
	for _, name := range names {
		n, err := goose.NumericComponent(filepath.Base(name))
		if err != nil {
			return 0, fmt.Errorf("migration %s: %w", name, err)
		}
		newest = max(newest, n)
	}
	for _, m := range new(Store).goMigrations() {
		newest = max(newest, m.Version)
	}
	return newest, nil
}

// migrate brings the schema up to date, each migration in a transaction.
func (s *Store) migrate() error {
	// Two processes may open a new file at once. The one that comes second
	// finds a table already there, and by then the work is done.
	const tries = 5
	var err error
	for range tries {
		version, verr := s.version()
		if verr != nil {
			return verr
		}
		if err = s.up(); err == nil {
			if 0 < version && version < bundlesSince {
				return s.writeBundles()
			}
			return nil
		}
		if isCode(err, sqlite3.ErrCorrupt, sqlite3.ErrNotADB, sqlite3.ErrFull, sqlite3.ErrReadonly, sqlite3.ErrCantOpen) {
			break
		}
	}
	return s.explain("migrate", err)
}

func (s *Store) up() error {
	history, err := s.history()
	if err != nil {
		return err
	}
	_, err = history.Up(context.Background())
	return err
}

// history knows all migrations.
func (s *Store) history() (*goose.Provider, error) {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, s.db, dir,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()), goose.WithGoMigrations(s.goMigrations()...))
}

// checkPragmas reads back what the connection string asked for: SQLite answers
// a journal mode that the file system cannot carry with another one, silently.
func (s *Store) checkPragmas(journal string) error {
	for _, p := range []struct{ name, want, hint string }{
		{"journal_mode", journal, "the file system may be a network one: keep the database on a local disk"},
		{"foreign_keys", "1", "SQLite was built without them"},
		{"busy_timeout", fmt.Sprint(busyTimeout.Milliseconds()), "the connection string was not understood"},
	} {
		var got string
		if err := s.db.QueryRow("PRAGMA " + p.name).Scan(&got); err != nil {
			return s.explain("open", err)
		}
		if got != p.want {
			return fmt.Errorf("results database %s: %s is %s, want %s; %s", s.path, p.name, got, p.want, p.hint)
		}
	}
	return nil
}

// explain names the operation and file, and says what to do where SQLite's own
// words do not.
func (s *Store) explain(op string, err error) error {
	hint := ""
	switch {
	case err == nil:
		return nil
	case isCode(err, sqlite3.ErrCorrupt, sqlite3.ErrNotADB):
		return fmt.Errorf("%s: %w (%w)", op, s.damaged(), err)
	case errors.Is(err, record.ErrSum):
		return fmt.Errorf("%s: %w (%w)", op, s.damaged(), err)
	case isCode(err, sqlite3.ErrBusy, sqlite3.ErrLocked):
		hint = "; another process is writing to it: try again, or name another file with --db"
	case isCode(err, sqlite3.ErrFull), errors.Is(err, syscall.ENOSPC):
		hint = "; the disk is full: free some space and run the same command again"
	case isCode(err, sqlite3.ErrReadonly, sqlite3.ErrCantOpen):
		hint = "; the file or its folder cannot be opened or written: check its permissions, or name another file with --db"
	}
	return fmt.Errorf("%s in %s: %w%s", op, s.path, err, hint)
}

func (s *Store) damaged() error {
	return damaged(s.path)
}

func damaged(path string) error {
	return fmt.Errorf("%s: %w; move it away, and `runner db rebuild --db %s` makes it anew from its bundles", path, ErrCorrupt, path)
}

func isCode(err error, codes ...sqlite3.ErrNo) bool {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return false
	}
	for _, c := range codes {
		if e.Code == c {
			return true
		}
	}
	return false
}

// refuseNetwork refuses a database that lies on the network file system of that name, if any.
func refuseNetwork(path, network string) error {
	if network == "" {
		return nil
	}
	return fmt.Errorf("%s: %w: it is on %s, where SQLite's locks do not keep two machines from writing at once; "+
		"name a file on a local disk with --db, and join the results of several machines with `runner db import`", path, ErrNetwork, network)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// inTx runs f in one transaction. In a store opened for writing it is
// immediate: it waits for its turn at the beginning and never half-way.
func (s *Store) inTx(op string, f func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(context.Background(), nil)
	if err != nil {
		return s.explain(op, err)
	}
	defer tx.Rollback() // without effect after Commit
	if err := f(tx); err != nil {
		return s.explain(op, err)
	}
	return s.explain(op, tx.Commit())
}
