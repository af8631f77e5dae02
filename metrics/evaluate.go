package metrics

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"focalgrid/coco"
)

// Evaluate scores the detections dt against the ground truth gt by COCO's
// rules for boxes. Neither is changed.
//
// A detection on an image that gt does not list is ErrUnknownImage; a detection of a category
// that gt does not list is left out. An annotation without iscrowd is ErrMissingField, and so
// is an annotation without area unless it is a crowd. No detections at all are valid and score
// 0 where there are objects. These errors name the entry and the field, not the file.
func Evaluate(gt *coco.Dataset, dt []coco.Detection, opt Options) (*Result, error) {
	if err := opt.check(); err != nil {
		return nil, err
	}
	slices.Sort(opt.MaxDets[:])
	in, err := prepare(gt, dt)
	if err != nil {
		return nil, err
	}
	tab := newTable(len(in.categories.ids))
	tab.fill(in, &opt)
	return tab.result(classes(gt.Categories, in.categories), &opt, in.zeroIDs), nil
}

// classes returns the categories by ascending id; of several with one id, the last.
func classes(list []coco.Category, numbers *index) []coco.Category {
	out := make([]coco.Category, len(numbers.ids))
	for _, c := range list {
		out[numbers.number(c.ID)] = c
	}
	return out
}

// table holds precision and recall of every category.
type table struct {
	columns [areaCount][]column // by category, at the largest of MaxDets
	capped  [2][][]float64      // by category recall at each threshold, area all, at the smaller two of MaxDets

	objects, detections []int // by category
}

// column is one category in one area range; both slices are nil if it has no objects there.
type column struct {
	precision []float64 // [threshold, recall]
	recall    []float64 // [threshold]
}

func newTable(categories int) *table {
	t := &table{objects: make([]int, categories), detections: make([]int, categories)}
	for a := range t.columns {
		t.columns[a] = make([]column, categories)
	}
	for m := range t.capped {
		t.capped[m] = make([][]float64, categories)
	}
	return t
}

// fill computes the table, category by category, the largest first. Each category writes only
// to its own places, so the number of threads changes only the time.
func (t *table) fill(in *input, opt *Options) {
	order := make([]int, len(t.objects))
	for k := range order {
		order[k] = k
	}
	size := func(k int) int { return int(in.dt.start[k+1] - in.dt.start[k]) }
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(size(b), size(a)) })
	// A category that alone has more than a thread's share is worked on by all threads.
	threads := atOnce(opt.Threads)
	for len(order) > 0 && threads > 1 && size(order[0])*threads > len(in.dt.entry) {
		t.fillTogether(in, order[0], opt)
		order = order[1:]
	}
	parallel(len(order), threads, func() func(int) {
		m, rk := newMatcher(in, opt), newRanking(opt)
		return func(i int) { rk.category(t, order[i], m.category(order[i])) }
	})
}

// fillTogether fills the columns of category k with all threads.
func (t *table) fillTogether(in *input, k int, opt *Options) {
	whole, parts := in.whole(k), in.split(k, atOnce(opt.Threads))
	var o outcome
	o.reset(whole.gt.len(), whole.dt.len())
	outcomes := make([]*outcome, len(parts))
	parallel(len(parts), opt.Threads, func() func(int) {
		return func(i int) {
			m := newMatcher(in, opt)
			m.out = o.share(parts[i].gt.less(whole.gt.from), parts[i].dt.less(whole.dt.from))
			m.part(parts[i])
			outcomes[i] = &m.out
		}
	})
	for _, next := range outcomes {
		o.add(next)
	}
	all := newRanking(opt)
	all.rank(o.score)
	all.common(t, k, &o)
	parallel(areaCount, opt.Threads, func() func(int) {
		rk := newRanking(opt)
		rk.sorted = all.sorted
		return func(a int) { rk.area(t, k, a, &o) }
	})
}

// ranking has the detections of a category in order of falling score, and turns their verdicts
// into columns of the table. Each worker reuses its own.
type ranking struct {
	opt       *Options
	sorted    []ranked
	spare     []ranked
	precision [][]float64 // [threshold], at each true positive
	ignored   []int       // [threshold], detections so far that are ignored there but not everywhere
	reach     []int       // [recall], how many true positives stay below it
}

func newRanking(opt *Options) *ranking {
	thresholds := len(opt.IoUThresholds)
	return &ranking{
		opt: opt, precision: make([][]float64, thresholds), ignored: make([]int, thresholds),
		reach: make([]int, len(opt.RecallThresholds)),
	}
}

// category fills the columns of category k.
func (rk *ranking) category(t *table, k int, o *outcome) {
	rk.rank(o.score)
	rk.common(t, k, o)
	for a := range t.columns {
		rk.area(t, k, a, o)
	}
}

// area fills the column of category k in area range a.
func (rk *ranking) area(t *table, k, a int, o *outcome) {
	if o.objects[a] > 0 {
		t.columns[a][k] = rk.column(o.verdict[a], o.objects[a])
	}
}

// common fills the values of category k outside its columns.
func (rk *ranking) common(t *table, k int, o *outcome) {
	t.objects[k], t.detections[k] = o.objects[areaAll], len(o.score)
	if o.objects[areaAll] > 0 {
		for m := range t.capped {
			t.capped[m][k] = rk.cappedRecall(o, rk.opt.MaxDets[m])
		}
	}
}

// rank sets rk.sorted to falling scores; equal scores keep the given order.
func (rk *ranking) rank(scores []float64) {
	rk.sorted = rk.sorted[:0]
	for i, s := range scores {
		rk.sorted = append(rk.sorted, ranked{scoreKey(s), int32(i)})
	}
	rk.spare = sortMany(rk.sorted, rk.spare)
}

// column reads precision at each recall, of the verdicts as rk.sorted ranks them.
//
// With the detections of all images in order of falling score, recall after n
// of them is tp/objects and precision tp/((fp+tp)+2^-52), the last term being
// pycocotools' guard against 0/0. Precision is then made to fall: each value
// is raised to the highest at any greater recall. At a recall threshold it is
// read at the first detection that reaches the threshold, and is 0 if none
// does. That detection is a true positive (or the first of all, whose raised
// precision is that of the first true positive), so precision is computed at
// these alone.
func (rk *ranking) column(verdicts []verdict, objects int) column {
	const guard = 0x1p-52
	thresholds, recalls := len(rk.precision), len(rk.reach)
	for t := range thresholds {
		rk.precision[t], rk.ignored[t] = rk.precision[t][:0], 0
	}
	everywhere := uint64(math.MaxUint64) >> (64 - thresholds)
	n := 0 // detections that are not ignored everywhere
	for _, r := range rk.sorted {
		v := verdicts[r.entry]
		if v.ignored == everywhere {
			continue
		}
		n++
		for b := v.ignored; b != 0; b &= b - 1 {
			rk.ignored[bits.TrailingZeros64(b)]++
		}
		for b := v.matched &^ v.ignored; b != 0; b &= b - 1 {
			t := bits.TrailingZeros64(b)
			tp, all := float64(len(rk.precision[t])+1), float64(n-rk.ignored[t])
			rk.precision[t] = append(rk.precision[t], tp/(all+guard))
		}
	}
	below := 0
	for r, threshold := range rk.opt.RecallThresholds {
		for below < objects && float64(below+1)/float64(objects) < threshold {
			below++
		}
		rk.reach[r] = below
	}
	values := make([]float64, thresholds*recalls+thresholds)
	c := column{values[:thresholds*recalls], values[thresholds*recalls:]}
	for t, precision := range rk.precision {
		for i := len(precision) - 1; i > 0; i-- {
			precision[i-1] = max(precision[i-1], precision[i])
		}
		for r, below := range rk.reach {
			if below >= len(precision) {
				break
			}
			c.precision[t*recalls+r] = precision[below]
		}
		c.recall[t] = float64(len(precision)) / float64(objects)
	}
	return c
}

// cappedRecall returns recall at each threshold with at most maxDets detections an image.
func (rk *ranking) cappedRecall(o *outcome, maxDets int) []float64 {
	recall := make([]float64, len(rk.precision))
	for i, v := range o.verdict[areaAll] {
		if int(o.rank[i]) < maxDets {
			for b := v.matched &^ v.ignored; b != 0; b &= b - 1 {
				recall[bits.TrailingZeros64(b)]++
			}
		}
	}
	for t := range recall {
		recall[t] /= float64(o.objects[areaAll])
	}
	return recall
}

// result computes the Result of a filled table of the given categories. zeroIDs counts the
// annotations with id 0.
func (t *table) result(classes []coco.Category, opt *Options, zeroIDs int) *Result {
	res := &Result{IoUThresholds: slices.Clone(opt.IoUThresholds), PerCategory: make([]CategoryResult, len(classes))}
	var s summary
	for k, c := range classes {
		one := CategoryResult{ID: c.ID, Name: c.Name, Objects: t.objects[k], Detections: t.detections[k]}
		s.gather(t, k, k+1, opt)
		one.Summary, one.ByIoU = summaryOf(s.stats(opt)), s.byIoU(opt)
		res.PerCategory[k] = one
	}
	s.gather(t, 0, len(classes), opt)
	res.Stats, res.ByIoU = s.stats(opt), s.byIoU(opt)
	if zeroIDs > 0 {
		res.Warnings = append(res.Warnings, fmt.Sprintf(
			"annotation id 0 is used (%d times): pycocotools counts what matches it as a false positive, and so does this result; number annotations from 1",
			zeroIDs))
	}
	return res
}

// summary holds the values to average, from the categories that have any.
type summary struct {
	precision [areaCount][]float64 // [threshold, recall, category]
	recall    [areaCount][]float64 // [threshold, category]
	capped    [2][]float64         // [threshold, category]
}

// gather sets s to the categories from to (not included) upto.
func (s *summary) gather(t *table, from, upto int, opt *Options) {
	thresholds, recalls := len(opt.IoUThresholds), len(opt.RecallThresholds)
	var rows [][]float64
	add := func(row []float64) {
		if row != nil {
			rows = append(rows, row)
		}
	}
	for a := range t.columns {
		for _, c := range t.columns[a][from:upto] {
			add(c.precision)
		}
		s.precision[a] = transpose(s.precision[a], rows, thresholds*recalls)
		rows = rows[:0]
		for _, c := range t.columns[a][from:upto] {
			add(c.recall)
		}
		s.recall[a] = transpose(s.recall[a], rows, thresholds)
		rows = rows[:0]
	}
	for m := range t.capped {
		for _, c := range t.capped[m][from:upto] {
			add(c)
		}
		s.capped[m] = transpose(s.capped[m], rows, thresholds)
		rows = rows[:0]
	}
}

// transpose returns dst with the first values of all rows, then the second, up to
// the n-th.
func transpose(dst []float64, rows [][]float64, n int) []float64 {
	dst = slices.Grow(dst[:0], n*len(rows))[:n*len(rows)]
	const tile = 64 // values of a row at once: what they go to stays in the cache
	for i := 0; i < n; i += tile {
		for k, row := range rows {
			for j, v := range row[i:min(i+tile, n)] {
				dst[(i+j)*len(rows)+k] = v
			}
		}
	}
	return dst
}

// stats returns COCO's twelve numbers.
func (s *summary) stats(opt *Options) [12]float64 {
	mean, byIoU := opt.Sum.mean, s.byIoU(opt)
	at := func(iou float64) float64 {
		if t := slices.Index(opt.IoUThresholds, iou); t >= 0 {
			return byIoU[t]
		}
		return math.NaN()
	}
	return [12]float64{
		mean(s.precision[areaAll]), at(.5), at(.75),
		mean(s.precision[areaSmall]), mean(s.precision[areaMedium]), mean(s.precision[areaLarge]),
		mean(s.capped[0]), mean(s.capped[1]), mean(s.recall[areaAll]),
		mean(s.recall[areaSmall]), mean(s.recall[areaMedium]), mean(s.recall[areaLarge]),
	}
}

// byIoU returns AP at each IoU threshold.
func (s *summary) byIoU(opt *Options) []float64 {
	ap := make([]float64, len(opt.IoUThresholds))
	n := len(s.precision[areaAll]) / len(ap)
	for t := range ap {
		ap[t] = opt.Sum.mean(s.precision[areaAll][t*n : (t+1)*n])
	}
	return ap
}
