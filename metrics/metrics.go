// Package metrics scores detections the way COCO does.
//
// Evaluate averages precision over the ten IoU thresholds .50:.05:.95, and also reports AP50,
// AP75 and the small, medium and large splits, per category too. Every value is a fraction in
// [0,1]; multiplying by 100 is the business of the table printer. A quantity with no ground
// truth behind it is NaN: not 0, and not COCO's -1, which Result.COCO puts in its place; a
// table writes null.
//
// Every number equals the number of pycocotools 2.0 to the last bit. So the customs of
// pycocotools are followed; comments name them where the code follows them. One of them is
// easy to see: a perfect score is about 1-2^-52, not 1 (see ranking). Boxes are x, y, width,
// height in pixels as in COCO's files, which package coco reads.
//
// Match keeps the verdict on each detection, and an Accumulator does so one image at a time.
// From these verdicts come precision over recall, the best F1 and calibration, and Compare
// says whether one detector is better than another. CompareRuns does so for several trainings
// of each. FindErrors says what costs AP, and Mistakes reports what looks wrong in the files
// themselves.
package metrics

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Use errors.Is to distinguish these three errors.
var (
	// ErrOptions: no evaluation is possible with these options.
	ErrOptions = errors.New("bad evaluation options")
	// ErrUnknownImage: a detection is on an image that the ground truth does
	// not list; most often the two files are of different splits.
	ErrUnknownImage = errors.New("no such image in the ground truth")
	// ErrMissingField: an annotation lacks a field that its evaluation needs.
	ErrMissingField = errors.New("missing, and the evaluation needs it")
)

// AreaRange limits objects and detections to Min <= area <= Max, in square
// pixels. An object of exactly 32^2 is both small and medium, as in pycocotools.
type AreaRange struct {
	Name     string
	Min, Max float64
}

// The areas of Options.AreaRanges, by index.
const (
	areaAll = iota
	areaSmall
	areaMedium
	areaLarge
	areaCount
)

// Summation is the order in which a mean adds its values. It shows in the last
// bits only, and only where a mean is over more than 8192 values (ten
// thresholds, 101 recalls, nine categories).
type Summation int

const (
	// SumWhole adds in pairs over all values, as numpy from 2.3 on does.
	SumWhole Summation = iota
	// SumBuffered adds in pairs within runs of 8192 values and the runs one
	// after the other, as numpy up to 2.2 does.
	SumBuffered
)

// Options selects what to evaluate. The zero value evaluates nothing and is
// refused: start from DefaultOptions.
type Options struct {
	// IoUThresholds are the overlaps at which a detection counts as right, 1 to 64 of them
	// in [0,1]. AP50 and AP75 read the thresholds .5 and .75 and are NaN without them.
	IoUThresholds []float64
	// RecallThresholds are the recalls at which precision is read, ascending.
	RecallThresholds []float64
	// AreaRanges are the ranges of AP (and AR), APs, APm and APl in this order.
	AreaRanges [areaCount]AreaRange
	// MaxDets are the numbers of detections per image and category, best first, for AR1,
	// AR10 and AR100. Everything else uses the largest. They are sorted before use.
	MaxDets [3]int
	// Sum is the order of summation in means.
	Sum Summation
	// Threads is the number of goroutines that compute; 0 means one per core. The result
	// does not depend on it.
	Threads int
}

// DefaultOptions returns the options of COCO's box detection challenge.
func DefaultOptions() Options {
	return Options{
		IoUThresholds:    linspace(.5, .95, 10),
		RecallThresholds: linspace(0, 1, 101),
		AreaRanges: [areaCount]AreaRange{
			{"all", 0, 1e10},
			{"small", 0, 32 * 32},
			{"medium", 32 * 32, 96 * 96},
			{"large", 96 * 96, 1e10},
		},
		MaxDets: [3]int{1, 10, 100},
	}
}

// linspace returns n >= 2 evenly spaced values from start to stop with the bits of numpy's
// linspace: start + i*step, where step is the rounded (stop-start)/(n-1), and stop itself at
// the end. .9 becomes .8999999999999999.
func linspace(start, stop float64, n int) []float64 {
	v := make([]float64, n)
	step := (stop - start) / float64(n-1)
	for i := range v {
		v[i] = float64(float64(i)*step) + start
	}
	v[n-1] = stop
	return v
}

// check reports every reason why no evaluation is possible with o.
func (o *Options) check() error {
	var problems []error
	bad := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("%w: "+format, append([]any{ErrOptions}, args...)...))
	}
	if n := len(o.IoUThresholds); n < 1 || n > 64 {
		bad("expected 1 to 64 IoU thresholds, found %d (DefaultOptions has COCO's)", n)
	}
	for _, t := range o.IoUThresholds {
		if !(t >= 0 && t <= 1) {
			bad("expected IoU thresholds in [0,1], found %g", t)
		}
	}
	if len(o.RecallThresholds) == 0 {
		bad("expected at least one recall threshold (DefaultOptions has COCO's)")
	}
	for i, r := range o.RecallThresholds {
		if math.IsNaN(r) || i > 0 && r < o.RecallThresholds[i-1] {
			bad("expected recall thresholds in ascending order, found %g at index %d", r, i)
			break
		}
	}
	for _, a := range o.AreaRanges {
		if !(a.Min <= a.Max) {
			bad("expected area range %q to have min <= max, found %g and %g", a.Name, a.Min, a.Max)
		}
	}
	for _, m := range o.MaxDets {
		if m < 1 {
			bad("expected at least 1 detection an image, found %d", m)
		}
	}
	if o.Sum != SumWhole && o.Sum != SumBuffered {
		bad("unknown order of summation %d", o.Sum)
	}
	if o.Threads < 0 {
		bad("expected 0 or more threads, found %d", o.Threads)
	}
	return errors.Join(problems...)
}

// StatNames names COCO's twelve numbers in the order of Result.Stats.
var StatNames = [12]string{
	"AP", "AP50", "AP75", "APs", "APm", "APl",
	"AR1", "AR10", "AR100", "ARs", "ARm", "ARl",
}

// Result is an evaluation. All values are fractions in [0,1], or NaN where
// there is no ground truth.
type Result struct {
	// Stats are COCO's twelve numbers, in the order of StatNames: averages over
	// categories, IoU thresholds and (AP) recall thresholds.
	Stats [12]float64
	// ByIoU is AP at each IoU threshold of IoUThresholds.
	ByIoU         []float64
	IoUThresholds []float64
	// PerCategory has every category of the ground truth, by ascending id.
	PerCategory []CategoryResult
	// Warnings are sentences about the input that explain a surprising number.
	Warnings []string
}

// CategoryResult is the evaluation of one category.
type CategoryResult struct {
	ID   int64
	Name string
	Summary
	ByIoU []float64 // AP at each IoU threshold
	// Objects counts the ground truth that can be found: without crowds.
	Objects int
	// Detections counts the detections that took part: at most MaxDets an image.
	Detections int
}

// Summary is COCO's twelve numbers by name.
type Summary struct {
	AP, AP50, AP75, APs, APm, APl   float64
	AR1, AR10, AR100, ARs, ARm, ARl float64
}

// Stats returns the numbers in the order of StatNames.
func (s Summary) Stats() [12]float64 {
	return [12]float64{
		s.AP, s.AP50, s.AP75, s.APs, s.APm, s.APl,
		s.AR1, s.AR10, s.AR100, s.ARs, s.ARm, s.ARl,
	}
}

func summaryOf(v [12]float64) Summary {
	return Summary{v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11]}
}

// COCO returns a copy of r in the form that pycocotools prints: -1 wherever r
// has NaN.
func (r *Result) COCO() *Result {
	c := *r
	c.Stats = minusOne(r.Stats)
	c.ByIoU = slices.Clone(r.ByIoU)
	minusOnes(c.ByIoU)
	c.PerCategory = slices.Clone(r.PerCategory)
	for i := range c.PerCategory {
		k := &c.PerCategory[i]
		k.Summary = summaryOf(minusOne(k.Stats()))
		k.ByIoU = slices.Clone(k.ByIoU)
		minusOnes(k.ByIoU)
	}
	return &c
}

func minusOne(v [12]float64) [12]float64 {
	minusOnes(v[:])
	return v
}

func minusOnes(v []float64) {
	for i, x := range v {
		if math.IsNaN(x) {
			v[i] = -1
		}
	}
}
