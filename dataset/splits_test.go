package dataset

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestSplits(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "odd[1]*name")
	if err := os.MkdirAll(filepath.Join(dir, "annotations"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"instances_val.json", "instances_train2017.json", "captions_val.json"} {
		if err := os.WriteFile(filepath.Join(dir, "annotations", name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := splitsIn(dir); err != nil || !slices.Equal(got, []string{"train2017", "val"}) {
		t.Errorf("splits are %v (%v), want train2017 and val", got, err)
	}
}
