package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"focalgrid/dataset/synthetic"
)

// contents reads all files of a folder, by name.
func contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(name)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// drawn makes a small set; c may be changed first.
func drawn(t testing.TB) (dir string, c synthetic.Config) {
	t.Helper()
	dir, c = filepath.Join(t.TempDir(), "set"), tinySynth()
	if note, err := Generate(t.Context(), dir, c, GenerateOptions{Own: true}); note != "" || err != nil {
		t.Fatalf("%q, %v", note, err)
	}
	return dir, c
}

// TestMend: whatever is damaged or missing in a folder of our own is drawn again to the
// same bytes, and said so; in another's folder it is refused, and nothing is touched.
func TestMend(t *testing.T) {
	dir, c := drawn(t)
	whole := contents(t, dir)
	if len(whole) != 12+3+2 {
		t.Fatalf("%d files, want pictures, annotations, marker and checksums", len(whole))
	}
	at := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	edit := func(name string, change func(string) string) func() {
		return func() { put(t, at(name), []byte(change(whole[name]))) }
	}
	remove := func(name string) func() {
		return func() {
			if err := os.RemoveAll(at(name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	flip := func(s string) string {
		b := []byte(s)
		b[len(b)*2/3] ^= 8
		return string(b)
	}
	tests := []struct {
		name   string
		damage func()
		note   string // of our own folder
		refuse string // of another's; empty: it is mended or taken as it is
	}{
		{"nothing", func() {}, "", ""},
		{"a stray file", edit("notes.txt", func(string) string { return "mine" }), "", ""},
		{"a picture", edit("train/000000000002.jpg", flip), "1 file damaged or missing, such as train/000000000002.jpg: drawn again", "1 file, such as train/000000000002.jpg"},
		{"a cut picture", edit("val/000000000001.jpg", func(s string) string { return s[:100] }), "such as val/000000000001.jpg", "not as it was drawn"},
		{"a missing picture", remove("val/000000000001.jpg"), "1 file damaged or missing", "not as it was drawn"},
		{"a missing split", remove("tune"), "2 files damaged or missing, such as tune/000000000001.jpg", "not as it was drawn"},
		{"annotations", edit("annotations/instances_val.json", flip), "such as annotations/instances_val.json", "annotations/instances_val.json"},
		{"marker", edit(markerName, flip), "1 file damaged or missing, such as synthetic.json", ""},
		{"no marker", remove(markerName), "such as synthetic.json", "has no synthetic.json"},
		{"marker of another set", edit(markerName, func(s string) string {
			return strings.Replace(s, synthetic.Identity(c), synthetic.Identity(smallSynth()), 1)
		}), "such as synthetic.json", "asked for is"},
		{"checksums", edit(sumsName, flip), "synthetic.sha256 was damaged: written again", ""},
		{"cut checksums", edit(sumsName, func(s string) string { return s[:len(s)/2] }), "synthetic.sha256 was damaged: written again", ""},
		{"no checksums", remove(sumsName), "", ""},
		{"no checksums, a picture", func() { remove(sumsName)(); edit("train/000000000002.jpg", flip)() }, "such as train/000000000002.jpg", "train/000000000002.jpg"},
	}
	for _, own := range []bool{true, false} {
		for _, tt := range tests {
			t.Run(fmt.Sprintf("%s, own %t", tt.name, own), func(t *testing.T) {
				for name, data := range whole {
					put(t, at(name), []byte(data))
				}
				tt.damage()
				before := contents(t, dir)
				note, err := Generate(t.Context(), dir, c, GenerateOptions{Own: own})
				after := contents(t, dir)
				if strings.Contains(tt.name, "stray") {
					if after["notes.txt"] != "mine" {
						t.Error("a file of somebody else is gone")
					}
					os.Remove(at("notes.txt"))
				}
				delete(after, "notes.txt")
				if !own && (tt.refuse != "" || tt.name == "marker") {
					if !errors.Is(err, ErrOtherFolder) || !strings.Contains(err.Error(), tt.refuse) || !maps.Equal(before, after) {
						t.Errorf("error %v, want ErrOtherFolder with %q and the folder as it was", err, tt.refuse)
					}
					return
				}
				if err != nil || !maps.Equal(after, whole) {
					t.Errorf("error %v, and the folder equals the one drawn first: %t", err, maps.Equal(after, whole))
				}
				if own && (!strings.Contains(note, tt.note) || (note == "") != (tt.note == "")) {
					t.Errorf("note %q, want one with %q", note, tt.note)
				}
			})
		}
	}
}

// TestGenerateAbandoned: what a killed process leaves beside the folder is cleared, what
// another one is filling is not, nor is what only looks like it.
func TestGenerateAbandoned(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "set")
	for _, name := range []string{".set.tmp-7", ".set.tmp-old", ".other.tmp-7"} {
		put(t, filepath.Join(root, name, "train", "x.jpg"), []byte("half"))
	}
	busy, release, err := temporary(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if _, err := Generate(t.Context(), dir, tinySynth(), GenerateOptions{}); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{".other.tmp-7", filepath.Base(busy), ".set.tmp-old", "set"}; !slices.Equal(names, want) {
		t.Errorf("there is %q, want %q", names, want)
	}
}

// TestGenerateKeepsUmask: folders and files have the permissions that the user's umask leaves.
func TestGenerateKeepsUmask(t *testing.T) {
	if os.Getenv("FOCALGRID_TEST_UMASK") == "" {
		cmd := exec.Command("sh", "-c", `umask 077; exec "$0" -test.run '^TestGenerateKeepsUmask$'`, os.Args[0])
		cmd.Env = append(os.Environ(), "FOCALGRID_TEST_UMASK=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	dir, _ := drawn(t)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		info, ierr := d.Info()
		if ierr == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is %v with a umask of 077", path, info.Mode())
		}
		return errors.Join(err, ierr)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestMutations flips bits of generated files and of the cache of pictures: what is read
// then has the same bits, or is refused, and a run that prepares the data first always has them.
func TestMutations(t *testing.T) {
	dir, c := drawn(t)
	cache := filepath.Join(t.TempDir(), "pictures")
	tr := Transform{ShortSide: 32, PadTo: 32, Std: [3]float32{1, 1, 1}}
	// read is what training would see of all splits: boxes, labels and pixels.
	read := func() (string, error) {
		var all strings.Builder
		for _, split := range synthetic.Splits {
			s, err := Open(dir, split)
			if err != nil {
				return "", err
			}
			l, err := NewLoader(s, tr, LoaderOptions{Batch: 1, Pictures: cache}, nil)
			if err != nil {
				return "", err
			}
			b, err := l.Eval(0, l.Len())
			if err != nil {
				return "", err
			}
			fmt.Fprintln(&all, b.Pixels, b.Items, s.Classes, s.GroundTruth())
		}
		return all.String(), nil
	}
	want, err := read()
	if err != nil {
		t.Fatal(err)
	}
	whole, cached := contents(t, dir), contents(t, cache)
	if len(cached) != 12 {
		t.Fatalf("%d pictures are cached, want 12", len(cached))
	}
	names := slices.Sorted(maps.Keys(whole))
	for name := range cached {
		names = append(names, "cache "+name)
	}
	slices.Sort(names)
	rng := rand.New(rand.NewPCG(1, 2))
	refused, mended := 0, 0
	for n := range 96 {
		name := names[n%len(names)]
		path, data := filepath.Join(dir, filepath.FromSlash(name)), whole[name]
		if in, ok := strings.CutPrefix(name, "cache "); ok {
			path, data = filepath.Join(cache, filepath.FromSlash(in)), cached[in]
		} else if err := os.RemoveAll(cache); err != nil { // else nobody would read the picture
			t.Fatal(err)
		}
		bad := []byte(data)
		bit := rng.IntN(8 * len(bad))
		bad[bit/8] ^= 1 << (bit % 8)
		put(t, path, bad)
		if got, err := read(); err != nil {
			refused++
		} else if got != want {
			t.Errorf("%s, bit %d: other bits are read, and no word", name, bit)
		}
		note, err := Generate(t.Context(), dir, c, GenerateOptions{Own: true})
		if err != nil {
			t.Fatal(err)
		}
		if note != "" {
			mended++
		}
		if got, err := read(); got != want {
			t.Errorf("%s, bit %d: other bits once the data is prepared, or an error: %v", name, bit, err)
		}
		if !maps.Equal(contents(t, dir), whole) {
			t.Fatalf("%s, bit %d: the folder is not what it was", name, bit)
		}
		for in, data := range cached {
			if now, err := os.ReadFile(filepath.Join(cache, filepath.FromSlash(in))); err != nil || string(now) != data {
				t.Fatalf("%s, bit %d: the cached picture %s is not what it was (%v)", name, bit, in, err)
			}
		}
	}
	t.Logf("96 flips: %d were refused by who read them, %d were mended when the data was prepared", refused, mended)
}

// FuzzSums holds that what is read as checksums is written to the same bytes.
func FuzzSums(f *testing.F) {
	line := strings.Repeat("ab", 32) + "  train/000000000001.jpg\n"
	for _, text := range []string{"", line, line + line, line[:70], strings.ToUpper(line), "\n", line + "\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		sums, err := parseSums(data)
		if err != nil {
			return
		}
		files := make([]file, len(sums))
		for i, s := range sums {
			files[i] = file{name: s.name, sum: s.sum}
		}
		if again := formatSums(files); !bytes.EqualFold(again, data) {
			t.Errorf("%q is written as %q", data, again)
		}
	})
}

// FuzzMarker holds that no marker panics, and that an identity is one.
func FuzzMarker(f *testing.F) {
	good, err := formatMarker(smallSynth())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte(`{"Identity": 7}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if id, err := parseMarker(data); err == nil && len(id) != 64 {
			t.Errorf("identity %q", id)
		}
	})
}
