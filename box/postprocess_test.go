package box

import (
	"math"
	"strings"
	"testing"

	"github.com/sbinet/npyio/npz"

	"focalgrid/setting"
)

func readArrays(t *testing.T, path string) map[string][]float32 {
	t.Helper()
	r, err := npz.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	out := map[string][]float32{}
	for _, name := range []string{"cls_logits", "bbox_regression", "anchors"} {
		var v []float32
		if err := r.Read(name+".npy", &v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = v
	}
	return out
}

func quads(v []float32) [][4]float32 {
	out := make([][4]float32, len(v)/4)
	for i := range out {
		out[i] = [4]float32(v[4*i : 4*i+4])
	}
	return out
}

func TestPostprocessAgainstTorchvision(t *testing.T) {
	var ref struct {
		LevelCounts    []int    `json:"level_counts"`
		NumClasses     int      `json:"num_classes"`
		ImageShapesHW  [][2]int `json:"image_shapes_hw"`
		ScoreThresh    float64  `json:"score_thresh"`
		NMSThresh      float64  `json:"nms_thresh"`
		TopK           int      `json:"topk_per_level"`
		Max            int      `json:"detections_per_img"`
		AboveThreshold [][]int  `json:"above_threshold_per_level"`
		Detections     []struct {
			Boxes, Scores array
			Labels        []int32
		}
	}
	readRef(t, "postprocess", &ref)
	in := readArrays(t, "testdata/postprocess_in.npz")
	anchors := quads(in["anchors"])
	perImage := len(anchors) * ref.NumClasses
	p := Post{Score: ref.ScoreThresh, TopK: ref.TopK, NMS: ref.NMSThresh, MaxDetections: ref.Max}
	if p != paperPost() {
		t.Errorf("reference settings %+v, defaults %+v", p, paperPost())
	}
	for i, want := range ref.Detections {
		logits := in["cls_logits"][i*perImage : (i+1)*perImage]
		deltas := in["bbox_regression"][i*4*len(anchors) : (i+1)*4*len(anchors)]
		hw := ref.ImageShapesHW[i]
		got, err := Postprocess(Predicted{"class": logits, "box": deltas}, Priors{anchors, ref.LevelCounts}, Deltas[float32]{}, hw[1], hw[0], p)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want.Labels) {
			t.Fatalf("image %d: %d detections, want %d", i, len(got), len(want.Labels))
		}
		boxes, scores := boxesOf[float64](want.Boxes), want.Scores.flat()
		for j, d := range got {
			if d.Label != want.Labels[j] {
				t.Errorf("image %d, detection %d: label %d, want %d", i, j, d.Label, want.Labels[j])
			}
			if math.Abs(float64(d.Score)-scores[j]) > 2e-7 { // the reference's sigmoid is float32
				t.Errorf("image %d, detection %d: score %v, want %v", i, j, d.Score, scores[j])
			}
			for k := range 4 {
				if math.Abs(float64(d.Box[k])-boxes[j][k]) > 1e-4 { // float32 decoding of values up to 128
					t.Errorf("image %d, detection %d: box %v, want %v", i, j, d.Box, boxes[j])
					break
				}
			}
		}
		// The count above the threshold is the number found when nothing else is in the way.
		all, err := Postprocess(Predicted{"class": logits, "box": deltas}, Priors{anchors, ref.LevelCounts}, Deltas[float32]{}, hw[1], hw[0],
			Post{Score: ref.ScoreThresh, TopK: math.MaxInt, NMS: 1, MaxDetections: math.MaxInt})
		sum := 0
		for _, n := range ref.AboveThreshold[i] {
			sum += n
		}
		if err != nil || len(all) != sum {
			t.Errorf("image %d: %d candidates above the threshold (%v), want %d", i, len(all), err, sum)
		}
	}
}

// The same box of another class survives, the lower of the same class goes,
// and the order is by falling score whatever the level.
func TestPostprocessByHand(t *testing.T) {
	anchors := [][4]float32{{0, 0, 10, 10}, {0, 0, 10, 10}, {20, 0, 40, 10}}
	logits := []float32{
		2, 1,
		1, -1,
		3, -9,
	}
	got, err := Postprocess(Predicted{"class": logits, "box": make([]float32, 12)}, Priors{anchors, []int{2, 1}}, Deltas[float32]{}, 30, 10, paperPost())
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		box   [4]float32
		logit float64
		label int32
	}{
		{[4]float32{20, 0, 30, 10}, 3, 0}, // clipped at the image's width of 30
		{[4]float32{0, 0, 10, 10}, 2, 0},
		{[4]float32{0, 0, 10, 10}, 1, 1},
	}
	if len(got) != len(want) {
		t.Fatalf("got %v", got)
	}
	for i, w := range want {
		if got[i].Box != w.box || got[i].Label != w.label || got[i].Score != float32(1/(1+math.Exp(-w.logit))) {
			t.Errorf("detection %d: %v, want box %v of class %d at sigmoid(%g)", i, got[i], w.box, w.label, w.logit)
		}
	}
}

func TestPostprocessThresholdIsStrict(t *testing.T) {
	anchors := [][4]float32{{0, 0, 10, 10}, {20, 0, 30, 10}}
	logits := []float32{0, math.Nextafter32(0, 1)}
	p := paperPost()
	p.Score = .5
	got, err := Postprocess(Predicted{"class": logits, "box": make([]float32, 8)}, Priors{anchors, []int{2}}, Deltas[float32]{}, 40, 40, p)
	if err != nil || len(got) != 1 || got[0].Box[0] != 20 {
		t.Errorf("got %v, %v: want the second anchor alone, as sigmoid(0) is not above .5", got, err)
	}
}

// paperPost is the paper's inference (§4.1: score .05, 1000 a level, NMS .5) with the 100
// detections an image that COCO's evaluation looks at.
func paperPost() Post { return Post{Score: .05, TopK: 1000, NMS: .5, MaxDetections: 100} }

func TestNewPost(t *testing.T) {
	if got := NewPost(setting.Values{"low_score": .05, "topk": 1000, "nms": .5, "max_dets": 100}); got != paperPost() {
		t.Errorf("got %+v", got)
	}
	for i, tt := range []struct {
		value any
		want  string
	}{
		{1., "is 1, must be at least 0 and below 1"},
		{0, "is 0, must be from 1 to 1000000"},
		{-.1, "is -0.1, must be from 0 to 1"},
		{0, "is 0, must be from 1 to 10000"},
	} {
		if err := Params[i].Judge(tt.value); err == nil || err.Error() != tt.want {
			t.Errorf("%s: error %v, want %q", Params[i].Name, err, tt.want)
		}
	}
}

func TestPostprocessRefuses(t *testing.T) {
	anchors := make([][4]float32, 2)
	ok := func() ([]float32, []float32, []int, Post) {
		return make([]float32, 6), make([]float32, 8), []int{1, 1}, paperPost()
	}
	tests := []struct {
		name string
		edit func(logits, deltas *[]float32, levels *[]int)
		want string
	}{
		{"logits", func(l, _ *[]float32, _ *[]int) { *l = (*l)[:5] }, "5 logits and 8 box values for 2 priors"},
		{"deltas", func(_, d *[]float32, _ *[]int) { *d = (*d)[:4] }, "6 logits and 4 box values for 2 priors"},
		{"levels", func(_, _ *[]float32, l *[]int) { *l = []int{1} }, "levels [1] hold 1 priors, got 2"},
		{"negative level", func(_, _ *[]float32, l *[]int) { *l = []int{3, -1} }, "below 0"},
	}
	for _, tt := range tests {
		logits, deltas, levels, p := ok()
		tt.edit(&logits, &deltas, &levels)
		if _, err := Postprocess(Predicted{"class": logits, "box": deltas}, Priors{anchors, levels}, Deltas[float32]{}, 10, 10, p); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one with %q", tt.name, err, tt.want)
		}
	}
}

// No outputs of a network, however broken, make it panic; scores fall.
func FuzzPostprocess(f *testing.F) {
	f.Add(float32(1), float32(-2), float32(0), float32(90), float32(.5))
	f.Add(float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), float32(-4), float32(1e38))
	f.Fuzz(func(t *testing.T, a, b, c, d, e float32) {
		anchors := [][4]float32{{0, 0, 10, 10}, {5, 5, 25, 20}}
		got, err := Postprocess(Predicted{"class": {a, b, c, d}, "box": {a, b, c, d, e, d, c, b}}, Priors{anchors, []int{1, 1}}, Deltas[float32]{}, 32, 32, paperPost())
		if err != nil {
			t.Fatal(err)
		}
		for i := 1; i < len(got); i++ {
			if !(got[i-1].Score >= got[i].Score) {
				t.Errorf("scores do not fall: %v", got)
			}
		}
	})
}

func BenchmarkPostprocess(b *testing.B) {
	const a, k = 3069, 4
	logits, deltas, anchors := make([]float32, a*k), make([]float32, a*4), make([][4]float32, a)
	for i := range anchors {
		x, y := float32(i%64*2), float32(i/64*2)
		anchors[i] = [4]float32{x - 16, y - 16, x + 16, y + 16}
	}
	for i := range logits {
		logits[i] = float32(i*7919%1000)/200 - 4
	}
	for b.Loop() {
		if _, err := Postprocess(Predicted{"class": logits, "box": deltas}, Priors{anchors, []int{2304, 576, 144, 36, 9}}, Deltas[float32]{}, 128, 128, paperPost()); err != nil {
			b.Fatal(err)
		}
	}
}
