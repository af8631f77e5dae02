package metrics

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"focalgrid/coco"
)

// doubtful is the AP50 below which Mistakes tries other readings of the detections.
const doubtful = .2

// Mistakes reports, with counts, what looks like a mistake in the file of the detections rather
// than in the detector. It changes no score. ap50 is the AP50 of the detections, NaN if they
// could not be scored.
//
// Two findings are facts: ids that the ground truth lacks, and boxes within 0…1 where the boxes
// of the ground truth are not. If AP50 is low, Mistakes also tries other readings of the file:
// ids that are off by one or count the categories; boxes that are two corners, or centre and
// size, or y before x. A reading is reported if under it at least a fifth of the best detections
// (in each image as many as it has objects) find an object of their category at an IoU of .5,
// and more than twice as many as without it. A detector that is merely bad finds no more under a
// wrong reading than under the right one, except by chance. So the difference must be at least
// three times its standard deviation, as 10 to 0 is; or all of three or more, to none.
func Mistakes(gt *coco.Dataset, dt []coco.Detection, ap50 float64) []string {
	var out []string
	images, categories := map[int64]bool{}, map[int64]bool{}
	for _, im := range gt.Images {
		images[im.ID] = true
	}
	for _, c := range gt.Categories {
		categories[c.ID] = true
	}
	if s := strays(dt, images, func(d *coco.Detection) int64 { return d.ImageID }); s != "" {
		out = append(out, s+" are on an image that the ground truth lacks")
	}
	if s := strays(dt, categories, func(d *coco.Detection) int64 { return d.CategoryID }); s != "" {
		out = append(out, s+" are of a category that the ground truth lacks, and count for nothing")
	}
	if n := countWithin1(len(dt), func(i int) *[4]float64 { return &dt[i].BBox }); 10*n >= 9*len(dt) && n > 0 &&
		10*countWithin1(len(gt.Annotations), func(i int) *[4]float64 { return &gt.Annotations[i].BBox }) < len(gt.Annotations) {
		return append(out, fmt.Sprintf("%d of %d detections have a bbox within 0…1; bbox is x, y, width, height in pixels", n, len(dt)))
	}
	if ap50 >= doubtful {
		return out
	}
	return append(out, newScanOf(gt, dt).misread()...)
}

// strays returns, as text, the number of detections with an unknown id and the first of these
// ids; "" if there is none.
func strays(dt []coco.Detection, known map[int64]bool, id func(*coco.Detection) int64) string {
	const most = 4
	n, seen := 0, map[int64]bool{}
	var names []string
	for i := range dt {
		v := id(&dt[i])
		if known[v] {
			continue
		}
		n++
		if !seen[v] {
			seen[v] = true
			if len(names) < most {
				names = append(names, fmt.Sprint(v))
			}
		}
	}
	if n == 0 {
		return ""
	}
	if len(seen) > most {
		names = append(names, "…")
	}
	return fmt.Sprintf("%d of %d detections (id %s)", n, len(dt), strings.Join(names, ", "))
}

// countWithin1 counts the boxes without a number above 1.
func countWithin1(n int, box func(int) *[4]float64) int {
	count := 0
	for i := range n {
		if slices.Max(box(i)[:]) <= 1 {
			count++
		}
	}
	return count
}

// scanOf looks at detections in other ways than the way of their file.
type scanOf struct {
	objects map[int64][]*coco.Annotation // by image, without crowds
	byImage map[int64][]*coco.Detection  // best first
	ids     []int64                      // of the categories, ascending
}

func newScanOf(gt *coco.Dataset, dt []coco.Detection) *scanOf {
	s := &scanOf{objects: map[int64][]*coco.Annotation{}, byImage: map[int64][]*coco.Detection{}}
	for i := range gt.Annotations {
		if a := &gt.Annotations[i]; !a.IsCrowd {
			s.objects[a.ImageID] = append(s.objects[a.ImageID], a)
		}
	}
	for i := range dt {
		s.byImage[dt[i].ImageID] = append(s.byImage[dt[i].ImageID], &dt[i])
	}
	for _, list := range s.byImage {
		slices.SortStableFunc(list, func(a, b *coco.Detection) int { return cmp.Compare(b.Score, a.Score) })
	}
	for _, c := range gt.Categories {
		s.ids = append(s.ids, c.ID)
	}
	slices.Sort(s.ids)
	s.ids = slices.Compact(s.ids)
	return s
}

// misread reports the reading under which most detections find an object, if the difference is
// significant.
func (s *scanOf) misread() []string {
	place := func(from int64) func(*coco.Detection) {
		return func(d *coco.Detection) {
			if i := d.CategoryID - from; i >= 0 && i < int64(len(s.ids)) {
				d.CategoryID = s.ids[i]
			}
		}
	}
	readings := []struct {
		words string
		read  func(*coco.Detection)
	}{
		{"their category_id were 1 more", func(d *coco.Detection) { d.CategoryID++ }},
		{"their category_id were 1 less", func(d *coco.Detection) { d.CategoryID-- }},
		{"their category_id counted the categories from 0", place(0)},
		{"their category_id counted the categories from 1", place(1)},
		{"their image_id were 1 more", func(d *coco.Detection) { d.ImageID++ }},
		{"their image_id were 1 less", func(d *coco.Detection) { d.ImageID-- }},
		{"their bbox were two corners, x1, y1, x2, y2 (it is x, y, width, height)", func(d *coco.Detection) {
			d.BBox[2], d.BBox[3] = d.BBox[2]-d.BBox[0], d.BBox[3]-d.BBox[1]
		}},
		{"their bbox were centre and size (its x, y is the upper left corner)", func(d *coco.Detection) {
			d.BBox[0], d.BBox[1] = d.BBox[0]-float64(d.BBox[2]/2), d.BBox[1]-float64(d.BBox[3]/2)
		}},
		{"their bbox were y, x, height, width (it is x, y, width, height)", func(d *coco.Detection) {
			d.BBox = [4]float64{d.BBox[1], d.BBox[0], d.BBox[3], d.BBox[2]}
		}},
	}
	asIs, _ := s.found(func(*coco.Detection) {})
	most, of, words := 0, 0, ""
	for _, r := range readings {
		if n, looked := s.found(r.read); n > most {
			most, of, words = n, looked, r.words
		}
	}
	const fewest, deviations = 3, 3
	more := most - asIs // by chance alone it varies by the root of the sum
	plain := more*more > deviations*deviations*(most+asIs) || most >= fewest && most == of && asIs == 0
	if !plain || 5*most < of || most <= 2*asIs {
		return nil
	}
	return []string{fmt.Sprintf("%d of the %d best detections would find an object if %s; as they are, %d do", most, of, words, asIs)}
}

// found returns how many of the best detections find an object under a reading, and how many best
// detections there are.
func (s *scanOf) found(read func(*coco.Detection)) (found, of int) {
	for id, list := range s.byImage {
		moved := coco.Detection{ImageID: id}
		read(&moved)
		objects := s.objects[moved.ImageID]
		for _, d := range list[:min(len(list), len(objects))] {
			d := *d
			read(&d)
			of++
			if slices.ContainsFunc(objects, func(a *coco.Annotation) bool {
				return a.CategoryID == d.CategoryID && iou(&d.BBox, &a.BBox, false) >= .5
			}) {
				found++
			}
		}
	}
	return found, of
}
