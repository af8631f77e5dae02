package coco

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

const sample = `{
 "info": {"year": 2017, "nested": [[], {}, {"a": [1, -2.5e-3, true, false, null, "x\"\\\u00e9"]}]},
 "licenses": [],
 "images": [
  {"license": 3, "file_name": "000000397133.jpg", "coco_url": "http:\/\/x", "height": 427, "width": 640, "id": 397133},
  {"id": 7}
 ],
 "annotations": [
  {"segmentation": [[224.24, 297.18, 228.29]], "area": 1481.3806499999994, "iscrowd": 0, "image_id": 397133,
   "bbox": [217.62, 240.54, 38.99, 57.75], "category_id": 44, "id": 82445},
  {"segmentation": {"counts": [0, 12, 3], "size": [427, 640]}, "area": 3, "iscrowd": 1, "image_id": 7, "bbox": [0, 0, 1e1, 2], "category_id": 1, "id": -5},
  {"segmentation": {"counts": "PPYo1", "size": [1, 2]}, "image_id": 7, "bbox": [0, 0, 0, 0], "category_id": 1, "id": 0}
 ],
 "categories": [{"supercategory": "kitchen", "id": 44, "name": "bottle"}, {"id": 1, "name": "Stra\u00dfe \ud83d\ude00"}]
}
`

var sampleWant = &Dataset{
	Images: []Image{{397133, "000000397133.jpg", 640, 427}, {ID: 7}},
	Annotations: []Annotation{
		{82445, 397133, 44, [4]float64{217.62, 240.54, 38.99, 57.75}, 1481.3806499999994, false, 0},
		{-5, 7, 1, [4]float64{0, 0, 10, 2}, 3, true, 0},
		{0, 7, 1, [4]float64{}, 0, false, FieldArea | FieldIsCrowd},
	},
	Categories: []Category{{44, "bottle", "kitchen"}, {1, "Straße 😀", ""}},
}

// TestDecodeDataset reads the same text whole and a byte at a time, so that
// every token crosses a buffer's end.
func TestDecodeDataset(t *testing.T) {
	readers := map[string]io.Reader{
		"whole":          strings.NewReader(sample),
		"byte by byte":   iotest.OneByteReader(strings.NewReader(sample)),
		"data with EOF":  iotest.DataErrReader(strings.NewReader(sample)),
		"halved reading": iotest.HalfReader(strings.NewReader(sample)),
	}
	for name, r := range readers {
		got, err := DecodeDataset(r, "gt.json")
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !reflect.DeepEqual(got, sampleWant) {
			t.Errorf("%s: got %+v, want %+v", name, got, sampleWant)
		}
	}
}

// TestBufferEdges ends a fill of the buffer at each byte in turn.
func TestBufferEdges(t *testing.T) {
	for cut := range sample {
		got, err := DecodeDataset(io.MultiReader(strings.NewReader(sample[:cut]), strings.NewReader(sample[cut:])), "gt.json")
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if !reflect.DeepEqual(got, sampleWant) {
			t.Fatalf("cut at %d: got %+v", cut, got)
		}
	}
}

func TestDecodeDetections(t *testing.T) {
	const text = `[{"image_id": 42, "category_id": 18, "bbox": [258.15, 41.29, 348.26, 243.78], "score": 0.236, "segmentation": {"counts": "x"}},
	 {"score": -1, "bbox": [1.0, 2, 3, 4e0], "category_id": 2.0, "image_id": 1e2, "score": 0.5}]`
	want := []Detection{
		{42, 18, [4]float64{258.15, 41.29, 348.26, 243.78}, 0.236},
		{100, 2, [4]float64{1, 2, 3, 4}, 0.5},
	}
	got, err := DecodeDetections(strings.NewReader(text), "dt.json")
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	got, err = DecodeDetections(strings.NewReader(" [ ] \n"), "dt.json")
	if err != nil || got == nil || len(got) != 0 {
		t.Errorf("empty list: got %v, %v; want an empty list", got, err)
	}
}

// TestErrors asks for one line that says where and what.
func TestErrors(t *testing.T) {
	const det = `{"image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4], "score": 0.5}`
	tests := []struct {
		name    string
		results bool // a results file, else ground truth
		text    string
		want    string
	}{
		{"empty file", false, "", `f: byte 0: expected an object with images, annotations and categories, found the end of the file (is it complete?)`},
		{"results as ground truth", false, "[]", `f: byte 0: expected an object with images, annotations and categories, found an array`},
		{"no images", false, "{}", `f: byte 2: no array "images"; is this a ground-truth file?`},
		{"no categories", false, `{"images": []}`, `f: byte 14: no array "categories"; is this a ground-truth file of object detection?`},
		{"images no array", false, `{"images": null}`, `f: byte 11: images: expected an array of objects, found null or other text`},
		{"entry no object", false, `{"images": [3]}`, `f: byte 12: images[0]: expected an object, found a number`},
		{"image without id", false, `{"images": [{"id": 1}, {"width": 3}]}`, `f: byte 23: images[1].id: missing; every entry needs it`},
		{"text as id", false, `{"images": [{"id": "1"}]}`, `f: byte 19: images[0].id: expected a whole number, found a string`},
		{"fraction as id", false, `{"images": [{"id": 1.5}]}`, `f: byte 19: images[0].id: expected a whole number, found "1.5"`},
		{"huge id", false, `{"images": [{"id": 9223372036854775808}]}`, `f: byte 19: images[0].id: expected a whole number of at most 64 bits, found "9223372036854775808"`},
		{"iscrowd", false, `{"annotations": [{"iscrowd": "0"}]}`, `f: byte 29: annotations[0].iscrowd: expected 0 or 1, found a string`},
		{"iscrowd -1", false, `{"annotations": [{"iscrowd": -1}]}`, `f: byte 29: annotations[0].iscrowd: expected 0 or 1, found -1`},
		{"truncated", false, sample[:600], `f: byte 600: annotations[1]: expected the closing quote of a field name, found the end of the file (is it complete?)`},
		{"trailing text", false, `{"images": [], "categories": []} x`, `f: byte 33: expected the end of the file, found 'x'`},
		{"no comma", false, `{"images": [] "categories": []}`, `f: byte 14: expected ',' or '}', found a string`},
		{"trailing comma", false, `{"images": [],}`, `f: byte 14: expected a field name in double quotes, found '}'`},
		{"no colon", false, `{"images" []}`, `f: byte 10: expected ':' after the field name, found an array`},
		{"bad escape", false, `{"a\x": 1}`, `f: byte 3: unknown escape \x in a string`},
		{"bad unicode escape", false, `{"a\u12g4": 1}`, `f: byte 3: expected four hexadecimal digits after \u`},
		{"control character", false, "{\"a\n\": 1}", `f: byte 3: expected no control character in a field name, found byte 0x0a`},
		{"bad number skipped", false, `{"info": [1, 01]}`, `f: byte 13: expected a number, found "01"`},
		{"bad word skipped", false, `{"info": nul}`, `f: byte 9: expected a value, found other text`},
		{"deep", false, `{"info": ` + strings.Repeat("[", 600), `f: byte 520: values nested more than 512 deep`},
		{"ground truth as results", true, `{"images": []}`, `f: byte 0: detections: expected an array of objects, found an object`},
		{"no score", true, `[` + det + `, {"image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4]}]`, `f: byte 72: detections[1].score: missing; every entry needs it`},
		{"three numbers", true, `[{"bbox": [1, 2, 3]}]`, `f: byte 10: detections[0].bbox: expected an array of 4 numbers: x, y, width, height; found 3`},
		{"five numbers", true, `[{"bbox": [1, 2, 3, 4, 5]}]`, `f: byte 10: detections[0].bbox: expected an array of 4 numbers: x, y, width, height; found more`},
		{"null in box", true, `[{"bbox": [1, null, 3, 4]}]`, `f: byte 14: detections[0].bbox: expected a number, found null or other text`},
		{"NaN score", true, `[{"score": NaN}]`, `f: byte 11: detections[0].score: expected a number, found NaN or Infinity, which are not numbers in JSON`},
		{"-Infinity score", true, `[{"score": -Infinity}]`, `f: byte 11: detections[0].score: expected a number, found -Infinity, which is not a number in JSON`},
		{"-Infinity id", true, `[{"image_id": -Infinity}]`, `f: byte 14: detections[0].image_id: expected a whole number, found -Infinity, which is not a number in JSON`},
		{"overflow", true, `[{"score": 1e999}]`, `f: byte 11: detections[0].score: expected a number within float64, found "1e999"`},
		{"half a number", true, `[{"score": 1.}]`, `f: byte 11: detections[0].score: expected a number, found "1."`},
		{"long number", true, `[{"score": ` + strings.Repeat("1", 70000) + `}]`, `f: byte 11: detections[0].score: number of more than 4096 characters`},
	}
	for _, tt := range tests {
		var err error
		if tt.results {
			_, err = DecodeDetections(strings.NewReader(tt.text), "f")
		} else {
			_, err = DecodeDataset(strings.NewReader(tt.text), "f")
		}
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s:\n got  %v\n want %s", tt.name, err, tt.want)
			continue
		}
		if e := new(Error); !errors.As(err, &e) {
			t.Errorf("%s: error is %T, want *Error", tt.name, err)
		}
	}
}

// TestReadError: an error of the stream is passed on, with its place.
func TestReadError(t *testing.T) {
	broken := errors.New("cable cut")
	r := io.MultiReader(strings.NewReader(`{"images": [`), iotest.ErrReader(broken))
	_, err := DecodeDataset(r, "gt.json")
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "gt.json: byte 12") {
		t.Errorf("got %v, want file, byte and %v", err, broken)
	}
	if _, err := ReadDataset(filepath.Join(t.TempDir(), "none.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: got %v", err)
	}
	if _, err := ReadDetections(filepath.Join(t.TempDir(), "none.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: got %v", err)
	}
}

// TestRepeatedFields: as for Python's json, the last one counts.
func TestRepeatedFields(t *testing.T) {
	const text = `{"images": [{"id": 1}], "images": [{"id": 2, "id": 3}], "categories": []}`
	d, err := DecodeDataset(strings.NewReader(text), "f")
	if err != nil || len(d.Images) != 1 || d.Images[0].ID != 3 {
		t.Errorf("got %+v, %v; want one image, 3", d, err)
	}
}

// TestStrings compares escapes with encoding/json.
func TestStrings(t *testing.T) {
	for _, text := range []string{
		`""`, `"a"`, `"\"\\\/\b\f\n\r\t"`, `"\u0041\u00e9\u20ac"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ud83dx"`,
		`"\ud83d\n"`, `"\ude00\ud83d\ude00"`, `"\ud83d\ud83d\ude00"`, `"\ud83d\u0041"`, `"日本"`, `"\u0000"`,
	} {
		var want string
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		got, _, err := newScanner(iotest.OneByteReader(strings.NewReader(text)), "f").text()
		if err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", text, got, err, want)
		}
	}
	long := `"` + strings.Repeat("x", maxString+1) + `"`
	if _, _, err := newScanner(strings.NewReader(long), "f").text(); err == nil {
		t.Error("a string longer than maxString was read")
	}
	if err := newScanner(strings.NewReader(long), "f").skip(0); err != nil {
		t.Errorf("a long string to be skipped: %v", err)
	}
	for _, text := range []string{"NaN", "Infinity", "-Infinity", `{"a": [NaN]}`} {
		if err := newScanner(strings.NewReader(text), "f").skip(0); err != nil {
			t.Errorf("skip %s: %v", text, err)
		}
	}
}

// FuzzDataset: no panic; what is read is JSON (but for Python's NaN in fields
// that are skipped) and survives writing and reading.
func FuzzDataset(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte(`{"images":[{"id":1}],"annotations":[],"categories":[{"id":1,"name":"\ud83d"}]}`))
	f.Add([]byte(`{"images":[],"x":-Infinity,"categories":[]}`))
	f.Add([]byte(sample[:700]))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := DecodeDataset(bytes.NewReader(data), "fuzz")
		slow, slowErr := DecodeDataset(iotest.OneByteReader(bytes.NewReader(data)), "fuzz")
		sameReading(t, "whole", d, err, slow, slowErr)
		if err != nil {
			return
		}
		checkJSON(t, data)
		var b bytes.Buffer
		if err := EncodeDataset(&b, d); err != nil {
			t.Fatal(err)
		}
		back, err := DecodeDataset(&b, "again")
		if err != nil {
			t.Fatal(err)
		}
		if d.Annotations == nil {
			d.Annotations = []Annotation{}
		}
		if !reflect.DeepEqual(back, d) {
			t.Fatalf("read back %+v, want %+v", back, d)
		}
	})
}

// FuzzDetections is FuzzDataset for results files.
func FuzzDetections(f *testing.F) {
	f.Add([]byte(`[{"image_id":1,"category_id":2,"bbox":[1,2.5,3e0,4],"score":0.5}]`))
	f.Add([]byte(`[]`))
	f.Add([]byte(`[{"image_id":1e2,"category_id":-2,"bbox":[1,2.5,3e-5,1e99],"score":1234567890123456789012, "x": "\u0000"}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		dets, err := DecodeDetections(bytes.NewReader(data), "fuzz")
		slow, slowErr := slowly(data, "fuzz")
		sameReading(t, "quick", dets, err, slow, slowErr)
		if err != nil {
			return
		}
		checkJSON(t, data)
		var b bytes.Buffer
		if err := EncodeDetections(&b, dets); err != nil {
			t.Fatal(err)
		}
		if back, err := DecodeDetections(&b, "again"); err != nil || !reflect.DeepEqual(back, dets) {
			t.Fatalf("read back %v, %v; want %v", back, err, dets)
		}
	})
}

func checkJSON(t *testing.T, data []byte) {
	if !json.Valid(data) && !bytes.Contains(data, []byte("NaN")) && !bytes.Contains(data, []byte("Infinity")) {
		t.Fatalf("read, but not JSON: %q", data)
	}
}

func BenchmarkDetections(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	dets := make([]Detection, 10000)
	for i := range dets {
		dets[i] = Detection{r.Int64N(5000), r.Int64N(90), [4]float64{r.Float64(), 217.62, 33.1, 400.25}, r.Float64()}
	}
	var text bytes.Buffer
	if err := EncodeDetections(&text, dets); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeDetections(bytes.NewReader(text.Bytes()), "b"); err != nil {
			b.Fatal(err)
		}
	}
}
