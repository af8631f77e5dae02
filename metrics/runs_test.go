package metrics

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"focalgrid/coco"
	"focalgrid/stats"
)

// runsOf makes runs of one scene: each finds an object with the probability of its side, moved a little, or else is
// far from it.
func runsOf(t testing.TB, s *scene, first uint64, n int, found float64, threads int) []Run {
	t.Helper()
	opt := DefaultOptions()
	opt.Threads = threads
	var runs []Run
	for i := range n {
		seed := first + uint64(i)
		rng := rand.New(rand.NewPCG(seed, math.Float64bits(found)))
		var dt []coco.Detection
		for _, a := range s.gt.Annotations {
			d := coco.Detection{ImageID: a.ImageID, CategoryID: a.CategoryID, BBox: a.BBox, Score: rng.Float64()}
			if rng.Float64() > found {
				d.BBox[0] += 3 * d.BBox[2]
			}
			d.BBox[0] += .2 * d.BBox[2] * rng.Float64()
			dt = append(dt, d)
		}
		m, err := Match(&s.gt, dt, opt)
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, Run{seed, m})
	}
	return runs
}

// boxes is a scene of four categories.
func boxes(images, perImage int) *scene {
	s := newScene(images, 1, 2, 3, 4)
	rng := rand.New(rand.NewPCG(21, 22))
	for image := range images {
		for range perImage {
			s.object(int64(image+1), 1+rng.Int64N(4), 100*rng.Float64(), 100*rng.Float64(), 10+20*rng.Float64(), 10+20*rng.Float64())
		}
	}
	return s
}

func TestCompareRuns(t *testing.T) {
	s := boxes(30, 4)
	a, b := runsOf(t, s, 0, 4, .5, 1), runsOf(t, s, 0, 4, .9, 1)
	compare := func(a, b []Run, resamples int, seed uint64) stats.TwoLevel {
		t.Helper()
		two, err := CompareRuns(a, b, resamples, seed)
		if err != nil {
			t.Fatal(err)
		}
		return *two
	}
	two := compare(a, b, 200, 0)
	ap := func(runs []Run) (mean float64) {
		for _, r := range runs {
			mean += r.Matches.Result().Stats[0] / float64(len(runs))
		}
		return mean
	}
	if !near(two.Mean, ap(b)-ap(a)) || !(two.Low < two.Mean && two.Mean < two.High) || !(two.Low > 0) || two.N != 4 || two.Images != 30 || two.Resamples != 200 {
		t.Errorf("%+v, want the difference %g in its interval, above 0", two, ap(b)-ap(a))
	}
	if again := compare(runsOf(t, s, 0, 4, .5, 3), runsOf(t, s, 0, 4, .9, 3), 200, 0); fmt.Sprint(again) != fmt.Sprint(two) {
		t.Errorf("three threads: %+v, one: %+v", again, two)
	}
	if other := compare(a, b, 200, 1); other.StdErr == two.StdErr {
		t.Error("another seed draws the same")
	}
	if swapped := compare(b, a, 200, 0); !near(swapped.Mean, -two.Mean) || !near(swapped.Low, -two.High) {
		t.Errorf("swapped: %+v, want the negative of %+v", swapped, two)
	}
	if same := compare(a, a, 50, 0); same.Mean != 0 || same.Low != 0 || same.High != 0 {
		t.Errorf("of one and the same: %+v, want 0", same)
	}

	// One run on each side is Compare: the same draws of images, and the same spread of the difference.
	one, c := compare(a[:1], b[:1], 100, 7), Comparison{}
	if got, err := Compare(b[0].Matches, a[0].Matches, 100, 7); err != nil {
		t.Fatal(err)
	} else {
		c = *got
	}
	if !near(one.Mean, c.Difference) || !near(one.StdErr, c.StdErr) || !slices.Contains(one.Caveats, stats.Caveat{Kind: stats.SeedsFixed}) {
		t.Errorf("one run a side: %+v, Compare has %+v", one, c)
	}

	// Without a common seed each side is drawn apart.
	apart := compare(a, runsOf(t, s, 10, 3, .9, 1), 200, 0)
	if apart.N != 0 || !(apart.Low > 0) || !slices.Contains(apart.Caveats, stats.Caveat{Kind: stats.Unpaired}) {
		t.Errorf("without a common seed: %+v", apart)
	}

	// A run that diverged is AP 0 in each resample.
	diverged := compare(a[:1], []Run{{Seed: 0}}, 100, 0)
	if want := -a[0].Matches.Result().Stats[0]; !near(diverged.Mean, want) || !(diverged.StdErr > 0) || !slices.Contains(diverged.Caveats, stats.Caveat{Kind: stats.Diverged, Count: 1}) {
		t.Errorf("a run that diverged: %+v, want %g", diverged, want)
	}

	for name, bad := range map[string]struct{ a, b []Run }{
		"an empty side": {a, nil},
		"other images":  {a, runsOf(t, boxes(31, 4), 0, 1, .5, 1)},
	} {
		if _, err := CompareRuns(bad.a, bad.b, 1, 0); !errors.Is(err, ErrOptions) {
			t.Errorf("%s: %v, want ErrOptions", name, err)
		}
	}
	if _, err := CompareRuns(a, b, -1, 0); !errors.Is(err, ErrOptions) {
		t.Errorf("-1 resamples: %v", err)
	}
	if _, err := CompareRuns([]Run{{Seed: 1}}, []Run{{Seed: 1}}, 1, 0); err == nil {
		t.Error("nothing but diverged runs is compared")
	}
}

// BenchmarkCompareRuns is 1,000 resamples of ten runs against ten, each with 4,800 detections on 300 images of
// four categories, as trials of profile mini have above score .05. It takes less than 5 s on two cores.
func BenchmarkCompareRuns(b *testing.B) {
	s := boxes(300, 16)
	x, y := runsOf(b, s, 0, 10, .6, 0), runsOf(b, s, 0, 10, .7, 0)
	for b.Loop() {
		if _, err := CompareRuns(x, y, 1000, 0); err != nil {
			b.Fatal(err)
		}
	}
}
