package dataset

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"focalgrid/coco"
	"focalgrid/dataset/picture"
)

// writeSet writes a split: its annotations, and for each image of them a PNG
// whose pixels tell the id, the column and the row.
func writeSet(t testing.TB, dir, split string, d *coco.Dataset) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "annotations"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := coco.WriteDataset(annotationsPath(dir, split), d); err != nil {
		t.Fatal(err)
	}
	for _, im := range d.Images {
		p := &picture.RGB{Width: im.Width, Height: im.Height}
		for i := range im.Width * im.Height {
			p.Pix = append(p.Pix, uint8(im.ID), uint8(i%im.Width), uint8(i/im.Width))
		}
		put(t, filepath.Join(dir, split, im.FileName), pngBytes(t, p.Image()))
	}
}

func pngBytes(t testing.TB, im image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, im); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func put(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func annotation(id, image, category int64, x, y, w, h float64) coco.Annotation {
	return coco.Annotation{ID: id, ImageID: image, CategoryID: category, BBox: [4]float64{x, y, w, h}, Area: w * h}
}

func sample() *coco.Dataset {
	d := &coco.Dataset{
		Images: []coco.Image{
			{ID: 42, FileName: "b.png", Width: 40, Height: 30},
			{ID: 7, FileName: "a.png", Width: 30, Height: 40},
			{ID: 9, FileName: "c.png", Width: 20, Height: 20},
		},
		// Ids with gaps, not in order, as COCO's.
		Categories: []coco.Category{{ID: 90, Name: "toothbrush"}, {ID: 1, Name: "person"}, {ID: 13, Name: "stop sign"}},
		Annotations: []coco.Annotation{
			annotation(1, 7, 13, 1.5, 2, 10, 20),
			annotation(2, 42, 90, 35, -3, 10, 10),       // over the right and the upper edge
			annotation(3, 42, 1, 40, 0, 5, 5),           // beside the image
			annotation(4, 42, 1, 10, 10, 0, 5),          // no width
			annotation(5, 7, 1, 0, 0, 30.0000001, 40.0), // rounding is no clipping
			annotation(6, 42, 1, 0, 0, 40, 30),
		},
	}
	d.Annotations[5].IsCrowd = true
	return d
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	d := sample()
	writeSet(t, dir, "val2017", d)
	s, err := Open(dir, "val2017")
	if err != nil {
		t.Fatal(err)
	}
	if want := []Class{{1, "person"}, {13, "stop sign"}, {90, "toothbrush"}}; !reflect.DeepEqual(s.Classes, want) {
		t.Errorf("classes %v, want %v: labels go by ascending id", s.Classes, want)
	}
	want := []Image{
		{42, "b.png", 40, 30, []Object{{2, [4]float32{35, 0, 40, 7}, 2, 100, false}, {6, [4]float32{0, 0, 40, 30}, 0, 1200, true}}},
		{7, "a.png", 30, 40, []Object{{1, [4]float32{1.5, 2, 11.5, 22}, 1, 200, false}, {5, [4]float32{0, 0, 30, 40}, 0, d.Annotations[4].Area, false}}},
		{9, "c.png", 20, 20, nil},
	}
	if !reflect.DeepEqual(s.Images, want) {
		t.Errorf("images\n%v, want\n%v", s.Images, want)
	}
	if s.Clipped != 1 || s.Dropped != 2 {
		t.Errorf("clipped %d, dropped %d, want 1 and 2", s.Clipped, s.Dropped)
	}
	file := annotationsPath(dir, "val2017")
	if want := []string{file + ": 2 boxes without area inside the image: left out", file + ": 1 box reaching beyond the image: clipped"}; !reflect.DeepEqual(s.Notes, want) {
		t.Errorf("notes %q, want %q", s.Notes, want)
	}
	if got := len(s.GroundTruth().Annotations); got != 6 {
		t.Errorf("ground truth of %d annotations, want all 6 as read", got)
	}

	st := s.Stats()
	if st.Images != 3 || st.Empty != 1 || st.Objects != 3 || st.Crowds != 1 || !reflect.DeepEqual(st.PerImage, []int{1, 1, 1}) {
		t.Errorf("stats %+v, want 3 images, 1 empty, 3 objects, 1 crowd, one image each with 0, 1, 2", st)
	}
	if want := (SizeCounts{Small: 2, Medium: 1}); st.Sizes != want { // 100, 200 and 1,200 square pixels
		t.Errorf("sizes %+v, want %+v", st.Sizes, want)
	}
	if c := st.Classes[0]; c.Objects != 1 || c.Crowds != 1 || c.ID != 1 || c.Sizes != (SizeCounts{Medium: 1}) {
		t.Errorf("class person %+v, want one medium object and a crowd", c)
	}
}

// What a file leaves out is filled in, and said once.
func TestOpenFillsGaps(t *testing.T) {
	dir, d := t.TempDir(), sample()
	for i := range d.Annotations[:4] {
		d.Annotations[i].Absent |= coco.FieldArea
	}
	for i := range d.Annotations[:2] {
		d.Annotations[i].Absent |= coco.FieldIsCrowd
	}
	writeSet(t, dir, "val", d)
	s, err := Open(dir, "val")
	if err != nil {
		t.Fatal(err)
	}
	file := annotationsPath(dir, "val")
	want := []string{
		file + ": 2 of 6 annotations have no iscrowd: taken as 0",
		file + ": 4 of 6 annotations have no area: taken as width x height of the box",
		file + ": 2 boxes without area inside the image: left out",
		file + ": 1 box reaching beyond the image: clipped",
	}
	if !reflect.DeepEqual(s.Notes, want) {
		t.Errorf("notes %q, want %q", s.Notes, want)
	}
	for i, a := range s.GroundTruth().Annotations {
		if a.Absent != 0 || a.Area != a.BBox[2]*a.BBox[3] || a.IsCrowd != (i == 5) {
			t.Errorf("annotation %+v, want its box's area and no crowd but the last", a)
		}
	}
	if o := s.Images[1].Objects[0]; o.Area != 200 {
		t.Errorf("object %+v, want an area of 200", o)
	}
}

// Nothing to learn or to find is said by Open and by Check alike.
func TestNoObjects(t *testing.T) {
	dir, d := t.TempDir(), sample()
	d.Annotations = d.Annotations[5:] // a crowd
	writeSet(t, dir, "val", d)
	const want = "no objects: there is nothing to learn from it, and no score is defined on it"
	s, err := Open(dir, "val")
	if err != nil {
		t.Fatal(err)
	}
	file := annotationsPath(dir, "val")
	if !reflect.DeepEqual(s.Notes, []string{file + ": " + want}) {
		t.Errorf("notes %q, want that there are no objects", s.Notes)
	}
	found, err := Check(t.Context(), dir, []string{"val"}, CheckOptions{})
	if err != nil || !slices.Contains(found, Problem{File: file, Text: want, Note: true}) {
		t.Errorf("Check found %v (%v), want a note that there are no objects", found, err)
	}
}

// A box that has no area in the network's pixels, mirrored or not, is no object for
// any reader of the set; a set without such a box is itself.
func TestFit(t *testing.T) {
	d := sample()
	tr := Transform{ShortSide: 120, PadTo: 1, Std: [3]float32{1, 1, 1}}
	whole, err := newSet("dir", "val", sample())
	if err != nil {
		t.Fatal(err)
	}
	if whole.Fit(tr) != whole {
		t.Error("a set whose boxes all have an area is another after Fit")
	}
	d.Annotations = append(d.Annotations,
		annotation(7, 9, 1, 0, 5, 1e-7, 10), // at the left border: mirrored, both edges are 120
		annotation(8, 9, 1, 5, 0, 10, 1e-6), // at the upper one: nothing is turned upside down
	)
	s, err := newSet("dir", "val", d)
	if err != nil {
		t.Fatal(err)
	}
	fit := s.Fit(tr)
	var ids []int64
	for _, o := range fit.Images[2].Objects {
		ids = append(ids, o.AnnotationID)
	}
	if !reflect.DeepEqual(ids, []int64{8}) || fit.Dropped != s.Dropped+1 || len(fit.Notes) != 1 || !strings.Contains(fit.Notes[0], "1 box without area in the network's pixels") {
		t.Errorf("annotations %v, %d left out, notes %q; want 8 alone, one more than %d and a note", ids, fit.Dropped, fit.Notes, s.Dropped)
	}
	if len(s.Images[2].Objects) != 2 || len(fit.GroundTruth().Annotations) != 8 {
		t.Errorf("the set itself has %d objects, and %d annotations are scored; want 2 and 8", len(s.Images[2].Objects), len(fit.GroundTruth().Annotations))
	}
	if fit.Fit(tr) != fit {
		t.Error("fitted twice it is another set")
	}
	for _, o := range s.Images[2].Objects {
		b := scaleBox(o.Box, 6)
		if m := mirrorBox(b, 120); (m[0] < m[2] && m[1] < m[3]) != (o.AnnotationID == 8) {
			t.Errorf("annotation %d mirrored is %v", o.AnnotationID, m)
		}
	}
	l, err := NewLoader(s, tr, LoaderOptions{Batch: 1, Images: []int{2}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var it Item
	l.describe(&it, 2, true)
	if len(it.Boxes) != 1 || !(it.Boxes[0][0] < it.Boxes[0][2]) {
		t.Errorf("the loader hands out %v, want the one box that has an area", it.Boxes)
	}
}

func TestSizeBounds(t *testing.T) {
	var s SizeCounts
	for _, area := range []float64{0, 1023.9, 1024, 9215.9, 9216, 1e9} {
		s.add(area)
	}
	if s != (SizeCounts{2, 2, 2}) {
		t.Errorf("got %+v, want two each: small ends at 32², medium at 96²", s)
	}
}

func TestOpenErrors(t *testing.T) {
	tests := []struct {
		name   string
		change func(*coco.Dataset)
		want   string
	}{
		{"category twice", func(d *coco.Dataset) { d.Categories[1].ID = 90 }, "category id 90 occurs twice"},
		{"image twice", func(d *coco.Dataset) { d.Images[1].ID = 42 }, "image id 42 occurs twice"},
		{"annotation twice", func(d *coco.Dataset) { d.Annotations[1].ID = 1 }, "annotation id 1 occurs twice"},
		{"unknown image", func(d *coco.Dataset) { d.Annotations[0].ImageID = 8 }, "annotation id 1: unknown image id 8"},
		{"unknown category", func(d *coco.Dataset) { d.Annotations[0].CategoryID = 2 }, "annotation id 1: unknown category id 2"},
		{"no name", func(d *coco.Dataset) { d.Images[0].FileName = "" }, "image id 42: has no file_name"},
		{"path", func(d *coco.Dataset) { d.Images[0].FileName = "../../etc/passwd" }, "leaves the folder"},
		{"no size", func(d *coco.Dataset) { d.Images[0].Width = 0 }, "size is 0 x 30"},
		{"huge", func(d *coco.Dataset) { d.Images[0].Width = 1 << 20 }, "expected at most"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := sample()
			tt.change(d)
			_, err := newSet("dir", "val", d)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
	if _, err := Open(t.TempDir(), "val"); err == nil || !strings.Contains(err.Error(), "instances_val.json") {
		t.Errorf("no file: error %v, want one that names it", err)
	}
}

// TestUnreadFields: what scoring can do without, a file's name and size, training can't.
func TestUnreadFields(t *testing.T) {
	dir := t.TempDir()
	path := annotationsPath(dir, "val")
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	text := `{"images": [{"id": 7, "file_name": "a.png", "width": "640", "height": 480}], "categories": [{"id": 1, "name": 2}], "annotations": []}`
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	want := []string{"images[0].width: expected a whole number, found a string", "categories[0].name: expected a string, found a number"}
	if _, err := Open(dir, "val"); err == nil || !strings.HasSuffix(err.Error(), want[0]) {
		t.Errorf("Open: %v; want %s", err, want[0])
	}
	var found []string
	problems, err := Check(t.Context(), dir, []string{"val"}, CheckOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		found = append(found, p.String())
	}
	all := strings.Join(found, "\n")
	for _, w := range want {
		if !strings.Contains(all, w) {
			t.Errorf("Check finds\n%s\nwithout %s", all, w)
		}
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	d := sample()
	writeSet(t, dir, "good", d)
	good, err := Check(t.Context(), dir, []string{"good"}, CheckOptions{Decode: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range good {
		if !p.Note {
			t.Errorf("a good folder: %s", p)
		}
	}

	d.Images = append(d.Images,
		coco.Image{ID: 10, FileName: "missing.png", Width: 5, Height: 5},
		coco.Image{ID: 11, FileName: "cut.png", Width: 64, Height: 64},
		coco.Image{ID: 12, FileName: "page.jpg", Width: 5, Height: 5},
		coco.Image{ID: 13, FileName: "a.png", Width: 30, Height: 40},
		coco.Image{ID: 14, FileName: "size.png", Width: 5, Height: 6},
		coco.Image{ID: 9, FileName: "c.png", Width: 20, Height: 20},
	)
	d.Annotations = append(d.Annotations,
		annotation(7, 99, 1, 0, 0, 5, 5),
		annotation(8, 9, 2, 0, 0, 5, 5),
		annotation(8, 9, 1, 0, 0, -5, 5),
	)
	writeSet(t, dir, "bad", d)
	at := func(name string) string { return filepath.Join(dir, "bad", name) }
	if err := os.Remove(at("missing.png")); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(at("cut.png"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, at("cut.png"), whole[:len(whole)/2])
	put(t, at("page.jpg"), []byte("<html>"))
	put(t, at("size.png"), pngBytes(t, image.NewRGBA(image.Rect(0, 0, 6, 5))))
	put(t, at("stray.txt"), []byte("hello"))
	put(t, annotationsPath(dir, "json"), []byte(`{"images": [`))

	json := annotationsPath(dir, "bad")
	want := []string{
		json + ": image id 13: note: file_name \"a.png\" is that of image id 7 too",
		json + ": image id 9: occurs twice, expected unique ids",
		json + ": annotation id 2: note: bbox [35 -3 10 10] reaches beyond the image of 40 x 30 pixels: clipped",
		json + ": annotation id 3: note: bbox [40 0 5 5] has no area inside the image of 40 x 30 pixels: left out",
		json + ": annotation id 4: note: bbox [10 10 0 5] has no area inside the image of 40 x 30 pixels: left out",
		json + ": annotation id 7: unknown image id 99",
		json + ": annotation id 8: unknown category id 2",
		json + ": annotation id 8: occurs twice, expected unique ids",
		json + ": annotation id 8: note: area is -25, expected 0 or more",
		json + ": annotation id 8: note: bbox [0 0 -5 5] has a negative size, expected x, y, width, height: left out",
		at("missing.png") + ": image id 10: the file is missing",
		at("cut.png") + ": image id 11: damaged or truncated: ",
		at("page.jpg") + ": image id 12: neither a JPEG nor a PNG file",
		at("size.png") + ": image id 14: size is 6 x 5 pixels, the annotations say 5 x 6",
		filepath.Join(dir, "bad") + ": note: 1 entry that the annotations do not name, such as \"stray.txt\": left out",
		annotationsPath(dir, "json") + ": ",
		annotationsPath(dir, "none") + ": the file is missing",
	}
	got, err := Check(t.Context(), dir, []string{"bad", "json", "none"}, CheckOptions{Decode: true})
	if err != nil {
		t.Fatal(err)
	}
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("not found: %s", want[i])
		case i >= len(want):
			t.Errorf("found as well: %s", got[i])
		case !strings.HasPrefix(got[i].String(), want[i]) || strings.HasSuffix(want[i], "s") && got[i].String() != want[i]:
			t.Errorf("finding %d:\n%s, want\n%s", i, got[i], want[i])
		}
	}
}

func ExampleProblem_String() {
	fmt.Println(Problem{File: "val/000000000139.jpg", Subject: "image", ID: 139, Text: "the file is missing"})
	// Output: val/000000000139.jpg: image id 139: the file is missing
}
