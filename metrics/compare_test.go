package metrics

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"focalgrid/coco"
)

// duplicated is a scene in which image i stands times[i] times, copies side by
// side in the order of ids.
func (s *scene) duplicated(times []int32) *scene {
	d := &scene{gt: coco.Dataset{Categories: s.gt.Categories}}
	id := int64(0)
	for i, im := range s.gt.Images {
		for range times[i] {
			id++
			d.gt.Images = append(d.gt.Images, coco.Image{ID: id})
			for _, a := range s.gt.Annotations {
				if a.ImageID == im.ID {
					a.ImageID = id
					if a.ID != 0 {
						a.ID = int64(len(d.gt.Annotations) + 1)
					}
					d.gt.Annotations = append(d.gt.Annotations, a)
				}
			}
			for _, det := range s.dt {
				if det.ImageID == im.ID {
					det.ImageID = id
					d.dt = append(d.dt, det)
				}
			}
		}
	}
	return d
}

// TestResample: AP of a resample is AP with the images really duplicated,
// whatever the ties: scores have nine values, in an image several times.
func TestResample(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	tied := 0
	for n := range 200 {
		s := hard(rng, 1+n%15, 1+n%4)
		for i := range s.gt.Annotations {
			s.gt.Annotations[i].ID = int64(i + 1) // a repeated id 0 would stand for one object
		}
		other := scene{gt: s.gt}
		for _, d := range s.dt {
			if rng.IntN(3) > 0 {
				d.Score = float64(1+rng.IntN(4)) / 4
				other.dt = append(other.dt, d)
			}
		}
		pair := make([][]lineup, 2)
		var of *Matches
		for i, dt := range [][]coco.Detection{s.dt, other.dt} {
			var err error
			if of, err = Match(&s.gt, dt, DefaultOptions()); err != nil {
				t.Fatal(err)
			}
			pair[i] = of.lineups()
			for _, l := range pair[i] {
				for _, stop := range l.stops {
					if stop.len() > 1 {
						tied++
					}
				}
			}
		}
		r := newResampler(of)
		for resample := range uint64(4) {
			r.draw(uint64(n), resample)
			got := r.ap(pair...)
			for i, dt := range [][]coco.Detection{s.dt, other.dt} {
				want := (&scene{gt: s.gt, dt: dt}).duplicated(r.times).evaluate(t).Stats[0]
				if !near(got[i], want) {
					t.Fatalf("scene %d, resample %d (images %v times): AP %.17g, duplicated %.17g", n, resample, r.times, got[i], want)
				}
			}
		}
		// Each image once is the evaluation itself.
		for i := range r.times {
			r.times[i] = 1
		}
		if got, want := r.ap(pair...)[1], of.Result().Stats[0]; !near(got, want) {
			t.Fatalf("scene %d: AP %.17g, want %.17g", n, got, want)
		}
	}
	if tied == 0 {
		t.Error("no image had detections of one score, one of them right")
	}
}

// TestTies: an image with a right and a wrong detection of one score, drawn
// twice, ranks right, wrong, right, wrong: not both right ones first.
func TestTies(t *testing.T) {
	s := newScene(1, 1)
	s.object(1, 1, 0, 0, 10, 10)
	s.detect(1, 1, .5, 50, 0, 10, 10)
	s.detect(1, 1, .5, 0, 0, 10, 10)
	m, err := Match(&s.gt, s.dt, DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	r := newResampler(m)
	r.times[0] = 3 // wrong, right, wrong, right, wrong, right: precision 1/2 at each
	if ap := r.ap(m.lineups(), m.lineups()); !near(ap[0], .5) || ap[0] != ap[1] {
		t.Errorf("AP %v, want 1/2", ap)
	}
}

func TestCompare(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	s := hard(rng, 40, 3)
	half := slices.Clone(s.dt[:len(s.dt)/2])
	match := func(dt []coco.Detection, threads int) *Matches {
		opt := DefaultOptions()
		opt.Threads = threads
		m, err := Match(&s.gt, dt, opt)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	compare := func(a, b *Matches, resamples int, seed uint64) Comparison {
		c, err := Compare(a, b, resamples, seed)
		if err != nil {
			t.Fatal(err)
		}
		return *c
	}
	all, some := match(s.dt, 1), match(half, 1)
	c := compare(all, some, 300, 0)
	if fmt.Sprint(c.A) != fmt.Sprint(s.evaluate(t).Stats) || c.B[1] == c.A[1] || c.Difference != c.A[0]-c.B[0] || !(c.Low < c.Difference && c.Difference < c.High) || c.Resamples != 300 || !(c.StdErr > 0) {
		t.Errorf("%+v: want the difference within its interval", c)
	}
	if again := compare(match(s.dt, 3), match(half, 3), 300, 0); fmt.Sprint(again) != fmt.Sprint(c) {
		t.Errorf("three threads: %+v, one: %+v", again, c)
	}
	if other := compare(all, some, 300, 1); other.Low == c.Low {
		t.Error("another seed draws the same")
	}
	if swapped := compare(some, all, 300, 0); swapped.Difference != -c.Difference || !near(swapped.Low, -c.High) {
		t.Errorf("swapped: %+v, want the negative of %+v", swapped, c)
	}
	if same := compare(all, match(s.dt, 1), 50, 0); same.Low != 0 || same.High != 0 || same.StdErr != 0 {
		t.Errorf("of one and the same: %+v, want 0", same)
	}
	if none := compare(all, some, 0, 0); !math.IsNaN(none.Low) || !math.IsNaN(none.StdErr) || none.Difference != c.Difference {
		t.Errorf("no resamples: %+v", none)
	}

	if _, err := Compare(all, some, -1, 0); !errors.Is(err, ErrOptions) {
		t.Errorf("-1 resamples: %v", err)
	}
	s.gt.Annotations[5].IsCrowd = !s.gt.Annotations[5].IsCrowd
	if _, err := Compare(all, match(half, 1), 1, 0); !errors.Is(err, ErrOptions) {
		t.Errorf("other objects: %v, want ErrOptions", err)
	}
	s.gt.Images = append(s.gt.Images, coco.Image{ID: 1000})
	if _, err := Compare(all, match(half, 1), 1, 0); !errors.Is(err, ErrOptions) {
		t.Errorf("other images: %v, want ErrOptions", err)
	}
}

// TestCompareNothing: without images or objects there is no difference to tell.
func TestCompareNothing(t *testing.T) {
	for _, gt := range []*coco.Dataset{{}, {Images: []coco.Image{{ID: 1}}, Categories: []coco.Category{{ID: 1}}}} {
		m, err := Match(gt, nil, DefaultOptions())
		if err != nil {
			t.Fatal(err)
		}
		c, err := Compare(m, m, 10, 0)
		if err != nil || c.Resamples != 0 || !math.IsNaN(c.Difference) || !math.IsNaN(c.High) {
			t.Errorf("%d images: %+v, %v; want NaN", len(gt.Images), c, err)
		}
	}
}

// BenchmarkCompare is 1,000 resamples of BenchmarkEvaluate's scene.
func BenchmarkCompare(b *testing.B) {
	s := random(1, 2000, 80)
	rng := rand.New(rand.NewPCG(1, 1))
	var of [2]*Matches
	for i := range of {
		opt := DefaultOptions()
		opt.Threads = 1
		var err error
		if of[i], err = Match(&s.gt, s.dt, opt); err != nil {
			b.Fatal(err)
		}
		for j := range s.dt {
			s.dt[j].Score += .1 * rng.NormFloat64()
		}
	}
	for b.Loop() {
		if _, err := Compare(of[0], of[1], 1000, 0); err != nil {
			b.Fatal(err)
		}
	}
}
