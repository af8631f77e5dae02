package results

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"focalgrid/results/record"
)

// TestLabels: a trial's labels are recorded when it begins, go with its bundle and its
// export, and are those of the last attempt.
func TestLabels(t *testing.T) {
	s := newStore(t)
	trial := trialNamed("a")
	trial.Labels = []record.Label{{ID: 9, Name: "old"}}
	begin(t, s, trial)
	must(t, s.FinishTrial(trial.Key, 1, record.Finish{Outcome: record.Outcome{Status: record.StatusInterrupted, Finished: "2030-05-01T10:00:30Z"}}))
	want := []record.Label{{ID: 7, Name: "disc"}, {ID: 2, Name: "ring"}} // by label, not by id
	trial.Labels = want
	_, err := s.BeginTrial(trial, attemptOf(1), 0)
	must(t, err)
	check := func(where string, got []record.Label) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("labels of %s are %v, want %v", where, got, want)
		}
	}
	of := func(s *Store) []record.Label {
		t.Helper()
		got, err := s.Trial(trial.Key)
		must(t, err)
		return got.Labels
	}
	check("a trial at work", of(s))
	must(t, s.FinishTrial(trial.Key, 2, finishDone()))
	check("a trial that is done", of(s))
	b, err := record.ReadBundle(filepath.Join(record.BundleDir(s.Path()), trial.Key+".json"))
	must(t, err)
	check("the bundle", b.Labels)
	other := newStore(t)
	_, err = other.Import(KeepNone, nil, Source{"x", strings.NewReader(export(t, s))})
	must(t, err)
	check("an imported trial", of(other))

	trial = trialNamed("b")
	trial.Labels = []record.Label{{ID: 1, Name: "disc"}, {ID: 1, Name: "ring"}}
	if _, err := s.BeginTrial(trial, attemptOf(1), 0); err == nil || !strings.Contains(err.Error(), "labels: category 1 twice") {
		t.Errorf("one category twice: %v", err)
	}
}

// TestReadsOlder: a database of the oldest readable schema is read as it is.
func TestReadsOlder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	old, err := connect(path, "mode=rwc", 1)
	must(t, err)
	history, err := old.history()
	must(t, err)
	_, err = history.UpTo(t.Context(), readableSince)
	must(t, err)
	_, err = old.db.Exec(`INSERT INTO trials (key, kind, config, seed, dataset, init, engine, numerics, status, started)
		VALUES (?, 'train', '{}', 3, 'd', '', 'e', '1', 'done', '2030-05-01T10:00:00Z')`, keyOf("a"))
	must(t, err)
	must(t, old.Close())
	s, err := OpenExisting(path)
	must(t, err)
	defer s.Close()
	if got, err := s.Trial(keyOf("a")); err != nil || got.Labels != nil {
		t.Errorf("%+v, %v; want the trial, without labels", got, err)
	}
	if got := export(t, s); !strings.Contains(got, `"labels":null`) || !strings.Contains(got, keyOf("a")) {
		t.Errorf("exported %s", got)
	}
	if version, err := s.version(); err != nil || version != readableSince {
		t.Errorf("its schema is %d, %v; want %d as before", version, err, readableSince)
	}
}
