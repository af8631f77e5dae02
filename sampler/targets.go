package sampler

import (
	"errors"
	"fmt"

	"focalgrid/box"
)

// Targets holds what the losses of a batch of N images learn. The slices belong to
// the Sampler and hold until its next call of Targets.
type Targets struct {
	Labels      []float32 // [N·A], class, Background or Ignored
	ClassWeight []float32 // [N·A], 0 where a prior does not count, else 1/normaliser
	BoxTarget   []float32 // [N·A·4], encoded or pixels; a prior without an object has itself as target
	BoxWeight   []float32 // [N·A], box weight/normaliser where the box is learnt, else 0
	Quality     []float32 // [N·A], as the assigner gives it; nil where it gives none

	Positives int // priors with an object
	Ignored   int // priors that are neither an object's nor background
	Selected  int // priors with a class weight
}

// ByName returns the targets as losses ask for them.
func (t Targets) ByName() map[string][]float32 {
	out := map[string][]float32{"labels": t.Labels, "class_weight": t.ClassWeight, "box_target": t.BoxTarget, "box_weight": t.BoxWeight}
	if t.Quality != nil {
		out["quality"] = t.Quality
	}
	return out
}

// ErrPredictions is returned by Targets if the assigner or miner needs predictions and gets none.
var ErrPredictions = errors.New("this assigner or miner chooses by predictions: pass them")

// Targets writes labels, box targets and weights of a matched batch. predicted is the network's
// outputs at this step, nil where NeedsPredictions is false. With normaliser "ema" each call
// moves Running.
func (s *Sampler) Targets(m Matched, predicted box.Predicted) (Targets, error) {
	n, all := len(s.priors.Boxes), len(m.Images)*len(s.priors.Boxes)
	if len(m.Match) != all || all == 0 {
		return Targets{}, fmt.Errorf("%d matches of %d images; want %d priors an image and at least one image", len(m.Match), len(m.Images), n)
	}
	if s.NeedsPredictions() {
		if predicted == nil {
			return Targets{}, ErrPredictions
		}
		for _, p := range []struct {
			name string
			size int
		}{{"class", s.classes}, {"box", s.config.Coder.Values()}} {
			if got, want := len(predicted[p.name]), all*p.size; got != want {
				return Targets{}, fmt.Errorf("prediction %s has %d values; want %d (%d priors of %d)", p.name, got, want, all, p.size)
			}
		}
	}
	if s.config.Assigner.NeedsPredictions() {
		m.Quality = s.assign(m, predicted)
	}

	t, w := &s.targets, &s.scratch
	t.Labels, t.ClassWeight, t.BoxWeight = resize(t.Labels, all), resize(t.ClassWeight, all), resize(t.BoxWeight, all)
	t.BoxTarget = resize(t.BoxTarget, 4*all)
	w.selected, w.boxed = resize(w.selected, all), resize(w.boxed, all)
	w.classCount, w.boxCount = resize(w.classCount, len(m.Images)), resize(w.boxCount, len(m.Images))
	w.counts = resize(w.counts, len(m.Images))

	each(len(m.Images), func(i int) { s.label(m, i) })
	t.Positives, t.Ignored, t.Selected = 0, 0, 0
	for i, c := range w.counts {
		t.Positives += c.positives
		t.Ignored += c.ignored
		w.classCount[i], w.boxCount[i] = float64(c.positives), float64(c.positives)
	}
	if s.config.Normaliser == "ema" {
		s.Running = float64(emaMomentum*s.Running) + float64((1-emaMomentum)*max(1, float64(t.Positives)))
	}
	t.Quality = m.Quality
	if s.config.Miner != nil {
		s.config.Miner.mine(s, m, predicted)
	}

	each(len(m.Images), s.weigh)
	for _, c := range w.counts {
		t.Selected += c.selected
	}
	return *t, nil
}

// counts counts the priors of one image.
type counts struct{ positives, ignored, selected int }

// label writes labels and box targets of an image, and which of its priors count
// as long as no miner chooses.
func (s *Sampler) label(m Matched, image int) {
	from, to := image*len(s.priors.Boxes), (image+1)*len(s.priors.Boxes)
	objects, c := m.Images[image], counts{}
	labels, target := s.targets.Labels[from:to], s.targets.BoxTarget[4*from:4*to]
	selected, boxed := s.scratch.selected[from:to], s.scratch.boxed[from:to]
	for j := range labels { // most priors are background
		labels[j], selected[j], boxed[j] = Background, true, false
	}
	copy(target, s.background)
	for j, k := range m.Match[from:to] {
		switch k {
		case Background:
		case Ignored:
			labels[j], selected[j] = Ignored, false
			c.ignored++
		default:
			labels[j], boxed[j] = float32(objects.Labels[k]), true
			b := objects.Boxes[k]
			if s.config.BoxTarget == "deltas" {
				b = s.config.Coder.Encode(s.priors.Boxes[j], b)
			}
			copy(target[4*j:], b[:])
			c.positives++
		}
	}
	s.scratch.counts[image] = c
}

// weigh writes the weights of an image.
func (s *Sampler) weigh(image int) {
	from, to := image*len(s.priors.Boxes), (image+1)*len(s.priors.Boxes)
	w := &s.scratch
	class := float32(1 / s.divisor(w.classCount, image))
	boxes := float32(s.config.BoxWeight / s.divisor(w.boxCount, image))
	classWeight, boxWeight := s.targets.ClassWeight[from:to], s.targets.BoxWeight[from:to]
	clear(classWeight)
	clear(boxWeight)
	selected := 0
	for j, on := range w.selected[from:to] {
		if on {
			classWeight[j] = class
			selected++
		}
	}
	for j, on := range w.boxed[from:to] {
		if on {
			boxWeight[j] = boxes
		}
	}
	w.counts[image].selected = selected
}

// divisor returns the divisor of an image's loss, given the counts (mostly of positives) of each
// image of the batch.
func (s *Sampler) divisor(counts []float64, image int) float64 {
	switch s.config.Normaliser {
	case "image":
		return float64(len(counts)) * max(1, counts[image])
	case "ema":
		return s.Running
	}
	sum := 0.0
	for _, c := range counts {
		sum += c
	}
	return max(1, sum)
}
