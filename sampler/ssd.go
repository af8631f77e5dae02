package sampler

import (
	"fmt"
	"math"
)

// SSD is the hard-negative mining of Liu et al., ECCV 2016: in each image all
// positives are kept and, of the background, the Ratio times as many with the
// largest cross entropy. There is no batch size and no NMS.
type SSD struct {
	Ratio      float64 `yaml:"ratio"`        // negatives for each positive; 3 in SSD
	IfNoObject int     `yaml:"if_no_object"` // negatives kept in an image without positives; SSD keeps none, which teaches nothing there
}

// DefaultSSD is 3:1, and 3 negatives from an image without positives.
func DefaultSSD() SSD { return SSD{Ratio: 3, IfNoObject: 3} }

func validateSSD(c Config) error {
	if r := c.SSD.Ratio; !(r > 0) || math.IsInf(r, 1) {
		return fmt.Errorf("ssd.ratio: %g is not a finite number above 0", r)
	}
	if c.SSD.IfNoObject < 0 {
		return fmt.Errorf("ssd.if_no_object: %d is below 0", c.SSD.IfNoObject)
	}
	return nil
}

func mineSSD(a *Assigner, m Matched, logits, _ []float32) {
	s, n, k := &a.scratch, len(a.anchors), a.classes
	for i := range m.Images {
		s.group = s.group[:0]
		positives := 0
		for at := i * n; at < (i+1)*n; at++ {
			switch {
			case m.Match[at] >= 0:
				positives++
			case m.Match[at] == Background:
				s.group = append(s.group, example{crossEntropy(logits[at*k:(at+1)*k], Background), at})
				s.selected[at] = false
			}
		}
		negatives := int(a.config.SSD.Ratio * float64(positives))
		if positives == 0 {
			negatives = a.config.SSD.IfNoObject
		}
		for _, e := range hardest(s.group, negatives) {
			s.selected[e.at] = true
		}
	}
}
