package sampler

import "focalgrid/setting"

var ssdParams = []setting.Param{
	{Name: "ratio", Kind: setting.Number, Min: .01, Max: 1e6, Doc: "negatives for each positive"},
	{Name: "min_negatives", Kind: setting.Int, Max: 1_000_000, Doc: "negatives of an image without positives; SSD keeps none, which teaches nothing there"},
}

// SSD is the hard-negative mining of Liu et al., ECCV 2016: in each image all
// positives are kept and, of the background, the Ratio times as many with the
// largest cross entropy. There is no batch size and no NMS.
type SSD struct {
	Ratio        float64
	MinNegatives int
}

func newSSD(v setting.Values) SSD {
	return SSD{Ratio: v.Number("ratio"), MinNegatives: v.Int("min_negatives")}
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
			negatives = a.config.SSD.MinNegatives
		}
		for _, e := range hardest(s.group, negatives) {
			s.selected[e.at] = true
		}
	}
}
