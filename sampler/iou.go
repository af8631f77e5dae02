package sampler

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"focalgrid/box"
	"focalgrid/setting"
)

// iouParams are the settings of IoU. A rule of force gives objects that no anchor fits
// the anchors that overlap them most, all of them if tied. Such an anchor gets its own best
// object, which may be another one.
//
//	none         the paper mentions no such rule
//	detectron2   where that IoU is above 0
//	torchvision  even at IoU 0: an object that overlaps no anchor makes every anchor positive
var iouParams = []setting.Param{
	{Name: "positive", Kind: setting.Number, Above: true, Max: 1, Doc: "IoU from which an anchor is an object's"},
	{Name: "negative", Kind: setting.Number, Max: 1, Doc: "IoU below which an anchor is background; between, it is left out",
		Check: func(v setting.Values) error {
			if positive := v.Number("positive"); v.Number("negative") > positive {
				return fmt.Errorf("must be from 0 to %s, the value of positive", setting.Spell(positive))
			}
			return nil
		}},
	{Name: "force", Kind: setting.Text, Choices: []string{"none", "detectron2", "torchvision"}, Doc: "each object's best anchor is the object's although their IoU is low"},
}

// IoU assigns objects to anchors by their IoU (§4 of the paper): an anchor gets
// the object it overlaps most, the lowest index among equals, if that IoU is
// at least Positive; it is background below Negative and ignored in between.
type IoU struct {
	Positive, Negative float64
	Force              string
}

func newIoU(v setting.Values) Assigner {
	return IoU{Positive: v.Number("positive"), Negative: v.Number("negative"), Force: v.Text("force")}
}

// NeedsPredictions returns false.
func (IoU) NeedsPredictions() bool { return false }

// Assign follows the rule of m.
func (m IoU) Assign(p *Priors, o Objects, _ box.Predicted) (object []int32, quality []float32) {
	object = make([]int32, len(p.Boxes))
	p.index().match(m, o.Boxes, object)
	return object, nil
}

// judge classifies an anchor by its IoU with its best object.
func (m IoU) judge(iou float64, object int) int32 {
	switch {
	case iou >= m.Positive:
		return int32(object)
	case iou < m.Negative:
		return Background
	}
	return Ignored
}

// index holds anchors in runs, so that one comparison shows that an object is too far
// from all anchors of a run, or of too different a size.
type index[F box.Float] struct {
	anchors [][4]F
	order   []int32 // the place of each in the order that was given
	runs    []run[F]
}

// run holds the anchors first to end-1 of an index.
type run[F box.Float] struct {
	first, end                int
	hull                      [4]F    // around them all
	widest, tallest, smallest float64 // width, height and area of any
}

// object is an object that anchors are compared with.
type object[F box.Float] struct {
	box  [4]F
	area float64
	best float64 // IoU of any anchor so far
}

// tile is common to the anchors of a run: width and height to a quarter of an
// octave, and the tile of that size in which the centre lies.
type tile struct{ w, h, y, x int }

func tileOf[F box.Float](a [4]F) tile {
	w, h := float64(a[2])-float64(a[0]), float64(a[3])-float64(a[1])
	t := tile{w: int(math.Round(4 * math.Log2(w))), h: int(math.Round(4 * math.Log2(h)))}
	t.x = int(math.Floor((float64(a[0]) + float64(w/2)) / math.Exp2(float64(t.w)/4)))
	t.y = int(math.Floor((float64(a[1]) + float64(h/2)) / math.Exp2(float64(t.h)/4)))
	return t
}

func (t tile) compare(u tile) int {
	return cmp.Or(cmp.Compare(t.w, u.w), cmp.Compare(t.h, u.h), cmp.Compare(t.y, u.y), cmp.Compare(t.x, u.x))
}

func newIndex[F box.Float](anchors [][4]F) *index[F] {
	x := &index[F]{anchors: make([][4]F, len(anchors)), order: make([]int32, len(anchors))}
	tiles := make([]tile, len(anchors))
	for i, a := range anchors {
		tiles[i], x.order[i] = tileOf(a), int32(i)
	}
	slices.SortStableFunc(x.order, func(i, j int32) int { return tiles[i].compare(tiles[j]) })
	for at, i := range x.order {
		a := anchors[i]
		x.anchors[at] = a
		if at == 0 || tiles[i] != tiles[x.order[at-1]] {
			x.runs = append(x.runs, run[F]{first: at, hull: a, smallest: math.Inf(1)})
		}
		r := &x.runs[len(x.runs)-1]
		r.end = at + 1
		for k := range 2 {
			r.hull[k], r.hull[2+k] = min(r.hull[k], a[k]), max(r.hull[2+k], a[2+k])
		}
		r.widest, r.tallest = max(r.widest, float64(a[2])-float64(a[0])), max(r.tallest, float64(a[3])-float64(a[1]))
		r.smallest = min(r.smallest, box.Area(a))
	}
	return x
}

// boundSlack is more than the rounding errors of an IoU and of its bound.
const boundSlack = 1e-9

// reaches reports whether an anchor of the run may overlap the object with an IoU of
// least or more. It may be wrong when it returns true, never when it returns false.
func (r *run[F]) reaches(o *object[F], least float64) bool {
	w := min(float64(min(r.hull[2], o.box[2]))-float64(max(r.hull[0], o.box[0])), r.widest)
	h := min(float64(min(r.hull[3], o.box[3]))-float64(max(r.hull[1], o.box[1])), r.tallest)
	if w <= 0 || h <= 0 {
		return false
	}
	// No intersection is larger than i, and no union smaller than with the smallest anchor that holds it.
	i := float64(w * h)
	return i >= (least-boundSlack)*(o.area+max(r.smallest, i)-i)
}

// match follows the rule of m. Of the IoUs below Negative only those matter that may be an
// object's best, and those only where objects are forced.
func (x *index[F]) match(m IoU, boxes [][4]F, out []int32) {
	if len(boxes) == 0 {
		for i := range out {
			out[i] = Background
		}
		return
	}
	var objectRoom [64]object[F] // on the stack, as much as most images need
	var nearRoom [64]int
	objects, near := objectRoom[:0], nearRoom[:0]
	for _, b := range boxes {
		objects = append(objects, object[F]{box: b, area: box.Area(b)})
	}
	force := m.Force == "detectron2" || m.Force == "torchvision"
	apart := m.judge(0, 0)
	for i := range out {
		out[i] = apart
	}
	for k := range x.runs {
		r := &x.runs[k]
		near = near[:0]
		for j := range objects {
			least := m.Negative
			if force {
				least = min(least, objects[j].best)
			}
			if r.reaches(&objects[j], least) {
				near = append(near, j)
			}
		}
		if len(near) == 0 {
			continue
		}
		for at := r.first; at < r.end; at++ {
			most, best := 0.0, 0
			for _, j := range near {
				o := &objects[j]
				iou := box.IoU(x.anchors[at], o.box)
				if iou > most {
					most, best = iou, j
				}
				o.best = max(o.best, iou)
			}
			out[x.order[at]] = m.judge(most, best)
		}
	}
	if force {
		x.force(m, boxes, objects, out)
	}
}

// force adds what m.Force asks for, from the objects' best IoUs.
func (x *index[F]) force(m IoU, boxes [][4]F, objects []object[F], out []int32) {
	for j := range objects {
		o := &objects[j]
		if o.best == 0 && m.Force == "detectron2" {
			continue
		}
		for k := range x.runs {
			r := &x.runs[k]
			if o.best > 0 && !r.reaches(o, o.best) {
				continue
			}
			for at := r.first; at < r.end; at++ {
				if i, a := x.order[at], x.anchors[at]; out[i] < 0 && box.IoU(a, o.box) == o.best {
					out[i] = int32(favourite(a, boxes))
				}
			}
		}
	}
}

// favourite returns the object that an anchor overlaps most, the first of equals.
func favourite[F box.Float](anchor [4]F, objects [][4]F) int {
	most, object := math.Inf(-1), 0
	for j, o := range objects {
		if iou := box.IoU(anchor, o); iou > most {
			most, object = iou, j
		}
	}
	return object
}
