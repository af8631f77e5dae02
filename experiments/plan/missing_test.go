package plan

import (
	"testing"
)

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
