package dataset

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"focalgrid/coco"
	"focalgrid/dataset/picture"
)

// identified opens a split and identifies it.
func identified(t *testing.T, dir, split string) *Set {
	t.Helper()
	s, err := Open(dir, split)
	if err != nil {
		t.Fatal(err)
	}
	if s.Identity() != "" {
		t.Error("a set has an identity before its pictures were read")
	}
	var last, total int64
	if err := s.Identify(t.Context(), func(done, of int64) { last, total = done, of }); err != nil {
		t.Fatal(err)
	}
	if last == 0 || last != total {
		t.Errorf("progress ended at %d of %d bytes", last, total)
	}
	return s
}

// TestIdentity: the identity is that of what training and scoring read, and of nothing else.
func TestIdentity(t *testing.T) {
	dir := t.TempDir()
	writeSet(t, dir, "train", sample())
	first := identified(t, dir, "train")
	if len(first.Identity()) != 64 {
		t.Fatalf("identity %q, want a SHA-256", first.Identity())
	}
	changes := []struct {
		name   string
		change func(d *coco.Dataset)
		same   bool
	}{
		{"nothing", func(*coco.Dataset) {}, true},
		{"supercategory", func(d *coco.Dataset) { d.Categories[0].Supercategory = "thing" }, true},
		{"the order of the categories", func(d *coco.Dataset) { d.Categories[0], d.Categories[1] = d.Categories[1], d.Categories[0] }, true},
		{"./a.png", func(d *coco.Dataset) { d.Images[1].FileName = "./a.png" }, true},
		{"a picture in another folder", func(d *coco.Dataset) { d.Images[1].FileName = "sub/d.png" }, true},
		{"iscrowd left out", func(d *coco.Dataset) { d.Annotations[0].Absent = coco.FieldIsCrowd }, true},
		{"an area that is the box's left out", func(d *coco.Dataset) { d.Annotations[0].Absent = coco.FieldArea }, true},
		{"area", func(d *coco.Dataset) { d.Annotations[0].Area++ }, false},
		{"box", func(d *coco.Dataset) { d.Annotations[0].BBox[0]++ }, false},
		{"crowd", func(d *coco.Dataset) { d.Annotations[0].IsCrowd = true }, false},
		{"category of an object", func(d *coco.Dataset) { d.Annotations[0].CategoryID = 1 }, false},
		{"annotation id", func(d *coco.Dataset) { d.Annotations[0].ID = 77 }, false},
		{"category name", func(d *coco.Dataset) { d.Categories[0].Name = "brush" }, false},
		{"category id", func(d *coco.Dataset) { d.Categories[0].ID, d.Annotations[1].CategoryID = 91, 91 }, false},
		{"order of the images", func(d *coco.Dataset) { d.Images[0], d.Images[1] = d.Images[1], d.Images[0] }, false},
		{"image left out", func(d *coco.Dataset) { d.Images = d.Images[:2] }, false},
		{"image id", func(d *coco.Dataset) { d.Images[2].ID = 70 }, false},
	}
	seen := map[string]string{first.Identity(): "nothing"}
	for _, tt := range changes {
		dir, d := t.TempDir(), sample()
		tt.change(d)
		writeSet(t, dir, "train", d)
		put(t, filepath.Join(dir, "train", "stray.txt"), []byte("no annotation names it"))
		id := identified(t, dir, "train").Identity()
		if was, ok := seen[id]; ok != tt.same {
			t.Errorf("after a change of %q the identity is that after %q", tt.name, was)
		}
		seen[id] = tt.name
	}

	// The classes of a detector are not the split's own.
	id := first.Identity()
	if _, err := first.Relabel([]Class{{5, "stop sign"}, {6, "person"}, {7, "toothbrush"}}); err != nil || first.Identity() != id {
		t.Errorf("relabelled, the identity is %s, want %s (%v)", first.Identity(), id, err)
	}
	// Another process needs not read the pictures again.
	other, err := Open(dir, "train")
	if err != nil {
		t.Fatal(err)
	}
	if other.Sums = first.Sums; other.Identity() != id {
		t.Errorf("with the same sums, the identity is %s, want %s", other.Identity(), id)
	}

	// From then on a picture is what it was.
	path := first.Path(1)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	put(t, path, pngBytes(t, (&picture.RGB{Width: 30, Height: 40, Pix: make([]uint8, 3*30*40)}).Image()))
	for name, err := range map[string]error{
		"Decode":   func() error { _, err := other.Decode(1); return err }(),
		"Identify": other.Identify(t.Context(), nil),
	} {
		if !errors.Is(err, ErrChanged) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "image id 7") {
			t.Errorf("%s of a changed picture: %v, want ErrChanged with file and image id", name, err)
		}
	}
	if fresh := identified(t, dir, "train"); fresh.Identity() == id {
		t.Error("another picture, and the same identity")
	}
	put(t, path, data)
	if err := other.Identify(t.Context(), nil); err != nil {
		t.Errorf("put back: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := other.Identify(t.Context(), nil); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "image id 7") {
		t.Errorf("a missing picture: %v", err)
	}
}

// TestHashingStops: an end of the context ends the hashing, also within a file.
func TestHashingStops(t *testing.T) {
	dir := t.TempDir()
	writeSet(t, dir, "train", sample())
	put(t, filepath.Join(dir, "train", "b.png"), bytes.Repeat([]byte{1}, 1<<20))
	s, err := Open(dir, "train")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Identify(ctx, nil); !errors.Is(err, context.Canceled) || s.Sums != nil {
		t.Errorf("Identify: %v, sums %v", err, s.Sums)
	}
	if _, err := FolderIdentity(ctx, dir, nil, "train"); !errors.Is(err, context.Canceled) {
		t.Errorf("FolderIdentity: %v", err)
	}
	if _, err := Check(ctx, dir, []string{"train"}, CheckOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Check: %v", err)
	}
	if size, _, err := hashFile(ctx, filepath.Join(dir, "train", "b.png")); size != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d bytes were read, %v", size, err)
	}
}

func TestFolderIdentity(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"annotations/instances_train.json": "{}", "train/a.jpg": "one", "train/b/c.jpg": "two", "train/b.jpg": "three", "train/b-c.jpg": "four"} {
		put(t, filepath.Join(dir, filepath.FromSlash(name)), []byte(text))
	}
	// What the versions that knew folders so have recorded.
	const recorded = "f7ee211e9cd5694deb8503e33abed68e64dbd23b7f750a119daf24254bdac892"
	if got, err := FolderIdentity(t.Context(), dir, nil, "train"); got != recorded || err != nil {
		t.Errorf("identity %s, want that of older versions, %s (%v)", got, recorded, err)
	}
	dir = t.TempDir()
	writeSet(t, dir, "train", sample())
	writeSet(t, dir, "val", sample())
	id := func(splits ...string) string {
		t.Helper()
		s, err := FolderIdentity(t.Context(), dir, nil, splits...)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := id("train", "val")
	if again := id("train", "val"); again != first || len(first) != 64 {
		t.Errorf("identities %s and %s, want one SHA-256", first, again)
	}
	seen := map[string]string{first: "first"}
	step := func(what, s string) {
		t.Helper()
		if was, ok := seen[s]; ok {
			t.Errorf("identity after %q is that of %q", what, was)
		}
		seen[s] = what
	}
	step("one split", id("train"))
	step("other order", id("val", "train"))
	path := filepath.Join(dir, "val", "a.png")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 1
	put(t, path, data)
	step("one bit", id("train", "val"))
	if err := os.Rename(path, filepath.Join(dir, "val", "d.png")); err != nil {
		t.Fatal(err)
	}
	step("other name", id("train", "val"))
	d := sample()
	d.Annotations[0].BBox[0]++
	writeSet(t, dir, "train", d)
	step("other annotations", id("train", "val"))
	if _, err := FolderIdentity(t.Context(), dir, nil, "none"); err == nil {
		t.Error("a missing split has an identity")
	}
	if _, err := FolderIdentity(t.Context(), dir, nil); err == nil {
		t.Error("no split at all has an identity")
	}
}
