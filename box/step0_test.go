package box

import (
	"math"
	"testing"
)

// Detections of a small RetinaNet before training, from real head outputs: torchvision's, for two
// pictures of 64 pixels with three objects each, with P6 made from P5 or from C5.
func TestPostprocessOfARealHead(t *testing.T) {
	type variant struct {
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
	var ref struct {
		P5 variant `json:"p6_from_P5"`
		C5 variant `json:"p6_from_C5"`
	}
	readRef(t, "step0", &ref)
	for file, v := range map[string]variant{"p5": ref.P5, "c5": ref.C5} {
		in := readArrays(t, "testdata/step0_"+file+".npz")
		anchors := quads(in["anchors"])
		for i, want := range v.Detections.Float32.Images {
			n, p := len(anchors), paperPost()
			p.Score = v.Detections.Float32.Score
			got, err := Postprocess(Predicted{"class": in["cls_logits"][4*n*i : 4*n*(i+1)], "box": in["bbox_regression"][4*n*i : 4*n*(i+1)]},
				Priors{anchors, []int{576, 144, 36, 9, 9}}, Deltas[float32]{}, 64, 64, p)
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
					off = max(off, math.Abs(float64(d.Box[k])-boxes[j][k])/64)
				}
				if d.Label != want.Labels[j] || off > 1e-5 {
					t.Errorf("%s, image %d, detection %d: %v, want box %v, score %g, label %d", file, i, j, d, boxes[j], scores[j], want.Labels[j])
				}
			}
		}
	}
}
