package coco

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

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
