package results

import (
	"bytes"
	"compress/gzip"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"focalgrid/results/record"
)

// TestOpenTwice: what was written is there after closing, the pragmas hold on
// the connection, and odd characters in the path are no part of the query.
func TestOpenTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a?b#c%20 d", "focal grid.db")
	s, err := Open(path)
	must(t, err)
	begin(t, s, trialNamed("a"))
	must(t, s.checkPragmas("wal"))
	var id int64
	must(t, s.db.QueryRow("PRAGMA application_id").Scan(&id))
	if id != applicationID {
		t.Errorf("application id %#x, want %#x", id, applicationID)
	}
	must(t, s.Check())
	must(t, s.Close())
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	r, err := OpenExisting(path)
	must(t, err)
	if _, err := r.Trial(keyOf("a")); err != nil {
		t.Error(err)
	}
	if _, err := r.BeginTrial(trialNamed("b"), attemptOf(1), 0); err == nil {
		t.Error("a store opened for reading was written to")
	}
	must(t, r.Close())
	entries, err := os.ReadDir(filepath.Dir(path))
	must(t, err)
	if len(entries) != 1 {
		t.Errorf("reading left %d files, want the database alone", len(entries))
	}
}

func TestOpenExistingCreatesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "runs", "none.db")
	_, err := OpenExisting(path)
	if !errors.Is(err, ErrNoDatabase) || !strings.Contains(err.Error(), "`runner sweep smoke --db "+path+"` makes one") {
		t.Errorf("got %v, want ErrNoDatabase with the command that makes one", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("%d entries were created", len(entries))
	}
	empty := filepath.Join(dir, "empty.db")
	must(t, os.WriteFile(empty, nil, 0o666))
	if _, err := OpenExisting(empty); !errors.Is(err, ErrNoDatabase) {
		t.Errorf("an empty file: %v, want ErrNoDatabase", err)
	}
	s, err := Open(empty)
	must(t, err)
	s.Close()
}

// TestReadOnlyFolder: a copied database opens where nothing can be written.
func TestReadOnlyFolder(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "focalgrid.db")
	s, err := Open(path)
	must(t, err)
	begin(t, s, trialNamed("a"))
	must(t, s.Close())
	must(t, os.Chmod(path, 0o444))
	must(t, os.Chmod(dir, 0o555))
	defer os.Chmod(dir, 0o777)
	r, err := OpenExisting(path)
	must(t, err)
	defer r.Close()
	if trials, err := r.Trials(Filter{}); err != nil || len(trials) != 1 {
		t.Errorf("%d trials, %v, want 1", len(trials), err)
	}
}

func TestOpenRefuses(t *testing.T) {
	write := func(t *testing.T, text string) string {
		path := filepath.Join(t.TempDir(), "x.db")
		must(t, os.WriteFile(path, []byte(text), 0o666))
		return path
	}
	withSQL := func(t *testing.T, ours bool, statement string) string {
		path := filepath.Join(t.TempDir(), "x.db")
		if ours {
			s, err := Open(path)
			must(t, err)
			must(t, s.Close())
		}
		db, err := sql.Open("sqlite3", path)
		must(t, err)
		_, err = db.Exec(statement)
		must(t, err)
		must(t, db.Close())
		return path
	}
	for _, tt := range []struct {
		name string
		path func(*testing.T) string
		is   error
		want string
	}{
		{"text", func(t *testing.T) string { return write(t, "loss: {gamma: 2}\n and a little more\n") }, ErrForeign, "it is not a SQLite file; name another with --db"},
		{"short", func(t *testing.T) string { return write(t, "x") }, ErrForeign, "it is not a SQLite file"},
		{"folder", func(t *testing.T) string { return t.TempDir() }, ErrForeign, "it is a folder; name a file"},
		{"another program's", func(t *testing.T) string { return withSQL(t, false, "CREATE TABLE songs (name TEXT)") }, ErrForeign, "it belongs to another program"},
		{"newer", func(t *testing.T) string {
			return withSQL(t, true, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (900, 1)")
		}, ErrNewer, "it has schema 900, this program knows 7; update the program, or name another file with --db"},
		{"header of noise", func(t *testing.T) string { return write(t, "SQLite format 3\x00"+strings.Repeat("noise", 2000)) }, ErrCorrupt, "makes it anew from its bundles"},
		{"cut off", func(t *testing.T) string {
			path := withSQL(t, true, "SELECT 1")
			must(t, os.Truncate(path, 5000))
			return path
		}, ErrCorrupt, "makes it anew from its bundles"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := tt.path(t)
			before, _ := os.ReadFile(path)
			for name, open := range map[string]func(string) (*Store, error){"Open": Open, "OpenExisting": OpenExisting} {
				s, err := open(path)
				if err == nil {
					s.Close()
					t.Fatalf("%s took it", name)
				}
				if !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
					t.Errorf("%s: got %v\nwant %v with %q and the path", name, err, tt.is, tt.want)
				}
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
}

// TestOlderIsMigratedByWritersOnly: a file of the first schema keeps all it has, its
// detections move out, and its trials get bundles.
func TestOlderIsMigratedByWritersOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	old, err := connect(path, "mode=rwc", 1)
	must(t, err)
	history, err := old.history()
	must(t, err)
	_, err = history.UpTo(t.Context(), 1)
	must(t, err)
	detections := finishDone().Detections
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err = w.Write(detections)
	must(t, errors.Join(err, w.Close()))
	for _, insert := range []struct {
		sql  string
		args []any
	}{
		{`INSERT INTO trials (id, key, kind, config, seed, dataset, init, engine, numerics, status, started, finished, wall_seconds, provenance, weights)
			VALUES (4, ?, 'train', '{"loss":{"gamma":2}}', 3, 'd', 'i', 'e', '1', 'done', '2030-05-01T10:00:00Z', '2030-05-01T10:01:00Z', 60, '{"host":"h","threads":2}', ?)`,
			[]any{keyOf("a"), keyOf("weights")}},
		{`INSERT INTO trials (id, key, kind, config, seed, dataset, init, engine, numerics, status, started) VALUES (7, ?, 'train', '{}', 3, 'd', 'i', 'e', '1', 'running', '2030-05-01T10:00:00Z')`,
			[]any{keyOf("b")}},
		{"INSERT INTO steps VALUES (4, 0, 1.5, 1, .5, .01, 3, 12), (4, 1, NULL, NULL, NULL, .01, NULL, 7)", nil},
		{"INSERT INTO metrics VALUES (4, 'AP', .25), (4, 'APs', NULL)", nil},
		{"INSERT INTO class_metrics VALUES (4, 2, 'ring', .5, .75, NULL)", nil},
		{"INSERT INTO detections VALUES (4, ?, ?)", []any{len(detections), packed.Bytes()}},
		{"INSERT INTO artifacts (hash, kind, size, path) VALUES (?, 'weights', 9, 'weights/x.safetensors')", []any{keyOf("weights")}},
		{"INSERT INTO sweeps VALUES (1, 'gamma', 'table: 1b', ?, '2030-05-01T09:00:00Z')", []any{keyOf("file")}},
		{"INSERT INTO sweep_trials VALUES (1, 0, 0, ?), (1, 1, 1, ?)", []any{keyOf("a"), keyOf("b")}},
	} {
		_, err := old.db.Exec(insert.sql, insert.args...)
		must(t, err)
	}
	must(t, old.Close())

	if _, err := OpenExisting(path); !errors.Is(err, ErrOlder) || !strings.Contains(err.Error(), "migrates it") {
		t.Errorf("reading an older schema: %v, want ErrOlder", err)
	}
	s, err := Open(path)
	must(t, err)
	must(t, s.Close())
	r, err := OpenExisting(path)
	must(t, err)
	defer r.Close()
	const exported = `{"bundle":3,"sweep":"gamma","hash":"FILE","created":"2030-05-01T09:00:00Z","file":"table: 1b","plan":[{"trial":"A","row":0},{"trial":"B","row":1}]}
{"bundle":3,"trial":"A","kind":"train","status":"done","error":"","diverged_step":null,"seed":3,"dataset":"d","init":"i","engine":"e","numerics":"1",` +
		`"started":"2030-05-01T10:00:00Z","finished":"2030-05-01T10:01:00Z","wall_seconds":60,"weights":"WEIGHTS","detections":{"sha256":"DETECTIONS","size":61},` +
		`"config":{"loss":{"gamma":2}},"labels":null,"provenance":{"host":"h","threads":2},"attempts":[{"number":1,"owner":"","host":"h","pid":0,"start_step":0,"end_step":2,"beats":0,` +
		`"started":"2030-05-01T10:00:00Z","ended":"2030-05-01T10:01:00Z","wall_seconds":60,"peak_bytes":0,"exit":"done","error":"","environment":{"host":"h","threads":2}}],` +
		`"metrics":{"AP":0.25,"APs":null},"classes":[{"id":2,"name":"ring","AP":0.5,"AP50":0.75,"AP75":null}],` +
		`"steps":{"step":[0,1],"loss":[1.5,null],"cls_loss":[1,null],"box_loss":[0.5,null],"lr":[0.01,0.01],"grad_norm":[3,null],"positives":[12,7]}}
`
	want := strings.NewReplacer("FILE", keyOf("file"), "\"A\"", "\""+keyOf("a")+"\"", "\"B\"", "\""+keyOf("b")+"\"",
		"WEIGHTS", keyOf("weights"), "DETECTIONS", keyOf(string(detections))).Replace(exported)
	var sealed strings.Builder
	for line := range strings.Lines(want) {
		sealed.WriteString(resealed(t, strings.TrimSuffix(line, "}\n")+sealStart))
	}
	want = sealed.String()
	if got := export(t, r); got != want {
		t.Errorf("exported after migration:\n%s\nwant\n%s", got, want)
	}
	if got, err := r.Detections(keyOf("a")); err != nil || !bytes.Equal(got, detections) {
		t.Errorf("detections %s, %v, want %s", got, err, detections)
	}
	b, err := r.Trial(keyOf("b"))
	must(t, err)
	if len(b.Attempts) != 1 || b.Attempts[0].Exit != record.ExitKilled {
		t.Errorf("attempts of a trial left running: %+v, want one that was killed", b.Attempts)
	}
	if bundle, err := record.ReadBundle(filepath.Join(record.BundleDir(path), keyOf("a")+".json")); err != nil || bundle.Key != keyOf("a") {
		t.Errorf("bundle of a migrated trial: %+v, %v", bundle, err)
	}
}

// TestDamageInside: a page overwritten in the middle is found by Check and told
// as damage by whatever reads it.
func TestDamageInside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	s, err := Open(path)
	must(t, err)
	begin(t, s, trialNamed("a"))
	f := finishDone()
	f.Steps = nil
	for i := range 3000 {
		f.Steps = append(f.Steps, record.Step{Step: i, Loss: float64(i)})
	}
	must(t, s.FinishTrial(keyOf("a"), 1, f))
	must(t, s.Close())
	file, err := os.ReadFile(path)
	must(t, err)
	const page = 4096
	for i := 20 * page; i < len(file); i++ {
		file[i] = 0xa5
	}
	must(t, os.WriteFile(path, file, 0o666))
	r, err := OpenExisting(path)
	must(t, err)
	defer r.Close()
	if err := r.Check(); !errors.Is(err, ErrCorrupt) {
		t.Errorf("check: %v, want ErrCorrupt", err)
	}
	if _, err := r.StepRows(keyOf("a")); !errors.Is(err, ErrCorrupt) {
		t.Errorf("reading steps: %v, want ErrCorrupt", err)
	}
}

// TestOpenAtOnce: several processes may start on one new file, and their
// writes all arrive.
func TestOpenAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	const writers = 4
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			s, err := Open(path)
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			for j := range 5 {
				name := fmt.Sprint(i, j)
				_, err := s.BeginTrial(trialNamed(name), attemptOf(i), 0)
				if err := errors.Join(err, s.FinishTrial(keyOf(name), 1, finishDone())); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	r, err := OpenExisting(path)
	must(t, err)
	defer r.Close()
	if got, err := r.Trials(Filter{}); err != nil || len(got) != writers*5 {
		t.Errorf("%d trials, %v, want %d", len(got), err, writers*5)
	}
}
