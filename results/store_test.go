package results

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// keyOf is a trial key for tests.
func keyOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

func newStore(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "runs", "focalgrid.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func trialNamed(name string) Trial {
	return Trial{
		Key: keyOf(name), Kind: KindTrain, Config: `{"loss":{"gamma":2,"type":"focal"},"profile":"mini"}`, Seed: 3,
		Dataset: "synth-1", Init: "r18", Engine: "gorgonia", Numerics: "1",
		Started: "2030-05-01T10:00:00Z", Provenance: `{"go":"go1.26.8","threads":2}`,
	}
}

func finishDone() Finish {
	return Finish{
		Outcome: Outcome{
			Status: StatusDone, Finished: "2030-05-01T10:01:00Z", WallSeconds: 60, Weights: keyOf("weights"),
			Metrics: map[string]float64{"AP": .284, "AP50": .5, "APs": math.NaN(), "AP.001": .29},
		},
		Steps:      []Step{{Step: 0, Loss: 1.2, Losses: FirstLosses(1, .2), LR: .01, GradNorm: 3, Positives: 12}, {Step: 1, Loss: 1.1, Losses: FirstLosses(.9, .2), LR: .01, GradNorm: 2, Positives: 7}},
		Classes:    []ClassMetric{{Category: 7, Name: "disc", AP: .3, AP50: .5, AP75: .2}, {Category: 2, Name: "ring", AP: math.NaN(), AP50: math.NaN(), AP75: math.NaN()}},
		Detections: []byte(`[{"image_id":1,"category_id":7,"bbox":[1,2,3,4],"score":0.5}]`),
		EndStep:    2, PeakBytes: 1 << 20,
	}
}

// attemptOf is an attempt by the process of that number.
func attemptOf(pid int) Attempt {
	return Attempt{Owner: fmt.Sprint("host/", pid), Host: "host", PID: pid, Environment: `{"threads":2}`}
}

// begin begins a trial that no other attempt holds.
func begin(t *testing.T, s *Store, trial Trial) {
	t.Helper()
	_, err := s.BeginTrial(trial, attemptOf(1), 0)
	must(t, err)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// dump prints every row of every table of ours, for comparing whole databases.
func dump(t *testing.T, s *Store) string {
	t.Helper()
	var out strings.Builder
	for _, table := range []string{"sweeps", "sweep_trials", "trials", "steps", "losses", "metrics", "class_metrics", "detections", "attempts"} {
		rows, err := s.db.Query("SELECT * FROM " + table)
		must(t, err)
		columns, err := rows.Columns()
		must(t, err)
		for rows.Next() {
			cells := make([]any, len(columns))
			for i := range cells {
				cells[i] = new(any)
			}
			must(t, rows.Scan(cells...))
			fmt.Fprint(&out, table)
			for _, c := range cells {
				fmt.Fprintf(&out, " %v", *c.(*any))
			}
			fmt.Fprintln(&out)
		}
		must(t, rows.Err())
		rows.Close()
	}
	return out.String()
}

func TestTrialThereAndBack(t *testing.T) {
	s := newStore(t)
	want := trialNamed("a")
	begin(t, s, want)
	got, err := s.Trial(want.Key)
	must(t, err)
	if got.Status != StatusRunning || len(got.Metrics) != 0 {
		t.Errorf("a trial that began is %s with %d metrics, want running with none", got.Status, len(got.Metrics))
	}
	f := finishDone()
	must(t, s.FinishTrial(want.Key, 1, f))

	got, err = s.Trial(want.Key[:8])
	must(t, err)
	if v, ok := got.Metrics["APs"]; !ok || !math.IsNaN(v) {
		t.Errorf("APs is %v (%v), want NaN", v, ok)
	}
	delete(got.Metrics, "APs")
	delete(f.Metrics, "APs")
	want.Outcome = f.Outcome
	want.Attempts = []Attempt{attemptOf(1)}
	a := &want.Attempts[0]
	a.Number, a.Started, a.Ended, a.EndStep, a.WallSeconds, a.PeakBytes, a.Exit = 1, want.Started, f.Finished, 2, 60, 1<<20, StatusDone
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("got  %+v\nwant %+v", *got, want)
	}
	steps, err := s.StepRows(want.Key)
	must(t, err)
	if !reflect.DeepEqual(steps, f.Steps) {
		t.Errorf("steps %v, want %v", steps, f.Steps)
	}
	classes, err := s.Classes(want.Key)
	must(t, err)
	if len(classes) != 2 || classes[0].Category != 2 || !math.IsNaN(classes[0].AP) || classes[1] != f.Classes[0] {
		t.Errorf("classes %v, want ring (2) without AP, then disc (7)", classes)
	}
	detections, err := s.Detections(want.Key)
	must(t, err)
	if !bytes.Equal(detections, f.Detections) {
		t.Errorf("detections %s, want %s", detections, f.Detections)
	}
	if none, err := s.Detections(keyOf("other")); none != nil || err != nil {
		t.Errorf("detections of no trial: %s, %v", none, err)
	}
}

// TestWritingTwice: every write repeated leaves the database as it was.
func TestWritingTwice(t *testing.T) {
	s := newStore(t)
	sweep := Sweep{Name: "gamma", File: "table: 1b\n", Hash: keyOf("file"), Created: "2030-05-01T09:00:00Z"}
	plan := []Planned{{keyOf("a"), 0}, {keyOf("b"), 1}}
	all := func() {
		must(t, s.SaveSweep(sweep, plan))
		must(t, s.FinishTrial(keyOf("a"), 1, finishDone()))
	}
	begin(t, s, trialNamed("a"))
	all()
	once := dump(t, s)
	all()
	if twice := dump(t, s); twice != once {
		t.Errorf("after writing twice:\n%s\nonce:\n%s", twice, once)
	}
}

func TestFinishedStays(t *testing.T) {
	s := newStore(t)
	begin(t, s, trialNamed("a"))
	must(t, s.FinishTrial(keyOf("a"), 1, finishDone()))
	before := dump(t, s)
	if _, err := s.BeginTrial(trialNamed("a"), attemptOf(1), 0); !errors.Is(err, ErrFinished) {
		t.Errorf("beginning a done trial: %v, want ErrFinished", err)
	}
	other := finishDone()
	other.Weights = keyOf("other weights")
	if err := s.FinishTrial(keyOf("a"), 1, other); !errors.Is(err, ErrConflict) {
		t.Errorf("finishing with other weights: %v, want ErrConflict", err)
	}
	if err := s.FinishTrial(keyOf("b"), 1, finishDone()); !errors.Is(err, ErrNoTrial) {
		t.Errorf("finishing a trial that never began: %v, want ErrNoTrial", err)
	}
	if after := dump(t, s); after != before {
		t.Errorf("refused writes changed the database:\n%s\nfrom:\n%s", after, before)
	}
}

// TestStartsAgain: a trial that died, was stopped or failed begins again as if
// for the first time, but for its earlier attempts.
func TestStartsAgain(t *testing.T) {
	for _, status := range []string{StatusRunning, StatusInterrupted, StatusFailed} {
		s := newStore(t)
		begin(t, s, trialNamed("a"))
		over, exit, ended := 0, status, "2030-05-01T10:00:30Z"
		if status == StatusRunning {
			over, exit, ended = 1, ExitKilled, "2030-05-02T10:00:00Z"
			must(t, s.Beat(keyOf("a"), 1, Progress{Step: 30, WallSeconds: 15}))
		} else {
			must(t, s.FinishTrial(keyOf("a"), 1, Finish{
				Outcome: Outcome{Status: status, Error: "out of luck", Finished: ended, WallSeconds: 20}, EndStep: 40, Steps: finishDone().Steps}))
		}
		again := trialNamed("a")
		again.Started = "2030-05-02T10:00:00Z"
		second := attemptOf(2)
		second.StartStep = 35
		n, err := s.BeginTrial(again, second, over)
		must(t, err)
		got, err := s.Trial(keyOf("a"))
		must(t, err)
		if n != 2 || len(got.Attempts) != 2 {
			t.Fatalf("after %s: attempt %d of %d, want the second of 2", status, n, len(got.Attempts))
		}
		first := got.Attempts[0]
		wantEnd, wantWall := 40, 20.
		if over > 0 {
			wantEnd, wantWall = 35, 15 // its successor found a checkpoint of step 35
		}
		if first.Exit != exit || first.EndStep != wantEnd || first.Ended != ended || first.WallSeconds != wantWall {
			t.Errorf("first attempt of a trial that is %s: %+v", status, first)
		}
		got.Attempts = nil
		again.Outcome = Outcome{Status: StatusRunning, Metrics: map[string]float64{}}
		if !reflect.DeepEqual(*got, again) {
			t.Errorf("after %s: %+v\nwant: %+v", status, *got, again)
		}
		if steps, err := s.StepRows(keyOf("a")); err != nil || len(steps) > 0 {
			t.Errorf("after %s: %d steps, %v; want none", status, len(steps), err)
		}
		must(t, s.FinishTrial(keyOf("a"), 2, finishDone()))
		if got, err = s.Trial(keyOf("a")); err != nil || got.WallSeconds != wantWall+60 {
			t.Errorf("wall time of both attempts is %v, %v; want %v", got.WallSeconds, err, wantWall+60)
		}
	}
}

// TestBeginAfter: an attempt that is to come next after those its process saw does not
// begin when another came between, also where that has ended.
func TestBeginAfter(t *testing.T) {
	s := newStore(t)
	begin(t, s, trialNamed("a"))
	must(t, s.FinishTrial(keyOf("a"), 1, Finish{Outcome: Outcome{Status: StatusInterrupted}}))
	second := attemptOf(2)
	for _, number := range []int{1, 3} {
		second.Number = number
		if _, err := s.BeginTrial(trialNamed("a"), second, number-1); !errors.Is(err, ErrHeld) {
			t.Errorf("attempt %d: %v, want ErrHeld", number, err)
		}
	}
	second.Number = 2
	if n, err := s.BeginTrial(trialNamed("a"), second, 1); err != nil || n != 2 {
		t.Errorf("attempt 2: number %d, %v", n, err)
	}
}

// TestHolding: one attempt at a time holds a trial. One that was taken over
// changes nothing more, whatever it writes.
func TestHolding(t *testing.T) {
	s := newStore(t)
	key := keyOf("a")
	begin(t, s, trialNamed("a"))
	for _, over := range []int{0, 2} {
		if _, err := s.BeginTrial(trialNamed("a"), attemptOf(2), over); !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), "process 1 on host") {
			t.Errorf("beginning a held trial over attempt %d: %v, want ErrHeld with its process", over, err)
		}
	}
	_, err := s.BeginTrial(trialNamed("a"), attemptOf(2), 1)
	must(t, err)
	before := dump(t, s)
	_, again := s.BeginTrial(trialNamed("a"), attemptOf(3), 1)
	for what, err := range map[string]error{
		"heartbeat": s.Beat(key, 1, Progress{Step: 9}),
		"result":    s.FinishTrial(key, 1, finishDone()),
		"failure":   s.FinishTrial(key, 1, Finish{Outcome: Outcome{Status: StatusFailed}}),
		"takeover":  again,
	} {
		if !errors.Is(err, ErrLost) && !errors.Is(err, ErrHeld) {
			t.Errorf("%s of an attempt taken over: %v", what, err)
		}
	}
	if after := dump(t, s); after != before {
		t.Errorf("refused writes changed the database:\n%s\nfrom:\n%s", after, before)
	}
	must(t, s.FinishTrial(key, 2, Finish{Outcome: Outcome{Status: StatusFailed, Error: "its process died"}}))
	if err := s.FinishTrial(key, 2, finishDone()); !errors.Is(err, ErrLost) {
		t.Errorf("a result after the attempt was ended: %v, want ErrLost", err)
	}
	if err := s.Beat(key, 2, Progress{}); !errors.Is(err, ErrLost) {
		t.Errorf("a heartbeat after the attempt was ended: %v, want ErrLost", err)
	}
}

// TestAllOrNothing: a result that cannot be written leaves the trial running.
func TestAllOrNothing(t *testing.T) {
	s := newStore(t)
	begin(t, s, trialNamed("a"))
	before := dump(t, s)
	f := finishDone()
	f.Classes = append(f.Classes, f.Classes[0])
	if err := s.FinishTrial(keyOf("a"), 1, f); err == nil || !strings.Contains(err.Error(), "category 7") {
		t.Errorf("a category twice: %v, want an error naming it", err)
	}
	f = finishDone()
	f.Detections = []byte("[{")
	if err := s.FinishTrial(keyOf("a"), 1, f); err == nil || !strings.Contains(err.Error(), "detections: not JSON") {
		t.Errorf("broken detections: %v", err)
	}
	if after := dump(t, s); after != before {
		t.Errorf("refused writes changed the database:\n%s\nfrom:\n%s", after, before)
	}
}

func TestBeginRefuses(t *testing.T) {
	s := newStore(t)
	for _, tt := range []struct {
		name   string
		change func(*Trial)
		want   string
	}{
		{"key", func(t *Trial) { t.Key = "abc" }, "trial abc: the key is not a SHA-256 in lower-case hex"},
		{"kind", func(t *Trial) { t.Kind = "rehearsal" }, `kind is "rehearsal"; known: "train", "pretrain"`},
		{"config", func(t *Trial) { t.Config = "loss: 2" }, "the configuration is not JSON"},
		{"provenance", func(t *Trial) { t.Provenance = "{" }, "the provenance is not JSON"},
		{"seed", func(t *Trial) { t.Seed = 1 << 63 }, "seed is 9223372036854775808, want less than 2^63"},
		{"time", func(t *Trial) { t.Started = "" }, "the start time is empty"},
	} {
		trial := trialNamed("a")
		tt.change(&trial)
		if _, err := s.BeginTrial(trial, attemptOf(1), 0); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
	if err := s.FinishTrial(keyOf("a"), 1, Finish{}); err == nil || !strings.Contains(err.Error(), "known: done, diverged, failed, interrupted") {
		t.Errorf("finishing without a status: %v", err)
	}
}

func TestDivergedKeepsItsLastLosses(t *testing.T) {
	s := newStore(t)
	step := 17
	begin(t, s, trialNamed("a"))
	must(t, s.FinishTrial(keyOf("a"), 1, Finish{
		Outcome: Outcome{Status: StatusDiverged, Error: "loss is +Inf", DivergedStep: &step, Finished: "2030-05-01T10:01:00Z"},
		Steps:   []Step{{Step: 16, Loss: 900, Positives: 1}, {Step: 17, Loss: math.Inf(1), GradNorm: math.NaN()}},
	}))
	got, err := s.Trial(keyOf("a"))
	must(t, err)
	if got.Status != StatusDiverged || got.DivergedStep == nil || *got.DivergedStep != step || len(got.Metrics) != 0 {
		t.Errorf("got %+v, want diverged at step 17 without metrics", got)
	}
	steps, err := s.StepRows(keyOf("a"))
	must(t, err)
	if len(steps) != 2 || steps[0].Loss != 900 || !math.IsNaN(steps[1].Loss) || !math.IsNaN(steps[1].GradNorm) {
		t.Errorf("steps %v, want 900, then NaN", steps)
	}
}

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
			trial.Kind = KindPretrain
		}
		begin(t, s, trial)
	}
	must(t, s.FinishTrial(keyOf("a"), 1, finishDone()))
	must(t, s.SaveSweep(Sweep{Name: "gamma", Hash: "1", Created: "2030-05-01T08:00:00Z"}, []Planned{{keyOf("c"), 0}, {keyOf("later"), 1}}))
	same := []string{keyOf("b"), keyOf("c")} // started at the same moment: by key
	slices.Sort(same)
	for _, tt := range []struct {
		name   string
		filter Filter
		want   []string
	}{
		{"all", Filter{}, []string{keyOf("p"), keyOf("a"), same[0], same[1]}},
		{"kind", Filter{Kind: KindTrain}, []string{keyOf("a"), same[0], same[1]}},
		{"status", Filter{Statuses: []string{StatusDone, StatusDiverged}}, []string{keyOf("a")}},
		{"keys", Filter{Keys: []string{keyOf("b"), keyOf("p"), keyOf("none")}}, []string{keyOf("p"), keyOf("b")}},
		{"no keys", Filter{Keys: []string{}}, nil},
		{"sweep", Filter{Sweep: "gamma"}, []string{keyOf("c")}},
		{"sweep and status", Filter{Sweep: "gamma", Statuses: []string{StatusDone}}, nil},
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
	if want := map[string]int{StatusRunning: 3, StatusDone: 1}; !reflect.DeepEqual(counts, want) {
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

func TestPlanGrows(t *testing.T) {
	s := newStore(t)
	sweep := Sweep{Name: "gamma", File: "x", Hash: "1", Created: "2030-05-01T08:00:00Z"}
	must(t, s.SaveSweep(sweep, []Planned{{"b", 0}, {"a", 1}}))
	later := sweep
	later.Created = "2030-05-02T08:00:00Z"
	must(t, s.SaveSweep(later, []Planned{{"c", 0}, {"b", 0}, {"d", 1}}))
	plan, err := s.Plan("gamma", "1")
	must(t, err)
	if want := []Planned{{"b", 0}, {"a", 1}, {"c", 0}, {"d", 1}}; !slices.Equal(plan, want) {
		t.Errorf("plan %v, want %v", plan, want)
	}
	sweeps, err := s.Sweeps()
	must(t, err)
	if !slices.Equal(sweeps, []Sweep{sweep}) {
		t.Errorf("sweeps %v, want %v", sweeps, sweep)
	}
}

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

// BenchmarkList reads a store of 10,000 trials with 10 metrics each, as
// `runner ls` does.
func BenchmarkList(b *testing.B) {
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
			for _, name := range metricNames[:10] {
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
	for _, format := range []string{"text", "json"} {
		b.Run(format, func(b *testing.B) {
			for b.Loop() {
				got, err := s.Trials(Filter{})
				if err != nil || len(got) != trials {
					b.Fatal(len(got), err)
				}
				if err := WriteList(io.Discard, got, format); err != nil {
					b.Fatal(err)
				}
			}
		})
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
		}, ErrNewer, "it has schema 900, this program knows 6; update the program, or name another file with --db"},
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
		text, err := seal([]byte(line), nil)
		must(t, err)
		sealed.Write(text)
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
	if len(b.Attempts) != 1 || b.Attempts[0].Exit != ExitKilled {
		t.Errorf("attempts of a trial left running: %+v, want one that was killed", b.Attempts)
	}
	if bundle, err := ReadBundle(filepath.Join(BundleDir(path), keyOf("a")+".json")); err != nil || bundle.Key != keyOf("a") {
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
		f.Steps = append(f.Steps, Step{Step: i, Loss: float64(i)})
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

// TestReadWhileWriting: readers in their own connection see whole trials only:
// one that is done has all its metrics.
func TestReadWhileWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	s, err := Open(path)
	must(t, err)
	defer s.Close()
	r, err := OpenExisting(path)
	must(t, err)
	defer r.Close()
	const trials = 20
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				got, err := r.Trials(Filter{})
				if err != nil {
					t.Error(err)
					return
				}
				for _, trial := range got {
					if want := 4; trial.Status == StatusDone && len(trial.Metrics) != want {
						t.Errorf("a done trial with %d metrics, want %d", len(trial.Metrics), want)
					}
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for i := range trials {
		name := fmt.Sprint(i)
		begin(t, s, trialNamed(name))
		must(t, s.FinishTrial(keyOf(name), 1, finishDone()))
	}
	close(done)
	wg.Wait()
	got, err := r.Trials(Filter{Statuses: []string{StatusDone}})
	must(t, err)
	if len(got) != trials {
		t.Errorf("%d trials, want %d", len(got), trials)
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

// TestStoreAsModel: any sequence of begins, takeovers and finishes by two
// processes leaves the status and the holder that a map of our own would hold.
func TestStoreAsModel(t *testing.T) {
	type entry struct {
		status   string
		attempts int
		held     bool
	}
	s := newStore(t)
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		model := map[string]entry{}
		mine := map[string]int{} // by process and trial: the attempt it believes to hold
		for range rapid.IntRange(1, 12).Draw(rt, "operations") {
			pid := rapid.IntRange(1, 2).Draw(rt, "process")
			key := keyOf(fmt.Sprint(round, rapid.IntRange(0, 2).Draw(rt, "trial")))
			status := rapid.SampledFrom([]string{"begin", "takeover", StatusDone, StatusFailed, StatusDiverged, StatusInterrupted}).Draw(rt, "what")
			e := model[key]
			final := e.status == StatusDone || e.status == StatusDiverged
			me := fmt.Sprint(pid, key)
			var err error
			ok := true
			if over := e.attempts; status == "begin" || status == "takeover" {
				ok = !final && (!e.held || status == "takeover")
				if status == "begin" {
					over = 0
				}
				trial := trialNamed("")
				trial.Key = key
				var n int
				if n, err = s.BeginTrial(trial, attemptOf(pid), over); err == nil {
					mine[me] = n
				}
				if ok {
					e = entry{StatusRunning, e.attempts + 1, true}
				}
			} else {
				err = s.FinishTrial(key, mine[me], Finish{Outcome: Outcome{Status: status}})
				ok = e.attempts > 0 && mine[me] == e.attempts && (e.held || status == e.status)
				if ok {
					e.status, e.held = status, false
				}
			}
			if ok != (err == nil) {
				rt.Fatalf("%s by %d after %+v: %v", status, pid, e, err)
			}
			model[key] = e
		}
		for key, want := range model {
			if want.attempts == 0 {
				continue
			}
			got, err := s.Trial(key)
			if err != nil || got.Status != want.status || len(got.Attempts) != want.attempts || want.held != (got.Attempts[want.attempts-1].Exit == "") {
				rt.Fatalf("got %+v, %v, want %+v", got, err, want)
			}
		}
	})
}

// TestLocked: a database that another process does not let go of is told as such,
// and nothing is written; once it does, writing goes on.
func TestLocked(t *testing.T) {
	s := newStore(t)
	begin(t, s, trialNamed("a"))
	_, err := s.db.Exec("PRAGMA busy_timeout = 20")
	must(t, err)
	other, err := sql.Open("sqlite3", "file:"+s.path)
	must(t, err)
	defer other.Close()
	other.SetMaxOpenConns(1)
	_, err = other.Exec("BEGIN IMMEDIATE")
	must(t, err)
	_, again := s.BeginTrial(trialNamed("b"), attemptOf(1), 0)
	for what, err := range map[string]error{
		"begin": again, "heartbeat": s.Beat(keyOf("a"), 1, Progress{}), "finish": s.FinishTrial(keyOf("a"), 1, finishDone()),
	} {
		if err == nil || !strings.Contains(err.Error(), s.path) || !strings.Contains(err.Error(), "another process is writing to it: try again") {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = other.Exec("ROLLBACK")
	must(t, err)
	must(t, s.FinishTrial(keyOf("a"), 1, finishDone()))
	if all, err := s.Trials(Filter{}); err != nil || len(all) != 1 || all[0].Status != StatusDone {
		t.Errorf("after that: %d trials, %v", len(all), err)
	}
}
