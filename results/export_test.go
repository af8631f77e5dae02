package results

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func export(t *testing.T, s *Store) string {
	t.Helper()
	var out bytes.Buffer
	must(t, s.Export(&out))
	return out.String()
}

// filled is a store with a sweep, a trial that is done, one that diverged, one that
// failed and one that is running.
func filled(t *testing.T) *Store {
	s := newStore(t)
	for _, name := range []string{"a", "b", "c", "d"} {
		begin(t, s, trialNamed(name))
	}
	must(t, s.SaveSweep(Sweep{Name: "gamma", File: "table: 1b\n", Hash: keyOf("file"), Created: "2030-05-01T09:00:00Z"},
		[]Planned{{keyOf("a"), 0}, {keyOf("b"), 1}}))
	must(t, s.FinishTrial(keyOf("a"), 1, finishDone()))
	step := 1
	diverged := finishDone()
	diverged.Status, diverged.DivergedStep, diverged.Detections, diverged.Metrics = StatusDiverged, &step, nil, nil
	must(t, s.FinishTrial(keyOf("b"), 1, diverged))
	must(t, s.FinishTrial(keyOf("c"), 1, Finish{Outcome: Outcome{Status: StatusFailed, Error: "no <space> & \"quotes\"", Finished: "2030-05-01T10:00:30Z"}}))
	return s
}

func TestBundleThereAndBack(t *testing.T) {
	s := filled(t)
	for _, name := range []string{"a", "b", "c"} {
		want, err := s.Bundle(keyOf(name))
		must(t, err)
		path := filepath.Join(BundleDir(s.Path()), keyOf(name)+".json")
		got, err := ReadBundle(path)
		must(t, err)
		x, err := want.encode()
		must(t, err)
		y, err := got.encode()
		must(t, err)
		onDisk, err := os.ReadFile(path)
		must(t, err)
		if !bytes.Equal(x, y) || !bytes.Equal(x, onDisk) {
			t.Errorf("bundle of %s: the store has\n%sthe file\n%sread and written again\n%s", name, x, onDisk, y)
		}
		if name == "a" && (len(got.Steps) != 2 || len(got.Classes) != 2 || len(got.Attempts) != 1 || got.Detections.Size == 0 || len(got.Metrics) != 4) {
			t.Errorf("the bundle lacks something: %s", x)
		}
	}
	entries, err := os.ReadDir(BundleDir(s.Path()))
	must(t, err)
	if len(entries) != 4 { // three trials and the folder of sweeps
		t.Errorf("%d entries beside the bundles, want 4", len(entries))
	}
}

func TestReadBundleRefuses(t *testing.T) {
	s := filled(t)
	good, err := os.ReadFile(filepath.Join(BundleDir(s.Path()), keyOf("a")+".json"))
	must(t, err)
	replace := func(old, new string) string {
		out := strings.Replace(string(good), old, new, 1)
		if out == string(good) {
			t.Fatalf("the bundle has no %s:\n%s", old, good)
		}
		return out
	}
	dir := t.TempDir()
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "unexpected end of JSON input"},
		{"cut off", string(good[:len(good)/2]), "unexpected end of JSON input"},
		{"no bundle", "{}", `it has no field "bundle"`},
		{"newer", replace(`"bundle":1`, `"bundle":2`), "its format is 2, known is 1; update the program"},
		{"unknown field", replace(`"seed"`, `"sead"`), `unknown field "sead"`},
		{"two", string(good) + string(good), "after top-level value"},
		{"another trial", replace(keyOf("a"), keyOf("b")), "it holds trial " + keyOf("b")[:12]},
		{"key", replace(keyOf("a"), "../../etc"), "the key is not a SHA-256"},
		{"running", replace(`"status":"done"`, `"status":"running"`), `its status is "running"`},
		{"weights", replace(keyOf("weights"), "../x"), "weights are"},
		{"detections", replace(`"sha256":"`, `"sha256":"../`), "detections are"},
		{"columns", replace(`"positives":[12,7]`, `"positives":[12]`), "columns of 2 and 1 values"},
		{"order", replace(`"step":[0,1]`, `"step":[1,0]`), "steps: 0 after 1"},
		{"text", replace(`"lr":[0.01,`, `"lr":["0.01",`), "want a number or null"},
		{"attempts", replace(`"number":1`, `"number":2`), "attempts: number 2 in place 1"},
		{"classes", replace(`"id":7`, `"id":2`), "category 2 after 2"},
	} {
		path := filepath.Join(dir, keyOf("a")+".json")
		must(t, os.WriteFile(path, []byte(tt.text), 0o666))
		_, err := ReadBundle(path)
		if !errors.Is(err, ErrBundle) || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), path) {
			t.Errorf("%s: got %v, want ErrBundle with the path and %q", tt.name, err, tt.want)
		}
	}
	// A file of 1 TB, none of which is on the disk, is refused by its size.
	huge := filepath.Join(dir, keyOf("b")+".json")
	must(t, os.WriteFile(huge, nil, 0o666))
	must(t, os.Truncate(huge, 1<<40))
	if _, err := ReadBundle(huge); err == nil || !strings.Contains(err.Error(), "want a regular file of at most") {
		t.Errorf("a huge file: %v", err)
	}
}

func TestApply(t *testing.T) {
	s := filled(t)
	var bundles []*Bundle
	for _, name := range []string{"a", "b", "c"} {
		b, err := s.Bundle(keyOf(name))
		must(t, err)
		bundles = append(bundles, b)
	}
	other := newStore(t)
	must(t, other.Apply(bundles...))
	once := export(t, other)
	must(t, other.Apply(bundles...))
	if twice := export(t, other); twice != once {
		t.Errorf("applied twice:\n%s\nonce:\n%s", twice, once)
	}
	if _, trials, _ := strings.Cut(export(t, s), "\n"); trials != once { // without the sweep's line
		t.Errorf("the store holds\n%s\napplied to another\n%s", trials, once)
	}
	// A result that contradicts one refuses all of them.
	c := *bundles[2]
	c.Error = "another"
	a := *bundles[0]
	a.Weights = keyOf("other")
	if err := other.Apply(&c, &a); !errors.Is(err, ErrConflict) {
		t.Errorf("other weights: %v, want ErrConflict", err)
	}
	if after := export(t, other); after != once {
		t.Errorf("a refused bundle changed the database to\n%s", after)
	}
}

func TestRebuild(t *testing.T) {
	s := filled(t)
	want := export(t, s)
	must(t, s.Close())
	if _, _, err := Rebuild(s.Path()); err == nil || !strings.Contains(err.Error(), "move it away first") {
		t.Errorf("over a database: %v", err)
	}
	must(t, removeDatabase(s.Path()))
	trials, sweeps, err := Rebuild(s.Path())
	must(t, err)
	if trials != 3 || sweeps != 1 {
		t.Errorf("%d trials and %d sweeps, want 3 and 1", trials, sweeps)
	}
	r, err := OpenExisting(s.Path())
	must(t, err)
	defer r.Close()
	must(t, r.Check())
	if got := export(t, r); got != want {
		t.Errorf("rebuilt:\n%s\nwas:\n%s", got, want)
	}
}

func TestRebuildRefuses(t *testing.T) {
	s := filled(t)
	must(t, s.Close())
	must(t, removeDatabase(s.Path()))
	bad := filepath.Join(BundleDir(s.Path()), keyOf("z")+".json")
	must(t, os.WriteFile(bad, []byte("{"), 0o666))
	if _, _, err := Rebuild(s.Path()); !errors.Is(err, ErrBundle) || !strings.Contains(err.Error(), bad) {
		t.Errorf("a bad bundle: %v, want ErrBundle with its path", err)
	}
	entries, err := os.ReadDir(filepath.Dir(s.Path()))
	must(t, err)
	if len(entries) != 2 { // the folders of bundles and detections
		t.Errorf("it left %v", entries)
	}
	none := filepath.Join(t.TempDir(), "x.db")
	if _, _, err := Rebuild(none); !errors.Is(err, ErrNoBundles) {
		t.Errorf("without bundles: %v, want ErrNoBundles", err)
	}
}

func TestImport(t *testing.T) {
	s := filled(t)
	lines := strings.SplitAfter(export(t, s), "\n") // sweep, then trials by key
	trial := map[string]string{}
	for _, name := range []string{"a", "b", "c"} {
		i := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, `"trial":"`+keyOf(name)+`","kind"`) })
		trial[name] = lines[i]
	}
	edit := func(name, old, new string) string {
		out := strings.ReplaceAll(trial[name], old, new)
		if out == trial[name] {
			t.Fatalf("the line has no %s:\n%s", old, trial[name])
		}
		return out
	}
	all := strings.Join(lines, "")
	later := edit("a", "2030-05-01T10:01:00Z", "2031-01-01T00:00:00Z") // another machine, the same result
	worse := edit("a", `"AP":0.284`, `"AP":0.184`)
	lost := edit("a", keyOf("weights"), keyOf("others"))
	again := edit("c", `"status":"failed"`, `"status":"done"`)
	for _, tt := range []struct {
		name, ours, theirs string
		keep               Keep
		want               string // trials afterwards
		done               Imported
		err                string
	}{
		{"into an empty one", "", all, KeepNone, trial["a"] + trial["b"] + trial["c"], Imported{Sweeps: 1, Added: 3}, ""},
		{"twice", all, all, KeepNone, trial["a"] + trial["b"] + trial["c"], Imported{Sweeps: 1, Same: 3}, ""},
		{"another time", trial["a"], later, KeepNone, trial["a"], Imported{Same: 1}, ""},
		{"one more", trial["a"], trial["b"] + "\n" + trial["c"], KeepNone, trial["a"] + trial["b"] + trial["c"], Imported{Added: 2}, ""},
		{"ended where ours failed", trial["c"], again, KeepNone, again, Imported{Changed: 1}, ""},
		{"failed where ours is done", again, trial["c"], KeepNone, again, Imported{Same: 1}, ""},
		{"conflicts", trial["a"] + trial["b"], worse + trial["b"] + lost, KeepNone, trial["a"] + trial["b"], Imported{},
			"theirs:1: trial " + keyOf("a")[:12] + " is recorded with another result: metrics differ\ntheirs:3: trial " + keyOf("a")[:12] + " is recorded with another result: weights differ"},
		{"ours", trial["a"], worse + trial["b"], KeepOurs, trial["a"] + trial["b"], Imported{Added: 1, Kept: 1}, ""},
		{"theirs", trial["a"], worse + trial["b"], KeepTheirs, worse + trial["b"], Imported{Added: 1, Changed: 1}, ""},
		{"a bad line", trial["a"], trial["b"] + "{\n", KeepNone, trial["a"], Imported{}, "theirs:2: not a result bundle: unexpected end of JSON input"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			into := newStore(t)
			if _, err := into.Import(KeepNone, Source{"ours", strings.NewReader(tt.ours)}); err != nil {
				t.Fatal(err)
			}
			done, err := into.Import(tt.keep, Source{"theirs", strings.NewReader(tt.theirs)})
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			done.Missing = nil
			if fmt.Sprint(done) != fmt.Sprint(tt.done) {
				t.Errorf("did %+v, want %+v", done, tt.done)
			}
			var got []string
			for line := range strings.Lines(export(t, into)) {
				if !strings.Contains(line, `"sweep"`) {
					got = append(got, line)
				}
			}
			want := strings.SplitAfter(strings.TrimSuffix(tt.want, "\n"), "\n")
			want[len(want)-1] += "\n"
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("holds\n%s\nwant\n%s", strings.Join(got, ""), strings.Join(want, ""))
			}
			// What was imported can be rebuilt.
			must(t, into.Close())
			before := export(t, reopen(t, into))
			must(t, removeDatabase(into.Path()))
			if _, _, err := Rebuild(into.Path()); err != nil {
				t.Fatal(err)
			}
			if after := export(t, reopen(t, into)); after != before {
				t.Errorf("rebuilt:\n%s\nwas\n%s", after, before)
			}
		})
	}
}

func reopen(t *testing.T, s *Store) *Store {
	t.Helper()
	r, err := OpenExisting(s.Path())
	must(t, err)
	t.Cleanup(func() { r.Close() })
	return r
}

// TestImportTellsWhatIsMissing: weights and detections travel as files.
func TestImportTellsWhatIsMissing(t *testing.T) {
	s := filled(t)
	all := export(t, s)
	into := newStore(t)
	done, err := into.Import(KeepNone, Source{"x", strings.NewReader(all)})
	must(t, err)
	dir := filepath.Dir(into.Path())
	want := []string{
		filepath.Join(dir, "detections", keyOf(string(finishDone().Detections))+".json.gz"),
		filepath.Join(dir, "weights", keyOf("weights")+".safetensors"),
	}
	if !slices.Equal(done.Missing, want) {
		t.Errorf("missing %v, want %v", done.Missing, want)
	}
}

func FuzzBundle(f *testing.F) {
	b := &Bundle{Trial: trialNamed("a"), Steps: finishDone().Steps, Detections: Blob{keyOf("x"), 3}}
	b.Outcome = finishDone().Outcome
	text, err := b.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"bundle":1,"sweep":"gamma","hash":"1","created":"2030","file":"x","plan":[{"trial":"` + keyOf("a") + `","row":0}]}`))
	f.Add([]byte(`{"bundle":1,"trial":"` + keyOf("a") + `","steps":{"step":[0,1],"loss":[null]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, sw, err := decodeLine(text)
		if err != nil {
			return
		}
		// What is taken is written, and read back the same.
		encode := func() ([]byte, error) {
			if sw != nil {
				return sw.encode()
			}
			return b.encode()
		}
		once, err := encode()
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if b, sw, err = decodeLine(once); err != nil {
			t.Fatalf("%q became %q: %v", text, once, err)
		}
		twice, err := encode()
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%q became %q, then %q: %v", text, once, twice, err)
		}
	})
}
