package sampler

import (
	"errors"
	"fmt"

	"focalgrid/box"
	"focalgrid/guard"
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

// Targets writes labels, box targets and weights of a matched batch. predicted is the network's outputs at this step,
// nil where Config.NeedsPredictions is false. Where Config.ReadsLogits is false, the cross entropy of each prior [N·A]
// may stand under "loss", for the classes that Classes gives, in place of the logits [N·A·K] under "class". With
// normaliser "ema" each call moves Running.
func (s *Sampler) Targets(m Matched, predicted box.Predicted) (Targets, error) {
	m, err := s.choose(m, predicted)
	if err != nil {
		return Targets{}, err
	}
	t, all := &s.targets, len(m.Match)
	t.Labels, t.ClassWeight, t.BoxWeight = resize(t.Labels, all), resize(t.ClassWeight, all), resize(t.BoxWeight, all)
	t.BoxTarget = resize(t.BoxTarget, 4*all)
	guard.Each(len(m.Images), func(i int) {
		s.label(m, i)
		s.weigh(i)
	})
	t.Quality, t.Positives, t.Ignored, t.Selected = m.Quality, 0, 0, 0
	for _, c := range s.scratch.counts {
		t.Positives += c.positives
		t.Ignored += c.ignored
		t.Selected += c.selected
	}
	return *t, nil
}

// choose marks which priors count, in the sampler's scratch. It returns m, complete also where the assigner needs
// predictions.
func (s *Sampler) choose(m Matched, predicted box.Predicted) (Matched, error) {
	n, all := len(s.priors.Boxes), len(m.Images)*len(s.priors.Boxes)
	if len(m.Match) != all || all == 0 {
		return m, fmt.Errorf("%d matches of %d images; want %d priors an image and at least one image", len(m.Match), len(m.Images), n)
	}
	if s.config.NeedsPredictions() {
		if predicted == nil {
			return m, ErrPredictions
		}
		class, size := "class", s.classes
		if predicted["loss"] != nil && !s.config.ReadsLogits() {
			class, size = "loss", 1
		}
		for _, p := range []struct {
			name string
			size int
		}{{class, size}, {"box", s.config.Coder.Values()}} {
			if got, want := len(predicted[p.name]), all*p.size; got != want {
				return m, fmt.Errorf("prediction %s has %d values; want %d (%d priors of %d)", p.name, got, want, all, p.size)
			}
		}
	}
	if s.config.Assigner.NeedsPredictions() {
		m.Quality = s.assign(m, predicted)
	}
	w := &s.scratch
	w.selected, w.boxed = resize(w.selected, all), resize(w.boxed, all)
	w.classCount, w.boxCount = resize(w.classCount, len(m.Images)), resize(w.boxCount, len(m.Images))
	w.counts = resize(w.counts, len(m.Images))
	guard.Each(len(m.Images), func(i int) { s.mark(m, i) })
	positives := 0
	for i, c := range w.counts {
		positives += c.positives
		w.classCount[i], w.boxCount[i] = float64(c.positives), float64(c.positives)
	}
	if s.config.Normaliser == "ema" {
		s.Running = float64(emaMomentum*s.Running) + float64((1-emaMomentum)*max(1, float64(positives)))
	}
	if s.config.Miner != nil {
		s.config.Miner.mine(s, m, predicted)
	}
	return m, nil
}

// counts counts the priors of one image.
type counts struct{ positives, ignored, selected int }

// mark writes which priors of an image count as long as no miner chooses.
func (s *Sampler) mark(m Matched, image int) {
	from, to := image*len(s.priors.Boxes), (image+1)*len(s.priors.Boxes)
	selected, boxed, c := s.scratch.selected[from:to], s.scratch.boxed[from:to], counts{}
	for j, k := range m.Match[from:to] {
		selected[j], boxed[j] = k != Ignored, k >= 0
		switch {
		case k == Ignored:
			c.ignored++
		case k >= 0:
			c.positives++
		}
	}
	s.scratch.counts[image] = c
}

// label writes labels and box targets of an image.
func (s *Sampler) label(m Matched, image int) {
	from, to := image*len(s.priors.Boxes), (image+1)*len(s.priors.Boxes)
	objects := m.Images[image]
	labels, target := s.targets.Labels[from:to], s.targets.BoxTarget[4*from:4*to]
	for j := range labels { // most priors are background
		labels[j] = Background
	}
	copy(target, s.background)
	for j, k := range m.Match[from:to] {
		switch k {
		case Background:
		case Ignored:
			labels[j] = Ignored
		default:
			labels[j] = float32(objects.Labels[k])
			b := objects.Boxes[k]
			if s.config.BoxTarget == "deltas" {
				b = s.config.Coder.Encode(s.priors.Boxes[j], b)
			}
			copy(target[4*j:], b[:])
		}
	}
}

// weigh writes the weights of an image.
func (s *Sampler) weigh(image int) {
	from, to := image*len(s.priors.Boxes), (image+1)*len(s.priors.Boxes)
	class, boxes := s.weights(image)
	classWeight, boxWeight := s.targets.ClassWeight[from:to], s.targets.BoxWeight[from:to]
	clear(classWeight)
	clear(boxWeight)
	selected := 0
	for j, on := range s.scratch.selected[from:to] {
		if on {
			classWeight[j] = class
			selected++
		}
	}
	s.scratch.counts[image].selected = selected
	for j, on := range s.scratch.boxed[from:to] {
		if on {
			boxWeight[j] = boxes
		}
	}
}

// weights returns the weights of what counts in an image.
func (s *Sampler) weights(image int) (class, boxes float32) {
	class = float32(1 / s.divisor(s.scratch.classCount, image))
	return class, float32(s.config.BoxWeight / s.divisor(s.scratch.boxCount, image))
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
