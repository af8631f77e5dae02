package results

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"focalgrid/results/record"
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

func trialNamed(name string) record.Trial {
	return record.Trial{
		Key: keyOf(name), Kind: record.KindTrain, Config: `{"loss":{"gamma":2,"type":"focal"},"profile":"mini"}`, Seed: 3,
		Dataset: "synth-1", Init: "r18", Engine: "gorgonia", Numerics: "1",
		Started: "2030-05-01T10:00:00Z", Provenance: `{"go":"go1.26.8","threads":2}`,
	}
}

func finishDone() record.Finish {
	return record.Finish{
		Outcome: record.Outcome{
			Status: record.StatusDone, Finished: "2030-05-01T10:01:00Z", WallSeconds: 60, Weights: keyOf("weights"),
			Metrics: map[string]float64{"AP": .284, "AP50": .5, "APs": math.NaN(), "AP.001": .29},
		},
		Steps:      []record.Step{{Step: 0, Loss: 1.2, Losses: record.FirstLosses(1, .2), LR: .01, GradNorm: 3, Positives: 12}, {Step: 1, Loss: 1.1, Losses: record.FirstLosses(.9, .2), LR: .01, GradNorm: 2, Positives: 7}},
		Classes:    []record.ClassMetric{{Category: 7, Name: "disc", AP: .3, AP50: .5, AP75: .2}, {Category: 2, Name: "ring", AP: math.NaN(), AP50: math.NaN(), AP75: math.NaN()}},
		Detections: []byte(`[{"image_id":1,"category_id":7,"bbox":[1,2,3,4],"score":0.5}]`),
		EndStep:    2, PeakBytes: 1 << 20,
	}
}

// attemptOf is an attempt by the process of that number.
func attemptOf(pid int) record.Attempt {
	return record.Attempt{Owner: fmt.Sprint("host/", pid), Host: "host", PID: pid, Environment: `{"threads":2}`}
}

// begin begins a trial that no other attempt holds.
func begin(t *testing.T, s *Store, trial record.Trial) {
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

// TestWritingTwice: every write repeated leaves the database as it was.
func TestWritingTwice(t *testing.T) {
	s := newStore(t)
	sweep := record.Sweep{Name: "gamma", File: "table: 1b\n", Hash: keyOf("file"), Created: "2030-05-01T09:00:00Z"}
	plan := []record.Planned{{Key: keyOf("a"), Row: 0}, {Key: keyOf("b"), Row: 1}}
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
					if want := 4; trial.Status == record.StatusDone && len(trial.Metrics) != want {
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
	got, err := r.Trials(Filter{Statuses: []string{record.StatusDone}})
	must(t, err)
	if len(got) != trials {
		t.Errorf("%d trials, want %d", len(got), trials)
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
			status := rapid.SampledFrom([]string{"begin", "takeover", record.StatusDone, record.StatusFailed, record.StatusDiverged, record.StatusInterrupted}).Draw(rt, "what")
			e := model[key]
			final := e.status == record.StatusDone || e.status == record.StatusDiverged
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
					e = entry{record.StatusRunning, e.attempts + 1, true}
				}
			} else {
				err = s.FinishTrial(key, mine[me], record.Finish{Outcome: record.Outcome{Status: status}})
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
		"begin": again, "heartbeat": s.Beat(keyOf("a"), 1, record.Progress{}), "finish": s.FinishTrial(keyOf("a"), 1, finishDone()),
	} {
		if err == nil || !strings.Contains(err.Error(), s.path) || !strings.Contains(err.Error(), "another process is writing to it: try again") {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = other.Exec("ROLLBACK")
	must(t, err)
	must(t, s.FinishTrial(keyOf("a"), 1, finishDone()))
	if all, err := s.Trials(Filter{}); err != nil || len(all) != 1 || all[0].Status != record.StatusDone {
		t.Errorf("after that: %d trials, %v", len(all), err)
	}
}
