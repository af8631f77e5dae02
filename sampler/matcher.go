package sampler

import (
	"fmt"
	"math"

	"focalgrid/box"
)

// What a match can be besides an object's index; labels use the same numbers.
const (
	Background = -1
	Ignored    = -2
)

// Matcher assigns objects to anchors by IoU (§4 of the paper): an anchor gets
// the object it overlaps most, the lowest index among equals, if that IoU is
// at least Positive; it is background below Negative and ignored in between.
type Matcher struct {
	Positive float64 `yaml:"positive"` // .5 in the paper
	Negative float64 `yaml:"negative"` // .4 in the paper

	// Force gives objects that no anchor fits the anchors that overlap them
	// most, all of them if tied. Such an anchor gets its own best object, which
	// may be another one.
	//
	//	"none"         the paper mentions no such rule
	//	"detectron2"   where that IoU is above 0
	//	"torchvision"  even at IoU 0: an object that overlaps no anchor makes every anchor positive
	Force string `yaml:"force"`
}

// Validate names the first field that makes no sense.
func (m Matcher) Validate() error {
	switch {
	case !(m.Positive > 0 && m.Positive <= 1):
		return fmt.Errorf("positive: IoU %g is not in (0,1]", m.Positive)
	case !(m.Negative >= 0 && m.Negative <= m.Positive):
		return fmt.Errorf("negative: IoU %g is not between 0 and positive (%g)", m.Negative, m.Positive)
	}
	switch m.Force {
	case "none", "detectron2", "torchvision":
		return nil
	}
	return fmt.Errorf("force: unknown rule %q; known: detectron2, none, torchvision", m.Force)
}

// Match returns for each anchor the index of its object, Background or Ignored.
func (m Matcher) Match(anchors, objects [][4]float32) []int32 {
	out := make([]int32, len(anchors))
	match(m, anchors, objects, out)
	return out
}

func match[F box.Float](m Matcher, anchors, objects [][4]F, out []int32) {
	if len(objects) == 0 {
		for i := range out {
			out[i] = Background
		}
		return
	}
	best := make([]float64, len(objects)) // of any anchor, for each object
	for i, a := range anchors {
		most, object := 0.0, 0
		for j, o := range objects {
			iou := overlap(a, o)
			if iou > most {
				most, object = iou, j
			}
			best[j] = max(best[j], iou)
		}
		switch {
		case most >= m.Positive:
			out[i] = int32(object)
		case most < m.Negative:
			out[i] = Background
		default:
			out[i] = Ignored
		}
	}
	if m.Force != "detectron2" && m.Force != "torchvision" {
		return
	}
	for j, o := range objects {
		if best[j] == 0 && m.Force == "detectron2" {
			continue
		}
		for i, a := range anchors {
			if out[i] < 0 && overlap(a, o) == best[j] {
				out[i] = int32(favourite(a, objects))
			}
		}
	}
}

// favourite is the object that an anchor overlaps most, the first of equals.
func favourite[F box.Float](anchor [4]F, objects [][4]F) int {
	most, object := math.Inf(-1), 0
	for j, o := range objects {
		if iou := overlap(anchor, o); iou > most {
			most, object = iou, j
		}
	}
	return object
}

// overlap is IoU with a quick no for the many pairs that are apart.
func overlap[F box.Float](a, b [4]F) float64 {
	if a[0] >= b[2] || b[0] >= a[2] || a[1] >= b[3] || b[1] >= a[3] {
		return 0
	}
	return box.IoU(a, b)
}
