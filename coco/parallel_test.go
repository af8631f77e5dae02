package coco

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

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
