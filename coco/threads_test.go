package coco

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// value writes a random JSON value, nested up to depth deep, and now and then one that
// is wrong.
func value(r *rand.Rand, depth int) string {
	switch n := r.IntN(14); {
	case n < 2 && depth > 0:
		var items []string
		for range r.IntN(4) {
			items = append(items, value(r, depth-1))
		}
		return "[" + strings.Join(items, ",") + "]"
	case n < 4 && depth > 0:
		var items []string
		for range r.IntN(4) {
			items = append(items, fmt.Sprintf(`"%c": %s`, 'a'+rune(r.IntN(3)), value(r, depth-1)))
		}
		return "{" + strings.Join(items, ", ") + "}"
	case n < 6:
		return fmt.Sprintf("%.*g", 1+r.IntN(20), r.NormFloat64())
	case n == 6:
		return []string{"true", "false", "null", "NaN", "-Infinity", "1e999", "-0"}[r.IntN(7)]
	case n == 7:
		return `"` + []string{"", "x", `\u00e9`, `\"},{\"`, "},{", "é", `\ud83d`}[r.IntN(7)] + `"`
	}
	return fmt.Sprint(r.IntN(1000))
}

// odd writes a field that few files have, at the edges of what is read.
func odd(r *rand.Rand) string {
	switch r.IntN(12) {
	case 0:
		n := []int{3, 8, 9, 10, 40}[r.IntN(5)]
		return `"x":` + strings.Repeat(`{"y":[`, n/2) + strings.Repeat("]}", n/2)
	case 1:
		n := maxDepth - 4 + r.IntN(6)
		return `"x":` + strings.Repeat("[", n) + strings.Repeat("]", n)
	case 2:
		n := (maxDepth - 4 + r.IntN(6)) / 2
		// An entry longer than what is left of the buffer is read in another way.
		return `"long":"` + strings.Repeat("x", r.IntN(200_000)) + `","x":` + strings.Repeat(`{"y":[`, n) + strings.Repeat("]}", n)
	case 3:
		n := maxNumber - 3 + r.IntN(6)
		return `"x":` + []string{"", "-"}[r.IntN(2)] + "0." + strings.Repeat("0", n-2)
	case 4:
		return `"\u0061rea":` + value(r, 0)
	case 5:
		return `"is\u0063rowd":` + []string{"0", "1", "true", "256"}[r.IntN(4)]
	case 6:
		return `"x":"` + strings.Repeat("longer than an entry ", r.IntN(600)) + `"`
	case 7:
		return []string{`"x":01`, `"x":"` + "\x01" + `"`, `"x" 1`, `"x":`, `"\q":1`, `"x":nul`, `"x":+1`, `"id":"1"`, `"id":9223372036854775808`}[r.IntN(9)]
	case 8:
		return `"x":"` + "\xff" + `"`
	}
	return `"x":` + value(r, 6)
}

// TestThreads: a file reads the same, or is refused with the same words, whatever the
// number of threads. It is long enough to be read in parallel.
func TestThreads(t *testing.T) {
	files := 60
	if testing.Short() {
		files = 10
	}
	refused := 0
	for seed := range uint64(files) {
		r := rand.New(rand.NewPCG(7, seed))
		var b strings.Builder
		b.WriteString(`{"images":[{"id":1}],"categories":[{"id":1}],"annotations":[`)
		const n = 6000
		special := map[int]bool{r.IntN(n): true, firstEntries + r.IntN(n-firstEntries): true, n - 1 - r.IntN(50): true}
		for i := range n {
			if i > 0 {
				b.WriteString(",")
			}
			extra := ""
			if special[i] {
				extra = odd(r) + ","
			} else if r.IntN(20) == 0 {
				extra = `"segmentation":[[1.5,2,3.25]],`
			}
			fmt.Fprintf(&b, `{%s"id":%d,"image_id":1,"category_id":1,"bbox":[%g,2,3,4],"area":12,"iscrowd":0}`, extra, i+1, float64(r.IntN(9999))/8)
		}
		b.WriteString("]}")
		var first *Dataset
		var firstErr error
		for _, workers := range []int{1, 2, 3} {
			s := newScanner(strings.NewReader(b.String()), "f")
			s.workers = workers
			d, err := decodeDataset(s)
			if workers == 1 {
				if first, firstErr = d, err; err != nil {
					refused++
				}
			}
			sameReading(t, fmt.Sprintf("file %d on %d threads", seed, workers), d, err, first, firstErr)
		}
	}
	if refused == 0 || refused == files {
		t.Errorf("%d of %d files are refused: the test compares too little", refused, files)
	}
}

// TestNesting: how deep a skipped value may be nested is counted from the root, also
// where the value begins in an entry of the everyday form.
func TestNesting(t *testing.T) {
	for _, tt := range []struct {
		deep int // of the value; the file, its array and the entry are around it
		ok   bool
	}{{8, true}, {9, true}, {maxDepth - 2, true}, {maxDepth - 1, false}, {maxDepth + 100, false}} {
		text := `{"images":[],"categories":[],"annotations":[{"x":` + strings.Repeat(`{"y":[`, tt.deep/2) + strings.Repeat("[", tt.deep%2) +
			strings.Repeat("]", tt.deep%2) + strings.Repeat("]}", tt.deep/2) + `,"id":1,"image_id":1,"category_id":1,"bbox":[1,2,3,4]}]}`
		if _, err := DecodeDataset(strings.NewReader(text), "f"); (err == nil) != tt.ok {
			t.Errorf("%d deep: %v", tt.deep, err)
		}
	}
}

// TestUnread: fields that scoring does not need stop nothing, whatever their type, and are named.
func TestUnread(t *testing.T) {
	d, err := DecodeDataset(strings.NewReader(`{"images": [
		{"id": 1, "width": "640", "height": 480.5, "file_name": 12},
		{"id": 2, "width": -2, "height": [[{"x": NaN}]], "file_name": {"a": "b"}},
		{"id": 3, "width": 6.4e2, "height": null, "file_name": null},
		{"id": 4, "width": true, "height": 1e12, "file_name": "`+"\xff"+`"}],
		"categories": [{"id": 1, "name": 5, "supercategory": 6}, {"name": ["x"], "id": 2}], "annotations": []}`), "f")
	if err != nil {
		t.Fatal(err)
	}
	for i, im := range d.Images {
		want := Image{ID: int64(i + 1)}
		if i == 2 {
			want.Width = 640
		}
		if im != want {
			t.Errorf("image %d is %+v", i, im)
		}
	}
	want := []string{
		"images[0].width: expected a whole number, found a string",
		`images[0].height: expected a whole number, found "480.5"`,
		"images[0].file_name: expected a string, found a number",
		"images[1].width: expected a number of pixels from 0 to 2^30, found -2",
		"images[1].height: expected a whole number, found an array",
		"images[1].file_name: expected a string, found an object",
		"images[3].width: expected a whole number, found true, false or other text",
		"images[3].height: expected a number of pixels from 0 to 2^30, found 1e12",
		"images[3].file_name: expected a string in UTF-8",
		"categories[0].name: expected a string, found a number",
		"categories[1].name: expected a string, found an array",
	}
	if len(d.Unread) != len(want) {
		t.Fatalf("%d complaints, want %d: %v", len(d.Unread), len(want), d.Unread)
	}
	for i, e := range d.Unread {
		if !strings.HasSuffix(e.Error(), want[i]) {
			t.Errorf("%v, want %s", e, want[i])
		}
	}
	for _, text := range []string{`"width": 1.`, `"width": nil`, `"height": "a`, `"file_name": [1`, `"width": 01`, `"id": "1"`, `"id": 9223372036854775808`, `"id": NaN`} {
		if _, err := DecodeDataset(strings.NewReader(`{"images": [{"id": 1, `+text+`}], "categories": []}`), "f"); err == nil {
			t.Errorf("%s is read", text)
		}
	}
}

// TestUnzipIsBounded: a small file of gzip does not fill the memory.
func TestUnzipIsBounded(t *testing.T) {
	packed := func(entries int) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		io.WriteString(z, "[")
		entry := strings.Repeat(`{"image_id":1,"category_id":1,"bbox":[1,1,1,1],"score":1},`, 1000)
		for range entries / 1000 {
			io.WriteString(z, entry)
		}
		io.WriteString(z, `{"image_id":1,"category_id":1,"bbox":[1,1,1,1],"score":1}]`)
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	if d, err := DecodeDetections(bytes.NewReader(packed(100_000)), "f"); err != nil || len(d) != 100_001 {
		t.Errorf("6 MB of 30 kB: %d entries, %v", len(d), err)
	}
	_, err := DecodeDetections(bytes.NewReader(packed(1_300_000)), "f")
	if err == nil || !strings.Contains(err.Error(), "unfolds to more than 200 times its size: if that is meant, decompress the file first") {
		t.Errorf("75 MB of 300 kB: %v", err)
	}
}
