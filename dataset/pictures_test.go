package dataset

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// A loader that keeps pictures on disk gives the same batches as one that does
// not, also from a second run, and mends what is broken.
func TestPicturesOnDisk(t *testing.T) {
	c := DefaultSynth()
	c.Pixels, c.Train, c.Tune, c.Val = 48, 6, 1, 1
	dir, cache := filepath.Join(t.TempDir(), "set"), filepath.Join(t.TempDir(), "pictures")
	if _, err := Generate(t.Context(), dir, c, GenerateOptions{}); err != nil {
		t.Fatal(err)
	}
	set, err := Open(dir, "train")
	if err != nil {
		t.Fatal(err)
	}
	batch := func(folder string) []float32 {
		l, err := NewLoader(set, Transform{ShortSide: 32, PadTo: 32, Std: [3]float32{1, 1, 1}}, LoaderOptions{Batch: 6, Pictures: folder}, nil)
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
	if err := os.RemoveAll(filepath.Join(dir, "train")); err != nil {
		t.Fatal(err)
	}
	if got := batch(cache); !slices.Equal(got, want) {
		t.Error("without the images: other pixels")
	}
}
