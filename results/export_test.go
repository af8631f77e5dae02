package results

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"focalgrid/results/files"
	"focalgrid/results/record"
)

// sealStart begins the checksum that ends a line.
const sealStart = `,"sha256":"`

// plain is a sealed line in the form of older versions, which has no checksum.
func plain(line string) string {
	at := strings.LastIndex(line, sealStart)
	return strings.NewReplacer(`{"bundle":3,`, `{"bundle":1,`, `,"labels":null`, "").Replace(line[:at] + "}\n")
}

// resealed is a line with the checksum of what it has become.
func resealed(t *testing.T, line string) string {
	t.Helper()
	content := line[:strings.LastIndex(line, sealStart)]
	return fmt.Sprintf("%s%s%x\"}\n", content, sealStart, sha256.Sum256([]byte(content)))
}

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
	must(t, s.SaveSweep(record.Sweep{Name: "gamma", File: "table: 1b\n", Hash: keyOf("file"), Created: "2030-05-01T09:00:00Z"},
		[]record.Planned{{Key: keyOf("a"), Row: 0}, {Key: keyOf("b"), Row: 1}}))
	must(t, s.FinishTrial(keyOf("a"), 1, finishDone()))
	step := 1
	diverged := finishDone()
	diverged.Status, diverged.DivergedStep, diverged.Detections, diverged.Metrics = record.StatusDiverged, &step, nil, nil
	must(t, s.FinishTrial(keyOf("b"), 1, diverged))
	must(t, s.FinishTrial(keyOf("c"), 1, record.Finish{Outcome: record.Outcome{Status: record.StatusFailed, Error: "no <space> & \"quotes\"", Finished: "2030-05-01T10:00:30Z"}}))
	return s
}

func TestBundleThereAndBack(t *testing.T) {
	s := filled(t)
	for _, name := range []string{"a", "b", "c"} {
		want, err := s.bundle(keyOf(name))
		must(t, err)
		path := filepath.Join(record.BundleDir(s.Path()), keyOf(name)+".json")
		got, err := record.ReadBundle(path)
		must(t, err)
		x, err := want.Encode()
		must(t, err)
		y, err := got.Encode()
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
	entries, err := os.ReadDir(record.BundleDir(s.Path()))
	must(t, err)
	if len(entries) != 4 { // three trials and the folder of sweeps
		t.Errorf("%d entries beside the bundles, want 4", len(entries))
	}
}

func TestReadBundleRefuses(t *testing.T) {
	s := filled(t)
	good, err := os.ReadFile(filepath.Join(record.BundleDir(s.Path()), keyOf("a")+".json"))
	must(t, err)
	change := func(text, old, new string) string {
		t.Helper()
		out := strings.Replace(text, old, new, 1)
		if out == text {
			t.Fatalf("the bundle has no %s:\n%s", old, text)
		}
		return out
	}
	sealed := func(old, new string) string { t.Helper(); return change(string(good), old, new) }
	replace := func(old, new string) string { t.Helper(); return change(plain(string(good)), old, new) }
	dir := t.TempDir()
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "unexpected end of JSON input"},
		{"cut off", string(good[:len(good)/2]), "unexpected end of JSON input"},
		{"no bundle", "{}", `it has no field "bundle"`},
		{"newer", replace(`"bundle":1`, `"bundle":4`), "its format is 4, known are 1 to 3; update the program"},
		{"a digit", sealed(`"AP50":0.5`, `"AP50":0.6`), "its content has another checksum than it carries"},
		{"a space", sealed(`"seed":3`, `"seed": 3`), "its content has another checksum than it carries"},
		{"its checksum", sealed(`"sha256":"`, `"sha257":"`), "its content has another checksum than it carries"}, // of the detections
		{"no checksum", replace(`"bundle":1`, `"bundle":2`), "it does not end with its checksum"},
		{"no checksum, and newer", replace(`"bundle":1`, `"bundle":3`), "it does not end with its checksum"},
		{"older than it is", sealed(`"bundle":3`, `"bundle":1`), "it has fields of a later one"},
		{"older losses", replace(`"cls_loss"`, `"far_loss"`), "its format is 1, and it has fields of a later one"},
		{"loss by another name", replace(`"cls_loss"`, `"cls"`), `steps: unknown field "cls"`},
		{"a name of no loss", resealed(t, sealed(`"cls_loss"`, `"Far_loss"`)), `a loss has the name "Far"`},
		{"one loss twice", resealed(t, sealed(`"cls_loss"`, `"box_loss"`)), `a loss has the name "box"`},
		{"metric", replace(`"AP50":0.5`, `"AP50":1e300`), `metric "AP50": 1e+300, want 0 to 1`},
		{"metric below 0", replace(`"AP50":0.5`, `"AP50":-1`), `metric "AP50": -1, want 0 to 1`},
		{"class", replace(`"AP75":0.2`, `"AP75":2`), `classes: category 7: 2, want 0 to 1`},
		{"step", replace(`"step":[0,`, `"step":[-1,`), "step -1: 12 positives"},
		{"attempt", replace(`"beats":0`, `"beats":-1`), "attempt 1: a count is below 0"},
		{"diverged", replace(`"diverged_step":null`, `"diverged_step":4`), "it is done, and diverged at step 4"},
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
		_, err := record.ReadBundle(path)
		if !errors.Is(err, record.ErrBundle) || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), path) {
			t.Errorf("%s: got %v, want ErrBundle with the path and %q", tt.name, err, tt.want)
		}
	}
	// A file of 1 TB, none of which is on the disk, is refused by its size.
	huge := filepath.Join(dir, keyOf("b")+".json")
	must(t, os.WriteFile(huge, nil, 0o666))
	must(t, os.Truncate(huge, 1<<40))
	if _, err := record.ReadBundle(huge); err == nil || !strings.Contains(err.Error(), "want a regular file of at most") {
		t.Errorf("a huge file: %v", err)
	}
}

func TestApply(t *testing.T) {
	s := filled(t)
	var bundles []*record.Bundle
	for _, name := range []string{"a", "b", "c"} {
		b, err := s.bundle(keyOf(name))
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
	if _, err := Rebuild(s.Path(), nil); err == nil || !strings.Contains(err.Error(), "move it away first") {
		t.Errorf("over a database: %v", err)
	}
	must(t, removeDatabase(s.Path()))
	did, err := Rebuild(s.Path(), nil)
	must(t, err)
	if want := (Rebuilt{Found: 4, Trials: 3, Sweeps: 1, Unchecked: Unchecked{Unkeyed: 3}}); !reflect.DeepEqual(did, want) {
		t.Errorf("did %+v, want %+v", did, want)
	}
	r, err := OpenExisting(s.Path())
	must(t, err)
	defer r.Close()
	must(t, r.Check())
	if got := export(t, r); got != want {
		t.Errorf("rebuilt:\n%s\nwas:\n%s", got, want)
	}
}

// TestRebuildRefuses: what can't be taken is named, and the rest is taken.
func TestRebuildRefuses(t *testing.T) {
	s := filled(t)
	want := export(t, s)
	must(t, s.Close())
	must(t, removeDatabase(s.Path()))
	dir := record.BundleDir(s.Path())
	put := func(name, text string) string {
		path := filepath.Join(dir, name+".json")
		must(t, os.WriteFile(path, []byte(text), 0o666))
		return path
	}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, keyOf(name)+".json"))
		must(t, err)
		return string(text)
	}
	older := put(keyOf("c"), plain(read("c")))
	bad := put(keyOf("z"), "{")
	stray := put(filepath.Join("sweeps", keyOf("sweep")), plain(strings.SplitAfter(want, "\n")[0]))
	fake := put(keyOf("a"), resealed(t, strings.Replace(read("a"), `"seed":3`, `"seed":4`, 1)))
	key := record.KeyOf(func(t *record.Trial) (string, error) {
		switch {
		case t.Key == keyOf("b"):
			return "", errors.New("unknown settings")
		case t.Seed != 3:
			return keyOf("another"), nil
		}
		return t.Key, nil
	})
	did, err := Rebuild(s.Path(), key)
	must(t, err)
	if did.Found != 6 || did.Trials != 2 || did.Sweeps != 1 || did.Unsealed != 1 || did.Unkeyed != 1 {
		t.Errorf("did %+v", did)
	}
	for i, want := range []struct{ at, why string }{
		{stray, "its file has another hash than it says"},
		{fake, "its settings, seed and data have the key " + keyOf("another")[:12]},
		{bad, "unexpected end of JSON input"},
	} {
		if !slices.ContainsFunc(did.Refused, func(err error) bool {
			return strings.HasPrefix(err.Error(), want.at) && strings.Contains(err.Error(), want.why)
		}) {
			t.Errorf("refused %v, want %s: %s", did.Refused, want.at, want.why)
		}
		if len(did.Refused) != 3 {
			t.Errorf("%d: refused %v", i, did.Refused)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(s.Path()))
	must(t, err)
	if len(entries) != 3 { // the database, and the folders of bundles and detections
		t.Errorf("it left %v", entries)
	}
	if got := export(t, reopen(t, s)); got == want || !strings.Contains(got, keyOf("b")) || !strings.Contains(got, older[len(dir)+1:len(dir)+65]) {
		t.Errorf("rebuilt\n%s\nfrom\n%s", got, want)
	}

	none := filepath.Join(t.TempDir(), "x.db")
	if _, err := Rebuild(none, nil); !errors.Is(err, ErrNoBundles) {
		t.Errorf("without bundles: %v, want ErrNoBundles", err)
	}
	must(t, os.MkdirAll(record.BundleDir(none), 0o777))
	must(t, os.WriteFile(filepath.Join(record.BundleDir(none), keyOf("a")+".json"), []byte("{"), 0o666))
	if did, err := Rebuild(none, nil); !errors.Is(err, ErrNoBundles) || len(did.Refused) != 1 || exists(none) {
		t.Errorf("with a broken one alone: %+v, %v, want ErrNoBundles and no database", did, err)
	}
}

// TestRebuildReplacesNothing: a database, or what belongs to one, that appears while
// another is made anew stays as it is.
func TestRebuildReplacesNothing(t *testing.T) {
	for _, suffix := range sidecars {
		s := filled(t)
		must(t, s.Close())
		must(t, removeDatabase(s.Path()))
		appeared := s.Path() + suffix
		key := func(*record.Trial) (string, error) { // is asked while it works
			must(t, os.WriteFile(appeared, []byte("another's"), 0o666))
			return "", errors.New("unknown")
		}
		if _, err := Rebuild(s.Path(), key); err == nil || !strings.Contains(err.Error(), "move it away first") {
			t.Errorf("%q appeared: %v", suffix, err)
		}
		if got, err := os.ReadFile(appeared); err != nil || string(got) != "another's" {
			t.Errorf("%q appeared, and is now %q, %v", suffix, got, err)
		}
		if suffix != "" && exists(s.Path()) {
			t.Errorf("%q appeared: there is a database beside it", suffix)
		}
		if rest, _ := filepath.Glob(rebuildPath(s.Path()) + "*"); len(rest) > 0 {
			t.Errorf("it left %v", rest)
		}
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
	altered := func(name, old, new string) string {
		t.Helper()
		out := strings.ReplaceAll(trial[name], old, new)
		if out == trial[name] {
			t.Fatalf("the line has no %s:\n%s", old, trial[name])
		}
		return out
	}
	edit := func(name, old, new string) string { t.Helper(); return resealed(t, altered(name, old, new)) }
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
		{"a bad line", trial["a"], trial["b"] + "{\n", KeepNone, trial["a"] + trial["b"],
			Imported{Added: 1, Refused: []error{errors.New("theirs:2: not a result bundle: unexpected end of JSON input")}}, ""},
		{"an altered line", trial["a"], altered("c", `"seed":3`, `"seed":4`) + trial["b"], KeepNone, trial["a"] + trial["b"],
			Imported{Added: 1, Refused: []error{errors.New("theirs:1: not a result bundle: its content has another checksum than it carries: it was altered or damaged")}}, ""},
		{"of an older version", trial["a"], plain(trial["b"]), KeepNone, trial["a"] + trial["b"], Imported{Added: 1, Unchecked: Unchecked{Unsealed: 1}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			into := newStore(t)
			if _, err := into.Import(KeepNone, nil, Source{"ours", strings.NewReader(tt.ours)}); err != nil {
				t.Fatal(err)
			}
			done, err := into.Import(tt.keep, nil, Source{"theirs", strings.NewReader(tt.theirs)})
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			done.Missing, done.Unkeyed = nil, 0
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
			if _, err := Rebuild(into.Path(), nil); err != nil {
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
	done, err := into.Import(KeepNone, nil, Source{"x", strings.NewReader(all)})
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
	b := &record.Bundle{Trial: trialNamed("a"), Steps: finishDone().Steps, Detections: files.Blob{Hash: keyOf("x"), Size: 3}}
	b.Outcome = finishDone().Outcome
	text, err := b.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(plain(string(text))))
	f.Add([]byte(`{"bundle":1,"sweep":"gamma","hash":"` + keyOf("x") + `","created":"2030","file":"x","plan":[{"trial":"` + keyOf("a") + `","row":0}]}`))
	c := choiceOf("a")
	if text, err = c.Encode(); err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"bundle":1,"trial":"` + keyOf("a") + `","steps":{"step":[0,1],"loss":[null]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := record.DecodeLine(text)
		if err != nil {
			return
		}
		// What is taken is written, and read back the same.
		encode := func() ([]byte, error) {
			switch {
			case l.Choice != nil:
				return l.Choice.Encode()
			case l.Sweep != nil:
				return l.Sweep.Encode()
			}
			return l.Trial.Encode()
		}
		once, err := encode()
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if l, err = record.DecodeLine(once); err != nil {
			t.Fatalf("%q became %q: %v", text, once, err)
		}
		twice, err := encode()
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%q became %q, then %q: %v", text, once, twice, err)
		}
	})
}
