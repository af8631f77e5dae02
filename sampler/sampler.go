// Package sampler decides which anchors learn what: it matches anchors with
// objects by IoU, picks the examples that count (all of them, or the hardest,
// as SSD and OHEM do) and writes labels, box targets and weights for the loss.
//
// Boxes are x1,y1,x2,y2 in pixels of the network's input, classes 0..K-1. A
// batch of N images with A anchors each is laid out flat, image by image:
// [N·A], [N·A·4], logits [N·A·K]. Weights carry the normaliser, so a loss is a
// plain weighted sum. What the loss itself is, is package loss's business; only
// the score that mining sorts by is computed here.
package sampler

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"focalgrid/box"
	"focalgrid/guard"
	"focalgrid/setting"
)

// assigners names every way to match anchors with objects, with its settings.
var assigners = map[string][]setting.Param{"iou": iouParams}

// Params are the settings of the sampler: the assigner, the miner, and what sums over
// anchors are divided by. The paper says "the number of anchors assigned to a ground-truth
// box" (§4.1) and not of what:
//
//	batch  max(1, positives of the batch)
//	image  each image by max(1, its positives), then the mean over images (torchvision)
//	ema    a running mean of max(1, positives of the batch), started at 100 (detectron2)
func Params() []setting.Param {
	kinds := map[string][]setting.Param{}
	for name, m := range miners {
		kinds[name] = m.params
	}
	return []setting.Param{
		{Name: "type", Kind: setting.Text, Kinds: kinds, Doc: "anchors that count: all (the paper), ssd: 3:1 mining, or ohem"},
		{Name: "assigner", Kind: setting.Text, Kinds: assigners, Was: "iou", Doc: "how anchors are matched with objects"},
		{Name: "normalizer", Kind: setting.Text, Choices: []string{"batch", "image", "ema"},
			Doc: "losses are divided by the positives of the batch, of each image, or their moving average"},
	}
}

// Config says how anchors are assigned, as Params describes it.
type Config struct {
	Matcher

	Normaliser string
	Miner      string
	SSD        SSD
	OHEM       OHEM

	BoxTarget string  // "deltas" (box.Deltas) or "boxes" (pixels), as the box loss wants
	BoxWeight float64 // of the box loss beside the classification loss
}

// New makes the sampler of the settings for a box loss with that target and weight.
func New(v setting.Values, boxTarget string, boxWeight float64) Config {
	c := Config{
		Matcher:    Matcher{Positive: v.Number("positive"), Negative: v.Number("negative"), Force: v.Text("force")},
		Normaliser: v.Text("normalizer"), Miner: v.Text("type"), BoxTarget: boxTarget, BoxWeight: boxWeight,
	}
	switch c.Miner {
	case "ssd":
		c.SSD = newSSD(v)
	case "ohem":
		c.OHEM = newOHEM(v)
	}
	return c
}

// The running mean of normaliser "ema", with detectron2's constants.
const (
	emaMomentum = .9
	emaInitial  = 100
)

// Objects is what one image shows.
type Objects struct {
	Boxes  [][4]float32
	Labels []int32 // one a box, 0..K-1
}

// Matched is a batch with each anchor's object.
type Matched struct {
	Images []Objects
	Match  []int32 // [N·A], index into the image's objects, Background or Ignored
}

// Targets tells the losses of a batch of N images what to learn. The slices
// are the Assigner's own and hold until its next call of Targets.
type Targets struct {
	Labels      []float32 // [N·A], class, Background or Ignored
	ClassWeight []float32 // [N·A], 0 where an anchor does not count, else 1/normaliser
	BoxTarget   []float32 // [N·A·4], deltas or pixels; an anchor without an object has itself as target
	BoxWeight   []float32 // [N·A], box weight/normaliser where the box is learnt, else 0

	Positives int // anchors with an object
	Ignored   int // anchors in the band between the two IoUs
	Selected  int // anchors with a class weight
}

// Assigner turns the objects of a batch into Targets. It reuses its memory, so
// one goroutine at a time may call it.
type Assigner struct {
	// Running is the mean that normaliser "ema" keeps: the one value here that
	// a checkpoint needs beside the configuration.
	Running float64

	config     Config
	anchors    [][4]float32
	coder      box.Coder[float32]
	index      *index[float32] // of the anchors
	background []float32       // [A·4], box targets of an image without objects
	classes    int
	miner      miner

	matched Matched
	targets Targets
	scratch scratch
}

// NewAssigner prepares for the given anchors and number of classes.
func NewAssigner(c Config, anchors [][4]float32, classes int) (*Assigner, error) {
	miner, ok := miners[c.Miner]
	if !ok {
		return nil, fmt.Errorf("unknown miner %q; known: %s", c.Miner, strings.Join(slices.Sorted(maps.Keys(miners)), ", "))
	}
	if len(anchors) == 0 || classes < 1 {
		return nil, fmt.Errorf("%d anchors and %d classes; want at least one of each", len(anchors), classes)
	}
	for i, a := range anchors {
		if !solid(a) {
			return nil, fmt.Errorf("anchor %d, %v: want finite x1 < x2 and y1 < y2", i, a)
		}
	}
	a := &Assigner{
		Running: emaInitial, config: c, classes: classes, miner: miner,
		anchors: anchors, coder: box.Deltas[float32]{}, index: newIndex(anchors), background: make([]float32, 4*len(anchors)),
	}
	if c.BoxTarget == "boxes" {
		for i, b := range anchors {
			copy(a.background[4*i:], b[:])
		}
	}
	return a, nil
}

// NeedsPredictions tells whether Targets wants logits and deltas.
func (a *Assigner) NeedsPredictions() bool { return a.miner.mine != nil }

// ObjectError is returned by Match for an object that nothing can learn.
type ObjectError struct {
	Image, Object int    // by index: of the batch, of the image's objects
	Reason        string // such as "box [128 13 128 53]: want finite x1 < x2 and y1 < y2"
}

func (e *ObjectError) Error() string {
	return fmt.Sprintf("image %d of the batch, object %d: %s", e.Image, e.Object, e.Reason)
}

// Match matches a batch. The result is the Assigner's own and holds until its next
// call. An object without area or with a class outside 0..K-1 is an *ObjectError.
func (a *Assigner) Match(images []Objects) (Matched, error) {
	for i, im := range images {
		if len(im.Boxes) != len(im.Labels) {
			return Matched{}, fmt.Errorf("image %d of the batch: %d boxes and %d labels", i, len(im.Boxes), len(im.Labels))
		}
		for j, b := range im.Boxes {
			if !solid(b) {
				return Matched{}, &ObjectError{i, j, fmt.Sprintf("box %v: want finite x1 < x2 and y1 < y2", b)}
			}
			if k := im.Labels[j]; k < 0 || int(k) >= a.classes {
				return Matched{}, &ObjectError{i, j, fmt.Sprintf("class %d is not in 0..%d", k, a.classes-1)}
			}
		}
	}
	n := len(a.anchors)
	a.matched = Matched{Images: images, Match: resize(a.matched.Match, len(images)*n)}
	each(len(images), func(i int) {
		a.index.match(a.config.Matcher, images[i].Boxes, a.matched.Match[i*n:(i+1)*n])
	})
	return a.matched, nil
}

func solid(b [4]float32) bool {
	w, h := float64(b[2])-float64(b[0]), float64(b[3])-float64(b[1])
	return w > 0 && h > 0 && !math.IsInf(w, 1) && !math.IsInf(h, 1)
}

// ErrPredictions is returned by Targets when a miner lacks the predictions it chooses by.
var ErrPredictions = errors.New("this miner chooses by predictions: pass logits and deltas")

// Targets writes labels, box targets and weights of a matched batch. logits
// [N·A·K] and deltas [N·A·4] are the network's outputs at this step; both may
// be nil where NeedsPredictions is false. With normaliser "ema" each call
// moves Running.
func (a *Assigner) Targets(m Matched, logits, deltas []float32) (Targets, error) {
	n, all := len(a.anchors), len(m.Images)*len(a.anchors)
	if len(m.Match) != all || all == 0 {
		return Targets{}, fmt.Errorf("%d matches of %d images; want %d anchors an image and at least one image", len(m.Match), len(m.Images), n)
	}
	if a.NeedsPredictions() {
		if logits == nil || deltas == nil {
			return Targets{}, ErrPredictions
		}
		if len(logits) != all*a.classes || len(deltas) != all*4 {
			return Targets{}, fmt.Errorf("%d logits and %d deltas; want %d and %d (%d anchors, %d classes)",
				len(logits), len(deltas), all*a.classes, all*4, all, a.classes)
		}
	}

	t, s := &a.targets, &a.scratch
	t.Labels, t.ClassWeight, t.BoxWeight = resize(t.Labels, all), resize(t.ClassWeight, all), resize(t.BoxWeight, all)
	t.BoxTarget = resize(t.BoxTarget, 4*all)
	s.selected, s.boxed = resize(s.selected, all), resize(s.boxed, all)
	s.classCount, s.boxCount = resize(s.classCount, len(m.Images)), resize(s.boxCount, len(m.Images))
	s.counts = resize(s.counts, len(m.Images))

	each(len(m.Images), func(i int) { a.label(m, i) })
	t.Positives, t.Ignored, t.Selected = 0, 0, 0
	for i, c := range s.counts {
		t.Positives += c.positives
		t.Ignored += c.ignored
		s.classCount[i], s.boxCount[i] = float64(c.positives), float64(c.positives)
	}
	if a.config.Normaliser == "ema" {
		a.Running = float64(emaMomentum*a.Running) + float64((1-emaMomentum)*max(1, float64(t.Positives)))
	}
	if a.miner.mine != nil {
		a.miner.mine(a, m, logits, deltas)
	}

	each(len(m.Images), a.weigh)
	for _, c := range s.counts {
		t.Selected += c.selected
	}
	return *t, nil
}

// counts are the numbers of anchors of one image.
type counts struct{ positives, ignored, selected int }

// label writes labels and box targets of an image, and which of its anchors count
// as long as no miner chooses.
func (a *Assigner) label(m Matched, image int) {
	from, to := image*len(a.anchors), (image+1)*len(a.anchors)
	objects, c := m.Images[image], counts{}
	labels, target := a.targets.Labels[from:to], a.targets.BoxTarget[4*from:4*to]
	selected, boxed := a.scratch.selected[from:to], a.scratch.boxed[from:to]
	for j := range labels { // most anchors are background
		labels[j], selected[j], boxed[j] = Background, true, false
	}
	copy(target, a.background)
	for j, k := range m.Match[from:to] {
		switch k {
		case Background:
		case Ignored:
			labels[j], selected[j] = Ignored, false
			c.ignored++
		default:
			labels[j], boxed[j] = float32(objects.Labels[k]), true
			b := objects.Boxes[k]
			if a.config.BoxTarget == "deltas" {
				b = a.coder.Encode(a.anchors[j], b)
			}
			copy(target[4*j:], b[:])
			c.positives++
		}
	}
	a.scratch.counts[image] = c
}

// weigh writes the weights of an image.
func (a *Assigner) weigh(image int) {
	from, to := image*len(a.anchors), (image+1)*len(a.anchors)
	s := &a.scratch
	class := float32(1 / a.divisor(s.classCount, image))
	boxes := float32(a.config.BoxWeight / a.divisor(s.boxCount, image))
	classWeight, boxWeight := a.targets.ClassWeight[from:to], a.targets.BoxWeight[from:to]
	clear(classWeight)
	clear(boxWeight)
	selected := 0
	for j, on := range s.selected[from:to] {
		if on {
			classWeight[j] = class
			selected++
		}
	}
	for j, on := range s.boxed[from:to] {
		if on {
			boxWeight[j] = boxes
		}
	}
	s.counts[image].selected = selected
}

// each calls do for 0 … n-1, on as many goroutines as there are cores.
func each(n int, do func(i int)) {
	var next atomic.Int64
	var panics guard.Catcher
	work := func() {
		defer panics.Catch()
		for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
			do(int(i))
		}
	}
	var others sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
	panics.Throw()
}

// divisor is what the loss of an image is divided by, given how much of what
// is counted (mostly positives) each image of the batch has.
func (a *Assigner) divisor(counts []float64, image int) float64 {
	switch a.config.Normaliser {
	case "image":
		return float64(len(counts)) * max(1, counts[image])
	case "ema":
		return a.Running
	}
	sum := 0.0
	for _, c := range counts {
		sum += c
	}
	return max(1, sum)
}

// resize returns a slice of n values, the old one if it is long enough; the values are arbitrary.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
