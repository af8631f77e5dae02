package results

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"focalgrid/results/record"
)

// three is a log with a loss beside those of every older version.
func three() []record.Step {
	log := finishDone().Steps
	for i := range log {
		log[i].Losses = []record.Loss{{Name: "class", Value: 1}, {Name: "centerness", Value: .5 / float64(i+1)}, {Name: "box", Value: .2}}
	}
	return log
}

// A loss by any name, and the order of losses, go through the database, a bundle and an export.
func TestLossesThereAndBack(t *testing.T) {
	s := newStore(t)
	begin(t, s, trialNamed("a"))
	f := finishDone()
	f.Steps = three()
	must(t, s.FinishTrial(keyOf("a"), 1, f))
	check := func(where string, got []record.Step, err error) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, three()) {
			t.Errorf("%s: %+v, %v; want %+v", where, got, err, three())
		}
	}
	log, err := s.StepRows(keyOf("a"))
	check("the database", log, err)
	b, err := record.ReadBundle(filepath.Join(record.BundleDir(s.Path()), keyOf("a")+".json"))
	must(t, err)
	check("the bundle", b.Steps, nil)
	text := export(t, s)
	if want := `"loss":[1.2,1.1],"cls_loss":[1,1],"centerness_loss":[0.5,0.25],"box_loss":[0.2,0.2],"lr":`; !strings.Contains(text, want) {
		t.Errorf("exported %s, want %s", text, want)
	}
	other := newStore(t)
	_, err = other.Import(KeepNone, nil, Source{"x", strings.NewReader(text)})
	must(t, err)
	log, err = other.StepRows(keyOf("a"))
	check("an imported trial", log, err)
	for name, log := range map[string][]record.Step{
		"step 1 has other losses than step 0": {{Step: 0, Losses: record.FirstLosses(1, 2)}, {Step: 1, Losses: record.FirstLosses(1, 2)[:1]}},
		`a loss has the name "cls"`:           {{Losses: []record.Loss{{Name: "cls", Value: 1}}}}, // its column would be that of "class"
		`a loss has the name ""`:              {{Losses: []record.Loss{{Name: "", Value: 1}}}},
	} {
		if err := s.Apply(&record.Bundle{Trial: b.Trial, Steps: log}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %s", err, name)
		}
	}
}

// Each figure of a log has part in its checksum, and so has each name but the first two.
func TestSumSteps(t *testing.T) {
	seen := map[string]string{}
	for name, log := range map[string][]record.Step{
		"two":       finishDone().Steps,
		"three":     three(),
		"order":     {{Losses: []record.Loss{{Name: "box", Value: 1}, {Name: "class", Value: 2}}}},
		"swapped":   {{Losses: []record.Loss{{Name: "class", Value: 1}, {Name: "box", Value: 2}}}},
		"name":      {{Losses: []record.Loss{{Name: "class", Value: 1}, {Name: "bot", Value: 2}}}},
		"other one": {{Losses: []record.Loss{{Name: "class", Value: 1}}, LR: 2}},
	} {
		sum := record.SumSteps(log)
		if was, ok := seen[sum]; ok {
			t.Errorf("%s and %s have one checksum", was, name)
		}
		seen[sum] = name
	}
}

// TestLossesMigrate: the two losses of an older database are read as they stand there, and are
// the same, with the checksum recorded of them, once a writer has migrated it.
func TestLossesMigrate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	old, err := connect(path, "mode=rwc", 1)
	must(t, err)
	history, err := old.history()
	must(t, err)
	_, err = history.UpTo(t.Context(), 5)
	must(t, err)
	// The checksum is what a program of that schema recorded: the SHA-256 over kind and value of step,
	// positives, loss, cls_loss, box_loss, lr, grad_norm, row by row.
	for _, insert := range []string{
		`INSERT INTO trials (id, key, kind, config, seed, dataset, init, engine, numerics, status, started) VALUES
			(4, '` + keyOf("a") + `', 'train', '{}', 3, 'd', '', 'e', '1', 'done', '2030-05-01T10:00:00Z')`,
		"INSERT INTO steps VALUES (4, 0, 1.2, 1, .2, .01, 3, 12), (4, 1, 1.1, .9, .2, .01, 2, 7)",
		"INSERT INTO checksums VALUES ('steps', 4, 'b8f477367d3638039f9032c1f9587d1b388e6037a197c8d62515b4fca84f497a')",
	} {
		_, err = old.db.Exec(insert)
		must(t, err)
	}
	must(t, old.Close())
	want := finishDone().Steps
	for _, open := range []func(string) (*Store, error){OpenExisting, Open, OpenExisting} {
		s, err := open(path)
		must(t, err)
		got, err := s.StepRows(keyOf("a"))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("read %+v, %v; want %+v", got, err, want)
		}
		must(t, s.Close())
	}
}
