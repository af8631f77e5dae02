package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"focalgrid/results/files"
	"focalgrid/results/record"
)

// TestFlippedBits: one bit flipped in any file that a database needs is found by Check, or
// changes nothing that is read. A flipped export is refused in part, or brings the same.
func TestFlippedBits(t *testing.T) {
	s := newStore(t)
	path := s.Path()
	weights := []byte(strings.Repeat("weights", 100))
	must(t, files.Write(s.WeightsPath(files.BlobOf(weights).Hash), weights))
	diff := []byte("- old\n+ new\n")
	must(t, s.KeepDiff(diff))
	for _, name := range []string{"a", "b", "c"} {
		trial := trialNamed(name)
		trial.Labels = []record.Label{{ID: 7, Name: "disc"}, {ID: 2, Name: "ring"}}
		trial.Provenance = `{"go":"go1.26.8","diff":"` + files.BlobOf(diff).Hash + `"}`
		begin(t, s, trial)
	}
	must(t, s.SaveSweep(record.Sweep{Name: "gamma", File: "table: 1b\n", Hash: keyOf("file"), Created: "2030-05-01T09:00:00Z"},
		[]record.Planned{{Key: keyOf("a"), Row: 0}, {Key: keyOf("b"), Row: 1}, {Key: keyOf("c"), Row: 2}}))
	done := finishDone()
	done.Weights = files.BlobOf(weights).Hash
	must(t, s.FinishTrial(keyOf("a"), 1, done))
	step := 1
	must(t, s.FinishTrial(keyOf("b"), 1, record.Finish{Outcome: record.Outcome{Status: record.StatusDiverged, DivergedStep: &step, Finished: "2030-05-01T10:01:00Z"}, Steps: done.Steps}))
	must(t, s.FinishTrial(keyOf("c"), 1, record.Finish{Outcome: record.Outcome{Status: record.StatusFailed, Error: "no space", Finished: "2030-05-01T10:00:30Z"}}))
	must(t, s.SaveChoice(choiceOf("row")))
	exported := export(t, s)
	must(t, s.Close())
	want, err := readAll(path)
	must(t, err)
	if c, err := Check(path, nil, false); err != nil || len(c.Found)+len(c.Missing) > 0 || c.Files != 3 || c.Bundles != 5 {
		t.Fatalf("before any damage: %+v, %v", c, err)
	}

	random := rand.New(rand.NewPCG(1, 2))
	// flip changes a bit of the text, in two cases of three where it is not zero.
	flip := func(text []byte) string {
		at := random.IntN(len(text))
		for written := random.IntN(3) > 0; written && text[at] == 0; {
			at = random.IntN(len(text))
		}
		bit := random.IntN(8)
		text[at] ^= 1 << bit
		return fmt.Sprintf("bit %d of byte %d", bit, at)
	}
	dir := filepath.Dir(path)
	for _, tt := range []struct {
		glob  string
		flips int
	}{
		{path, 120},
		{filepath.Join(record.BundleDir(path), "*.json"), 12},
		{filepath.Join(record.BundleDir(path), record.SweepDir, "*"), 15},
		{filepath.Join(record.BundleDir(path), record.ChoiceDir, "*"), 15},
		{filepath.Join(dir, "weights", "*"), 15},
		{filepath.Join(dir, "detections", "*"), 30},
		{filepath.Join(dir, "diffs", "*"), 10},
	} {
		files, err := filepath.Glob(tt.glob)
		must(t, err)
		if len(files) == 0 {
			t.Fatalf("%s: no file", tt.glob)
		}
		noticed := 0
		for _, file := range files {
			good, err := os.ReadFile(file)
			must(t, err)
			for range tt.flips {
				bad := append([]byte(nil), good...)
				what := flip(bad)
				must(t, os.WriteFile(file, bad, 0o666))
				c, err := Check(path, nil, false)
				if err != nil || len(c.Found) > 0 {
					noticed++
				} else if got, err := readAll(path); err != nil || got != want {
					t.Errorf("%s, %s: nothing was found, and what is read changed: %v", file, what, err)
				}
				must(t, os.WriteFile(file, good, 0o666))
				for _, suffix := range sidecars[1:] {
					os.Remove(path + suffix)
				}
			}
		}
		t.Logf("%s: %d of %d found", tt.glob, noticed, tt.flips*len(files))
	}

	refused := 0
	for range 25 {
		bad := []byte(exported)
		what := flip(bad)
		into := newStore(t)
		did, err := into.Import(KeepNone, nil, Source{"x", strings.NewReader(string(bad))})
		if err != nil || len(did.Refused) > 0 {
			refused++
		} else if got := export(t, into); got != exported {
			t.Errorf("export, %s: taken, and another one now", what)
		}
		must(t, into.Close())
	}
	t.Logf("exports: %d of 25 refused", refused)
}

// readAll reads all that can be read of a database.
func readAll(path string) (string, error) {
	s, err := OpenExisting(path)
	if err != nil {
		return "", err
	}
	defer s.Close()
	var out strings.Builder
	trials, err := s.Trials(Filter{})
	if err := errors.Join(err, s.Export(&out)); err != nil {
		return "", err
	}
	for _, listed := range trials {
		t, err := s.Trial(listed.Key)
		if err != nil {
			return "", err
		}
		classes, cerr := s.Classes(t.Key)
		steps, serr := s.StepRows(t.Key)
		detections, derr := s.Detections(t.Key)
		text, eerr := (&record.Bundle{Trial: *t, Classes: classes, Steps: steps}).Encode()
		again, lerr := (&record.Bundle{Trial: listed}).Encode()
		if err := errors.Join(cerr, serr, derr, eerr, lerr); err != nil {
			return "", err
		}
		var from struct{ Diff string }
		if err := json.Unmarshal([]byte(t.Provenance), &from); err != nil {
			return "", err
		}
		diff, err := s.Diff(from.Diff)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(&out, string(text), string(again), string(detections), string(diff))
		if t.Weights != "" {
			weights, err := os.ReadFile(s.WeightsPath(t.Weights))
			if err != nil {
				return "", err
			}
			fmt.Fprintln(&out, string(weights))
		}
	}
	return out.String(), nil
}
