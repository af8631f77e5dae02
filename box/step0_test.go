package box

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// Detections of a small RetinaNet before training, from real head outputs: torchvision's, for two
// pictures of 64 pixels with three objects each, with P6 made from P5 or from C5; and for two of 128 pixels
// in the folder that FOCALGRID_REFS names.
func TestPostprocessOfARealHead(t *testing.T) {
	var ref step0
	readRef(t, "step0", &ref)
	ref.compare(t, "testdata/step0_", 64, []int{576, 144, 36, 9, 9})
	if refs := os.Getenv("FOCALGRID_REFS"); refs != "" {
		text, err := os.ReadFile(filepath.Join(refs, "model_small", "small.json"))
		if err != nil {
			t.Fatal(err)
		}
		var larger step0
		if err := json.Unmarshal(text, &larger); err != nil {
			t.Fatal(err)
		}
		larger.compare(t, filepath.Join(refs, "model_small", "head_step0_p6_from_"), 128, []int{2304, 576, 144, 36, 9})
	}
}

// step0 is the detections of a head, by what its P6 is made from.
type step0 struct {
	P5 step0Variant `json:"p6_from_P5"`
	C5 step0Variant `json:"p6_from_C5"`
}

type step0Variant struct {
	Detections struct {
		Float32 struct {
			Score  float64 `json:"score_thresh"`
			Images []struct {
				Boxes, Scores array
				Labels        []int32
			}
		}
	} `json:"detections_step0"`
}

// compare makes detections of the head outputs in the files outputs + "p5.npz" and outputs + "c5.npz".
func (ref step0) compare(t *testing.T, outputs string, side int, levels []int) {
	t.Helper()
	for file, v := range map[string]step0Variant{"p5": ref.P5, "c5": ref.C5} {
		in := readArrays(t, outputs+file+".npz")
		anchors := quads(in["anchors"])
		for i, want := range v.Detections.Float32.Images {
			n, p := len(anchors), paperPost()
			p.Score = v.Detections.Float32.Score
			got, err := Postprocess(Predicted{"class": in["cls_logits"][4*n*i : 4*n*(i+1)], "box": in["bbox_regression"][4*n*i : 4*n*(i+1)]},
				Priors{anchors, levels}, Deltas[float32]{}, side, side, p)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(want.Labels) {
				t.Fatalf("%s, image %d: %d detections, want %d", file, i, len(got), len(want.Labels))
			}
			boxes, scores := boxesOf[float64](want.Boxes), want.Scores.flat()
			for j, d := range got {
				off := math.Abs(float64(d.Score) - scores[j])
				for k := range 4 {
					off = max(off, math.Abs(float64(d.Box[k])-boxes[j][k])/float64(side))
				}
				if d.Label != want.Labels[j] || off > 1e-5 {
					t.Errorf("%s, image %d, detection %d: %v, want box %v, score %g, label %d", file, i, j, d, boxes[j], scores[j], want.Labels[j])
				}
			}
		}
	}
}
