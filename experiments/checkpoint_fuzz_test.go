package experiments

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"focalgrid/results/record"
	"focalgrid/weights"
)

// FuzzCheckpoint: no bytes make reading a checkpoint panic or give one whose
// content is another than written down; nor does a right hash over wrong metadata.
func FuzzCheckpoint(f *testing.F) {
	key := strings.Repeat("a", 64)
	dir := f.TempDir()
	c := &Checkpoint{
		Step: 3, running: 1.5, rows: []record.Step{{Step: 0, Loss: 1, Positives: 2}},
		tensors: []weights.Tensor{{Name: "head.a", Shape: []int{2}, Data: []float32{1, 2}}},
	}
	if err := c.Write(dir, key); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, checkpointName(3)))
	if err != nil {
		f.Fatal(err)
	}
	rows, err := json.Marshal(c.rows)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole, "3", "1.5", string(rows))
	f.Add(whole[:len(whole)-1], "-1", "NaN", "[]")
	f.Add([]byte{}, "9223372036854775808", "1e999", `[{"Step":1e9}]`)
	f.Fuzz(func(t *testing.T, data []byte, step, running, rows string) {
		if file, err := weights.Decode(data, "fuzz"); err == nil {
			if got, err := checkpointOf(file, key); err == nil && (got.Step != 3 || !reflect.DeepEqual(got.tensors, c.tensors)) {
				t.Fatalf("%q was read as %+v", data, got)
			}
		}
		meta := map[string]string{metaTrial: key, metaStep: step, metaRunning: running, metaRows: rows}
		if err := seal(c.tensors, meta); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := weights.Encode(&b, c.tensors, meta, weights.F32); err != nil {
			t.Fatal(err)
		}
		file, err := weights.Decode(b.Bytes(), "fuzz")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := checkpointOf(file, key); err == nil && got.Step < 0 {
			t.Fatalf("step %q was read as %d", step, got.Step)
		}
	})
}
