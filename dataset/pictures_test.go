package dataset

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"focalgrid/dataset/picture"
)

// A loader that keeps pictures on disk gives the same batches as one that does
// not, also from a second run, and mends what is broken.
func TestPicturesOnDisk(t *testing.T) {
	c := smallSynth()
	c.Pixels, c.Train, c.Tune, c.Val = 48, 6, 1, 1
	dir, cache := filepath.Join(t.TempDir(), "set"), filepath.Join(t.TempDir(), "pictures")
	if _, err := Generate(t.Context(), dir, c, GenerateOptions{}); err != nil {
		t.Fatal(err)
	}
	set, err := Open(dir, "train")
	if err != nil {
		t.Fatal(err)
	}
	var lock sync.Mutex
	mended := map[string]bool{}
	batch := func(folder string) []float32 {
		clear(mended)
		l, err := NewLoader(set, Transform{ShortSide: 32, PadTo: 32, Std: [3]float32{1, 1, 1}}, LoaderOptions{Batch: 6, Pictures: folder, Mended: func(path string) {
			lock.Lock()
			defer lock.Unlock()
			mended[path] = true
		}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		b, err := l.Eval(0, 6)
		if err != nil {
			t.Fatal(err)
		}
		return b.Pixels
	}
	want := batch("")
	if got := batch(cache); !slices.Equal(got, want) {
		t.Error("first run: other pixels")
	}
	files, err := filepath.Glob(filepath.Join(cache, "*", "*"))
	if err != nil || len(files) != 6 {
		t.Fatalf("%d files kept, %v; want 6", len(files), err)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(whole)
	bad[len(bad)-1] ^= 1
	for i, text := range [][]byte{bad, whole[:len(whole)/2], {}} {
		if err := os.WriteFile(files[i], text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	// The images themselves are gone: what is whole is read from the folder.
	if got := batch(cache); !slices.Equal(got, want) {
		t.Error("with three broken files: other pixels")
	}
	if want := map[string]bool{files[0]: true, files[1]: true, files[2]: true}; !maps.Equal(mended, want) {
		t.Errorf("told of %v made again, want %v", mended, want)
	}
	if err := os.RemoveAll(filepath.Join(dir, "train")); err != nil {
		t.Fatal(err)
	}
	if got := batch(cache); !slices.Equal(got, want) {
		t.Error("without the images: other pixels")
	}
	if len(mended) > 0 {
		t.Errorf("told of %v made again, though all are whole", mended)
	}
}

// What was hashed is what is trained on: a picture that is replaced between the two is refused
// and never kept, and one that two sets or two sizes share is never mistaken for the other.
func TestPicturesGoByTheirBytes(t *testing.T) {
	dir, cache := t.TempDir(), filepath.Join(t.TempDir(), "pictures")
	writeSet(t, dir, "train", sample())
	pixels := func(s *Set, short, long int, folder string) ([]float32, error) {
		l, err := NewLoader(s, Transform{ShortSide: short, LongSide: long, PadTo: 32, Std: [3]float32{1, 1, 1}}, LoaderOptions{Batch: 3, Pictures: folder}, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := l.Eval(0, 3)
		if err != nil {
			return nil, err
		}
		return b.Pixels, nil
	}
	s := identified(t, dir, "train")
	path := s.Path(1)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	put(t, path, pngBytes(t, (&picture.RGB{Width: 30, Height: 40, Pix: make([]uint8, 3*30*40)}).Image()))
	if _, err := pixels(s, 32, 64, cache); !errors.Is(err, ErrChanged) || !strings.Contains(err.Error(), "image id 7") {
		t.Errorf("replaced after it was hashed: %v, want ErrChanged", err)
	}
	// Whoever reads the replaced picture as it is, under no sum or its own, has it kept apart.
	other, err := Open(dir, "train")
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []*Set{other, identified(t, dir, "train")} {
		if got, err := pixels(of, 32, 64, cache); err != nil || got[1*3*64*64+200] != 0 {
			t.Errorf("the replaced picture: %v", err)
		}
	}
	put(t, path, good)
	// The two sizes come out equal, by ratios that differ.
	for _, size := range [][2]int{{32, 64}, {401, 534}, {401, 535}, {400, 534}} {
		want, err := pixels(s, size[0], size[1], "")
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			for _, of := range []*Set{s, other} {
				if got, err := pixels(of, size[0], size[1], cache); err != nil || !slices.Equal(got, want) {
					t.Errorf("%v: other pixels from the cache (%v)", size, err)
				}
			}
		}
	}
}
