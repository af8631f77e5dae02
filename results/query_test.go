package results

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"focalgrid/results/record"
)

func TestPrefix(t *testing.T) {
	s := newStore(t)
	keys := []string{"ab" + strings.Repeat("0", 62), "ab" + strings.Repeat("1", 62), "abf" + strings.Repeat("f", 61), strings.Repeat("f", 64)}
	for _, key := range keys {
		trial := trialNamed("")
		trial.Key = key
		begin(t, s, trial)
	}
	for _, tt := range []struct {
		prefix string
		want   string // key, or the error's text
		is     error
	}{
		{"ab0", keys[0], nil},
		{"abf", keys[2], nil},
		{keys[1], keys[1], nil},
		{"f", keys[3], nil},
		{"ab", "more than one trial: ab0000000000, ab1111111111, abffffffffff; give more digits", ErrAmbiguous},
		{"c", "no such trial; `runner ls` lists them", ErrNoTrial},
		{"", "a trial is named by the first digits of its key", nil},
		{"AB0", `"AB0" is not the beginning of a trial's key`, nil},
		{"ab%", `"ab%" is not the beginning`, nil},
		{strings.Repeat("a", 65), "65 digits, and a trial's key has 64", nil},
	} {
		got, err := s.Trial(tt.prefix)
		switch {
		case err == nil && got.Key != tt.want:
			t.Errorf("%q: got %s, want %s", tt.prefix, got.Key, tt.want)
		case err != nil && (!strings.Contains(err.Error(), tt.want) || tt.is != nil && !errors.Is(err, tt.is)):
			t.Errorf("%q: got %v, want %s", tt.prefix, err, tt.want)
		}
	}
}

// TestEngines: each engine that trained something, once.
func TestEngines(t *testing.T) {
	s := newStore(t)
	if got, err := s.Engines(); err != nil || len(got) > 0 {
		t.Errorf("an empty database has engines %q, %v", got, err)
	}
	for i, name := range []string{"b", "a", "b"} {
		trial := trialNamed(fmt.Sprint(i))
		trial.Engine = name
		begin(t, s, trial)
	}
	pretraining := trialNamed("p")
	pretraining.Kind, pretraining.Engine = record.KindPretrain, "c"
	begin(t, s, pretraining)
	if got, err := s.Engines(); err != nil || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("engines %q, %v; want a and b", got, err)
	}
}

func FuzzPrefix(f *testing.F) {
	s, err := Open(filepath.Join(f.TempDir(), "focalgrid.db"))
	if err != nil {
		f.Fatal(err)
	}
	defer s.Close()
	if _, err := s.BeginTrial(trialNamed("a"), attemptOf(1), 0); err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", "0", keyOf("a")[:5], keyOf("a"), "g", "a' OR 1=1 --", "\x00", "é"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, prefix string) {
		got, err := s.Trial(prefix)
		if found := prefix != "" && strings.HasPrefix(keyOf("a"), prefix); found != (err == nil) {
			t.Fatalf("%q: got %v, %v", prefix, got, err)
		}
	})
}

func TestFilterAndOrder(t *testing.T) {
	s := newStore(t)
	for i, name := range []string{"c", "a", "b", "p"} {
		trial := trialNamed(name)
		trial.Started = []string{"2030-05-01T10:00:00Z", "2030-05-01T09:00:00Z", "2030-05-01T10:00:00Z", "2030-05-01T08:00:00Z"}[i]
		if name == "p" {
			trial.Kind = record.KindPretrain
		}
		begin(t, s, trial)
	}
	must(t, s.FinishTrial(keyOf("a"), 1, finishDone()))
	must(t, s.SaveSweep(record.Sweep{Name: "gamma", Hash: "1", Created: "2030-05-01T08:00:00Z"}, []record.Planned{{Key: keyOf("c"), Row: 0}, {Key: keyOf("later"), Row: 1}}))
	same := []string{keyOf("b"), keyOf("c")} // started at the same moment: by key
	slices.Sort(same)
	for _, tt := range []struct {
		name   string
		filter Filter
		want   []string
	}{
		{"all", Filter{}, []string{keyOf("p"), keyOf("a"), same[0], same[1]}},
		{"kind", Filter{Kind: record.KindTrain}, []string{keyOf("a"), same[0], same[1]}},
		{"status", Filter{Statuses: []string{record.StatusDone, record.StatusDiverged}}, []string{keyOf("a")}},
		{"keys", Filter{Keys: []string{keyOf("b"), keyOf("p"), keyOf("none")}}, []string{keyOf("p"), keyOf("b")}},
		{"no keys", Filter{Keys: []string{}}, nil},
		{"sweep", Filter{Sweep: "gamma"}, []string{keyOf("c")}},
		{"sweep and status", Filter{Sweep: "gamma", Statuses: []string{record.StatusDone}}, nil},
	} {
		trials, err := s.Trials(tt.filter)
		must(t, err)
		var got []string
		for _, trial := range trials {
			got = append(got, trial.Key)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	counts, err := s.Status(Filter{})
	must(t, err)
	if want := map[string]int{record.StatusRunning: 3, record.StatusDone: 1}; !reflect.DeepEqual(counts, want) {
		t.Errorf("status %v, want %v", counts, want)
	}
}

func TestManyKeys(t *testing.T) {
	s := newStore(t)
	begin(t, s, trialNamed("a"))
	keys := make([]string, 40_000) // more than SQLite takes in one statement
	for i := range keys {
		keys[i] = fmt.Sprintf("%064x", i)
	}
	keys[35_000] = keyOf("a")
	trials, err := s.Trials(Filter{Keys: keys})
	must(t, err)
	if len(trials) != 1 {
		t.Errorf("%d trials, want 1", len(trials))
	}
}

// BenchmarkTrials reads a store of 10,000 trials with 10 metrics each, as
// `runner ls` does.
func BenchmarkTrials(b *testing.B) {
	s, err := Open(filepath.Join(b.TempDir(), "focalgrid.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	const trials = 10_000
	err = s.inTx("fill", func(tx *sql.Tx) error {
		for i := range trials {
			if _, err := tx.Exec(`INSERT INTO trials (key, kind, config, seed, dataset, init, engine, numerics, status, started)
				VALUES (?, 'train', ?, ?, 'd', 'i', 'e', '1', 'done', '2030-05-01T10:00:00Z')`,
				keyOf(fmt.Sprint(i)), fmt.Sprintf(`{"loss":{"gamma":%d},"train":{"iters":1000,"lr":0.01}}`, i/10), i%10); err != nil {
				return err
			}
			for _, name := range []string{"AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs"} {
				if _, err := tx.Exec("INSERT INTO metrics (trial_id, name, value) VALUES (?, ?, .3)", i+1, name); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if got, err := s.Trials(Filter{}); err != nil || len(got) != trials {
			b.Fatal(len(got), err)
		}
	}
}
