package results

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"focalgrid/results/files"
	"focalgrid/results/record"
)

func TestGarbage(t *testing.T) {
	s := newStore(t)
	dir := filepath.Dir(s.Path())
	put := func(name string) string {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o777))
		must(t, os.WriteFile(path, []byte("0123456789"), 0o666))
		return path
	}
	diff := []byte("+ a line")
	must(t, s.KeepDiff(diff))
	if got, err := s.Diff(files.BlobOf(diff).Hash); err != nil || string(got) != string(diff) {
		t.Errorf("difference %q, %v", got, err)
	}
	if _, err := s.Diff(keyOf("none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a difference that is not there: %v", err)
	}
	for _, name := range []string{"done", "stopped", "running"} {
		trial := trialNamed(name)
		trial.Provenance = `{"diff":"` + files.BlobOf(diff).Hash + `"}`
		begin(t, s, trial)
	}
	must(t, s.FinishTrial(keyOf("done"), 1, finishDone()))
	must(t, s.FinishTrial(keyOf("stopped"), 1, record.Finish{Outcome: record.Outcome{Status: record.StatusInterrupted, Finished: "2030-05-01T10:01:00Z"}}))

	// Another database in the folder needs weights of its own, a lost one's bundle too.
	for _, name := range []string{"other.db", "lost.db"} {
		other, err := Open(filepath.Join(dir, name))
		must(t, err)
		begin(t, other, trialNamed(name))
		f := finishDone()
		f.Weights = keyOf(name)
		must(t, other.FinishTrial(keyOf(name), 1, f))
		must(t, other.Close())
	}
	must(t, removeDatabase(filepath.Join(dir, "lost.db")))
	put("weights/" + keyOf("weights") + ".safetensors")
	put("weights/" + keyOf("other.db") + ".safetensors")
	put("weights/" + keyOf("lost.db") + ".safetensors")
	work := "focalgrid.db.work/"
	put(work + keyOf("running") + "/step-00000003.safetensors")
	put(work + keyOf("stopped") + "/step-00000003.safetensors")
	put("notes.txt")

	want := []string{
		filepath.Dir(filepath.Dir(put(".focalgrid.db.rebuild/123/focalgrid.db"))),
		put(".focalgrid.db.rebuild-wal"), // of an older version
		put("focalgrid.db.bundles/.x.json.12"),
		put("focalgrid.db.bundles/sweeps/.y.json.12"),
		filepath.Dir(put(work + keyOf("done") + "/step-00000003.safetensors")),
		filepath.Dir(put(work + keyOf("never") + "/step-00000003.safetensors")),
		put(work + keyOf("running") + "/.step-00000004.safetensors.12"),
		put("weights/.z.safetensors.12"),
		put("weights/" + keyOf("nobody's") + ".safetensors"),
		put("detections/" + keyOf("nobody's") + ".json.gz"),
		put("diffs/" + keyOf("nobody's") + ".diff"),
	}
	slices.Sort(want)
	paths := func(before time.Time) []string {
		t.Helper()
		garbage, err := s.Garbage(before)
		must(t, err)
		var got []string
		for _, g := range garbage {
			got = append(got, g.Path)
			if g.Size != 10 || g.Why == "" {
				t.Errorf("garbage %+v, want 10 bytes and a reason", g)
			}
		}
		slices.Sort(got)
		return got
	}
	if got := paths(time.Now().Add(time.Hour)); !slices.Equal(got, want) {
		t.Errorf("garbage\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := paths(time.Now().Add(-time.Hour)); got != nil {
		t.Errorf("files of this moment are garbage: %v", got)
	}

	// What can't be read may need anything.
	noise := filepath.Join(dir, "noise.db")
	must(t, os.WriteFile(noise, []byte("SQLite format 3\x00"+strings.Repeat("noise", 2000)), 0o666))
	if _, err := s.Garbage(time.Now()); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), noise) {
		t.Errorf("beside a damaged database: %v, want ErrCorrupt with its path", err)
	}
}
