package results

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"focalgrid/results/record"
)

// choiceOf is a choice between two learning rates for the row with that name, on two seeds.
func choiceOf(name string) record.Choice {
	return record.Choice{
		Subject: keyOf(name), Best: `{"optim.lr":0.05}`, Chosen: "2030-05-02T09:00:00Z",
		Candidates: []record.Candidate{
			{Settings: `{"optim.lr":0.05}`, AP: .25, Trials: []string{keyOf("t1"), keyOf("t2")}},
			{Settings: `{"optim.lr":0.1}`, AP: 0, Trials: []string{keyOf("t3"), keyOf("t4")}},
		},
	}
}

func TestSaveChoice(t *testing.T) {
	s := filled(t)
	if has, err := s.HasChoices(); err != nil || has {
		t.Errorf("a store without choices has some: %t, %v", has, err)
	}
	first := choiceOf("row")
	must(t, s.SaveChoice(first))
	must(t, s.SaveChoice(choiceOf("another row")))
	later := choiceOf("row")
	later.Chosen = "2031-01-01T00:00:00Z"
	must(t, s.SaveChoice(later))
	got, err := s.Choice(first.Subject)
	if err != nil || !reflect.DeepEqual(*got, first) {
		t.Errorf("the same choice again: %+v, %v; want the first, %+v", got, err, first)
	}
	later.Best = later.Candidates[1].Settings
	must(t, s.SaveChoice(later))
	if got, err = s.Choice(first.Subject); err != nil || !reflect.DeepEqual(*got, later) {
		t.Errorf("another choice: %+v, %v; want %+v", got, err, later)
	}
	if onDisk, err := record.ReadChoice(later.Path(record.BundleDir(s.Path()))); err != nil || !reflect.DeepEqual(*onDisk, later) {
		t.Errorf("the bundle holds %+v, %v; want %+v", onDisk, err, later)
	}
	if got, err := s.Choice(keyOf("no row")); err != nil || got != nil {
		t.Errorf("for a row without one: %+v, %v", got, err)
	}
	// A trial that is written anew leaves the checksum of a choice with the same row number alone.
	begin(t, s, trialNamed("e"))
	must(t, s.FinishTrial(keyOf("e"), 1, finishDone()))
	must(t, s.FinishTrial(keyOf("a"), 1, finishDone()))
	if _, err := s.Choice(first.Subject); err != nil {
		t.Error(err)
	}
	if _, err := s.db.Exec("UPDATE candidates SET ap = .9 WHERE place = 1"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Choice(first.Subject); !errors.Is(err, ErrCorrupt) {
		t.Errorf("another AP in the database: %v, want ErrCorrupt", err)
	}
}

// TestChoiceThereAndBack: choices are exported, imported and rebuilt as they are, and a conflict is decided by keep.
func TestChoiceThereAndBack(t *testing.T) {
	s := filled(t)
	must(t, s.SaveChoice(choiceOf("row")))
	want := export(t, s)
	lines := strings.SplitAfter(want, "\n")
	line := lines[len(lines)-2]
	if !strings.HasPrefix(line, `{"bundle":4,"choice":"`+keyOf("row")+`","chosen":"2030-05-02T09:00:00Z","best":{"optim.lr":0.05},"candidates":[{"settings":{"optim.lr":0.05},"AP":0.25,"trials":["`) {
		t.Errorf("the last line is\n%s", line)
	}

	other := newStore(t)
	for range 2 {
		if did, err := other.Import(KeepNone, nil, Source{"x", strings.NewReader(want)}); err != nil || did.Choices != 1 || len(did.Refused) > 0 {
			t.Fatalf("import: %+v, %v", did, err)
		}
	}
	if got := export(t, other); got != want {
		t.Errorf("imported:\n%s\nwas:\n%s", got, want)
	}
	theirs := choiceOf("row")
	theirs.Best, theirs.Candidates[1].AP = theirs.Candidates[1].Settings, .5
	text, err := theirs.Encode()
	must(t, err)
	source := func() Source { return Source{"theirs", bytes.NewReader(text)} }
	var conflicts *ConflictsError
	if _, err := other.Import(KeepNone, nil, source()); !errors.As(err, &conflicts) || !strings.Contains(err.Error(), "theirs:1: choice "+keyOf("row")[:12]+" is recorded with another result: best, candidates differ") {
		t.Errorf("another choice for the row: %v", err)
	}
	for _, tt := range []struct {
		keep Keep
		want record.Choice
	}{{KeepOurs, choiceOf("row")}, {KeepTheirs, theirs}} {
		if _, err := other.Import(tt.keep, nil, source()); err != nil {
			t.Fatal(err)
		}
		if got, err := other.Choice(theirs.Subject); err != nil || !reflect.DeepEqual(*got, tt.want) {
			t.Errorf("keep %s: %+v, %v; want %+v", tt.keep, got, err, tt.want)
		}
	}

	path := s.Path()
	must(t, s.Close())
	if c, err := Check(path, nil, false); err != nil || c.Choices != 1 || c.Bundles != 5 || len(c.Found) > 0 {
		t.Errorf("check: %+v, %v", c, err)
	}
	file := theirs.Path(record.BundleDir(path))
	must(t, theirs.Write(record.BundleDir(path)))
	if c, err := Check(path, nil, true); err != nil || len(c.Mended) != 1 || c.Mended[0] != file {
		t.Errorf("a bundle of another choice: %+v, %v", c, err)
	}
	must(t, removeDatabase(path))
	if did, err := Rebuild(path, nil); err != nil || did.Choices != 1 || did.Found != 5 {
		t.Errorf("rebuild: %+v, %v", did, err)
	}
	r, err := OpenExisting(path)
	must(t, err)
	defer r.Close()
	if got := export(t, r); got != want {
		t.Errorf("rebuilt:\n%s\nwas:\n%s", got, want)
	}
}

// TestChoiceRefused: what cannot be a choice is refused, with the reason.
func TestChoiceRefused(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*record.Choice)
		want   string
	}{
		{"no subject", func(c *record.Choice) { c.Subject = "row" }, "its subject is not a SHA-256"},
		{"no time", func(c *record.Choice) { c.Chosen = "" }, "its time is empty"},
		{"a best that was not tried", func(c *record.Choice) { c.Best = `{"optim.lr":0.2}` }, "is not a candidate"},
		{"settings that are none", func(c *record.Choice) { c.Candidates[1].Settings = `{}` }, "candidate 2: \"{}\" are not settings by key"},
		{"AP in percent", func(c *record.Choice) { c.Candidates[0].AP = 25 }, "candidate 1: AP is 25, want 0 to 1"},
		{"no evidence", func(c *record.Choice) { c.Candidates[1].Trials = nil }, "candidate 2 has no trial"},
		{"no key", func(c *record.Choice) { c.Candidates[1].Trials[0] = "x" }, `candidate 2: trial "x" is not a SHA-256`},
	} {
		s := newStore(t)
		c := choiceOf("row")
		tt.change(&c)
		if err := s.SaveChoice(c); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: saved with %v, want %q", tt.name, err, tt.want)
		}
		text, err := c.Encode()
		must(t, err)
		if _, err := record.DecodeLine(text); !errors.Is(err, record.ErrBundle) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: read with %v, want ErrBundle and %q", tt.name, err, tt.want)
		}
	}
	older := choiceOf("row")
	text, err := older.Encode()
	must(t, err)
	if _, err := record.DecodeLine(bytes.Replace(text, []byte(`"bundle":4`), []byte(`"bundle":3`), 1)); !errors.Is(err, record.ErrBundle) {
		t.Errorf("in a format before choices: %v, want ErrBundle", err)
	}
}

// TestChoicesInOlderDatabase: a database from before choices is read without them, and a writer adds the tables.
func TestChoicesInOlderDatabase(t *testing.T) {
	s := filled(t)
	want := export(t, s)
	path := s.Path()
	must(t, s.Close())
	db, err := sql.Open("sqlite3", path)
	must(t, err)
	_, err = db.Exec("DROP TABLE candidates; DROP TABLE choices; DELETE FROM goose_db_version WHERE version_id = 7")
	must(t, errors.Join(err, db.Close()))
	old, err := OpenExisting(path)
	must(t, err)
	if has, err := old.HasChoices(); err != nil || has {
		t.Errorf("it has choices: %t, %v", has, err)
	}
	if got, err := old.Choice(keyOf("row")); err != nil || got != nil {
		t.Errorf("it has %+v, %v", got, err)
	}
	if got := export(t, old); got != want {
		t.Errorf("its export is\n%s\nwant\n%s", got, want)
	}
	must(t, old.Close())
	s, err = Open(path)
	must(t, err)
	defer s.Close()
	must(t, s.SaveChoice(choiceOf("row")))
	if _, err := os.Stat((&record.Choice{Subject: keyOf("row")}).Path(record.BundleDir(path))); err != nil {
		t.Error(err)
	}
}
