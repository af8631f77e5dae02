package metrics

import (
	"math"
	"reflect"
	"testing"

	"focalgrid/coco"
)

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
