package metrics

import (
	"fmt"
	"math"
	"slices"

	"focalgrid/coco"
)

// index numbers the distinct ids of images or categories by ascending id.
type index struct {
	ids   []int64
	first int64           // table[0] belongs to this id
	table []int32         // number of id first+i, or -1; nil if ids lie far apart
	far   map[int64]int32 // number of each id, where table is nil
}

func newIndex(ids []int64) *index {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	x := &index{ids: ids}
	if len(ids) == 0 {
		return x
	}
	x.first = ids[0]
	span := uint64(ids[len(ids)-1]) - uint64(x.first)
	if span < 16*uint64(len(ids))+1024 {
		x.table = make([]int32, span+1)
		for i := range x.table {
			x.table[i] = -1
		}
		for i, id := range ids {
			x.table[id-x.first] = int32(i)
		}
		return x
	}
	x.far = make(map[int64]int32, len(ids))
	for i, id := range ids {
		x.far[id] = int32(i)
	}
	return x
}

// number returns the number of id, or -1 if it is unknown.
func (x *index) number(id int64) int32 {
	if x.table != nil {
		if d := uint64(id) - uint64(x.first); d < uint64(len(x.table)) {
			return x.table[d]
		}
		return -1
	}
	if n, ok := x.far[id]; ok {
		return n
	}
	return -1
}

// place is the group of an object or detection: the number of its category and the number
// of its image. With category -1 it is not evaluated.
type place struct{ category, image int32 }

// grouped holds entries by category, within a category by image, and within an image in the
// given order.
type grouped struct {
	entry []int32 // index of the entry
	image []int32 // number of its image
	start []int32 // category k has entry[start[k]:start[k+1]]
}

// span is a stretch of a grouped list: indices from (included) to upto (not).
type span struct{ from, upto int32 }

func (s span) len() int { return int(s.upto - s.from) }

// less counts s from n.
func (s span) less(n int32) span { return span{s.from - n, s.upto - n} }

// group sorts places by counting, first by image and then by category; both
// passes are stable.
func group(places []place, images, categories int) grouped {
	byImage := make([]int32, images+1)
	n := 0
	for _, p := range places {
		if p.category >= 0 {
			byImage[p.image+1]++
			n++
		}
	}
	for i := range images {
		byImage[i+1] += byImage[i]
	}
	half := make([]int32, n)
	for i, p := range places {
		if p.category >= 0 {
			half[byImage[p.image]] = int32(i)
			byImage[p.image]++
		}
	}
	g := grouped{entry: make([]int32, n), image: make([]int32, n), start: make([]int32, categories+1)}
	for _, i := range half {
		g.start[places[i].category+1]++
	}
	for k := range categories {
		g.start[k+1] += g.start[k]
	}
	next := slices.Clone(g.start)
	for _, i := range half {
		p := places[i]
		at := next[p.category]
		next[p.category]++
		g.entry[at], g.image[at] = i, p.image
	}
	return g
}

// part is some images of a category: their objects and their detections.
type part struct{ gt, dt span }

// whole is all of category k.
func (in *input) whole(k int) part {
	return part{span{in.gt.start[k], in.gt.start[k+1]}, span{in.dt.start[k], in.dt.start[k+1]}}
}

// split divides category k by images into at most n parts with about the same number of
// detections.
func (in *input) split(k, n int) []part {
	rest := in.whole(k)
	var parts []part
	for ; n > 1; n-- {
		cut := rest.dt.from + int32(rest.dt.len()/n)
		for cut > rest.dt.from && cut < rest.dt.upto && in.dt.image[cut] == in.dt.image[cut-1] {
			cut++
		}
		if cut == rest.dt.from || cut == rest.dt.upto {
			break
		}
		before, _ := slices.BinarySearch(in.gt.image[rest.gt.from:rest.gt.upto], in.dt.image[cut])
		at := rest.gt.from + int32(before)
		parts = append(parts, part{span{rest.gt.from, at}, span{rest.dt.from, cut}})
		rest = part{span{at, rest.gt.upto}, span{cut, rest.dt.upto}}
	}
	return append(parts, rest)
}

// object is the part of an annotation that matching needs.
type object struct {
	box    [4]float64
	area   float64
	crowd  bool
	zeroID bool // pycocotools takes a match with annotation id 0 for none
}

// input is the grouped material of an evaluation.
type input struct {
	images, categories *index
	objects            []object // by annotation index after repeated ids are resolved
	gt                 grouped  // entries index objects
	detections         []coco.Detection
	dt                 grouped // entries index detections
	zeroIDs            int
}

// prepare groups gt and dt. It drops objects and detections of a category that the ground truth
// does not list, and objects on an image that it does not list. A detection on such an image
// is an error.
func prepare(gt *coco.Dataset, dt []coco.Detection) (*input, error) {
	if len(gt.Annotations) > math.MaxInt32 || len(dt) > math.MaxInt32 || len(gt.Images) >= math.MaxInt32 {
		return nil, fmt.Errorf("more than 2^31 images, annotations or detections")
	}
	imageIDs := make([]int64, len(gt.Images))
	for i, im := range gt.Images {
		imageIDs[i] = im.ID
	}
	categoryIDs := make([]int64, len(gt.Categories))
	for i, c := range gt.Categories {
		categoryIDs[i] = c.ID
	}
	in := &input{images: newIndex(imageIDs), categories: newIndex(categoryIDs), detections: dt}

	places := make([]place, len(dt))
	for i := range dt {
		p := place{in.categories.number(dt[i].CategoryID), in.images.number(dt[i].ImageID)}
		if p.image < 0 {
			return nil, fmt.Errorf("detections[%d].image_id: %d: %w", i, dt[i].ImageID, ErrUnknownImage)
		}
		places[i] = p
	}
	in.dt = group(places, len(in.images.ids), len(in.categories.ids))

	if err := in.prepareObjects(gt.Annotations); err != nil {
		return nil, err
	}
	return in, nil
}

// prepareObjects fills in.objects and in.gt.
//
// If ids repeat, pycocotools looks each annotation up by its id and finds the last annotation
// with that id: this annotation then replaces all of them, with its own image and category,
// in the order of the annotations it replaces.
func (in *input) prepareObjects(anns []coco.Annotation) error {
	order := lookup(anns, in)
	places := make([]place, len(order))
	in.objects = make([]object, len(order))
	for i, j := range order {
		a := &anns[j]
		places[i] = in.placeOf(a)
		if places[i].category < 0 {
			continue
		}
		if a.Absent.Has(coco.FieldIsCrowd) {
			return fmt.Errorf("annotations[%d].iscrowd: %w", j, ErrMissingField)
		}
		if a.Absent.Has(coco.FieldArea) && !a.IsCrowd { // a crowd is ignored whatever its area
			return fmt.Errorf("annotations[%d].area: %w", j, ErrMissingField)
		}
		in.objects[i] = object{box: a.BBox, area: a.Area, crowd: a.IsCrowd, zeroID: a.ID == 0}
		if a.ID == 0 {
			in.zeroIDs++
		}
	}
	in.gt = group(places, len(in.images.ids), len(in.categories.ids))
	return nil
}

func (in *input) placeOf(a *coco.Annotation) place {
	p := place{in.categories.number(a.CategoryID), in.images.number(a.ImageID)}
	if p.image < 0 {
		p.category = -1
	}
	return p
}

// lookup returns the indices of the annotations to evaluate: all in their order, unless ids
// repeat.
func lookup(anns []coco.Annotation, in *input) []int32 {
	order := make([]int32, len(anns))
	ascending := true
	for i := range anns {
		order[i] = int32(i)
		ascending = ascending && (i == 0 || anns[i-1].ID < anns[i].ID)
	}
	if ascending {
		return order
	}
	last := make(map[int64]int32, len(anns))
	for i := range anns {
		last[anns[i].ID] = int32(i)
	}
	if len(last) == len(anns) {
		return order
	}
	places := make([]place, len(anns))
	for i := range anns {
		places[i] = in.placeOf(&anns[i])
		places[i].category = min(places[i].category, 0) // by image alone
	}
	order = group(places, len(in.images.ids), 1).entry
	for i, j := range order {
		order[i] = last[anns[j].ID]
	}
	return order
}
