package sampler

import (
	"focalgrid/box"
	"focalgrid/setting"
)

var ssdParams = []setting.Param{
	{Name: "ratio", Kind: setting.Number, Min: .01, Max: 1e6, Doc: "negatives for each positive"},
	{Name: "min_negatives", Kind: setting.Int, Max: 1_000_000, Doc: "negatives of an image without positives; SSD keeps none, which teaches nothing there"},
}

// SSD is the hard-negative mining of Liu et al., ECCV 2016: in each image all
// positives are kept and, of the background, the Ratio times as many with the
// largest cross entropy. It has neither a batch size nor NMS.
type SSD struct {
	Ratio        float64
	MinNegatives int
}

func newSSD(v setting.Values) Miner {
	return SSD{Ratio: v.Number("ratio"), MinNegatives: v.Int("min_negatives")}
}

func (SSD) readsLogits() bool { return false }

func (d SSD) mine(s *Sampler, m Matched, p box.Predicted) {
	w, n := &s.scratch, len(s.priors.Boxes)
	for i := range m.Images {
		w.group = w.group[:0]
		positives := 0
		for at := i * n; at < (i+1)*n; at++ {
			switch {
			case m.Match[at] >= 0:
				positives++
			case m.Match[at] == Background:
				w.group = append(w.group, example{s.hardness(p, at, Background), at})
				w.selected[at] = false
			}
		}
		negatives := int(d.Ratio * float64(positives))
		if positives == 0 {
			negatives = d.MinNegatives
		}
		for _, e := range hardest(w.group, negatives) {
			w.selected[e.at] = true
		}
	}
}
