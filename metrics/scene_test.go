package metrics

import (
	"math"
	"math/rand/v2"
	"reflect"
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
