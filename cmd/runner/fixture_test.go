package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// fixture is what revision c9994fb wrote: a sweep of three trials that are done and one
// that diverged, with what its own ls, table and db export printed of them. (Two of its
// three files of weights are left out: they are large, and weights may be missing.)
const fixture = "testdata/revision-c9994fb"

// recipe is what the profile mini had at that revision, and has otherwise today.
const recipe = "--set=optim.warmup=50"

// fixtureTrials are its trials: two of them without their weights, the last diverged.
var fixtureTrials = []string{"9b38d254ca29", "a507a47c8c86", "893780053cb0", "3d30b81c330f"}

// copyFixture lays the records into a folder that the test may write to.
func copyFixture(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(fixture)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// must runs a verb that has to end well, and returns what it printed.
func must(t *testing.T, args ...string) string {
	t.Helper()
	code, out, stderr := runHere(t.Context(), args...)
	if code != exitOK {
		t.Fatalf("runner %s: exit code %d; stderr: %s", strings.Join(args, " "), code, stderr)
	}
	return out
}

// holds tells where recorded has something that now lacks or has otherwise; "" if
// nowhere. What is new beside it is left alone: records may learn to say more.
func holds(now, recorded any, at string) string {
	switch recorded := recorded.(type) {
	case map[string]any:
		m, ok := now.(map[string]any)
		if !ok {
			return fmt.Sprintf("%s is %v, recorded is an object", at, now)
		}
		for key, v := range recorded {
			if _, ok := m[key]; !ok {
				return fmt.Sprintf("%s.%s is gone", at, key)
			}
			if d := holds(m[key], v, at+"."+key); d != "" {
				return d
			}
		}
		return ""
	case []any:
		list, ok := now.([]any)
		if !ok || len(list) != len(recorded) {
			return fmt.Sprintf("%s is %v, recorded is a list of %d", at, now, len(recorded))
		}
		for i, v := range recorded {
			if d := holds(list[i], v, fmt.Sprintf("%s[%d]", at, i)); d != "" {
				return d
			}
		}
		return ""
	}
	if !reflect.DeepEqual(now, recorded) {
		return fmt.Sprintf("%s is %v, recorded is %v", at, now, recorded)
	}
	return ""
}

// sameJSON holds a text of JSON, or of one JSON a line, against a recorded file.
func sameJSON(t *testing.T, what, text, file string) {
	t.Helper()
	recorded, err := os.ReadFile(filepath.Join(fixture, file))
	if err != nil {
		t.Fatal(err)
	}
	values := func(b []byte) (vs []any) {
		d := json.NewDecoder(bytes.NewReader(b))
		for d.More() {
			var v any
			if err := d.Decode(&v); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if m, ok := v.(map[string]any); ok {
				delete(m, "bundle") // the version of the format
				if rows, ok := m["rows"].([]any); ok {
					for _, row := range rows {
						delete(row.(map[string]any), "paper") // of no record; that revision set it beside a row at another learning rate too
					}
				}
			}
			vs = append(vs, v)
		}
		return vs
	}
	if d := holds(values([]byte(text)), values(recorded), what); d != "" {
		t.Errorf("%s: %s", file, d)
	}
}

// sameRecords holds a database against all that revision c9994fb said of its own.
func sameRecords(t *testing.T, db string) {
	t.Helper()
	sameJSON(t, "ls", must(t, "ls", "--db", db, "--format", "json"), "ls.json")
	sameJSON(t, "table", must(t, "table", filepath.Join(fixture, "fixture.yaml"), recipe, "--db", db, "--format", "json"), "table.json")
	sameJSON(t, "export", must(t, "db", "export", "--db", db), "export.jsonl")
}

// Records of that revision are read by every verb, for ever: each says what it said then,
// every trial is still done, and can be trained again to the same bits.
func TestRecordsOfRevisionC9994fb(t *testing.T) {
	t.Setenv("FOCALGRID_CACHE", t.TempDir())
	grid := filepath.Join(fixture, "fixture.yaml")

	t.Run("lists", func(t *testing.T) {
		db := filepath.Join(copyFixture(t), "fg.db")
		sameRecords(t, db)
		out := must(t, "show", fixtureTrials[0], "--db", db)
		for _, want := range []string{
			"9b38d254ca29cb4cc0582d18d68ed7e13bfcf3d55f98e524f1b109d88faa7241",
			"5a3142461f8e2734039369e3707d5bc10d8743b7d7ff828507aa4a981f32566d", "triangle",
		} {
			if !strings.Contains(out, want) {
				t.Errorf("show does not say %s:\n%s", want, out)
			}
		}
		if out := must(t, "compare", fixtureTrials[0], fixtureTrials[1], "--db", db); !strings.Contains(out, "sampler.type") {
			t.Errorf("compare does not name what differs:\n%s", out)
		}
	})

	t.Run("nothing is to do", func(t *testing.T) {
		db := filepath.Join(copyFixture(t), "fg.db")
		if out := must(t, "sweep", grid, recipe, "--db", db, "--dry-run"); !strings.Contains(out, "4 trials, 0 to do") {
			t.Errorf("the plan says:\n%s", out)
		}
		must(t, "sweep", grid, recipe, "--db", db)
		sameRecords(t, db)
	})

	t.Run("verify", func(t *testing.T) {
		db := filepath.Join(copyFixture(t), "fg.db")
		for _, trial := range fixtureTrials {
			if out := must(t, "verify", trial, "--db", db); !strings.Contains(out, "equal to the bit") {
				t.Errorf("trial %s: %s", trial, out)
			}
		}
	})

	t.Run("detect", func(t *testing.T) {
		dir := copyFixture(t)
		found := filepath.Join(dir, "found.json")
		must(t, "detect", fixtureTrials[0], "--db", filepath.Join(dir, "fg.db"), "--val", "12", "--coco", found)
		text, err := os.ReadFile(found)
		var list []struct {
			CategoryID int `json:"category_id"`
		}
		if err := json.Unmarshal(text, &list); err != nil {
			t.Fatal(err)
		}
		// All of them were recorded, with the categories of the generated set.
		if err != nil || len(list) != 1200 || list[0].CategoryID < 1 || list[0].CategoryID > 4 {
			t.Errorf("%d detections (%v), expected the 1,200 that were recorded", len(list), err)
		}
	})

	t.Run("plot", func(t *testing.T) {
		dir := copyFixture(t)
		args := func(trial string) []string {
			return []string{"plot", "4", "--trial", trial, "--db", filepath.Join(dir, "fg.db"), "-o", filepath.Join(dir, "figure.svg")}
		}
		if out := must(t, args(fixtureTrials[0])...); !strings.Contains(out, "hardest 20% of foreground") {
			t.Errorf("no shares of the loss are printed:\n%s", out)
		}
		for i, want := range map[int]string{1: "final weights of trial", 3: "has no final weights"} {
			if code, _, stderr := runHere(t.Context(), args(fixtureTrials[i])...); code != exitUsage || !strings.Contains(stderr, want) {
				t.Errorf("trial %s without weights: exit code %d, %s", fixtureTrials[i], code, stderr)
			}
		}
	})

	t.Run("rebuild", func(t *testing.T) {
		dir := copyFixture(t)
		db := filepath.Join(dir, "fg.db")
		if err := os.Remove(db); err != nil {
			t.Fatal(err)
		}
		must(t, "db", "rebuild", "--db", db)
		sameRecords(t, db)
	})

	t.Run("import", func(t *testing.T) {
		dir := copyFixture(t)
		db := filepath.Join(dir, "other.db")
		must(t, "db", "import", "--db", db, filepath.Join(dir, "export.jsonl"))
		sameRecords(t, db)
	})
}
