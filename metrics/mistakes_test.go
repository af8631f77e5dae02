package metrics

import (
	"math/rand/v2"
	"strings"
	"testing"

	"focalgrid/coco"
)

// street is a scene of 40 images with three objects each, and the detections of a fair
// detector: boxes a little off, one in five of another class, as many again at random.
func street(rng *rand.Rand) *scene {
	s := newScene(40, 1, 2, 3, 5, 8)
	ids := []int64{1, 2, 3, 5, 8}
	for image := int64(1); image <= 40; image++ {
		for range 3 {
			x, y, w, h := 200+200*rng.Float64(), 100+200*rng.Float64(), 40+80*rng.Float64(), 40+80*rng.Float64()
			class := ids[rng.IntN(len(ids))]
			s.object(image, class, x, y, w, h)
			if rng.IntN(5) == 0 {
				class = ids[rng.IntN(len(ids))]
			}
			s.detect(image, class, .5+rng.Float64()/2, x+4*rng.Float64(), y-4*rng.Float64(), w, h)
			s.detect(image, ids[rng.IntN(len(ids))], rng.Float64()/2, 400*rng.Float64(), 300*rng.Float64(), 60, 60)
		}
	}
	return s
}

// TestMistakes: what people get wrong in a results file is named with its counts.
func TestMistakes(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(d *coco.Detection)
		want  []string // parts of what is said
	}{
		{"right", func(*coco.Detection) {}, nil},
		{"categories from 0", func(d *coco.Detection) { d.CategoryID-- }, []string{
			" of 240 detections (id ", " are of a category that the ground truth lacks, and count for nothing",
			" of the 120 best detections would find an object if their category_id were 1 more; as they are, ",
		}},
		{"categories one up", func(d *coco.Detection) { d.CategoryID++ }, []string{"are of a category that the ground truth lacks", "if their category_id were 1 less"}},
		{"places in the list", func(d *coco.Detection) {
			d.CategoryID = map[int64]int64{1: 0, 2: 1, 3: 2, 5: 3, 8: 4}[d.CategoryID]
		}, []string{"are of a category that the ground truth lacks", "if their category_id counted the categories from 0"}},
		{"places in the list from 1", func(d *coco.Detection) {
			d.CategoryID = map[int64]int64{1: 1, 2: 2, 3: 3, 5: 4, 8: 5}[d.CategoryID]
		}, []string{"(id 4)"}}, // three of five classes are right: AP50 is not doubtful
		{"all of another set", func(d *coco.Detection) { d.CategoryID += 100 }, []string{"240 of 240 detections (id 10", ", …) are of a category that the ground truth lacks"}},
		{"images from 0", func(d *coco.Detection) { d.ImageID-- }, []string{
			"6 of 240 detections (id 0) are on an image that the ground truth lacks", "if their image_id were 1 more",
		}},
		{"corners", func(d *coco.Detection) { d.BBox[2] += d.BBox[0]; d.BBox[3] += d.BBox[1] }, []string{"if their bbox were two corners, x1, y1, x2, y2"}},
		{"centres", func(d *coco.Detection) { d.BBox[0] += d.BBox[2] / 2; d.BBox[1] += d.BBox[3] / 2 }, []string{"if their bbox were centre and size"}},
		{"y before x", func(d *coco.Detection) {
			d.BBox = [4]float64{d.BBox[1], d.BBox[0], d.BBox[3], d.BBox[2]}
		}, []string{"if their bbox were y, x, height, width"}},
		{"shares of the image", func(d *coco.Detection) {
			for k := range d.BBox {
				d.BBox[k] /= 640
			}
		}, []string{"240 of 240 detections have a bbox within 0…1; bbox is x, y, width, height in pixels"}},
		{"no idea", func(d *coco.Detection) { d.BBox = [4]float64{0, 0, 10, 10} }, nil},
		{"everything is one class", func(d *coco.Detection) { d.CategoryID = 3 }, nil},
	}
	for _, tt := range tests {
		for seed := range uint64(20) {
			s := street(rand.New(rand.NewPCG(seed, 1)))
			for i := range s.dt {
				tt.spoil(&s.dt[i])
			}
			ap50 := 0.
			if r, err := Evaluate(&s.gt, s.dt, DefaultOptions()); err == nil {
				ap50 = stat(t, r, "AP50")
			}
			got := strings.Join(Mistakes(&s.gt, s.dt, ap50), "\n")
			if len(tt.want) == 0 && got != "" {
				t.Errorf("%s: a false alarm: %s", tt.name, got)
			}
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("%s: %q, want %q in it", tt.name, got, want)
				}
			}
			if t.Failed() {
				break
			}
		}
	}
}

// TestMistakesByChance: a detector that finds every object and guesses its class does so under
// any reading of its ids; that another fits a few more by chance is no mistake.
func TestMistakesByChance(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 2))
		s := newScene(10, 1, 2, 3, 4)
		for image := int64(1); image <= 10; image++ {
			for range 1 + rng.IntN(3) {
				x, y := 400*rng.Float64(), 300*rng.Float64()
				s.object(image, 1+rng.Int64N(4), x, y, 60, 60)
				s.detect(image, 1+rng.Int64N(4), rng.Float64(), x, y, 60, 60)
			}
		}
		if got := Mistakes(&s.gt, s.dt, 0); got != nil {
			t.Errorf("seed %d: a false alarm: %q", seed, got)
		}
	}
}

// TestMistakesOfNothing: files without detections or objects have none.
func TestMistakesOfNothing(t *testing.T) {
	s := newScene(2, 1)
	if got := Mistakes(&s.gt, nil, 0); got != nil {
		t.Errorf("no detections: %q", got)
	}
	s.detect(1, 1, .5, 10, 10, 20, 20)
	if got := Mistakes(&s.gt, s.dt, 0); got != nil {
		t.Errorf("no objects: %q", got)
	}
}
