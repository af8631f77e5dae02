package detector

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"slices"

	"focalgrid/dataset"
	"focalgrid/engine"
	"focalgrid/sampler"
)

// Logits are the class logits of a trained detector on annotated images, split by what the anchors would learn there:
// section 5.1 of the paper, "Analysis of the Focal Loss", looks at a loss through them. The paper's windows are
// (anchor, class) pairs here. Anchors that are neither an object's nor background are left out, as in training.
type Logits struct {
	Images     int
	Foreground []float32 // of each anchor with an object, the logit of the object's class
	Background []float32 // of the anchors without one, the logits of all classes, or a uniform sample of them
	Pairs      int       // (anchor, class) pairs of background, of which Background is the sample
}

// Logits runs the detector over the loader's images. Where there are more than most pairs of background it keeps a
// uniform sample of as many. Each pair has a random key, a function of the detector's seed, the image's id
// and the place in the image; the sample has the smallest keys, in whatever order images come. Logits calls each with
// the number of images done.
func (d *Detector) Logits(ctx context.Context, loader *dataset.Loader, set *dataset.Set, most int, each func(done int)) (*Logits, error) {
	all := d.parts.Sampler
	all.Miner = nil
	out, background := &Logits{}, sample{most: most, limit: math.MaxUint64}
	for first := 0; ; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b, err := loader.Eval(first, EvalBatch)
		if errors.Is(err, io.EOF) {
			out.Background = background.values()
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		net, predicted, err := d.forward(b, false)
		if err != nil {
			return nil, err
		}
		s, err := sampler.NewSampler(all, net.priors, d.Classes)
		if err != nil {
			return nil, err
		}
		matched, err := s.Match(objectsOf(b))
		if err != nil {
			return nil, named(err, set, b)
		}
		t, err := s.Targets(matched, predicted)
		if err != nil {
			return nil, err
		}
		for i := range b.N {
			n := len(t.Labels) / b.N
			out.split(t.Labels[i*n:(i+1)*n], predicted.Image(i, b.N)["class"], d.Draw, b.Items[i].ID, &background)
		}
		first += b.N
		each(first)
	}
}

// split adds the logits [A,K] of an image, given the labels [A] of its anchors.
func (l *Logits) split(labels, logits []float32, draw engine.Draw, id int64, background *sample) {
	l.Images++
	k := len(logits) / len(labels)
	random := draw("background logits", uint64(id))
	for a, label := range labels {
		for c, x := range logits[a*k : (a+1)*k] {
			key := random.Uint64() // drawn for each place, so that it depends on the place alone
			switch {
			case label == sampler.Background:
				l.Pairs++
				background.add(key, x)
			case label == float32(c):
				l.Foreground = append(l.Foreground, x)
			}
		}
	}
}

// sample keeps the values with the smallest keys. With random keys it is a uniform sample without replacement of
// everything that was added, in memory for twice as many.
type sample struct {
	most  int
	kept  []keyed
	limit uint64 // a greater key is not among the smallest
}

type keyed struct {
	key   uint64
	value float32
}

func (s *sample) add(key uint64, value float32) {
	if key > s.limit {
		return
	}
	if s.kept = append(s.kept, keyed{key, value}); len(s.kept) == 2*s.most {
		s.cut()
	}
}

// cut sorts what is kept and drops what is too much.
func (s *sample) cut() {
	slices.SortFunc(s.kept, func(a, b keyed) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.value, b.value)) })
	if len(s.kept) >= s.most {
		s.kept = s.kept[:s.most]
		s.limit = s.kept[s.most-1].key
	}
}

// values returns the sample in the order of its keys.
func (s *sample) values() []float32 {
	s.cut()
	out := make([]float32, len(s.kept))
	for i, v := range s.kept {
		out[i] = v.value
	}
	return out
}
