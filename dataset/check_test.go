package dataset

import (
	"bytes"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"focalgrid/coco"
)

// TestCheckFindings: one change to a good folder of two splits, and what is then found, by
// either depth. A split listed as refused is one that Open refuses too.
func TestCheckFindings(t *testing.T) {
	exif, err := os.ReadFile("picture/testdata/exif.jpg") // 35 x 21 pixels as stored, to be turned
	if err != nil {
		t.Fatal(err)
	}
	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, image.NewGray(image.Rect(0, 0, 40, 30)), nil); err != nil {
		t.Fatal(err)
	}
	type folder struct {
		train, val *coco.Dataset
		files      map[string][]byte // below val, in place of the pictures
	}
	tests := []struct {
		name   string
		change func(*folder)
		want   []string // parts of the findings of val, in order
	}{
		{"nothing", func(*folder) {}, nil},
		{"no images", func(f *folder) { f.val.Images, f.val.Annotations = nil, nil }, []string{"instances_val.json: no images, expected at least one", "note: 3 entries"}},
		{"no categories", func(f *folder) { f.val.Categories, f.val.Annotations = nil, nil }, []string{"instances_val.json: no categories, expected at least one"}},
		{"no objects", func(f *folder) { f.val.Annotations = nil }, []string{"instances_val.json: note: no objects"}},
		{"no iscrowd", func(f *folder) { f.val.Annotations[0].Absent = coco.FieldIsCrowd }, []string{"note: 1 of 4 annotations have no iscrowd: taken as 0"}},
		{"no area", func(f *folder) {
			for i := range f.val.Annotations {
				f.val.Annotations[i].Absent = coco.FieldArea
			}
		}, []string{"note: 4 of 4 annotations have no area: taken as width x height of the box"}},
		{"dot slash", func(f *folder) {
			for i := range f.val.Images {
				f.val.Images[i].FileName = "./" + f.val.Images[i].FileName
			}
		}, nil},
		{"one file twice", func(f *folder) {
			f.val.Images = append(f.val.Images, coco.Image{ID: 50, FileName: "./sub//../a.png", Width: 30, Height: 40})
		}, []string{`image id 50: note: file_name "./sub//../a.png" is that of image id 7 too`}},
		{"a sliver", func(f *folder) { f.val.Annotations[0].BBox = [4]float64{0, 5, 1e-7, 10} },
			[]string{"annotation id 1: note: bbox [0 5 1e-07 10] has no area in the network's 96 x 128 pixels, mirrored or not: left out"}},
		{"a class fewer", func(f *folder) {
			f.val.Categories = f.val.Categories[1:]
			f.val.Annotations = []coco.Annotation{annotation(1, 7, 13, 1, 2, 10, 20)}
		}, []string{`note: categories: of the detector but not in this split: 90 "toothbrush" (classes are those of split train)`}},
		{"other ids", func(f *folder) {
			for i := range f.val.Categories {
				f.val.Categories[i].ID += 1000
			}
			for i := range f.val.Annotations {
				f.val.Annotations[i].CategoryID += 1000
			}
		}, []string{"note: categories: matched to the detector's classes by name, as ids differ (classes are those of split train)"}},
		{"a class more", func(f *folder) {
			f.val.Categories = append(f.val.Categories, coco.Category{ID: 5, Name: "cow"})
			f.val.Annotations[0].CategoryID = 5
		}, []string{`instances_val.json: the classes do not fit, neither by id nor by name: the split lists 1 "person", 5 "cow", 13 "stop sign", 90 "toothbrush"; ` +
			`the detector's classes are 1 "person", 13 "stop sign", 90 "toothbrush"`}},
		{"cut JPEG", func(f *folder) { f.files = map[string][]byte{"b.png": photo.Bytes()[:photo.Len()-30]} }, []string{"b.png: image id 42: damaged or truncated"}},
		{"JPEG without its end", func(f *folder) { f.files = map[string][]byte{"b.png": photo.Bytes()[:photo.Len()-2]} }, []string{"b.png: image id 42: damaged or truncated"}},
		{"JPEG and more after it", func(f *folder) {
			f.files = map[string][]byte{"b.png": append(bytes.Clone(photo.Bytes()), "a film that moves"...)}
		}, nil},
		{"cut JPEG and more after it", func(f *folder) {
			f.files = map[string][]byte{"b.png": append(bytes.Clone(photo.Bytes()[:photo.Len()-30]), "a film that moves"...)}
		}, []string{"b.png: image id 42: damaged or truncated"}},
		{"PNG and more after it", func(f *folder) {
			f.files = map[string][]byte{"b.png": append(pngBytes(t, image.NewGray(image.Rect(0, 0, 40, 30))), 0, 0, 0)}
		}, nil},
		{"header far behind", func(f *folder) { // as with large thumbnails and colour profiles
			segment := append([]byte{0xff, 0xe2, 0xff, 0xff}, make([]byte, 0xffff-2)...)
			f.files = map[string][]byte{"b.png": append(append([]byte("\xff\xd8"), bytes.Repeat(segment, 6)...), photo.Bytes()[2:]...)}
		}, nil},
		{"missing", func(f *folder) { f.files = map[string][]byte{"b.png": nil} }, []string{"b.png: image id 42: the file is missing"}},
		{"empty", func(f *folder) { f.files = map[string][]byte{"b.png": {}} }, []string{"b.png: image id 42: the file is empty"}},
		{"another size", func(f *folder) { f.files = map[string][]byte{"b.png": exif} },
			[]string{"b.png: image id 42: size is 35 x 21 pixels, the annotations say 40 x 30", `val: note: 1 image with an EXIF orientation, such as "b.png" (6)`}},
		{"the size as displayed", func(f *folder) {
			f.files = map[string][]byte{"b.png": exif}
			f.val.Images[0].Width, f.val.Images[0].Height = 21, 35
		}, []string{"annotation id 6: note", "b.png: image id 42: size is 35 x 21 pixels as stored, the annotations say 21 x 35, which is its size as displayed: EXIF orientation 6", "1 image with an EXIF orientation"}},
		{"the size as stored", func(f *folder) {
			f.files = map[string][]byte{"b.png": exif}
			f.val.Images[0].Width, f.val.Images[0].Height = 35, 21
		}, []string{"annotation id 6: note", `val: note: 1 image with an EXIF orientation, such as "b.png" (6): pixels and boxes are taken as stored, not as displayed`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			good := func() *coco.Dataset {
				d := sample()
				d.Annotations = append(d.Annotations[:1], d.Annotations[4], d.Annotations[5], annotation(9, 9, 90, 1, 1, 5, 5))
				return d
			}
			f := folder{train: good(), val: good()}
			tt.change(&f)
			dir := t.TempDir()
			writeSet(t, dir, "train", f.train)
			writeSet(t, dir, "val", good()) // pictures that no annotation names may stay
			writeSet(t, dir, "val", f.val)
			for name, data := range f.files {
				path := filepath.Join(dir, "val", name)
				if put(t, path, data); data == nil {
					os.Remove(path)
				}
			}
			tr := Transform{ShortSide: 96, PadTo: 32, Std: [3]float32{1, 1, 1}}
			var each [2][]Problem
			for i, decode := range []bool{false, true} {
				calls := 0
				found, err := Check(t.Context(), dir, []string{"train", "val"}, CheckOptions{Decode: decode, Transform: &tr, Progress: func(int, int) { calls++ }})
				if err != nil {
					t.Fatal(err)
				}
				if want := len(f.train.Images) + len(f.val.Images); calls != want {
					t.Errorf("%d calls of progress, want %d", calls, want)
				}
				each[i] = found
			}
			if !reflect.DeepEqual(each[0], each[1]) {
				t.Errorf("headers alone tell\n%v, and a full decode\n%v", each[0], each[1])
			}
			for i := range max(len(each[0]), len(tt.want)) {
				switch {
				case i >= len(each[0]):
					t.Errorf("not found: %s", tt.want[i])
				case i >= len(tt.want):
					t.Errorf("found as well: %s", each[0][i])
				case !strings.Contains(each[0][i].String(), tt.want[i]):
					t.Errorf("found %q, want %q", each[0][i], tt.want[i])
				}
			}
		})
	}
}

// Damage inside a picture is a full decode's to find.
func TestCheckDecodes(t *testing.T) {
	dir := t.TempDir()
	d := sample()
	writeSet(t, dir, "val", d)
	path := filepath.Join(dir, "val", "b.png")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-40] ^= 1
	put(t, path, data)
	for _, decode := range []bool{false, true} {
		found, err := Check(t.Context(), dir, []string{"val"}, CheckOptions{Decode: decode})
		if err != nil {
			t.Fatal(err)
		}
		problems := 0
		for _, p := range found {
			if !p.Note {
				problems++
			}
		}
		if (problems > 0) != decode {
			t.Errorf("decode %t: %v", decode, found)
		}
	}
	// A folder that is not there is one finding, not one an image.
	if err := os.RemoveAll(filepath.Join(dir, "val")); err != nil {
		t.Fatal(err)
	}
	found, err := Check(t.Context(), dir, []string{"val"}, CheckOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if last := found[len(found)-1]; last.Note || last.File != filepath.Join(dir, "val") || !strings.Contains(last.Text, "the folder of the images is missing") {
		t.Errorf("the folder is missing: %v", found)
	}
}
