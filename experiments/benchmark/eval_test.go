package benchmark

import (
	"reflect"
	"testing"

	"focalgrid/metrics"
)

// TestEvalCase: as many of everything as the case says, the same each time, and
// neither too easy nor too hard to evaluate.
func TestEvalCase(t *testing.T) {
	c := EvalCase{Images: 200, Categories: 7, Objects: 1500, Detections: 20_000, Tail: .8}
	gt, dt := c.generate()
	if len(gt.Images) != c.Images || len(gt.Categories) != c.Categories || len(gt.Annotations) != c.Objects || len(dt) != c.Detections {
		t.Errorf("%d images, %d categories, %d objects, %d detections, want %+v", len(gt.Images), len(gt.Categories), len(gt.Annotations), len(dt), c)
	}
	if gt2, dt2 := c.generate(); !reflect.DeepEqual(gt, gt2) || !reflect.DeepEqual(dt, dt2) {
		t.Error("the second time gives something else")
	}
	r, err := metrics.Evaluate(gt, dt, metrics.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range r.Stats {
		if !(v > .05 && v < .8) {
			t.Errorf("%s is %g", metrics.StatNames[i], v)
		}
	}
}
