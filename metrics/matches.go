package metrics

import (
	"cmp"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"focalgrid/coco"
	"focalgrid/guard"
)

// Matches holds the verdict on every detection, without the boxes: about 80 bytes a detection.
// Result, Curves, BestF1 and Calibration read it, and Compare compares two of them.
type Matches struct {
	opt     Options
	classes []coco.Category // by ascending id
	images  []int64         // by ascending id
	matched []matched       // by class
	zeroIDs int
}

// matched is the stored outcome of a category.
type matched struct {
	outcome             // with images by number; entry and taken are left out
	objectImage []int32 // the image of each object that counts, area all
}

// Match matches detections with objects as Evaluate does, with the same errors, and returns the
// verdicts.
func Match(gt *coco.Dataset, dt []coco.Detection, opt Options) (*Matches, error) {
	if err := opt.check(); err != nil {
		return nil, err
	}
	opt = opt.clone()
	in, err := prepare(gt, dt)
	if err != nil {
		return nil, err
	}
	m := &Matches{
		opt: opt, classes: classes(gt.Categories, in.categories), images: in.images.ids,
		matched: make([]matched, len(in.categories.ids)), zeroIDs: in.zeroIDs,
	}
	parallel(len(m.matched), opt.Threads, func() func(int) {
		matcher := newMatcher(in, &m.opt)
		return func(k int) {
			m.matched[k].add(matcher.category(k), in.objectImages(k, opt.AreaRanges[areaAll]), 0)
		}
	})
	return m, nil
}

// clone returns a copy that shares nothing with o, with MaxDets ascending.
func (o Options) clone() Options {
	o.IoUThresholds, o.RecallThresholds = slices.Clone(o.IoUThresholds), slices.Clone(o.RecallThresholds)
	slices.Sort(o.MaxDets[:])
	return o
}

// objectImages returns the image numbers of the objects of category k that count in the area
// range.
func (in *input) objectImages(k int, area AreaRange) []int32 {
	var images []int32
	for i := in.gt.start[k]; i < in.gt.start[k+1]; i++ {
		if obj := &in.objects[in.gt.entry[i]]; !obj.crowd && obj.area >= area.Min && obj.area <= area.Max {
			images = append(images, in.gt.image[i])
		}
	}
	return images
}

// add appends a copy of o, whose image numbers begin at first.
func (m *matched) add(o *outcome, objectImage []int32, first int32) {
	m.score, m.rank = append(m.score, o.score...), append(m.rank, o.rank...)
	for _, i := range o.image {
		m.image = append(m.image, first+i)
	}
	for _, i := range objectImage {
		m.objectImage = append(m.objectImage, first+i)
	}
	for a := range m.verdict {
		m.verdict[a] = append(m.verdict[a], o.verdict[a]...)
		m.objects[a] += o.objects[a]
	}
}

// renumbered returns m with image i renumbered to number[i], in ascending order.
func (m *matched) renumbered(number []int32) matched {
	order := make([]int32, len(m.image))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(number[m.image[a]], number[m.image[b]]) })
	r := matched{outcome: outcome{objects: m.objects}, objectImage: make([]int32, len(m.objectImage))}
	for _, i := range order {
		r.score, r.rank = append(r.score, m.score[i]), append(r.rank, m.rank[i])
		r.image = append(r.image, number[m.image[i]])
		for a := range r.verdict {
			r.verdict[a] = append(r.verdict[a], m.verdict[a][i])
		}
	}
	for i, image := range m.objectImage {
		r.objectImage[i] = number[image]
	}
	slices.Sort(r.objectImage)
	return r
}

// Result computes the twelve numbers and the numbers of each category, with the same bits as
// Evaluate.
func (m *Matches) Result() *Result {
	t := newTable(len(m.classes))
	parallel(len(m.classes), m.opt.Threads, func() func(int) {
		rk := newRanking(&m.opt)
		return func(k int) { rk.category(t, k, &m.matched[k].outcome) }
	})
	return t.result(m.classes, &m.opt, m.zeroIDs)
}

// threshold returns the index of the IoU threshold iou, or an error that lists the thresholds.
func (m *Matches) threshold(iou float64) (int, error) {
	t := slices.Index(m.opt.IoUThresholds, iou)
	if t < 0 {
		return 0, fmt.Errorf("%w: no IoU threshold %g; there are %v", ErrOptions, iou, m.opt.IoUThresholds)
	}
	return t, nil
}

// atOnce returns the number of goroutines that Options.Threads stands for.
func atOnce(threads int) int {
	if threads == 0 {
		return runtime.GOMAXPROCS(0)
	}
	return threads
}

// parallel calls work(0) to work(n-1), in any order, from as many goroutines as there are
// threads (0: one per core). Each goroutine has its own worker.
func parallel(n, threads int, worker func() (work func(i int))) {
	var next atomic.Int64
	var all sync.WaitGroup
	var panics guard.Catcher
	for range min(atOnce(threads), n) {
		all.Go(func() {
			defer panics.Catch()
			work := worker()
			for i := int(next.Add(1) - 1); i < n; i = int(next.Add(1) - 1) {
				work(i)
			}
		})
	}
	all.Wait()
	panics.Throw()
}

// Accumulator evaluates a detector one image at a time, for example during training. It keeps
// scores and verdicts, but no boxes. Several goroutines must not use it at the same time.
type Accumulator struct {
	seen  map[int64]int32 // image id to its place in the order of Add
	found Matches         // images in the order of Add
}

// NewAccumulator returns an Accumulator for detections of the given categories.
// The error is ErrOptions.
func NewAccumulator(categories []coco.Category, opt Options) (*Accumulator, error) {
	none, err := Match(&coco.Dataset{Categories: categories}, nil, opt)
	if err != nil {
		return nil, err
	}
	return &Accumulator{seen: map[int64]int32{}, found: *none}, nil
}

// Add matches the detections of one image with its objects. It ignores their ImageID. After an
// error (one of Evaluate's, or a repeated image) the Accumulator is unchanged.
//
// Evaluate treats annotations whose id repeats in another image as one, as pycocotools does;
// Add cannot detect this.
func (a *Accumulator) Add(image int64, objects []coco.Annotation, detections []coco.Detection) error {
	if _, twice := a.seen[image]; twice {
		return fmt.Errorf("image %d is added twice", image)
	}
	one := &coco.Dataset{Images: []coco.Image{{ID: image}}, Categories: a.found.classes, Annotations: slices.Clone(objects)}
	for i := range one.Annotations {
		one.Annotations[i].ImageID = image
	}
	detections = slices.Clone(detections)
	for i := range detections {
		detections[i].ImageID = image
	}
	in, err := prepare(one, detections)
	if err != nil {
		return fmt.Errorf("image %d: %w", image, err)
	}
	number := int32(len(a.found.images))
	a.seen[image] = number
	a.found.images = append(a.found.images, image)
	a.found.zeroIDs += in.zeroIDs
	matcher := newMatcher(in, &a.found.opt)
	for k := range a.found.matched {
		if in.gt.start[k] < in.gt.start[k+1] || in.dt.start[k] < in.dt.start[k+1] {
			a.found.matched[k].add(matcher.category(k), in.objectImages(k, a.found.opt.AreaRanges[areaAll]), number)
		}
	}
	return nil
}

// Matches returns the verdicts for the images so far, by ascending id of the image; pycocotools
// ranks equal scores in this order. More images may be added afterwards; they do not change
// the returned value.
func (a *Accumulator) Matches() *Matches {
	m := a.found
	m.images = slices.Sorted(maps.Keys(a.seen))
	m.matched = slices.Clone(m.matched)
	if slices.IsSorted(a.found.images) {
		return &m // appending to a.found leaves what m sees as it is
	}
	number := make([]int32, len(m.images))
	for i, id := range m.images {
		number[a.seen[id]] = int32(i)
	}
	parallel(len(m.matched), m.opt.Threads, func() func(int) {
		return func(k int) { m.matched[k] = a.found.matched[k].renumbered(number) }
	})
	return &m
}

// Result evaluates the images so far, with the same bits as Evaluate on all of them.
func (a *Accumulator) Result() *Result { return a.Matches().Result() }
