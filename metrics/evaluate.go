package metrics

import (
	"cmp"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"focalgrid/coco"
)

// Evaluate scores the detections dt against the ground truth gt by COCO's
// rules for boxes. Neither is changed.
//
// A detection on an image that gt does not list is ErrUnknownImage; one of a
// category that gt does not list is left out. An annotation without iscrowd,
// or without area unless it is a crowd, is ErrMissingField. No detections at
// all is valid and scores 0 where there are objects. These errors name the
// entry and the field, not the file.
func Evaluate(gt *coco.Dataset, dt []coco.Detection, opt Options) (*Result, error) {
	if err := opt.check(); err != nil {
		return nil, err
	}
	slices.Sort(opt.MaxDets[:])
	in, err := prepare(gt, dt)
	if err != nil {
		return nil, err
	}
	tab := newTable(&opt, len(in.categories.ids))
	tab.fill(in, &opt)

	return tab.result(classes(gt.Categories, in.categories), &opt, in.zeroIDs), nil
}

// classes returns the categories by ascending id; of those with one id the last.
func classes(list []coco.Category, numbers *index) []coco.Category {
	out := make([]coco.Category, len(numbers.ids))
	for _, c := range list {
		out[numbers.number(c.ID)] = c
	}
	return out
}

// result sums up a filled table of the given categories. zeroIDs counts the
// annotations with id 0.
func (t *table) result(classes []coco.Category, opt *Options, zeroIDs int) *Result {
	res := &Result{IoUThresholds: slices.Clone(opt.IoUThresholds), PerCategory: make([]CategoryResult, t.categories)}
	s := summary{table: t, opt: opt}
	for k, c := range classes {
		stats, byIoU := s.over(k, k+1)
		res.PerCategory[k] = CategoryResult{
			ID: c.ID, Name: c.Name, Summary: summaryOf(stats), ByIoU: byIoU,
			Objects: t.objects[k], Detections: t.detections[k],
		}
	}
	res.Stats, res.ByIoU = s.over(0, t.categories)
	if zeroIDs > 0 {
		res.Warnings = append(res.Warnings, fmt.Sprintf(
			"annotation id 0 is used (%d times): pycocotools counts what matches it as a false positive, and so does this result; number annotations from 1",
			zeroIDs))
	}
	return res
}

// table holds precision and recall of every category. NaN marks a category
// without objects in the area range.
type table struct {
	thresholds, recalls, categories int

	precision [areaCount][]float64 // [threshold, recall, category], at the largest of MaxDets
	recall    [areaCount][]float64 // [threshold, category], at the largest of MaxDets
	capped    [2][]float64         // [threshold, category], area all, at the smaller two of MaxDets

	objects, detections []int // by category
}

func newTable(opt *Options, categories int) *table {
	t := &table{
		thresholds: len(opt.IoUThresholds), recalls: len(opt.RecallThresholds), categories: categories,
		objects: make([]int, categories), detections: make([]int, categories),
	}
	for a := range t.precision {
		t.precision[a] = make([]float64, t.thresholds*t.recalls*categories)
		t.recall[a] = make([]float64, t.thresholds*categories)
	}
	for m := range t.capped {
		t.capped[m] = make([]float64, t.thresholds*categories)
	}
	return t
}

// fill computes the table, category by category, the largest first. A category
// writes to its own places alone, so threads change nothing but the time.
func (t *table) fill(in *input, opt *Options) {
	order := make([]int, t.categories)
	for k := range order {
		order[k] = k
	}
	size := func(k int) int32 { return in.dt.start[k+1] - in.dt.start[k] }
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(size(b), size(a)) })

	threads := opt.Threads
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(threads, t.categories) {
		workers.Go(func() {
			m := newMatcher(in, opt)
			var acc accumulator
			for {
				i := next.Add(1) - 1
				if i >= int64(len(order)) {
					return
				}
				k := order[i]
				acc.category(t, k, m.category(k), opt)
			}
		})
	}
	workers.Wait()
}

// accumulator turns a category's verdicts into its column of the table.
type accumulator struct {
	sorted    []ranked
	precision []float64
}

// category fills column k of t.
//
// With the detections of all images in order of falling score, recall after n
// of them is tp/objects and precision tp/((fp+tp)+2^-52), the last term being
// pycocotools' guard against 0/0. Precision is then made to fall: each value
// is raised to the highest at any greater recall. At a recall threshold it is
// read at the first detection that reaches the threshold, and is 0 if none
// does. That detection is a true positive (or the first of all, whose raised
// precision is that of the first true positive), so precision is computed at
// these alone.
func (acc *accumulator) category(t *table, k int, o *outcome, opt *Options) {
	t.objects[k], t.detections[k] = o.objects[areaAll], len(o.score)
	acc.sorted = acc.sorted[:0]
	for i, s := range o.score {
		acc.sorted = append(acc.sorted, ranked{scoreKey(s), int32(i)})
	}
	sortRanked(acc.sorted)

	for a := range areaCount {
		objects := float64(o.objects[a])
		for ti := range t.thresholds {
			column := t.precision[a][ti*t.recalls*t.categories+k:]
			if objects == 0 {
				for r := range t.recalls {
					column[r*t.categories] = math.NaN()
				}
				t.recall[a][ti*t.categories+k] = math.NaN()
				continue
			}
			acc.truePositives(o.verdict[a], ti)
			reached := 0 // true positives that lie before the current threshold
			for r, threshold := range opt.RecallThresholds {
				for reached < len(acc.precision) && float64(reached+1)/objects < threshold {
					reached++
				}
				if reached == len(acc.precision) {
					break
				}
				column[r*t.categories] = acc.precision[reached]
			}
			t.recall[a][ti*t.categories+k] = float64(len(acc.precision)) / objects
		}
	}
	for m := range t.capped {
		for ti := range t.thresholds {
			v := math.NaN()
			if o.objects[areaAll] > 0 {
				tp := 0
				for i, d := range o.verdict[areaAll] {
					if int(o.rank[i]) < opt.MaxDets[m] && d.matched&^d.ignored>>ti&1 == 1 {
						tp++
					}
				}
				v = float64(tp) / float64(o.objects[areaAll])
			}
			t.capped[m][ti*t.categories+k] = v
		}
	}
}

// truePositives sets acc.precision to the falling precision at each true
// positive, by rising recall, at IoU threshold ti.
func (acc *accumulator) truePositives(verdicts []verdict, ti int) {
	const guard = 0x1p-52
	acc.precision = acc.precision[:0]
	var tp, fp float64
	for _, r := range acc.sorted {
		v := verdicts[r.entry]
		switch {
		case v.ignored>>ti&1 == 1:
		case v.matched>>ti&1 == 1:
			tp++
			acc.precision = append(acc.precision, tp/((fp+tp)+guard))
		default:
			fp++
		}
	}
	for i := len(acc.precision) - 1; i > 0; i-- {
		acc.precision[i-1] = max(acc.precision[i-1], acc.precision[i])
	}
}

// summary averages a table.
type summary struct {
	*table
	opt              *Options
	gathered, values []float64
}

// over returns the twelve numbers and AP by IoU threshold of the categories
// from to (not included) upto, each a mean in the order [threshold, recall,
// category].
func (s *summary) over(from, upto int) (stats [12]float64, byIoU []float64) {
	precision := func(area, t0, t1 int) float64 {
		return s.mean(s.table.precision[area], t0*s.recalls, t1*s.recalls, from, upto)
	}
	recall := func(rows []float64) float64 { return s.mean(rows, 0, s.thresholds, from, upto) }
	at := func(iou float64) float64 {
		t := slices.Index(s.opt.IoUThresholds, iou)
		if t < 0 {
			return math.NaN()
		}
		return precision(areaAll, t, t+1)
	}
	for t := range s.thresholds {
		byIoU = append(byIoU, precision(areaAll, t, t+1))
	}
	return [12]float64{
		precision(areaAll, 0, s.thresholds), at(.5), at(.75),
		precision(areaSmall, 0, s.thresholds), precision(areaMedium, 0, s.thresholds), precision(areaLarge, 0, s.thresholds),
		recall(s.capped[0]), recall(s.capped[1]), recall(s.table.recall[areaAll]),
		recall(s.table.recall[areaSmall]), recall(s.table.recall[areaMedium]), recall(s.table.recall[areaLarge]),
	}, byIoU
}

// mean averages rows r0 to r1 of a matrix with a column for each category,
// columns from to upto.
func (s *summary) mean(matrix []float64, r0, r1, from, upto int) float64 {
	s.gathered = s.gathered[:0]
	for r := r0; r < r1; r++ {
		s.gathered = append(s.gathered, matrix[r*s.categories+from:r*s.categories+upto]...)
	}
	var m float64
	m, s.values = s.opt.Sum.mean(s.gathered, s.values)
	return m
}
