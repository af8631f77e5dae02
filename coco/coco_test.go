package coco

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
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

// sameReading compares what two ways of reading one stream gave.
func sameReading(t *testing.T, how string, got any, gotErr error, want any, wantErr error) {
	t.Helper()
	switch {
	case (gotErr == nil) != (wantErr == nil), gotErr != nil && gotErr.Error() != wantErr.Error():
		t.Fatalf("%s: error %v, want %v", how, gotErr, wantErr)
	case gotErr == nil && !reflect.DeepEqual(got, want):
		t.Fatalf("%s: other values", how)
	}
}

// slowly reads results without the functions for everyday entries.
func slowly(text []byte, name string) ([]Detection, error) {
	s := newScanner(bytes.NewReader(text), name)
	dets, err := entries(s, "detections", nil, (*scanner).detection)
	if err == nil {
		err = s.finish()
	}
	return dets, err
}

// TestParallel spoils a long results file in the middle, in ways that are right and
// wrong and that mislead a cut: several workers read what one reads.
func TestParallel(t *testing.T) {
	const n = 8000 // about three blocks
	r := rand.New(rand.NewPCG(3, 4))
	lines := make([]string, n)
	for i := range lines {
		var b bytes.Buffer
		if err := EncodeDetections(&b, []Detection{{r.Int64N(1e6), r.Int64N(90), [4]float64{r.Float64(), 640 * r.Float64(), 33.125, 1}, r.Float64()}}); err != nil {
			t.Fatal(err)
		}
		lines[i] = strings.Trim(b.String(), "[]\n ")
	}
	const good = `"image_id":1,"category_id":2,"bbox":[1,2,3,4],"score":.5}`
	det := strings.ReplaceAll(good, ":.5", ":0.5")
	for name, odd := range map[string]string{
		"everyday":         "{" + det,
		"spaces":           "\n {\t" + strings.ReplaceAll(det, ",", "\n,\r ") + " ",
		"escaped name":     `{"\u0069d":3,` + det,
		"like entries":     `{"x":"` + strings.Repeat("},{", 100_000) + `",` + det,
		"nested objects":   `{"x":[` + strings.Repeat(`{"y":1},`, 40_000) + `{}],` + det,
		"longer than all":  `{"x":"` + strings.Repeat("x", 600_000) + `",` + det,
		"no entry":         "17",
		"bad number":       "{" + good,
		"missing":          `{"image_id":1,"category_id":2,"bbox":[1,2,3,4]}`,
		"end of the array": "{" + det + "]",
		"no comma":         "{" + det + " {" + det,
		"two commas":       "{" + det + ",",
		"control":          "{" + det + "\x00",
	} {
		for _, at := range []int{firstEntries, n / 2, n - 1} {
			all := slices.Clone(lines)
			all[at] = odd
			text := []byte("[" + strings.Join(all, ",\n") + "]\n")
			want, wantErr := slowly(text, "f")
			for _, workers := range []int{1, 3} {
				s := newScanner(bytes.NewReader(text), "f")
				s.workers = workers
				s.size = int64(len(text))
				got, err := decodeDetections(s)
				sameReading(t, fmt.Sprintf("%s at %d, %d workers", name, at, workers), got, err, want, wantErr)
			}
		}
	}
	text := "[" + strings.Join(lines, ",") + "]"
	for _, cut := range []int{len(text) / 3, len(text) / 2, len(text) - 1} {
		want, wantErr := slowly([]byte(text[:cut]), "f")
		s := newScanner(strings.NewReader(text[:cut]), "f")
		s.workers = 3
		got, err := decodeDetections(s)
		sameReading(t, "truncated", got, err, want, wantErr)

		s = newScanner(io.MultiReader(strings.NewReader(text[:cut]), iotest.ErrReader(errors.New("cable cut"))), "f")
		s.workers = 3
		if _, err = decodeDetections(s); err == nil || err.Error() != fmt.Sprintf("f: byte %d: cable cut", cut) {
			t.Errorf("broken stream: %v", err)
		}
	}
}

// TestParallelGoesOn: nothing that detectors write brings the workers to a stop.
func TestParallelGoesOn(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var dets []Detection
	for range 20_000 {
		d := Detection{ImageID: r.Int64(), CategoryID: -r.Int64N(100), Score: math.Pow(r.Float64(), 200)}
		for i := range d.BBox {
			d.BBox[i] = r.NormFloat64() * math.Pow(10, float64(r.IntN(40)-20))
		}
		dets = append(dets, d)
	}
	var text bytes.Buffer
	if err := EncodeDetections(&text, dets); err != nil {
		t.Fatal(err)
	}
	part := bytes.ReplaceAll(text.Bytes(), []byte(`, "score"`), []byte(`, "note": ["caf\u00e9 \\ {", {"a": [1, -2.5e-7, null]}], "score"`))
	s := newScanner(bytes.NewReader(part[bytes.Index(part, []byte("},\n"))+1:]), "f") // after the first entry
	s.workers = 2
	if got := parallel(s, nil, -1, quickDetection); len(got) < len(dets)*4/5 || !slices.Equal(got, dets[1:len(got)+1]) {
		t.Errorf("%d entries of %d are read", len(got), len(dets)-1)
	}
}

// TestGzip: compressed files are known by their first bytes, and a broken one is
// an error of one line.
func TestGzip(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte(sample)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "gt.json")
	if err := os.WriteFile(path, packed.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	got, err := ReadDataset(path)
	if err != nil || !reflect.DeepEqual(got, sampleWant) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := DecodeDataset(iotest.OneByteReader(&packed), "f"); err != nil || !reflect.DeepEqual(got, sampleWant) {
		t.Errorf("byte by byte: got %+v, %v", got, err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := slices.Clone(whole)
	damaged[len(damaged)-6] ^= 1 // the checksum
	for text, want := range map[string]string{
		string(whole[:5]):               "f: byte 0: unexpected EOF (is it complete?)",
		string(whole[:len(whole)-9]):    "unexpected EOF (is it complete?)",
		string(damaged):                 "gzip: invalid checksum",
		"\x1f\x8bnot compressed at all": "f: byte 0: gzip: invalid header",
	} {
		_, err := DecodeDataset(strings.NewReader(text), "f")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "f: ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %s", text[:5], err, want)
		}
	}
}

// TestStandardInput reads "-".
func TestStandardInput(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dt.json")
	want := []Detection{{1, 2, [4]float64{1, 2, 3, 4}, .5}}
	if err := WriteDetections(path, want); err != nil {
		t.Fatal(err)
	}
	stdin := os.Stdin
	defer func() { os.Stdin = stdin }()
	for range 2 {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		os.Stdin = f
		if got, err := ReadDetections("-"); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, %v", got, err)
		}
		if _, err := ReadDataset("-"); err == nil || !strings.HasPrefix(err.Error(), "standard input: byte 0: expected an object") {
			t.Errorf("at its end: %v", err)
		}
		f.Close()
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

// TestNumbers compares with strconv, which rounds correctly, on the shapes a
// file may hold.
func TestNumbers(t *testing.T) {
	texts := []string{
		"0", "-0", "0.0", "1", "-1", "0.1", "0.30000000000000004", "217.62", "1481.3806499999994",
		"9007199254740991", "9007199254740992", "9007199254740993", "9007199254740993e0", "18446744073709551616",
		"1e22", "1e23", "1e-22", "1e-23", "4.9e-324", "2e-324", "1e-400", "1.7976931348623157e308", "2.2250738585072011e-308",
		"0.1000000000000000055511151231257827021181583404541015625", "123456789012345678901234567890e-20",
		"0e99999999999", "1E+2", "0.000000000000000000000000000000000000000001",
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		bits := r.Uint64()
		if f := math.Float64frombits(bits); !math.IsNaN(f) && !math.IsInf(f, 0) {
			texts = append(texts, strconv.FormatFloat(f, 'e', -1, 64))
		}
		texts = append(texts,
			strconv.FormatFloat(r.NormFloat64()*1000, 'f', r.IntN(20), 64),
			strconv.FormatFloat(r.Float64(), 'g', -1, 64))
	}
	s := newScanner(strings.NewReader(strings.Join(texts, " ")), "f")
	quick := 0
	for _, text := range texts {
		want, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.number()
		if err != nil || math.Float64bits(got) != math.Float64bits(want) {
			t.Errorf("%s: got %v, %v; want %v", text, got, err, want)
		}
		got, next := quickNumber(padded(text), 0)
		if next >= 0 {
			quick++
			if next != len(text) || math.Float64bits(got) != math.Float64bits(want) {
				t.Errorf("%s: quickly %v, %d bytes; want %v, %d", text, got, next, want, len(text))
			}
		}
	}
	if quick < len(texts)/3 {
		t.Errorf("%d of %d numbers were read quickly, want most of the everyday ones", quick, len(texts))
	}
	for _, text := range []string{"-", "01", "1.", ".5", "1e", "1e+", "+1", "--1", "1.2.3", "1e5e5", "1-2", "x1"} {
		if f, err := newScanner(strings.NewReader(text), "f").number(); err == nil {
			t.Errorf("%q read as %v, want an error", text, f)
		}
	}
}

func padded(text string) []byte { return append([]byte(text), make([]byte, pad)...) }

// TestNearest has what lies between two float64s, or nearly.
func TestNearest(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	check := func(n uint64, exp10 int) {
		text := fmt.Sprintf("%de%d", n, exp10)
		want, err := strconv.ParseFloat(text, 64)
		if got, ok := nearest(n, exp10); ok && (err != nil || got != want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	for range 10_000 {
		check(r.Uint64()>>r.IntN(64), r.IntN(60)-30)
		half := 1<<53 + r.Uint64N(1<<53) | 1 // 54 bits: half-way between two float64s
		for k := range 5 {
			n := half * fives[k] // and so is n × 10^-k
			check(n, -k)
			check(n-1, -k)
			check(n+1, -k)
		}
	}
	for exp10 := -30; exp10 < 30; exp10++ {
		for _, n := range []uint64{0, 1, 1<<53 - 1, 1 << 53, 1<<53 + 1, 1<<63 - 1, 1 << 63, math.MaxUint64} {
			check(n, exp10)
		}
	}
}

func TestIntegers(t *testing.T) {
	tests := []struct {
		text string
		want int64
	}{
		{"0", 0}, {"-0", 0}, {"9223372036854775807", math.MaxInt64}, {"-9223372036854775808", math.MinInt64},
		{"900100581904", 900100581904}, {"3.0", 3}, {"2e3", 2000}, {"-1.50e1", -15},
	}
	for _, tt := range tests {
		got, err := newScanner(strings.NewReader(tt.text), "f").integer()
		if err != nil || got != tt.want {
			t.Errorf("%s: got %d, %v", tt.text, got, err)
		}
	}
	for _, text := range []string{"-9223372036854775809", "1e300", "0.5", "99999999999999999999"} {
		if n, err := newScanner(strings.NewReader(text), "f").integer(); err == nil {
			t.Errorf("%s read as %d, want an error", text, n)
		}
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

// TestRoundTrip writes, reads, and writes the same bytes again.
func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "gt.json")
	d := &Dataset{
		Images: append([]Image{{ID: 9, FileName: "a<b>&\"c\".jpg", Height: 5}}, sampleWant.Images...),
		Annotations: append([]Annotation{{
			ID: 1, ImageID: 9, CategoryID: 1,
			BBox: [4]float64{0.1, math.Copysign(0, -1), 1e-300, 0.8999999999999999}, Area: 1.7976931348623157e308,
		}}, sampleWant.Annotations...),
		Categories: sampleWant.Categories,
	}
	if err := WriteDataset(path, d); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(first) {
		t.Errorf("not JSON:\n%s", first)
	}
	back, err := ReadDataset(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, d) {
		t.Errorf("read back %+v\nwant      %+v", back, d)
	}
	if math.Float64bits(back.Annotations[0].BBox[1]) != 1<<63 {
		t.Error("-0 lost its sign")
	}
	var second bytes.Buffer
	if err := EncodeDataset(&second, back); err != nil || !bytes.Equal(first, second.Bytes()) {
		t.Errorf("the second writing differs: %v", err)
	}

	dets := []Detection{{1, 2, [4]float64{1, 2, 3, 4.25}, 1. / 3}, {-1, 3, [4]float64{1e17, 1e-7, 0, 5e-324}, -2}}
	path = filepath.Join(dir, "dt.json")
	if err := WriteDetections(path, dets); err != nil {
		t.Fatal(err)
	}
	got, err := ReadDetections(path)
	if err != nil || !reflect.DeepEqual(got, dets) {
		t.Errorf("read back %v, %v; want %v", got, err, dets)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("%d files are left, want 2 (%v)", len(entries), err)
	}
}

// TestWriteRefuses: what JSON cannot say is refused, and the old file stays.
func TestWriteRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "dt.json")
	if err := WriteDetections(path, nil); err != nil {
		t.Fatal(err)
	}
	err := WriteDetections(path, []Detection{{}, {Score: math.NaN()}})
	if err == nil || !strings.Contains(err.Error(), "detections[1].score: expected a finite number, found NaN") {
		t.Errorf("got %v", err)
	}
	if got, err := ReadDetections(path); err != nil || len(got) != 0 {
		t.Errorf("the old file is gone: %v, %v", got, err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("%d files are left, want 1", len(entries))
	}
	if err := WriteDetections(filepath.Join(dir, "none", "dt.json"), nil); err == nil {
		t.Error("wrote into a folder that is not there")
	}
	err = EncodeDataset(io.Discard, &Dataset{Annotations: []Annotation{{BBox: [4]float64{0, math.Inf(1)}}}})
	if err == nil || !strings.Contains(err.Error(), "annotations[0].bbox") {
		t.Errorf("got %v", err)
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

// FuzzParallel puts text in the middle of a long results file: several workers read
// what one reads, and fail where it fails.
func FuzzParallel(f *testing.F) {
	f.Add([]byte(`,{"image_id":1,"category_id":2,"bbox":[1,2.5,3e0,4],"score":0.5}`))
	f.Add([]byte(`,{"x":"},{","image_id":1,"category_id":2,"bbox":[1,2,3,4],"score":1}`))
	f.Add([]byte(`,{"x":[{},{}],"image_id":1,"category_id":2,"bbox":[1,2,3,4],"score":1} ]`))
	f.Add([]byte(`]`))
	f.Add([]byte(`,{"image_id":1`))
	good := bytes.Repeat([]byte(`,{"image_id":7,"category_id":2,"bbox":[1,2,3,4],"score":0.5}`), bufferSize/50)
	f.Fuzz(func(t *testing.T, data []byte) {
		text := slices.Concat([]byte("["), good[1:], data, good, []byte("]"))
		s := newScanner(bytes.NewReader(text), "fuzz")
		s.workers = 3
		got, err := decodeDetections(s)
		want, wantErr := slowly(text, "fuzz")
		sameReading(t, "in parallel", got, err, want, wantErr)
	})
}

// FuzzNumber compares with strconv.
func FuzzNumber(f *testing.F) {
	for _, text := range []string{"0", "-12.5", "9.999999999999999e-23", "0.00012345678901234567", "1e5", "01", "1.", "-"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := newScanner(strings.NewReader(text), "fuzz").number()
		if quick, next := quickNumber(padded(text), 0); next >= 0 && (err != nil || math.Float64bits(quick) != math.Float64bits(got)) {
			t.Fatalf("%q: quickly %v, else %v, %v", text, quick, got, err)
		}
		text = strings.TrimLeft(text, space)
		if end := strings.IndexFunc(text, func(r rune) bool { return r > 0x7f || !numeric[r] }); end >= 0 {
			text = text[:end]
		}
		if want, wantErr := strconv.ParseFloat(text, 64); err == nil && (wantErr != nil || math.Float64bits(got) != math.Float64bits(want)) {
			t.Fatalf("%q: got %v, want %v, %v", text, got, want, wantErr)
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
