package metrics

import (
	"cmp"
	"math"
	"slices"
)

// iou returns the overlap of a detection with an object: intersection over
// union, and for a crowd intersection over the detection's own area, so that a
// box inside it overlaps wholly. Boxes are x, y, width, height; boxes that only
// touch have 0. Products are rounded before they are added, on every machine.
func iou(d, g *[4]float64, crowd bool) float64 {
	if d[2]+d[0] < g[0] || g[2]+g[0] < d[0] || d[3]+d[1] < g[1] || g[3]+g[1] < d[1] {
		return 0 // as the rest would find, only sooner
	}
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

// ranked is an entry and its sort key: ascending keys are falling scores.
type ranked struct {
	key   uint64
	entry int32
}

// scoreKey maps a score to a key. Equal scores have equal keys, also 0 and -0, and NaN comes
// last, as in numpy's sort of -score.
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

// sortRanked sorts by falling score, and equal scores by entry. If the entries ascend, the sort
// is stable.
func sortRanked(r []ranked) {
	slices.SortFunc(r, func(a, b ranked) int {
		if a.key != b.key {
			return cmp.Compare(a.key, b.key)
		}
		return cmp.Compare(a.entry, b.entry)
	})
}

// sortMany is sortRanked for long lists. It counts, stably, by each byte of the keys from the
// last to the first. spare is memory to work in; the returned slice is the spare of the next
// call.
func sortMany(r, spare []ranked) []ranked {
	if len(r) < 256 { // where counting doesn't pay
		sortRanked(r)
		return spare
	}
	var count [8][256]int32
	for _, e := range r {
		for b := range count {
			count[b][byte(e.key>>(8*b))]++
		}
	}
	spare = slices.Grow(spare[:0], len(r))[:len(r)]
	from, to := r, spare
	for b := range count {
		n := &count[b]
		if n[byte(r[0].key>>(8*b))] == int32(len(r)) {
			continue // all have this byte
		}
		at := int32(0)
		for i, c := range n {
			n[i] = at
			at += c
		}
		for _, e := range from {
			i := byte(e.key >> (8 * b))
			to[n[i]] = e
			n[i]++
		}
		from, to = to, from
	}
	if &from[0] != &r[0] {
		copy(r, from)
	}
	return spare
}

// verdict is the outcome of one detection in one area range; bit t belongs to IoU threshold t.
// A detection that is neither matched nor ignored is a false positive; an ignored detection
// counts for nothing.
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

// reset empties o and makes room for as many objects and detections.
func (o *outcome) reset(objects, detections int) {
	o.score = slices.Grow(o.score[:0], detections)
	o.image, o.rank, o.entry = slices.Grow(o.image[:0], detections), slices.Grow(o.rank[:0], detections), slices.Grow(o.entry[:0], detections)
	for a := range o.verdict {
		o.verdict[a] = slices.Grow(o.verdict[a][:0], detections)
	}
	o.objects = [areaCount]int{}
	o.taken = slices.Grow(o.taken[:0], objects)
}

// share returns an empty outcome that grows into the given parts of o's memory.
func (o *outcome) share(objects, detections span) outcome {
	from, upto := detections.from, detections.upto
	s := outcome{
		score: o.score[from:from:upto], image: o.image[from:from:upto], rank: o.rank[from:from:upto],
		entry: o.entry[from:from:upto], taken: o.taken[objects.from:objects.from:objects.upto],
	}
	for a := range s.verdict {
		s.verdict[a] = o.verdict[a][from:from:upto]
	}
	return s
}

// add appends the outcome of the next images of a category. It may be a share of o's own memory;
// the gap before it is then closed.
func (o *outcome) add(next *outcome) {
	o.score, o.image = append(o.score, next.score...), append(o.image, next.image...)
	o.rank, o.entry = append(o.rank, next.rank...), append(o.entry, next.entry...)
	for a := range o.verdict {
		o.verdict[a] = append(o.verdict[a], next.verdict[a]...)
		o.objects[a] += next.objects[a]
	}
	o.taken = append(o.taken, next.taken...)
}

// scored is a detection while it is matched.
type scored struct {
	box   [4]float64
	score float64
}

// target is an object of a cell: which area ranges ignore it, and at which thresholds
// detections have used it up in each.
type target struct {
	*object
	ignored [areaCount]bool
	taken   [areaCount]uint64
}

// candidate is a target whose overlap with a detection is large enough for the thresholds whose
// bits are in reach.
type candidate struct {
	target int32 // within the cell
	iou    float64
	reach  uint64
}

// matcher matches detections to objects, cell by cell. Each worker reuses its own.
type matcher struct {
	in         *input
	areas      [areaCount]AreaRange
	thresholds []float64 // at most 1-1e-10
	lowest     float64
	all        uint64 // a bit for each threshold
	maxDets    int

	out     outcome
	dets    []scored // those of the images at work
	sorted  []ranked // the cell's, by falling score
	targets []target
	near    []candidate // of one detection
}

func newMatcher(in *input, opt *Options) *matcher {
	m := &matcher{in: in, areas: opt.AreaRanges, maxDets: slices.Max(opt.MaxDets[:]), lowest: 1}
	for _, t := range opt.IoUThresholds {
		t = min(t, 1-1e-10)
		m.thresholds = append(m.thresholds, t)
		m.lowest = min(m.lowest, t)
	}
	m.all = uint64(math.MaxUint64) >> (64 - len(m.thresholds))
	return m
}

// category matches category k, image by image. The result is valid until the
// next call. Images that have neither objects nor detections are not visited.
func (m *matcher) category(k int) *outcome {
	p := m.in.whole(k)
	m.out.reset(p.gt.len(), p.dt.len())
	m.part(p)
	return &m.out
}

// part appends to m.out the outcome of some images of a category.
func (m *matcher) part(p part) {
	objects, dets := m.in.gt.image, m.in.dt.image
	fetched := span{p.dt.from, p.dt.from} // what m.dets holds
	for g, d := p.gt.from, p.dt.from; g < p.gt.upto || d < p.dt.upto; {
		image := int32(math.MaxInt32)
		if g < p.gt.upto {
			image = objects[g]
		}
		if d < p.dt.upto {
			image = min(image, dets[d])
		}
		g0, d0 := g, d
		for g < p.gt.upto && objects[g] == image {
			g++
		}
		for d < p.dt.upto && dets[d] == image {
			d++
		}
		if d > fetched.upto {
			fetched = span{d0, min(max(d, d0+fetchAtOnce), p.dt.upto)}
			m.fetch(fetched)
		}
		m.cell(image, m.in.gt.entry[g0:g], m.in.dt.entry[d0:d], m.dets[d0-fetched.from:d-fetched.from])
	}
}

// fetchAtOnce is large enough that many detections are loaded from memory at a time, and small
// enough that they are still in the processor's cache when they are matched.
const fetchAtOnce = 1024

// fetch copies grouped detections, which lie scattered in memory, to m.dets.
func (m *matcher) fetch(s span) {
	m.dets = slices.Grow(m.dets[:0], s.len())[:s.len()]
	for i, e := range m.in.dt.entry[s.from:s.upto] {
		d := &m.in.detections[e]
		m.dets[i] = scored{d.BBox, d.Score}
	}
}

// cell matches the detections of one image and category, given by their indices in entry, with
// the objects objs.
func (m *matcher) cell(image int32, objs, entry []int32, dets []scored) {
	m.targets = m.targets[:0]
	for _, e := range objs {
		t := target{object: &m.in.objects[e]}
		for a := range m.areas {
			t.ignored[a] = t.crowd || m.areas[a].excludes(t.area)
			if !t.ignored[a] {
				m.out.objects[a]++
			}
		}
		m.targets = append(m.targets, t)
	}
	m.sorted = m.sorted[:0]
	inOrder := true
	for i := range dets {
		r := ranked{scoreKey(dets[i].score), int32(i)}
		inOrder = inOrder && (i == 0 || m.sorted[i-1].key <= r.key)
		m.sorted = append(m.sorted, r)
	}
	if !inOrder {
		sortRanked(m.sorted)
	}
	for rank, r := range m.sorted[:min(len(m.sorted), m.maxDets)] {
		d := &dets[r.entry]
		m.out.score = append(m.out.score, d.score)
		m.out.image = append(m.out.image, image)
		m.out.rank = append(m.out.rank, int32(rank))
		m.out.entry = append(m.out.entry, entry[r.entry])
		choose := m.choose
		if !m.approach(&d.box) {
			choose = m.chooseOneByOne
		}
		area := boxArea(&d.box)
		for a := range m.areas {
			var v verdict
			if len(m.near) > 0 {
				v = choose(a)
			}
			if m.areas[a].excludes(area) {
				v.ignored |= m.all &^ v.matched
			}
			m.out.verdict[a] = append(m.out.verdict[a], v)
		}
	}
	for i := range m.targets {
		m.out.taken = append(m.out.taken, m.targets[i].taken[areaAll])
	}
}

// approach sets m.near to the targets that a box overlaps enough for any threshold, by falling
// overlap; of equal ones the later comes first. Two boxes whose areas are too small or too
// large for a float64 have the overlap NaN. If an overlap is NaN, approach returns false with
// all targets in their order.
func (m *matcher) approach(box *[4]float64) bool {
	m.near = m.near[:0]
	comparable := true
	for i := range m.targets {
		v := iou(box, &m.targets[i].box, m.targets[i].crowd)
		if v < m.lowest {
			continue
		}
		comparable = comparable && v == v
		c := candidate{target: int32(i), iou: v}
		for t, threshold := range m.thresholds {
			if v >= threshold {
				c.reach |= 1 << t
			}
		}
		at := len(m.near)
		for at > 0 && m.near[at-1].iou <= v {
			at--
		}
		m.near = slices.Insert(m.near, at, c)
	}
	if comparable {
		return true
	}
	m.near = m.near[:0]
	for i := range m.targets {
		m.near = append(m.near, candidate{target: int32(i), iou: iou(box, &m.targets[i].box, m.targets[i].crowd)})
	}
	return false
}

// choose gives a detection its targets in area range a.
//
// Detections choose in order of falling score. At each threshold, a detection takes the target
// with the highest overlap at or above the threshold, among the targets not taken before; the
// last of equals. Ignored targets (crowds, and objects outside the area range) are considered
// only if no other target is found; a crowd is never used up. A detection that matched an
// ignored target is ignored.
func (m *matcher) choose(a int) (v verdict) {
	left := m.all // thresholds at which none is found yet
	for _, ignored := range [...]bool{false, true} {
		for i := range m.near {
			c := &m.near[i]
			t := &m.targets[c.target]
			if t.ignored[a] != ignored {
				continue
			}
			got := c.reach & left
			if !t.crowd {
				got &^= t.taken[a]
			}
			left &^= got
			v.add(t, a, got)
		}
	}
	return v
}

// add records that target t is taken in area range a at the thresholds got.
func (v *verdict) add(t *target, a int, got uint64) {
	t.taken[a] |= got
	if t.ignored[a] {
		v.ignored |= got
	}
	if !t.zeroID {
		v.matched |= got
	}
}

// chooseOneByOne is choose for overlaps that include NaN. As in pycocotools each target is
// compared with the best so far, so NaN always wins and loses to whatever follows.
func (m *matcher) chooseOneByOne(a int) (v verdict) {
	for t, threshold := range m.thresholds {
		bit := uint64(1) << t
		var best *target
		for _, ignored := range [...]bool{false, true} {
			if best != nil {
				break
			}
			for _, c := range m.near {
				o := &m.targets[c.target]
				if o.ignored[a] == ignored && (o.crowd || o.taken[a]&bit == 0) && !(c.iou < threshold) {
					threshold, best = c.iou, o
				}
			}
		}
		if best != nil {
			v.add(best, a, bit)
		}
	}
	return v
}

// excludes reports whether an area is outside the range.
func (r *AreaRange) excludes(area float64) bool { return area < r.Min || area > r.Max }

// boxArea returns width times height, the area that decides the range of a detection.
func boxArea(box *[4]float64) float64 { return float64(box[2] * box[3]) }
