package metrics

import (
	"cmp"
	"math"
	"slices"

	"focalgrid/coco"
)

// iou returns the overlap of a detection with an object: intersection over
// union, and for a crowd intersection over the detection's own area, so that a
// box inside it overlaps wholly. Boxes are x, y, width, height; boxes that only
// touch have 0. Products are rounded before they are added, on every machine.
func iou(d, g *[4]float64, crowd bool) float64 {
	w := lesser(d[2]+d[0], g[2]+g[0]) - greater(d[0], g[0])
	if w <= 0 {
		return 0
	}
	h := lesser(d[3]+d[1], g[3]+g[1]) - greater(d[1], g[1])
	if h <= 0 {
		return 0
	}
	inter := float64(w * h)
	union := float64(d[2] * d[3])
	if !crowd {
		union = union + float64(g[2]*g[3]) - inter
	}
	return inter / union
}

// lesser and greater are C's fmin and fmax: of a number and NaN, the number.
func lesser(a, b float64) float64 {
	if a < b || b != b {
		return a
	}
	return b
}

func greater(a, b float64) float64 {
	if a > b || b != b {
		return a
	}
	return b
}

// ranked is an entry and the key that sorts it: ascending keys are falling scores.
type ranked struct {
	key   uint64
	entry int32
}

// scoreKey maps a score to a key. Equal scores have equal keys, 0 and -0
// among them, and NaN comes last, as numpy sorts -score.
func scoreKey(score float64) uint64 {
	if score != score {
		return math.MaxUint64
	}
	falling := -score
	if falling == 0 {
		falling = 0 // -0 becomes 0
	}
	bits := math.Float64bits(falling)
	if bits>>63 == 1 {
		return ^bits
	}
	return bits | 1<<63
}

// sortRanked sorts by falling score, equal ones by entry: a stable sort,
// given ascending entries.
func sortRanked(r []ranked) {
	slices.SortFunc(r, func(a, b ranked) int {
		if a.key != b.key {
			return cmp.Compare(a.key, b.key)
		}
		return cmp.Compare(a.entry, b.entry)
	})
}

// verdict is the outcome of one detection in one area range; bit t belongs to
// IoU threshold t. A detection that is neither matched nor ignored is a false
// positive; one that is ignored counts for nothing.
type verdict struct{ matched, ignored uint64 }

// outcome is a matched category: for each detection kept, in ascending order
// of images and by falling score within one, its score, its image, its rank
// there, its index among the detections and its verdicts; how many objects each
// area range has; and for each object of the group, bit t for IoU threshold t,
// whether a detection took it (in the area range all).
type outcome struct {
	score   []float64
	image   []int32
	rank    []int32
	entry   []int32
	verdict [areaCount][]verdict
	objects [areaCount]int
	taken   []uint64
}

func (o *outcome) reset() {
	o.score, o.image, o.rank, o.entry, o.taken = o.score[:0], o.image[:0], o.rank[:0], o.entry[:0], o.taken[:0]
	for a := range o.verdict {
		o.verdict[a] = o.verdict[a][:0]
	}
	o.objects = [areaCount]int{}
}

// candidate is an object that overlaps a detection enough for some threshold.
type candidate struct {
	object int32 // within the cell
	iou    float64
}

// matcher matches detections to objects, cell by cell. It is reused, one a
// worker.
type matcher struct {
	in         *input
	areas      [areaCount]AreaRange
	thresholds []float64 // at most 1-1e-10
	lowest     float64
	maxDets    int

	out        outcome
	sorted     []ranked
	candidates []candidate // of all detections of the cell
	from       []int32     // detection d has candidates[from[d]:from[d+1]]
	taken      []uint64    // per object of the cell, bit t
	ignored    []bool      // per object of the cell
}

func newMatcher(in *input, opt *Options) *matcher {
	m := &matcher{in: in, areas: opt.AreaRanges, maxDets: slices.Max(opt.MaxDets[:]), lowest: 1}
	for _, t := range opt.IoUThresholds {
		t = min(t, 1-1e-10)
		m.thresholds = append(m.thresholds, t)
		m.lowest = min(m.lowest, t)
	}
	return m
}

// category matches category k, image by image. The result is valid until the
// next call. Images that have neither objects nor detections are not visited.
func (m *matcher) category(k int) *outcome {
	m.out.reset()
	gt, dt := &m.in.gt, &m.in.dt
	g, gEnd := gt.start[k], gt.start[k+1]
	d, dEnd := dt.start[k], dt.start[k+1]
	for g < gEnd || d < dEnd {
		image := int32(math.MaxInt32)
		if g < gEnd {
			image = gt.image[g]
		}
		if d < dEnd {
			image = min(image, dt.image[d])
		}
		g0, d0 := g, d
		for g < gEnd && gt.image[g] == image {
			g++
		}
		for d < dEnd && dt.image[d] == image {
			d++
		}
		m.cell(image, gt.entry[g0:g], dt.entry[d0:d])
	}
	return &m.out
}

// cell matches the detections dets with the objects objs of one image and
// category.
func (m *matcher) cell(image int32, objs, dets []int32) {
	m.sorted = m.sorted[:0]
	for _, e := range dets {
		m.sorted = append(m.sorted, ranked{scoreKey(m.in.detections[e].Score), e})
	}
	sortRanked(m.sorted)
	kept := m.sorted[:min(len(m.sorted), m.maxDets)]

	m.candidates, m.from = m.candidates[:0], append(m.from[:0], 0)
	for rank, r := range kept {
		det := &m.in.detections[r.entry]
		m.out.score = append(m.out.score, det.Score)
		m.out.image = append(m.out.image, image)
		m.out.rank = append(m.out.rank, int32(rank))
		m.out.entry = append(m.out.entry, r.entry)
		for i, e := range objs {
			obj := &m.in.objects[e]
			v := iou(&det.BBox, &obj.box, obj.crowd)
			if !(v < m.lowest) { // NaN, from boxes of no size, passes as in pycocotools
				m.candidates = append(m.candidates, candidate{int32(i), v})
			}
		}
		m.from = append(m.from, int32(len(m.candidates)))
	}
	for a := range m.areas {
		m.area(a, objs, kept)
	}
}

// area gives the verdicts of one cell in area range a.
//
// Detections choose in order of falling score. Each takes, of the objects not
// taken before, the one of highest overlap at or above the threshold, the last
// of equals. Objects to ignore (crowds, and those outside the area range) are
// looked at only if none else is found; a crowd is never used up. What matched
// an ignored object, or matched nothing and lies outside the range itself, is
// ignored.
func (m *matcher) area(a int, objs []int32, kept []ranked) {
	limits := m.areas[a]
	outside := func(area float64) bool { return area < limits.Min || area > limits.Max }

	m.taken, m.ignored = m.taken[:0], m.ignored[:0]
	for _, e := range objs {
		obj := &m.in.objects[e]
		ignore := obj.crowd || outside(obj.area)
		if !ignore {
			m.out.objects[a]++
		}
		m.ignored = append(m.ignored, ignore)
		m.taken = append(m.taken, 0)
	}
	all := uint64(math.MaxUint64) >> (64 - len(m.thresholds))
	for d, r := range kept {
		var v verdict
		if near := m.candidates[m.from[d]:m.from[d+1]]; len(near) > 0 {
			for t, threshold := range m.thresholds {
				bit := uint64(1) << t
				best := m.best(near, objs, threshold, bit, false)
				if best < 0 {
					best = m.best(near, objs, threshold, bit, true)
				}
				if best < 0 {
					continue
				}
				m.taken[best] |= bit
				if m.ignored[best] {
					v.ignored |= bit
				}
				if !m.in.objects[objs[best]].zeroID {
					v.matched |= bit
				}
			}
		}
		if outside(boxArea(&m.in.detections[r.entry])) {
			v.ignored |= all &^ v.matched
		}
		m.out.verdict[a] = append(m.out.verdict[a], v)
	}
	if a == areaAll {
		m.out.taken = append(m.out.taken, m.taken...)
	}
}

// best returns the object, among those to ignore or among the others, that a
// detection takes at one threshold; -1 for none.
func (m *matcher) best(near []candidate, objs []int32, threshold float64, bit uint64, ignored bool) int32 {
	best := int32(-1)
	for _, c := range near {
		if m.ignored[c.object] != ignored {
			continue
		}
		if m.taken[c.object]&bit != 0 && !m.in.objects[objs[c.object]].crowd {
			continue
		}
		if c.iou < threshold {
			continue
		}
		threshold, best = c.iou, c.object
	}
	return best
}

// boxArea returns width times height, the area by which a detection is sorted
// into a range.
func boxArea(d *coco.Detection) float64 { return float64(d.BBox[2] * d.BBox[3]) }
