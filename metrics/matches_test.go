package metrics

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"focalgrid/coco"
)

// hard makes a scene with what random leaves out: many equal scores, also in one
// image, equal overlaps, gaps in the ids of images, an object of id 0 and a
// category without objects.
func hard(rng *rand.Rand, images, categories int) *scene {
	s := &scene{}
	for i := range images {
		s.gt.Images = append(s.gt.Images, coco.Image{ID: int64(3*i + 1)})
	}
	for k := range categories + 1 {
		s.gt.Categories = append(s.gt.Categories, coco.Category{ID: int64(2*k + 1), Name: fmt.Sprintf("class %d", k)})
	}
	for _, im := range s.gt.Images {
		for range rng.IntN(6) {
			x, y := float64(rng.IntN(120)), float64(rng.IntN(120))
			w, h := float64(4+rng.IntN(120)), float64(4+rng.IntN(60))
			class := int64(2*rng.IntN(categories) + 1)
			a := s.object(im.ID, class, x, y, w, h)
			a.IsCrowd = rng.IntN(12) == 0
			if rng.IntN(40) == 0 && s.gt.Annotations[0].ID != 0 {
				s.gt.Annotations[0].ID = 0
			}
			for range rng.IntN(4) {
				found := class
				if rng.IntN(5) == 0 {
					found = int64(2*rng.IntN(categories+1) + 1)
				}
				s.detect(im.ID, found, float64(1+rng.IntN(9))/10,
					x+float64(rng.IntN(9)-4), y+float64(rng.IntN(9)-4), w+float64(rng.IntN(9)-4), h)
			}
		}
		for range rng.IntN(3) {
			s.detect(im.ID, int64(2*rng.IntN(categories+1)+1), float64(rng.IntN(6))/10, float64(rng.IntN(99)), float64(rng.IntN(99)), 20, 30)
		}
	}
	return s
}

// perImage splits a scene by image.
func (s *scene) perImage(id int64) (objects []coco.Annotation, detections []coco.Detection) {
	for _, a := range s.gt.Annotations {
		if a.ImageID == id {
			a.ImageID = 0 // Add does not look at it
			objects = append(objects, a)
		}
	}
	for _, d := range s.dt {
		if d.ImageID == id {
			d.ImageID = 0
			detections = append(detections, d)
		}
	}
	return objects, detections
}

// TestMatches: kept matches give Evaluate's bits, whether they come from all at
// once, or image by image in any order.
func TestMatches(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range 60 {
		s := hard(rng, 1+n, 1+n%4)
		opt := DefaultOptions()
		opt.MaxDets = [3]int{100, 2, 1 + n%3}
		want, err := Evaluate(&s.gt, s.dt, opt)
		if err != nil {
			t.Fatal(err)
		}
		m, err := Match(&s.gt, s.dt, opt)
		if err != nil {
			t.Fatal(err)
		}
		if !same(m.Result(), want) {
			t.Fatalf("scene %d: Match gives another result", n)
		}

		for _, order := range []string{"ascending", "any"} {
			images := make([]int, len(s.gt.Images))
			for i := range images {
				images[i] = i
			}
			if order == "any" {
				images = rng.Perm(len(images))
			}
			acc, err := NewAccumulator(s.gt.Categories, opt)
			if err != nil {
				t.Fatal(err)
			}
			var half *Matches
			var halfResult *Result
			for i, j := range images {
				id := s.gt.Images[j].ID
				objects, detections := s.perImage(id)
				if err := acc.Add(id, objects, detections); err != nil {
					t.Fatal(err)
				}
				if i == len(images)/2 {
					half = acc.Matches()
					halfResult = half.Result()
				}
			}
			if !same(acc.Result(), want) {
				t.Fatalf("scene %d: images in %s order give another result", n, order)
			}
			if !same(half.Result(), halfResult) {
				t.Fatalf("scene %d: images added later show in the matches of before", n)
			}
			if got := acc.Matches(); !slices.Equal(got.matched[0].objectImage, m.matched[0].objectImage) {
				t.Fatalf("%s order: images of objects %v, want %v", order, got.matched[0].objectImage, m.matched[0].objectImage)
			}
		}
	}
}

// TestAccumulatorErrors: what is refused leaves no trace.
func TestAccumulatorErrors(t *testing.T) {
	if _, err := NewAccumulator(nil, Options{}); !errors.Is(err, ErrOptions) {
		t.Errorf("zero options: %v, want ErrOptions", err)
	}
	acc, err := NewAccumulator([]coco.Category{{ID: 1}}, DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	dog := coco.Annotation{ID: 1, CategoryID: 1, BBox: [4]float64{0, 0, 9, 9}, Area: 81}
	bad := dog
	bad.Absent = coco.FieldIsCrowd
	if err := acc.Add(5, []coco.Annotation{dog, bad}, nil); !errors.Is(err, ErrMissingField) || !strings.HasPrefix(err.Error(), "image 5: annotations[1].iscrowd: ") {
		t.Errorf("no iscrowd: %v", err)
	}
	if err := acc.Add(5, []coco.Annotation{dog}, []coco.Detection{{CategoryID: 1, BBox: dog.BBox}, {CategoryID: 9}}); err != nil {
		t.Fatal(err)
	}
	if err := acc.Add(5, nil, nil); err == nil || err.Error() != "image 5 is added twice" {
		t.Errorf("twice: %v", err)
	}
	if ap := acc.Result().Stats[0]; !near(ap, 1) {
		t.Errorf("AP %g, want 1", ap)
	}
}
