// Package sampler decides which priors learn what: an assigner gives each prior (an anchor, or a
// point) its object, a miner picks the examples that count (all of them, or the hardest, as SSD and
// OHEM do), and the sampler writes labels, box targets and weights for the losses: Targets, or in few bytes Rows.
//
// Boxes are x1,y1,x2,y2 in pixels of the network's input, classes 0..K-1. A
// batch of N images with A priors each is laid out flat, image by image:
// [N·A], [N·A·4], logits [N·A·K]. Weights carry the normaliser, so a loss is a
// plain weighted sum. The losses are package loss's; only the score that mining sorts
// by is computed here.
package sampler

import (
	"fmt"
	"math"
	"slices"

	"focalgrid/box"
	"focalgrid/guard"
	"focalgrid/setting"
)

// Params are the settings of the sampler: the assigner, the miner, and what sums over
// anchors are divided by. The paper has "the number of anchors assigned to a ground-truth
// box" (§4.1) and not of what:
//
//	batch  max(1, positives of the batch)
//	image  each image by max(1, its positives), then the mean over images (torchvision)
//	ema    a running mean of max(1, positives of the batch), started at 100 (detectron2)
func Params() []setting.Param {
	return []setting.Param{
		{Name: "type", Kind: setting.Text, Kinds: paramsOf(miners), Doc: "anchors that count: all (the paper), ssd: 3:1 mining, or ohem"},
		{Name: "assigner", Kind: setting.Text, Kinds: paramsOf(assigners), Was: "iou", Doc: "how anchors are matched with objects"},
		{Name: "normalizer", Kind: setting.Text, Choices: []string{"batch", "image", "ema"},
			Doc: "losses are divided by the positives of the batch, of each image, or their moving average"},
	}
}

// Config holds the components of a sampler, as Params describes them.
type Config struct {
	Assigner   Assigner
	Normaliser string
	Miner      Miner // nil: all count

	Coder     box.Coder[float32]
	BoxTarget string  // "deltas" (as Coder encodes) or "boxes" (pixels), as the box loss wants
	BoxWeight float64 // of the box loss beside the classification loss
}

// New makes the configuration of the settings, for boxes in that code and for a box loss with that target and weight.
func New(v setting.Values, coder box.Coder[float32], boxTarget string, boxWeight float64) Config {
	c := Config{
		Assigner: assigners[v.Text("assigner")].of(v), Normaliser: v.Text("normalizer"),
		Coder: coder, BoxTarget: boxTarget, BoxWeight: boxWeight,
	}
	if miner := miners[v.Text("type")]; miner.of != nil {
		c.Miner = miner.of(v)
	}
	return c
}

// The running mean of normaliser "ema", with detectron2's constants.
const (
	emaMomentum = .9
	emaInitial  = 100
)

// Matched is a batch with each prior's object.
type Matched struct {
	Images  []Objects
	Match   []int32   // [N·A], index into the image's objects, Background or Ignored
	Quality []float32 // [N·A]; nil where the assigner gives none
}

// label returns the class of a prior's object, or Background or Ignored; n is the number of priors of an image.
func (m *Matched) label(at, n int) int32 {
	if k := m.Match[at]; k >= 0 {
		return m.Images[at/n].Labels[k]
	}
	return m.Match[at]
}

// Sampler turns the objects of a batch into Targets. It reuses its memory, so
// one goroutine at a time may call it.
type Sampler struct {
	// Running is the running mean of the normaliser "ema": the only state that a
	// checkpoint needs.
	Running float64

	config     Config
	priors     *Priors
	background []float32 // [A·4], box targets of an image without objects
	classes    int

	matched Matched
	targets Targets
	rows    Rows
	scratch scratch

	classBytes []byte
	classInts  []int32
}

// NewSampler prepares for the given priors and number of classes.
func NewSampler(c Config, priors *Priors, classes int) (*Sampler, error) {
	if len(priors.Boxes) == 0 || classes < 1 {
		return nil, fmt.Errorf("%d priors and %d classes; want at least one of each", len(priors.Boxes), classes)
	}
	s := &Sampler{Running: emaInitial, config: c, priors: priors, classes: classes}
	for i, b := range priors.Boxes {
		if !solid(b) {
			return nil, fmt.Errorf("prior %d, %v: want finite x1 < x2 and y1 < y2", i, b)
		}
		if c.BoxTarget == "deltas" {
			b = c.Coder.Encode(b, b)
		}
		s.background = append(s.background, b[:]...)
	}
	return s, nil
}

// NeedsPredictions reports whether a sampler's Targets reads predictions.
func (c Config) NeedsPredictions() bool {
	return c.Miner != nil || c.Assigner.NeedsPredictions()
}

// ReadsLogits reports whether a sampler chooses by the logits themselves: the loss of each prior is not enough.
func (c Config) ReadsLogits() bool {
	return c.Assigner.NeedsPredictions() || c.Miner != nil && c.Miner.readsLogits()
}

// Classes writes for each prior of a matched batch 1 + the class of its object, or 0 where it has none: [N·A], in bytes
// if they hold all classes.
func (s *Sampler) Classes(m Matched) any {
	if s.classes < MostBytes {
		s.classBytes = resize(s.classBytes, len(m.Match))
		return classesOf(s, m, s.classBytes)
	}
	s.classInts = resize(s.classInts, len(m.Match))
	return classesOf(s, m, s.classInts)
}

func classesOf[T byte | int32](s *Sampler, m Matched, out []T) []T {
	n := len(s.priors.Boxes)
	guard.Each(len(m.Images), func(image int) {
		for at := image * n; at < (image+1)*n; at++ {
			out[at] = T(max(0, m.label(at, n)+1))
		}
	})
	return out
}

// ObjectError is returned by Match for an object that nothing can learn.
type ObjectError struct {
	Image, Object int    // by index: of the batch, of the image's objects
	Reason        string // such as "box [128 13 128 53]: want finite x1 < x2 and y1 < y2"
}

func (e *ObjectError) Error() string {
	return fmt.Sprintf("image %d of the batch, object %d: %s", e.Image, e.Object, e.Reason)
}

// Match matches a batch, as far as that needs no predictions: else Targets does. The result is the
// Sampler's own and holds until its next call. An object without area or with a class outside
// 0..K-1 is an *ObjectError.
func (s *Sampler) Match(images []Objects) (Matched, error) {
	for i, im := range images {
		if len(im.Boxes) != len(im.Labels) {
			return Matched{}, fmt.Errorf("image %d of the batch: %d boxes and %d labels", i, len(im.Boxes), len(im.Labels))
		}
		for j, b := range im.Boxes {
			if !solid(b) {
				return Matched{}, &ObjectError{i, j, fmt.Sprintf("box %v: want finite x1 < x2 and y1 < y2", b)}
			}
			if k := im.Labels[j]; k < 0 || int(k) >= s.classes {
				return Matched{}, &ObjectError{i, j, fmt.Sprintf("class %d is not in 0..%d", k, s.classes-1)}
			}
		}
	}
	s.matched = Matched{Images: images, Match: resize(s.matched.Match, len(images)*len(s.priors.Boxes))}
	if !s.config.Assigner.NeedsPredictions() {
		s.matched.Quality = s.assign(s.matched, nil)
	}
	return s.matched, nil
}

// assign runs the assigner on each image. It fills m.Match, and returns the assigner's qualities.
func (s *Sampler) assign(m Matched, predicted box.Predicted) []float32 {
	n, images := len(s.priors.Boxes), len(m.Images)
	quality := make([][]float32, images)
	guard.Each(images, func(i int) {
		var of box.Predicted
		if predicted != nil {
			of = predicted.Image(i, images)
		}
		var object []int32
		object, quality[i] = s.config.Assigner.Assign(s.priors, m.Images[i], of)
		copy(m.Match[i*n:(i+1)*n], object)
	})
	return slices.Concat(quality...)
}

func solid(b [4]float32) bool {
	w, h := float64(b[2])-float64(b[0]), float64(b[3])-float64(b[1])
	return w > 0 && h > 0 && !math.IsInf(w, 1) && !math.IsInf(h, 1)
}

// resize returns a slice of n values, the old one if it is long enough; the values are arbitrary.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
