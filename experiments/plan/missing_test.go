package plan

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

func TestNearestSplit(t *testing.T) {
	c := miniConfig(t, "data.name=coco")
	for _, tt := range []struct{ key, name, want string }{
		{"data.val", "val", "val2017"},
		{"data.tune", "tune", "val2017"}, // train is spelt more alike, but what is trained on is nothing to score on
		{"data.train", "tarin", "train"},
	} {
		if got := c.nearestSplit(tt.key, tt.name, []string{"train", "val2017"}); got != tt.want {
			t.Errorf("%s %s: %s, want %s", tt.key, tt.name, got, tt.want)
		}
	}
	if got := c.nearestSplit("data.val", "val", []string{"train"}); got != "train" {
		t.Errorf("with one split alone: %s", got)
	}
}
