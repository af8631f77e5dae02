package detector

import (
	"focalgrid/dataset"
	"focalgrid/experiments/plan"
	"focalgrid/sampler"
)

// Targeting makes the targets of batches outside a training, to measure the work that they are.
type Targeting struct {
	classes  int
	parts    parts
	samplers map[[2]int]*sampler.Sampler // by height and width of the input
}

// NewTargeting returns the targeting of the settings for that many classes.
func NewTargeting(c *plan.Config, classes int) *Targeting {
	return &Targeting{classes, partsOf(c, classes), map[[2]int]*sampler.Sampler{}}
}

// Of matches a batch's objects with priors and makes their targets, as a training step does: without the part
// that needs predictions, where the assigner or the miner reads them. The targets are good until the next call.
func (t *Targeting) Of(b *dataset.Batch) (sampler.Targets, error) {
	size := [2]int{b.H, b.W}
	s := t.samplers[size]
	if s == nil {
		p, err := t.parts.Network.Priors(b.H, b.W)
		if err != nil {
			return sampler.Targets{}, err
		}
		if s, err = sampler.NewSampler(t.parts.Sampler, sampler.NewPriors(p), t.classes); err != nil {
			return sampler.Targets{}, err
		}
		t.samplers[size] = s
	}
	matched, err := s.Match(objectsOf(b))
	if err != nil || t.parts.Sampler.NeedsPredictions() {
		return sampler.Targets{}, err
	}
	return s.Targets(matched, nil)
}
