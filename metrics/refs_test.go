package metrics

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"focalgrid/coco"
)

// expected is what pycocotools gave for a case under testdata.
type expected struct {
	StatNames   []string    `json:"stat_names"`
	Stats       [12]float64 `json:"stats"`
	PerCategory []struct {
		ID    int64     `json:"category_id"`
		AP    float64   `json:"AP"`
		AP50  float64   `json:"AP50"`
		AP75  float64   `json:"AP75"`
		ByIoU []float64 `json:"AP_by_iou"`
	} `json:"per_category"`
}

func readCase(t testing.TB, name string) (*coco.Dataset, []coco.Detection, expected) {
	t.Helper()
	gt, err := coco.ReadDataset(filepath.Join("testdata", name, "gt.json"))
	if err != nil {
		t.Fatal(err)
	}
	dt, err := coco.ReadDetections(filepath.Join("testdata", name, "dt.json"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join("testdata", name, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want expected
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	return gt, dt, want
}

// TestPycocotools asks for the very bits of pycocotools, whose mean has the
// same order of summation in all numpy versions for so few categories.
func TestPycocotools(t *testing.T) {
	for _, name := range []string{"plain", "more_classes", "with_crowd"} {
		for _, sum := range []Summation{SumWhole, SumBuffered} {
			gt, dt, want := readCase(t, name)
			opt := DefaultOptions()
			opt.Sum = sum
			r, err := Evaluate(gt, dt, opt)
			if err != nil {
				t.Fatal(err)
			}
			r = r.COCO()
			for i, n := range want.StatNames {
				if n != StatNames[i] {
					t.Errorf("%s: number %d is called %s, want %s", name, i, StatNames[i], n)
				}
				if r.Stats[i] != want.Stats[i] {
					t.Errorf("%s: %s = %.17g, want %.17g", name, n, r.Stats[i], want.Stats[i])
				}
			}
			if len(r.PerCategory) != len(want.PerCategory) {
				t.Fatalf("%s: %d categories, want %d", name, len(r.PerCategory), len(want.PerCategory))
			}
			for i, w := range want.PerCategory {
				g := r.PerCategory[i]
				if g.ID != w.ID || g.AP != w.AP || g.AP50 != w.AP50 || g.AP75 != w.AP75 {
					t.Errorf("%s: category %d has AP, AP50, AP75 %.17g %.17g %.17g, want category %d with %.17g %.17g %.17g",
						name, g.ID, g.AP, g.AP50, g.AP75, w.ID, w.AP, w.AP50, w.AP75)
				}
				for k := range w.ByIoU {
					if g.ByIoU[k] != w.ByIoU[k] {
						t.Errorf("%s: category %d at IoU %g: AP %.17g, want %.17g", name, g.ID, r.IoUThresholds[k], g.ByIoU[k], w.ByIoU[k])
					}
				}
			}
		}
	}
}
