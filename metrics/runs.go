package metrics

import (
	"errors"
	"fmt"
	"math"

	"focalgrid/stats"
)

// Run is what one training of a detector found.
type Run struct {
	Seed    uint64
	Matches *Matches // nil: the training diverged, and its AP counts as 0
}

// CompareRuns returns by how much the mean AP of side b exceeds the mean AP of side a, and the interval in
// which it would lie with other seeds and other images. It draws resamples as stats.SeedsAndImages says:
// pairs of runs with one seed, where there are any, else the runs of each side; and the same
// images for all runs.
//
// A draw depends only on seed and the number of the resample. AP is AP in the area range all at the largest
// of MaxDets. All runs must have the same ground truth and options, and each side at least one; otherwise the error is
// ErrOptions.
func CompareRuns(a, b []Run, resamples int, seed uint64) (*stats.TwoLevel, error) {
	var of *Matches
	for _, r := range append(append([]Run{}, a...), b...) {
		if r.Matches == nil {
			continue
		}
		if of == nil {
			of = r.Matches
		}
		if err := comparable(of, r.Matches); err != nil {
			return nil, fmt.Errorf("seed %d: %w", r.Seed, err)
		}
	}
	switch {
	case len(a) == 0 || len(b) == 0:
		return nil, fmt.Errorf("%w: expected a run on each side, found %d and %d", ErrOptions, len(a), len(b))
	case of == nil:
		return nil, errors.New("every run diverged: there are no detections to draw from")
	case resamples < 0:
		return nil, fmt.Errorf("%w: expected 0 or more resamples, found %d", ErrOptions, resamples)
	}
	as, bs := newSample(a), newSample(b)
	pairs, _ := stats.Pairs(as.values, bs.values)
	differences := make([]float64, resamples)
	parallel(resamples, of.opt.Threads, func() func(int) {
		s := newResampler(of)
		timesA, timesB := make([]int32, len(a)), make([]int32, len(b))
		timesPair := make([]int32, len(pairs))
		return func(i int) {
			s.draw(seed, uint64(i))
			if len(pairs) == 0 {
				stats.Draw(timesA, stats.SeedDraws(len(a)), seed, uint64(i), stats.Seeds)
				stats.Draw(timesB, stats.SeedDraws(len(b)), seed, uint64(i), stats.SeedsOfB)
			} else {
				stats.Draw(timesPair, stats.SeedDraws(len(pairs)), seed, uint64(i), stats.Seeds)
				clear(timesA)
				clear(timesB)
				for p, places := range pairs {
					timesA[places[0]], timesB[places[1]] = timesPair[p], timesPair[p]
				}
			}
			differences[i] = bs.mean(s, timesB) - as.mean(s, timesA)
		}
	})
	two := stats.SeedsAndImages(stats.Paired(as.values, bs.values), differences, len(of.images))
	return &two, nil
}

// sample is the runs of one side.
type sample struct {
	values  []stats.Value // AP of each run
	lineups [][]lineup    // of each run; nil of a diverged one
}

func newSample(runs []Run) sample {
	var s sample
	for _, r := range runs {
		v := stats.Value{Seed: r.Seed, Diverged: r.Matches == nil}
		var l []lineup
		if r.Matches != nil {
			v.Value, l = r.Matches.Result().Stats[0], r.Matches.lineups()
		}
		s.values, s.lineups = append(s.values, v), append(s.lineups, l)
	}
	return s
}

// mean returns the mean AP of the runs that were drawn so many times, in the current resample.
func (s sample) mean(r *resampler, times []int32) float64 {
	var drawn [][]lineup
	var weights []float64
	all := 0.0
	for i, n := range times {
		all += float64(n)
		if n > 0 && s.lineups[i] != nil {
			drawn, weights = append(drawn, s.lineups[i]), append(weights, float64(n))
		}
	}
	if all == 0 {
		return math.NaN()
	}
	sum := 0.0
	for i, ap := range r.ap(drawn...) {
		sum += float64(weights[i] * ap)
	}
	return sum / all
}
