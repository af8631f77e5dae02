package coco

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

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
