package metrics

import (
	"errors"
	"math"
	"strings"
	"testing"

	"focalgrid/coco"
)

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
