package metrics

import (
	"cmp"
	"fmt"
	"slices"

	"focalgrid/coco"
)

// ErrorKind is the reason why a detection is wrong or an object is not found.
type ErrorKind int

// The kinds of error, in the manner of Bolya et al., "TIDE: A General Toolbox for Identifying
// Object Detection Errors" (2020), §2.2. f is the IoU from which a detection is right, b the
// IoU below which it has nothing to do with an object. A wrong detection is of the first of
// these kinds that fits:
const (
	// Localisation: its highest overlap with an object of its class is in [b,f).
	Localisation ErrorKind = iota
	// Classification: it overlaps an object of another class by f or more.
	Classification
	// Duplicate: it overlaps an object of its class by f or more, which a
	// detection ranked above it has found.
	Duplicate
	// Background: it overlaps every object by less than b.
	Background
	// BothWrong: none of these; class and place are wrong.
	BothWrong
	// Missed: an object that no detection has found, and at which no Localisation or
	// Classification error is aimed.
	Missed
	errorKinds
)

var errorNames = [errorKinds]string{"localisation", "classification", "duplicate", "background", "both", "missed"}

func (k ErrorKind) String() string { return errorNames[k] }

// ErrorOptions are the overlaps f and b of the kinds of error, 0 < b <= f <= 1.
type ErrorOptions struct{ Foreground, Background float64 }

// DefaultErrorOptions returns the overlaps of the paper.
func DefaultErrorOptions() ErrorOptions { return ErrorOptions{Foreground: .5, Background: .1} }

// Errors reports how much AP each kind of error costs at one IoU threshold.
//
// One kind of error is fixed at a time, and the others stay. A Localisation or
// Classification error becomes right and keeps its score, if its object is not found and no
// error of higher score is aimed at this object; otherwise it is removed. A Duplicate,
// Background or BothWrong error is removed. A Missed object is no longer counted. DAP is the
// rise of AP.
//
// A category with objects stays in the mean even when none of its objects is counted any
// more: its AP is then 1 without wrong detections, otherwise 0.
type Errors struct {
	ErrorOptions
	AP    float64 // at IoU Foreground, as in Result; NaN without objects
	Kinds [errorKinds]ErrorCost
	// FalsePositives is the cost of all wrong detections. FalseNegatives is the cost of all
	// objects that are not found: they are no longer counted, and the detections stay.
	FalsePositives, FalseNegatives ErrorCost
	// PerCategory counts errors, by the detection's or the object's category, by
	// ascending id.
	PerCategory [][errorKinds]int
}

// ErrorCost is the number of errors of a kind and the AP they cost.
type ErrorCost struct {
	Count int
	DAP   float64 // 0 or more; NaN without objects
}

// FindErrors sorts the wrong detections among dt by their cause. opt (whose IoU thresholds do
// not matter) and the errors are as in Evaluate. Objects and detections are taken in the area
// range all and at the largest of MaxDets. Crowds, and detections that are ignored in crowds,
// are neither errors nor objects.
func FindErrors(gt *coco.Dataset, dt []coco.Detection, opt Options, e ErrorOptions) (*Errors, error) {
	if !(0 < e.Background && e.Background <= e.Foreground && e.Foreground <= 1) {
		return nil, fmt.Errorf("%w: expected overlaps of background and foreground 0 < b <= f <= 1, found %g and %g", ErrOptions, e.Background, e.Foreground)
	}
	opt = opt.clone()
	opt.IoUThresholds = []float64{e.Foreground}
	if err := opt.check(); err != nil {
		return nil, err
	}
	in, err := prepare(gt, dt)
	if err != nil {
		return nil, err
	}
	s := newErrorSorter(in, &opt)
	for image := range s.images {
		s.sort(image, e)
	}
	return s.errors(e), nil
}

// errorSorter has every object and every detection that counts.
type errorSorter struct {
	in         *input
	opt        *Options
	categories int
	images     []errorImage
}

// errorImage is one image, all categories together.
type errorImage struct {
	objects    []errorObject
	detections []errorDetection
}

type errorObject struct {
	box      *[4]float64
	category int32
	found    bool
	// aimed has, for Localisation and for Classification, the error of this kind with the
	// highest score that is aimed at the object; -1 for none.
	aimed [Classification + 1]int32
}

type errorDetection struct {
	place
	entry  int32
	key    uint64 // of its score
	right  bool
	kind   ErrorKind // if not right
	object int32     // that a Localisation or Classification error is aimed at
}

func newErrorSorter(in *input, opt *Options) *errorSorter {
	s := &errorSorter{in: in, opt: opt, categories: len(in.categories.ids), images: make([]errorImage, len(in.images.ids))}
	area := opt.AreaRanges[areaAll]
	m := newMatcher(in, opt)
	for k := range s.categories {
		out := m.category(k)
		for i, entry := range in.gt.entry[in.gt.start[k]:in.gt.start[k+1]] {
			obj := &in.objects[entry]
			if obj.crowd || obj.area < area.Min || obj.area > area.Max {
				continue
			}
			image := &s.images[in.gt.image[int(in.gt.start[k])+i]]
			image.objects = append(image.objects, errorObject{
				box: &obj.box, category: int32(k), found: out.taken[i] != 0 && !obj.zeroID, aimed: [...]int32{-1, -1},
			})
		}
		for i, v := range out.verdict[areaAll] {
			if v.ignored != 0 {
				continue
			}
			image := &s.images[out.image[i]]
			image.detections = append(image.detections, errorDetection{
				place: place{int32(k), out.image[i]}, entry: out.entry[i], key: scoreKey(out.score[i]), right: v.matched != 0,
			})
		}
	}
	return s
}

// sort gives each wrong detection of an image its kind and the object it is aimed at.
func (s *errorSorter) sort(number int, e ErrorOptions) {
	image := &s.images[number]
	for i := range image.detections {
		d := &image.detections[i]
		if d.right {
			continue
		}
		own, other := s.nearest(image, d)
		switch {
		case own.iou >= e.Background && own.iou < e.Foreground:
			d.kind, d.object = Localisation, own.object
		case other.iou >= e.Foreground:
			d.kind, d.object = Classification, other.object
		case own.iou >= e.Foreground:
			d.kind = Duplicate
			continue
		case max(own.iou, other.iou) < e.Background:
			d.kind = Background
			continue
		default:
			d.kind = BothWrong
			continue
		}
		aimed := &image.objects[d.object].aimed[d.kind]
		if *aimed < 0 || d.key < image.detections[*aimed].key {
			*aimed = int32(i)
		}
	}
}

// neighbour is an object and its overlap with a detection.
type neighbour struct {
	object int32
	iou    float64
}

// nearest returns the objects that d overlaps most, in its own category and in the others; the
// first of equals, -1 if there is none.
func (s *errorSorter) nearest(image *errorImage, d *errorDetection) (own, other neighbour) {
	own, other = neighbour{-1, -1}, neighbour{-1, -1}
	box := &s.in.detections[d.entry].BBox
	for i := range image.objects {
		obj := &image.objects[i]
		best := &other
		if obj.category == d.category {
			best = &own
		}
		if v := iou(box, obj.box, false); v > best.iou {
			*best = neighbour{int32(i), v}
		}
	}
	return own, other
}

// scenario is a set of errors that are fixed together.
type scenario struct {
	kinds     [errorKinds]bool
	onlyRight bool // without any wrong detection
	onlyFound bool // without any object that is not found
}

// errors counts all kinds and computes their costs.
func (s *errorSorter) errors(e ErrorOptions) *Errors {
	r := &Errors{ErrorOptions: e, PerCategory: make([][errorKinds]int, s.categories)}
	for i := range s.images {
		for j := range s.images[i].detections {
			if d := &s.images[i].detections[j]; !d.right {
				r.PerCategory[d.category][d.kind]++
				r.FalsePositives.Count++
			}
		}
		for j := range s.images[i].objects {
			obj := &s.images[i].objects[j]
			if obj.missed() {
				r.PerCategory[obj.category][Missed]++
			}
			if !obj.found {
				r.FalseNegatives.Count++
			}
		}
	}
	ranked := s.ranked()
	ap := func(f scenario) float64 { return s.ap(ranked, f) }
	r.AP = ap(scenario{})
	for k := range errorKinds {
		for _, counts := range r.PerCategory {
			r.Kinds[k].Count += counts[k]
		}
		alone := scenario{}
		alone.kinds[k] = true
		r.Kinds[k].DAP = ap(alone) - r.AP
	}
	r.FalsePositives.DAP = ap(scenario{onlyRight: true}) - r.AP
	r.FalseNegatives.DAP = ap(scenario{onlyFound: true}) - r.AP
	return r
}

func (o *errorObject) missed() bool {
	return !o.found && o.aimed[Localisation] < 0 && o.aimed[Classification] < 0
}

// ranked returns the detections of each category, best first.
func (s *errorSorter) ranked() [][]*errorDetection {
	all := make([][]*errorDetection, s.categories)
	for i := range s.images {
		for j := range s.images[i].detections {
			d := &s.images[i].detections[j]
			all[d.category] = append(all[d.category], d)
		}
	}
	for _, of := range all {
		slices.SortFunc(of, (*errorDetection).compare)
	}
	return all
}

// compare orders detections as Evaluate ranks them.
func (a *errorDetection) compare(b *errorDetection) int {
	return cmp.Or(
		cmp.Compare(a.key, b.key),
		cmp.Compare(a.image, b.image),
		cmp.Compare(a.entry, b.entry),
	)
}

// judged is a detection in a scenario.
type judged struct {
	*errorDetection
	right bool
}

// ap returns the mean AP of the categories with objects after the errors f are fixed.
func (s *errorSorter) ap(ranked [][]*errorDetection, f scenario) float64 {
	lists := make([][]judged, s.categories)
	for _, of := range ranked {
		for _, d := range of {
			if category, right := s.fate(d, f); category >= 0 {
				lists[category] = append(lists[category], judged{d, right})
			}
		}
	}
	before, after := s.count(f)
	rk := newRanking(s.opt)
	sum, n := 0.0, 0
	for k, list := range lists {
		if before[k] == 0 {
			continue
		}
		n++
		if f.kinds[Classification] { // some come from another category
			slices.SortFunc(list, func(a, b judged) int { return a.compare(b.errorDetection) })
		}
		sum += rk.judgedAP(list, after[k])
	}
	return sum / float64(n)
}

// judgedAP returns the AP of detections, best first. If no object is left to find, it is 1 if
// nothing is wrong, otherwise 0.
func (rk *ranking) judgedAP(list []judged, objects int) float64 {
	if objects == 0 && len(list) == 0 {
		return 1
	}
	if objects == 0 {
		return 0
	}
	rk.sorted = rk.sorted[:0]
	verdicts := make([]verdict, len(list))
	for i, d := range list {
		rk.sorted = append(rk.sorted, ranked{entry: int32(i)})
		if d.right {
			verdicts[i].matched = 1
		}
	}
	sum := 0.0
	for _, p := range rk.column(verdicts, objects).precision {
		sum += p
	}
	return sum / float64(len(rk.reach))
}

// fate returns the category of a detection in scenario f, -1 if it is removed, and whether it
// is right.
func (s *errorSorter) fate(d *errorDetection, f scenario) (category int32, right bool) {
	switch {
	case d.right:
		return d.category, true
	case f.onlyRight:
		return -1, false
	case !f.kinds[d.kind]:
		return d.category, false
	case d.kind <= Classification:
		image := &s.images[d.image]
		if obj := &image.objects[d.object]; !obj.found && s.finder(image, obj, f) == d {
			return obj.category, true
		}
	}
	return -1, false
}

// finder returns the detection that finds obj once f is fixed.
func (s *errorSorter) finder(image *errorImage, obj *errorObject, f scenario) *errorDetection {
	var best *errorDetection
	for kind, i := range obj.aimed {
		if !f.kinds[kind] || i < 0 {
			continue
		}
		if d := &image.detections[i]; best == nil || d.key < best.key {
			best = d
		}
	}
	return best
}

// count returns the objects of each category, before and after f is fixed.
func (s *errorSorter) count(f scenario) (before, after []int) {
	before, after = make([]int, s.categories), make([]int, s.categories)
	for i := range s.images {
		for j := range s.images[i].objects {
			obj := &s.images[i].objects[j]
			before[obj.category]++
			if !(f.onlyFound && !obj.found || f.kinds[Missed] && obj.missed()) {
				after[obj.category]++
			}
		}
	}
	return before, after
}
