package metrics

import (
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"focalgrid/coco"
)

// scene builds small evaluations: images 1 to n, categories by id, objects
// numbered from 1.
type scene struct {
	gt coco.Dataset
	dt []coco.Detection
}

func newScene(images int, categories ...int64) *scene {
	s := &scene{}
	for i := range images {
		s.gt.Images = append(s.gt.Images, coco.Image{ID: int64(i + 1)})
	}
	for _, c := range categories {
		s.gt.Categories = append(s.gt.Categories, coco.Category{ID: c, Name: string(rune('a' + c))})
	}
	return s
}

func (s *scene) object(image, category int64, x, y, w, h float64) *coco.Annotation {
	s.gt.Annotations = append(s.gt.Annotations, coco.Annotation{
		ID: int64(len(s.gt.Annotations) + 1), ImageID: image, CategoryID: category,
		BBox: [4]float64{x, y, w, h}, Area: w * h,
	})
	return &s.gt.Annotations[len(s.gt.Annotations)-1]
}

func (s *scene) crowd(image, category int64, x, y, w, h float64) {
	s.object(image, category, x, y, w, h).IsCrowd = true
}

func (s *scene) detect(image, category int64, score, x, y, w, h float64) {
	s.dt = append(s.dt, coco.Detection{ImageID: image, CategoryID: category, BBox: [4]float64{x, y, w, h}, Score: score})
}

func (s *scene) evaluate(t testing.TB) *Result {
	t.Helper()
	r, err := Evaluate(&s.gt, s.dt, DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// stat returns one of the twelve numbers by name.
func stat(t testing.TB, r *Result, name string) float64 {
	t.Helper()
	for i, n := range StatNames {
		if n == name {
			return r.Stats[i]
		}
	}
	t.Fatalf("no number is called %s", name)
	return 0
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12 || math.IsNaN(a) && math.IsNaN(b) }

func TestLinspace(t *testing.T) {
	want := []float64{.5, .55, .6, .65, .7, .75, .8, .85, 0.8999999999999999, .95} // printed by numpy
	if got := DefaultOptions().IoUThresholds; !reflect.DeepEqual(got, want) {
		t.Errorf("IoU thresholds %v, want %v", got, want)
	}
	recalls := DefaultOptions().RecallThresholds
	if len(recalls) != 101 || recalls[29] != 0.29 || recalls[35] != 0.35000000000000003 || recalls[100] != 1 {
		t.Errorf("recall thresholds %v", recalls)
	}
	for i, r := range recalls {
		if hundredth := .01; r != float64(i)*hundredth {
			t.Errorf("recall threshold %d is %.17g, want %.17g", i, r, float64(i)*hundredth)
		}
	}
}

// TestPerfect: the ground truth as detections is AP 1; none is 0 (not NaN).
func TestPerfect(t *testing.T) {
	s := newScene(3, 2, 7)
	s.object(1, 2, 10, 10, 20, 20)   // small
	s.object(1, 7, 50, 50, 50, 50)   // medium
	s.object(2, 2, 0, 0, 200, 100)   // large
	s.object(3, 7, 5, 5, 0.5, 0.25)  // tiny, also small
	s.object(3, 2, 100, 0, 300, 300) // large
	for _, a := range s.gt.Annotations {
		s.detect(a.ImageID, a.CategoryID, .9, a.BBox[0], a.BBox[1], a.BBox[2], a.BBox[3])
	}
	r := s.evaluate(t)
	for i, v := range r.Stats {
		if !near(v, 1) { // one true positive has precision 1/(1+2^-52)
			t.Errorf("perfect detections: %s = %g, want 1", StatNames[i], v)
		}
	}
	s.dt = nil
	r = s.evaluate(t)
	for i, v := range r.Stats {
		if v != 0 {
			t.Errorf("no detections: %s = %g, want 0", StatNames[i], v)
		}
	}
	for _, c := range r.PerCategory {
		if c.AP != 0 {
			t.Errorf("no detections: category %d has AP %g, want 0", c.ID, c.AP)
		}
	}
}

// TestNoGroundTruth: NaN inside, -1 in COCO's form, and no part of a mean.
func TestNoGroundTruth(t *testing.T) {
	s := newScene(1, 1, 2)
	s.object(1, 1, 0, 0, 10, 10)
	s.detect(1, 1, .9, 0, 0, 10, 10)
	s.detect(1, 2, .9, 0, 0, 10, 10) // of a category without objects: counts nowhere
	r := s.evaluate(t)
	if ap := stat(t, r, "AP"); !near(ap, 1) {
		t.Errorf("AP %g, want 1: category 2 has no objects", ap)
	}
	if c := r.PerCategory[1]; !math.IsNaN(c.AP) || !math.IsNaN(c.AR100) || !math.IsNaN(c.ByIoU[0]) || c.Objects != 0 || c.Detections != 1 {
		t.Errorf("category without objects: %+v", c)
	}
	if m := stat(t, r, "APm"); !math.IsNaN(m) {
		t.Errorf("APm %g, want NaN: nothing is medium", m)
	}
	c := r.COCO()
	if stat(t, c, "APm") != -1 || c.PerCategory[1].AP != -1 || c.PerCategory[1].ByIoU[3] != -1 {
		t.Errorf("COCO form: %+v, want -1 where nothing is", c)
	}
	if !math.IsNaN(stat(t, r, "APm")) || !math.IsNaN(r.PerCategory[1].ByIoU[3]) {
		t.Error("COCO changed its receiver")
	}

	r, err := Evaluate(&coco.Dataset{}, nil, DefaultOptions())
	if err != nil || !math.IsNaN(r.Stats[0]) || len(r.PerCategory) != 0 {
		t.Errorf("nothing at all: %v, %v; want NaN", r, err)
	}
}

// TestByHand has cases whose precision at each recall can be written down.
// With 101 recall thresholds, recall .5 is reached by 51 of them (0 to .50).
func TestByHand(t *testing.T) {
	tests := []struct {
		name string
		make func() *scene
		stat string
		want float64
	}{
		{"one of two found", func() *scene {
			s := newScene(1, 1)
			s.object(1, 1, 0, 0, 10, 10)
			s.object(1, 1, 50, 0, 10, 10)
			s.detect(1, 1, .9, 0, 0, 10, 10)
			return s
		}, "AP", 51. / 101},
		{"a false positive ranked above", func() *scene {
			s := newScene(1, 1)
			s.object(1, 1, 0, 0, 10, 10)
			s.detect(1, 1, .9, 50, 0, 10, 10)
			s.detect(1, 1, .8, 0, 0, 10, 10)
			return s
		}, "AP", .5},
		{"a false positive ranked below costs nothing", func() *scene {
			s := newScene(1, 1)
			s.object(1, 1, 0, 0, 10, 10)
			s.detect(1, 1, .8, 50, 0, 10, 10)
			s.detect(1, 1, .9, 0, 0, 10, 10)
			return s
		}, "AP", 1},
		{"right, wrong, right: precision 1 to recall .5, then 2/3", func() *scene {
			s := newScene(1, 1)
			s.object(1, 1, 0, 0, 10, 10)
			s.object(1, 1, 50, 0, 10, 10)
			s.detect(1, 1, .9, 0, 0, 10, 10)
			s.detect(1, 1, .8, 0, 50, 10, 10)
			s.detect(1, 1, .7, 50, 0, 10, 10)
			return s
		}, "AP", (51 + 50*2./3) / 101},
		{"wrong, right, right: precision is raised to the later 2/3", func() *scene {
			s := newScene(1, 1)
			s.object(1, 1, 0, 0, 10, 10)
			s.object(1, 1, 50, 0, 10, 10)
			s.detect(1, 1, .9, 0, 50, 10, 10)
			s.detect(1, 1, .8, 0, 0, 10, 10)
			s.detect(1, 1, .7, 50, 0, 10, 10)
			return s
		}, "AP", 2. / 3},
		{"a second detection of an object is wrong", func() *scene {
			s := newScene(1, 1)
			s.object(1, 1, 0, 0, 10, 10)
			s.object(1, 1, 50, 0, 10, 10)
			s.detect(1, 1, .9, 0, 0, 10, 10)
			s.detect(1, 1, .8, 0, 0, 10, 10)
			s.detect(1, 1, .7, 50, 0, 10, 10)
			return s
		}, "AP", (51 + 50*2./3) / 101},
		{"IoU .6 counts at .5, .55 and .6", func() *scene {
			s := newScene(1, 1)
			s.object(1, 1, 0, 0, 10, 10)
			s.detect(1, 1, .9, 0, 0, 10, 6)
			return s
		}, "AP", .3},
		{"IoU exactly .5 counts", func() *scene {
			s := newScene(1, 1)
			s.object(1, 1, 0, 0, 10, 10)
			s.detect(1, 1, .9, 0, 0, 10, 5)
			return s
		}, "AP50", 1},
		{"boxes that touch do not overlap", func() *scene {
			s := newScene(1, 1)
			s.object(1, 1, 0, 0, 10, 10)
			s.detect(1, 1, .9, 10, 0, 10, 10)
			return s
		}, "AP50", 0},
		{"the object of higher overlap is taken", func() *scene {
			s := newScene(1, 1)
			s.object(1, 1, 0, 0, 10, 6)
			s.object(1, 1, 0, 0, 10, 10)
			s.detect(1, 1, .9, 0, 0, 10, 10)
			return s
		}, "AR100", .5},
		{"equal overlap takes the later object, which leaves the earlier to the next", func() *scene {
			s := newScene(1, 1)
			s.object(1, 1, 0, 0, 10, 10) // 1
			s.object(1, 1, 2, 0, 10, 10) // 2
			s.detect(1, 1, .9, 1, 0, 10, 10)
			s.detect(1, 1, .8, 0, 0, 10, 10)
			return s
		}, "AP75", 1},
		{"what lies in a crowd is neither right nor wrong", func() *scene {
			s := newScene(1, 1)
			s.object(1, 1, 0, 0, 10, 10)
			s.crowd(1, 1, 100, 100, 200, 200)
			s.detect(1, 1, .9, 100, 100, 10, 10)
			s.detect(1, 1, .8, 150, 100, 10, 10)
			s.detect(1, 1, .7, 0, 0, 10, 10)
			return s
		}, "AP", 1},
		{"an object goes before the crowd around it", func() *scene {
			s := newScene(1, 1)
			s.crowd(1, 1, 0, 0, 200, 200)
			s.object(1, 1, 0, 0, 10, 10)
			s.detect(1, 1, .9, 0, 0, 10, 9)
			return s
		}, "AP75", 1},
		{"half inside a crowd is half its own area", func() *scene {
			s := newScene(1, 1)
			s.object(1, 1, 0, 0, 10, 10)
			s.crowd(1, 1, 100, 0, 100, 100)
			s.detect(1, 1, .9, 95, 0, 10, 10) // overlap .5: ignored at .5, wrong from .55 on
			s.detect(1, 1, .8, 0, 0, 10, 10)
			return s
		}, "AP", (1 + 9*.5) / 10},
		{"classes do not see each other", func() *scene {
			s := newScene(1, 1, 2)
			s.object(1, 1, 0, 0, 10, 10)
			s.object(1, 2, 0, 0, 10, 10)
			s.detect(1, 2, .9, 0, 0, 10, 10)
			return s
		}, "AP", .5},
		{"an unknown category is left out", func() *scene {
			s := newScene(1, 1)
			s.object(1, 1, 0, 0, 10, 10)
			s.object(1, 9, 50, 0, 10, 10)
			s.detect(1, 9, .9, 50, 0, 10, 10)
			s.detect(1, 1, .8, 0, 0, 10, 10)
			return s
		}, "AP", 1},
		{"an object on an unknown image is left out", func() *scene {
			s := newScene(1, 1)
			s.object(1, 1, 0, 0, 10, 10)
			s.object(5, 1, 0, 0, 10, 10)
			s.detect(1, 1, .8, 0, 0, 10, 10)
			return s
		}, "AP", 1},
		{"ties across images go by image id, not by place in the file", func() *scene {
			s := newScene(2, 1)
			s.object(1, 1, 0, 0, 10, 10)
			s.detect(2, 1, .5, 0, 0, 10, 10)
			s.detect(1, 1, .5, 0, 0, 10, 10)
			return s
		}, "AP", 1},
		{"ties within an image go by place in the file", func() *scene {
			s := newScene(1, 1)
			s.object(1, 1, 0, 0, 10, 10)
			s.detect(1, 1, .5, 50, 0, 10, 10)
			s.detect(1, 1, .5, 0, 0, 10, 10)
			return s
		}, "AP", .5},
		{"0 and -0 tie", func() *scene {
			s := newScene(1, 1)
			s.object(1, 1, 0, 0, 10, 10)
			s.detect(1, 1, math.Copysign(0, -1), 50, 0, 10, 10)
			s.detect(1, 1, 0, 0, 0, 10, 10)
			return s
		}, "AP", .5},
		{"NaN scores rank last", func() *scene {
			s := newScene(1, 1)
			s.object(1, 1, 0, 0, 10, 10)
			s.detect(1, 1, math.NaN(), 50, 0, 10, 10)
			s.detect(1, 1, -5, 0, 0, 10, 10)
			return s
		}, "AP", 1},
		{"AR1 sees the best detection of an image", func() *scene {
			s := newScene(1, 1)
			s.object(1, 1, 0, 0, 10, 10)
			s.object(1, 1, 50, 0, 10, 10)
			s.detect(1, 1, .8, 0, 0, 10, 10)
			s.detect(1, 1, .9, 50, 0, 10, 10)
			return s
		}, "AR1", .5},
		{"detection 101 is not seen", func() *scene {
			s := newScene(1, 1)
			s.object(1, 1, 0, 0, 10, 10)
			for range 100 {
				s.detect(1, 1, .9, 50, 0, 10, 10)
			}
			s.detect(1, 1, .8, 0, 0, 10, 10)
			return s
		}, "AR100", 0},
		{"annotation id 0 counts as unmatched", func() *scene {
			s := newScene(1, 1)
			s.object(1, 1, 0, 0, 10, 10).ID = 0
			s.detect(1, 1, .9, 0, 0, 10, 10)
			return s
		}, "AP", 0},
		{"a repeated id stands for its last annotation", func() *scene {
			s := newScene(1, 1)
			s.object(1, 1, 0, 0, 10, 10)
			s.object(1, 1, 50, 0, 10, 10).ID = 1
			s.detect(1, 1, .9, 50, 0, 10, 10)
			s.detect(1, 1, .8, 50, 0, 10, 10)
			return s
		}, "AP", 1},
		{"a repeated id may move an object to another category", func() *scene {
			s := newScene(1, 1, 2)
			s.object(1, 1, 0, 0, 10, 10)
			s.object(1, 2, 50, 0, 10, 10).ID = 1
			s.detect(1, 1, .9, 0, 0, 10, 10)
			s.detect(1, 2, .9, 50, 0, 10, 10)
			return s
		}, "AP", 51. / 101}, // category 1 has no objects left, category 2 has two
		{"an image listed twice is one", func() *scene {
			s := newScene(1, 1)
			s.gt.Images = append(s.gt.Images, s.gt.Images[0])
			s.object(1, 1, 0, 0, 10, 10)
			s.detect(1, 1, .9, 0, 0, 10, 10)
			return s
		}, "AP", 1},
	}
	for _, tt := range tests {
		r := tt.make().evaluate(t)
		if got := stat(t, r, tt.stat); !near(got, tt.want) {
			t.Errorf("%s: %s = %.6f, want %.6f", tt.name, tt.stat, got, tt.want)
		}
	}
}

// TestAreas: the split goes by the annotation's area for objects and by width
// times height for detections; both ends of a range belong to it.
func TestAreas(t *testing.T) {
	s := newScene(1, 1)
	s.object(1, 1, 0, 0, 32, 32) // exactly 32^2: small and medium
	s.detect(1, 1, .9, 0, 0, 32, 32)
	r := s.evaluate(t)
	for name, want := range map[string]float64{"APs": 1, "APm": 1, "APl": math.NaN(), "ARs": 1, "ARm": 1, "ARl": math.NaN()} {
		if got := stat(t, r, name); !near(got, want) {
			t.Errorf("32x32: %s = %g, want %g", name, got, want)
		}
	}

	s = newScene(1, 1)
	s.object(1, 1, 0, 0, 100, 100).Area = 500 // the mask is small though the box is large
	s.detect(1, 1, .9, 0, 0, 100, 100)
	s.detect(1, 1, .95, 200, 0, 50, 50) // wrong, and of medium size: hurts AP, not APs
	r = s.evaluate(t)
	for name, want := range map[string]float64{"AP": .5, "APs": 1, "APm": math.NaN(), "APl": math.NaN()} {
		if got := stat(t, r, name); !near(got, want) {
			t.Errorf("large box of small area: %s = %g, want %g", name, got, want)
		}
	}
}

// TestPerCategory: the overall numbers are means of the categories' where all
// have objects, and the counts are those of the scene.
func TestPerCategory(t *testing.T) {
	gt, dt, _ := readCase(t, "more_classes")
	r, err := Evaluate(gt, dt, DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range StatNames {
		var sum float64
		n := 0
		for _, c := range r.PerCategory {
			if v := c.Stats()[i]; !math.IsNaN(v) {
				sum += v
				n++
			}
		}
		if !near(sum/float64(n), r.Stats[i]) {
			t.Errorf("%s = %g, mean of the categories' %g", name, r.Stats[i], sum/float64(n))
		}
	}
	var byIoU float64
	for _, v := range r.ByIoU {
		byIoU += v / 10
	}
	if !near(byIoU, r.Stats[0]) || r.ByIoU[0] != r.Stats[1] || r.ByIoU[5] != r.Stats[2] {
		t.Errorf("AP by IoU %v does not agree with %v", r.ByIoU, r.Stats[:3])
	}
	objects, detections := 0, 0
	for _, c := range r.PerCategory {
		objects += c.Objects
		detections += c.Detections
		if want := map[int64]string{1: "class1", 2: "class2", 3: "class3", 7: "class7"}[c.ID]; c.Name != want {
			t.Errorf("category %d is called %q, want %q", c.ID, c.Name, want)
		}
	}
	if objects != len(gt.Annotations) || detections != len(dt) {
		t.Errorf("%d objects and %d detections, want %d and %d", objects, detections, len(gt.Annotations), len(dt))
	}
}

// TestErrors: what pycocotools refuses is refused, with entry and field.
func TestErrors(t *testing.T) {
	s := newScene(1, 1)
	s.object(1, 1, 0, 0, 10, 10)
	s.detect(1, 1, .9, 0, 0, 10, 10)
	s.detect(2, 1, .9, 0, 0, 10, 10)
	_, err := Evaluate(&s.gt, s.dt, DefaultOptions())
	if !errors.Is(err, ErrUnknownImage) || err.Error() != "detections[1].image_id: 2: no such image in the ground truth" {
		t.Errorf("unknown image: %v", err)
	}
	s.dt[1].CategoryID = 99 // does not help
	if _, err := Evaluate(&s.gt, s.dt, DefaultOptions()); !errors.Is(err, ErrUnknownImage) {
		t.Errorf("unknown image and category: %v", err)
	}
	s.dt = s.dt[:1]

	a := &s.gt.Annotations[0]
	for field, bit := range map[string]coco.Fields{"area": coco.FieldArea, "iscrowd": coco.FieldIsCrowd} {
		a.Absent = bit
		_, err := Evaluate(&s.gt, nil, DefaultOptions())
		if !errors.Is(err, ErrMissingField) || !strings.HasPrefix(err.Error(), "annotations[0]."+field+": missing") {
			t.Errorf("no %s: %v", field, err)
		}
	}
	a.Absent, a.IsCrowd = coco.FieldArea, true
	if _, err := Evaluate(&s.gt, s.dt, DefaultOptions()); err != nil {
		t.Errorf("a crowd needs no area: %v", err)
	}
	a.Absent, a.CategoryID = coco.FieldArea|coco.FieldIsCrowd, 99
	if _, err := Evaluate(&s.gt, s.dt, DefaultOptions()); err != nil {
		t.Errorf("an annotation that takes no part needs nothing: %v", err)
	}
}

func TestOptions(t *testing.T) {
	s := newScene(1, 1)
	s.object(1, 1, 0, 0, 10, 10)
	s.detect(1, 1, .9, 0, 0, 10, 10)
	bad := map[string]func(*Options){
		"zero":              func(o *Options) { *o = Options{} },
		"65 thresholds":     func(o *Options) { o.IoUThresholds = make([]float64, 65) },
		"threshold NaN":     func(o *Options) { o.IoUThresholds = []float64{math.NaN()} },
		"threshold 50":      func(o *Options) { o.IoUThresholds = []float64{50} },
		"no recalls":        func(o *Options) { o.RecallThresholds = nil },
		"falling recalls":   func(o *Options) { o.RecallThresholds = []float64{.5, .4} },
		"max dets 0":        func(o *Options) { o.MaxDets[1] = 0 },
		"area upside down":  func(o *Options) { o.AreaRanges[1].Min = 1e9 },
		"order of sums":     func(o *Options) { o.Sum = 7 },
		"negative threads":  func(o *Options) { o.Threads = -1 },
		"recall that's NaN": func(o *Options) { o.RecallThresholds = []float64{math.NaN()} },
	}
	for name, change := range bad {
		o := DefaultOptions()
		change(&o)
		if _, err := Evaluate(&s.gt, s.dt, o); !errors.Is(err, ErrOptions) {
			t.Errorf("%s: got %v, want ErrOptions", name, err)
		}
	}
	o := Options{MaxDets: [3]int{0, 1, 1}}
	_, err := Evaluate(&s.gt, s.dt, o)
	if n := strings.Count(err.Error(), "\n"); n != 2 {
		t.Errorf("%d problems told, want 3: %v", n+1, err)
	}

	// One threshold, caps in another order, 64 thresholds.
	o = DefaultOptions()
	o.IoUThresholds, o.MaxDets = []float64{.6}, [3]int{100, 1, 10}
	r, err := Evaluate(&s.gt, s.dt, o)
	if err != nil || !near(stat(t, r, "AP"), 1) || !math.IsNaN(stat(t, r, "AP50")) || stat(t, r, "AR1") != 1 {
		t.Errorf("one threshold: %+v, %v", r, err)
	}
	if o.MaxDets[0] != 100 {
		t.Error("the caller's options were changed")
	}
	o.IoUThresholds = linspace(0, 1, 64)
	if r, err = Evaluate(&s.gt, s.dt, o); err != nil || !near(stat(t, r, "AP"), 1) {
		t.Errorf("64 thresholds: %v, %v", r, err)
	}
}

// TestZeroIDWarning: the surprise is explained.
func TestZeroIDWarning(t *testing.T) {
	s := newScene(1, 1)
	s.object(1, 1, 0, 0, 10, 10).ID = 0
	r := s.evaluate(t)
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "annotation id 0 is used (1 times)") {
		t.Errorf("warnings %q", r.Warnings)
	}
	s.gt.Annotations[0].ID = 5
	if r := s.evaluate(t); len(r.Warnings) != 0 {
		t.Errorf("warnings %q, want none", r.Warnings)
	}
}

// random makes a scene with everything in it.
func random(seed uint64, images, categories int) *scene {
	r := rand.New(rand.NewPCG(seed, 1))
	var ids []int64
	for i := range categories {
		ids = append(ids, int64(3*i+2))
	}
	s := newScene(images, ids...)
	for i := range images {
		for range r.IntN(6) {
			c := ids[r.IntN(len(ids))]
			x, y, w, h := 300*r.Float64(), 300*r.Float64(), 4+150*r.Float64(), 4+150*r.Float64()
			a := s.object(int64(i+1), c, x, y, w, h)
			a.IsCrowd = r.IntN(8) == 0
			for range r.IntN(4) {
				n := func() float64 { return .1 * r.NormFloat64() }
				s.detect(int64(i+1), c, math.Round(r.Float64()*20)/20, x+n()*w, y+n()*h, w*(1+n()), h*(1+n()))
			}
		}
		for range r.IntN(4) {
			s.detect(int64(i+1), ids[r.IntN(len(ids))], r.Float64(), 300*r.Float64(), 300*r.Float64(), 100*r.Float64(), 100*r.Float64())
		}
	}
	return s
}

// same compares results to the bit.
func same(a, b *Result) bool {
	return reflect.DeepEqual(a.COCO(), b.COCO()) // NaN does not equal itself, -1 does
}

// TestInvariants: what must not change the answer, does not.
func TestInvariants(t *testing.T) {
	for seed := range uint64(20) {
		s := random(seed, 30, []int{12, 2, 1}[seed%3])
		opt := DefaultOptions()
		opt.Threads = 1
		want, err := Evaluate(&s.gt, s.dt, opt)
		if err != nil {
			t.Fatal(err)
		}
		for _, threads := range []int{0, 2, 3, 8, 100} {
			opt.Threads = threads
			if got, err := Evaluate(&s.gt, s.dt, opt); err != nil || !same(got, want) {
				t.Errorf("seed %d: %d threads give another result (%v)", seed, threads, err)
			}
		}
		for i, v := range want.COCO().Stats {
			if v != -1 && !(v >= 0 && v <= 1) {
				t.Errorf("seed %d: %s = %g", seed, StatNames[i], v)
			}
		}
		// Any rising function of the scores; new image and annotation ids in the same order.
		moved := &scene{gt: coco.Dataset{Categories: s.gt.Categories}}
		renumber := func(id int64) int64 { return id*1e12 - 5e12 }
		for _, im := range s.gt.Images {
			moved.gt.Images = append([]coco.Image{{ID: renumber(im.ID)}}, moved.gt.Images...)
		}
		for _, a := range s.gt.Annotations {
			a.ID, a.ImageID = a.ID*7+3, renumber(a.ImageID)
			moved.gt.Annotations = append(moved.gt.Annotations, a)
		}
		for _, d := range s.dt {
			d.Score, d.ImageID = math.Exp(d.Score)-50, renumber(d.ImageID)
			moved.dt = append(moved.dt, d)
		}
		if got := moved.evaluate(t); !same(got, want) {
			t.Errorf("seed %d: other ids and scores of the same order give another result", seed)
		}
		// A worse box of every class, ranked last, cannot change AP.
		for _, c := range s.gt.Categories {
			s.detect(1, c.ID, -1, 1e6, 1e6, 10, 10)
		}
		got := s.evaluate(t)
		if got.Stats != want.Stats && got.COCO().Stats != want.COCO().Stats {
			t.Errorf("seed %d: a last wrong box changed %v to %v", seed, want.Stats, got.Stats)
		}
	}
}

// TestIoU holds the formula's corners.
func TestIoU(t *testing.T) {
	nan := math.NaN()
	tests := []struct {
		name  string
		d, g  [4]float64
		crowd bool
		want  float64
	}{
		{"equal", [4]float64{1, 2, 3, 4}, [4]float64{1, 2, 3, 4}, false, 1},
		{"quarter", [4]float64{0, 0, 10, 10}, [4]float64{5, 5, 10, 10}, false, 25. / 175},
		{"crowd", [4]float64{0, 0, 10, 10}, [4]float64{5, 0, 1000, 1000}, true, .5},
		{"touching", [4]float64{0, 0, 10, 10}, [4]float64{0, 10, 10, 10}, false, 0},
		{"no width", [4]float64{5, 5, 0, 10}, [4]float64{0, 0, 10, 10}, false, 0},
		{"negative width", [4]float64{5, 5, -3, 2}, [4]float64{0, 0, 10, 10}, false, 0},
		{"NaN width", [4]float64{0, 0, nan, 10}, [4]float64{0, 0, 10, 10}, false, nan},
	}
	for _, tt := range tests {
		if got := iou(&tt.d, &tt.g, tt.crowd); !near(got, tt.want) {
			t.Errorf("%s: %g, want %g", tt.name, got, tt.want)
		}
	}
}

// TestPairwise: sums that come out differently in each order. The wanted
// values follow numpy's rule written out: eight partial sums, halves, buffers.
func TestPairwise(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	values := func(n int) []float64 {
		v := make([]float64, n)
		for i := range v {
			v[i] = r.Float64()
		}
		return v
	}
	v := values(7)
	if got, want := pairwise(v), ((((((v[0] + v[1]) + v[2]) + v[3]) + v[4]) + v[5]) + v[6]); got != want {
		t.Errorf("7 values: %.17g, want one after the other %.17g", got, want)
	}
	v = values(18)
	var lane [8]float64
	for i := range 16 {
		lane[i%8] += v[i]
	}
	want := ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7])) + v[16] + v[17]
	if got := pairwise(v); got != want {
		t.Errorf("18 values: %.17g, want in eight lanes %.17g", got, want)
	}
	v = values(300) // 300/2 = 150, down to 144; 156/2 = 78, down to 72
	want = (pairwise(v[:72]) + pairwise(v[72:144])) + (pairwise(v[144:216]) + pairwise(v[216:]))
	if got := pairwise(v); got != want {
		t.Errorf("300 values: %.17g, want in halves %.17g", got, want)
	}
	v = values(20000)
	want = (pairwise(v[:8192]) + pairwise(v[8192:16384])) + pairwise(v[16384:])
	if got := SumBuffered.sum(v); got != want {
		t.Errorf("20000 values: %.17g, want in buffers %.17g", got, want)
	}
	if got := SumWhole.sum(v); got != pairwise(v) {
		t.Errorf("20000 values: %.17g, want in pairs %.17g", got, pairwise(v))
	}
	// Two ones that 2^53 swallows one by one, but not together.
	v = make([]float64, 20000)
	v[0], v[12000], v[17000] = 1<<53, 1, 1
	if whole, buffered := SumWhole.sum(v), SumBuffered.sum(v); whole != 1<<53+2 || buffered != 1<<53 {
		t.Errorf("2^53, 1, 1: in pairs %.17g, in buffers %.17g, want 2^53+2 and 2^53", whole, buffered)
	}
}

func BenchmarkEvaluate(b *testing.B) {
	s := random(1, 2000, 80)
	opt := DefaultOptions()
	opt.Threads = 1
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Evaluate(&s.gt, s.dt, opt); err != nil {
			b.Fatal(err)
		}
	}
}
