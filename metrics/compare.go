package metrics

import (
	"fmt"
	"math"
	"math/bits"
	"slices"

	"focalgrid/stats"
)

// Comparison is the difference between two detectors on the same images, and how far the
// choice of images may explain it.
type Comparison struct {
	A, B       [12]float64 // the numbers of each, in the order of StatNames; AP is the first
	Difference float64     // in AP, A - B
	// Interval has the differences in AP in the resamples in which there was an object.
	stats.Interval
}

// Compare draws as many images as there are, with replacement, resamples times, and each
// time takes the difference in AP of a and b on the same images. An image that is drawn
// twice counts as two images side by side in the order of ids, which decides among equal
// scores.
//
// A draw depends only on seed, the number of the resample and the place in it. AP is AP in
// the area range all at the largest of MaxDets. a and b must have the same ground truth and
// options; otherwise the error is ErrOptions.
func Compare(a, b *Matches, resamples int, seed uint64) (*Comparison, error) {
	if err := comparable(a, b); err != nil {
		return nil, err
	}
	if resamples < 0 {
		return nil, fmt.Errorf("%w: expected 0 or more resamples, found %d", ErrOptions, resamples)
	}
	pair := [][]lineup{a.lineups(), b.lineups()}
	differences := make([]float64, resamples)
	parallel(resamples, a.opt.Threads, func() func(int) {
		s := newResampler(a)
		return func(i int) {
			s.draw(seed, uint64(i))
			ap := s.ap(pair...)
			differences[i] = ap[0] - ap[1]
		}
	})
	c := &Comparison{A: a.Result().Stats, B: b.Result().Stats}
	c.Difference = c.A[0] - c.B[0]
	c.Interval = stats.Bootstrap(differences)
	return c, nil
}

// comparable returns an error that says how a and b differ, nil if they can be compared.
func comparable(a, b *Matches) error {
	differ := func(what string) error {
		return fmt.Errorf("%w: the two results to compare differ in their %s", ErrOptions, what)
	}
	switch {
	case !slices.Equal(a.images, b.images):
		return differ("images")
	case !slices.Equal(a.classes, b.classes):
		return differ("categories")
	case !slices.Equal(a.opt.IoUThresholds, b.opt.IoUThresholds):
		return differ("IoU thresholds")
	case !slices.Equal(a.opt.RecallThresholds, b.opt.RecallThresholds):
		return differ("recall thresholds")
	case a.opt.AreaRanges != b.opt.AreaRanges:
		return differ("areas")
	case a.opt.MaxDets != b.opt.MaxDets:
		return differ("numbers of detections kept")
	}
	for k := range a.matched {
		if !slices.Equal(a.matched[k].objectImage, b.matched[k].objectImage) {
			return differ("objects")
		}
	}
	return nil
}

// lineup has the detections of a category, best first, down to the last one that is right at
// some threshold. Most detections are wrong at all thresholds and are only counted; the
// others are in stops. The detections of a stop have one image and one score: of several
// copies of the image, the first copy has all its detections ranked before the second.
type lineup struct {
	images []int32
	stops  []span    // of images
	marks  []verdict // of the detections of all stops, in their order
}

func (m *Matches) lineups() []lineup {
	all := make([]lineup, len(m.matched))
	parallel(len(all), m.opt.Threads, func() func(int) {
		rk := newRanking(&m.opt)
		return func(k int) { all[k] = rk.lineup(&m.matched[k].outcome) }
	})
	return all
}

// lineup leaves out detections that are ignored at all thresholds. In marks, matched has the
// thresholds at which a detection is right.
func (rk *ranking) lineup(o *outcome) lineup {
	rk.rank(o.score)
	every := uint64(math.MaxUint64) >> (64 - len(rk.opt.IoUThresholds))
	var l lineup
	var marks []verdict
	var scores []float64
	for _, r := range rk.sorted {
		v := o.verdict[areaAll][r.entry]
		v.matched &^= v.ignored
		if v.ignored == every {
			continue
		}
		l.images = append(l.images, o.image[r.entry])
		scores = append(scores, o.score[r.entry])
		marks = append(marks, v)
	}
	end := 0 // behind the last that is right somewhere
	for from := 0; from < len(marks); {
		upto, matters, right := from, false, false
		for ; upto < len(marks) && l.images[upto] == l.images[from] && scores[upto] == scores[from]; upto++ {
			matters = matters || marks[upto] != verdict{}
			right = right || marks[upto].matched != 0
		}
		if matters {
			l.stops = append(l.stops, span{int32(from), int32(upto)})
			l.marks = append(l.marks, marks[from:upto]...)
		}
		if right {
			end = upto
		}
		from = upto
	}
	l.images = slices.Clip(l.images[:end])
	for len(l.stops) > 0 && int(l.stops[len(l.stops)-1].from) >= end {
		l.stops = l.stops[:len(l.stops)-1]
	}
	return l
}

// resampler computes the AP of resamples. Each worker reuses its own.
type resampler struct {
	of      *Matches
	times   []int32   // how often each image was drawn
	reached []int32   // by right detections: how many recall thresholds they reach
	rises   [64]rises // by threshold
	values  []float64 // what ap returned last
}

// rises are the places of a ranking where recall rises.
type rises struct {
	right     []int32 // right detections up to there
	precision []float64
	ignored   int32 // detections so far that do not count
}

func newResampler(of *Matches) *resampler {
	return &resampler{of: of, times: make([]int32, len(of.images))}
}

// draw sets how often each image is in a resample.
func (s *resampler) draw(seed, resample uint64) {
	stats.Draw(s.times, len(s.times), seed, resample, stats.Images)
}

// ap returns the AP of each result in the current resample, NaN without objects. The next call
// overwrites it.
func (s *resampler) ap(results ...[]lineup) []float64 {
	s.values = append(s.values[:0], make([]float64, len(results))...)
	n := 0.0
	for k := range s.of.matched {
		objects := int32(0)
		for _, i := range s.of.matched[k].objectImage {
			objects += s.times[i]
		}
		if objects == 0 {
			continue
		}
		n++
		s.reach(int(objects))
		for i, result := range results {
			s.values[i] += s.category(&result[k])
		}
	}
	for i := range s.values {
		s.values[i] /= n
	}
	return s.values
}

// reach sets, for each number of right detections among so many objects, how many
// recall thresholds it reaches.
func (s *resampler) reach(objects int) {
	s.reached = append(s.reached[:0], 0) // without any, not even recall 0: as in Evaluate
	recalls := s.of.opt.RecallThresholds
	r := 0
	for right := 1; right <= objects; right++ {
		for r < len(recalls) && recalls[r] <= float64(right)/float64(objects) {
			r++
		}
		s.reached = append(s.reached, int32(r))
	}
}

// category returns the AP of a category, the mean over all IoU thresholds.
//
// Copies of a detection follow each other in the ranking. If the detection is right,
// precision rises with each copy, so the precision at the last copy counts for all.
func (s *resampler) category(l *lineup) float64 {
	const guard = 0x1p-52 // as in Evaluate
	thresholds := len(s.of.opt.IoUThresholds)
	for t := range thresholds {
		r := &s.rises[t]
		r.right, r.precision, r.ignored = r.right[:0], r.precision[:0], 0
	}
	var seen int32
	step := func(v verdict, times int32) {
		seen += times
		for b := v.ignored; b != 0; b &= b - 1 {
			s.rises[bits.TrailingZeros64(b)].ignored += times
		}
		for b := v.matched; b != 0; b &= b - 1 {
			r := &s.rises[bits.TrailingZeros64(b)]
			right := times
			if n := len(r.right); n > 0 {
				right += r.right[n-1]
			}
			r.right = append(r.right, right)
			r.precision = append(r.precision, float64(right)/(float64(seen-r.ignored)+guard))
		}
	}
	at, marks := int32(0), l.marks
	for _, stop := range l.stops {
		for _, image := range l.images[at:stop.from] {
			seen += s.times[image]
		}
		at = stop.upto
		times, of := s.times[l.images[stop.from]], marks[:stop.len()]
		marks = marks[len(of):]
		switch {
		case times == 0:
		case len(of) == 1:
			step(of[0], times)
		default:
			for range times {
				for _, v := range of {
					step(v, 1)
				}
			}
		}
	}
	sum := 0.0
	for t := range thresholds {
		r := &s.rises[t]
		highest := 0.0
		for i := len(r.right) - 1; i >= 0; i-- {
			highest = max(highest, r.precision[i])
			before := int32(0)
			if i > 0 {
				before = r.right[i-1]
			}
			sum += float64(highest * float64(s.reached[r.right[i]]-s.reached[before]))
		}
	}
	return sum / float64(thresholds*len(s.of.opt.RecallThresholds))
}
