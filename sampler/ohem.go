package sampler

import (
	"fmt"
	"math"
	"slices"

	"focalgrid/box"
)

// OHEM is online hard example mining as the paper compares with it (§5.1,
// Table 1d): examples are sorted by loss, non-maximum suppression drops those
// that overlap a harder one, and the hardest that remain make the minibatch.
// After Shrivastava et al., CVPR 2016, who do it for the proposals of a
// two-stage detector.
//
// The paper gives Batch, NMS and Ratio; it is silent about all the rest, so
// each choice is a field. Ignored anchors never take part. Decoded boxes are
// not clipped to the image.
type OHEM struct {
	Batch int     `yaml:"batch"` // examples in the minibatch: 128, 256 or 512 in Table 1d
	NMS   float64 `yaml:"nms"`   // IoU above which the easier example goes: .7 or .5 in Table 1d
	Ratio float64 `yaml:"ratio"` // negatives for each positive: 3 in the rows "OHEM 1:3"; 0 takes whatever is hardest

	Scope string `yaml:"scope"` // whose minibatch: "image" or "batch" (all images share one)

	Score     string  `yaml:"score"`      // what is sorted by: "class" (cross entropy summed over classes) or "class+box" (and BoxWeight times smooth L1)
	ScoreBeta float64 `yaml:"score_beta"` // of that smooth L1; 0 is L1

	NMSOn     string `yaml:"nms_on"`     // "decoded" (predicted boxes) or "anchors"
	NMSClass  string `yaml:"nms_class"`  // "agnostic" or "per_class" (of the largest logit)
	NMSGroups string `yaml:"nms_groups"` // "joint", "separate" (positives and negatives each), or "auto": separate where Ratio is set
	Preselect int    `yaml:"preselect"`  // hardest examples of an image (or group) that enter NMS; 0 is all

	// Fill decides what "1:3" does when positives are few: false keeps the
	// ratio and a smaller minibatch (without any positive it is Batch
	// negatives), true fills up with negatives.
	Fill bool `yaml:"fill"`

	Normaliser    string `yaml:"normaliser"`     // what is counted for the class loss: "selected", "positives" or "batch" (the setting Batch)
	BoxLoss       string `yaml:"box_loss"`       // positives whose box is learnt: "selected" or "all"
	BoxNormaliser string `yaml:"box_normaliser"` // what is counted for the box loss: "positives" (all of them) or "same" as for the class loss
}

// DefaultOHEM is the best OHEM row of Table 1d (batch 128, NMS .5). Counting all positives
// for the box loss leaves it as strong as beside the other losses.
func DefaultOHEM() OHEM {
	return OHEM{
		Batch: 128, NMS: .5, Ratio: 0,
		Scope: "image",
		Score: "class", ScoreBeta: 1. / 9,
		NMSOn: "decoded", NMSClass: "agnostic", NMSGroups: "auto", Preselect: 10000,
		Normaliser: "selected", BoxLoss: "selected", BoxNormaliser: "positives",
	}
}

func validateOHEM(c Config) error {
	o := c.OHEM
	switch {
	case o.Batch < 1:
		return fmt.Errorf("ohem.batch: %d is below 1", o.Batch)
	case !(o.NMS >= 0 && o.NMS <= 1):
		return fmt.Errorf("ohem.nms: %g is not in [0,1]", o.NMS)
	case !(o.Ratio >= 0) || math.IsInf(o.Ratio, 1):
		return fmt.Errorf("ohem.ratio: %g is not a finite number from 0 on", o.Ratio)
	case !(o.ScoreBeta >= 0) || math.IsInf(o.ScoreBeta, 1):
		return fmt.Errorf("ohem.score_beta: %g is not a finite number from 0 on", o.ScoreBeta)
	case o.Preselect < 0:
		return fmt.Errorf("ohem.preselect: %d is below 0", o.Preselect)
	}
	for _, f := range []struct {
		name, value string
		known       []string
	}{
		{"scope", o.Scope, []string{"batch", "image"}},
		{"score", o.Score, []string{"class", "class+box"}},
		{"nms_on", o.NMSOn, []string{"anchors", "decoded"}},
		{"nms_class", o.NMSClass, []string{"agnostic", "per_class"}},
		{"nms_groups", o.NMSGroups, []string{"auto", "joint", "separate"}},
		{"normaliser", o.Normaliser, []string{"batch", "positives", "selected"}},
		{"box_loss", o.BoxLoss, []string{"all", "selected"}},
		{"box_normaliser", o.BoxNormaliser, []string{"positives", "same"}},
	} {
		if !slices.Contains(f.known, f.value) {
			return fmt.Errorf("ohem.%s: unknown %q; known: %q", f.name, f.value, f.known)
		}
	}
	if c.Normaliser == "ema" && o.Normaliser != "positives" {
		return fmt.Errorf("ohem.normaliser: %q beside normaliser \"ema\", which is a mean of positives; want \"positives\", or normaliser batch or image", o.Normaliser)
	}
	return nil
}

func mineOHEM(a *Assigner, m Matched, logits, deltas []float32) {
	o, s, n := a.config.OHEM, &a.scratch, len(a.anchors)
	separate := o.NMSGroups == "separate" || o.NMSGroups == "auto" && o.Ratio > 0
	s.boxes, s.labels = resize(s.boxes, n), resize(s.labels, n)
	s.pool = s.pool[:0]
	limit := o.Batch // no choice takes more of one group
	if o.Ratio > 0 && !separate {
		limit = n // positives may come late in a joint group
	}
	for i := range m.Images {
		if separate {
			a.survivors(m, i, logits, deltas, limit, func(match int32) bool { return match >= 0 })
			a.survivors(m, i, logits, deltas, limit, func(match int32) bool { return match == Background })
		} else {
			a.survivors(m, i, logits, deltas, limit, func(match int32) bool { return match != Ignored })
		}
		if o.Scope == "image" {
			a.minibatch(m)
			s.pool = s.pool[:0]
		}
	}
	if o.Scope == "batch" {
		a.minibatch(m)
	}

	size := float64(o.Batch)
	if o.Scope == "batch" {
		size /= float64(len(m.Images))
	}
	for i := range m.Images {
		selected := 0
		for at := i * n; at < (i+1)*n; at++ {
			if s.selected[at] {
				selected++
			}
			if o.BoxLoss == "selected" {
				s.boxed[at] = s.boxed[at] && s.selected[at]
			}
		}
		switch o.Normaliser {
		case "selected":
			s.classCount[i] = float64(selected)
		case "batch":
			s.classCount[i] = size
		}
		if o.BoxNormaliser == "same" {
			s.boxCount[i] = s.classCount[i]
		}
	}
}

// survivors deselects the examples of one image that are of the group, and adds to
// the pool those that NMS leaves, at most limit.
func (a *Assigner) survivors(m Matched, image int, logits, deltas []float32, limit int, in func(match int32) bool) {
	o, s, n, k := a.config.OHEM, &a.scratch, len(a.anchors), a.classes
	s.group = s.group[:0]
	for at := image * n; at < (image+1)*n; at++ {
		if !in(m.Match[at]) {
			continue
		}
		s.selected[at] = false
		loss := crossEntropy(logits[at*k:(at+1)*k], a.targets.Labels[at])
		if object := m.Match[at]; object >= 0 && o.Score == "class+box" {
			want := a.coder.Encode(a.anchors[at-image*n], m.Images[image].Boxes[object])
			for j, w := range want {
				loss += float64(a.config.BoxWeight * smoothL1(float64(deltas[4*at+j])-float64(w), o.ScoreBeta))
			}
		}
		s.group = append(s.group, example{loss, at})
	}
	left := len(s.group)
	if o.Preselect > 0 {
		left = min(left, o.Preselect)
	}
	s.keep = s.keep[:0]
	rest := s.group
	for left > 0 && len(s.keep) < limit {
		// NMS rarely looks further than a few minibatches, so sort no more.
		next := hardest(rest, min(left, 4*o.Batch))
		rest, left = rest[len(next):], left-len(next)
		s.order = s.order[:0]
		for _, e := range next {
			j := e.at - image*n
			s.order = append(s.order, j)
			s.boxes[j], s.labels[j] = a.anchors[j], 0
			if o.NMSOn == "decoded" {
				s.boxes[j] = a.coder.Decode(a.anchors[j], deltas[4*e.at:4*e.at+4])
			}
			if o.NMSClass == "per_class" {
				s.labels[j] = largest(logits[e.at*k : (e.at+1)*k])
			}
		}
		kept := len(s.keep)
		s.keep = box.Suppress(s.keep, s.boxes, s.labels, s.order, o.NMS, limit)
		for _, e := range next { // what is new in keep has the order of next
			if kept < len(s.keep) && s.keep[kept] == e.at-image*n {
				s.pool = append(s.pool, e)
				kept++
			}
		}
	}
}

// minibatch selects from the pool.
func (a *Assigner) minibatch(m Matched) {
	o, s := a.config.OHEM, &a.scratch
	hardest(s.pool, len(s.pool))
	positives, negatives := o.Batch, o.Batch
	if o.Ratio > 0 {
		found := 0
		for _, e := range s.pool {
			if m.Match[e.at] >= 0 {
				found++
			}
		}
		positives = min(found, int(float64(o.Batch)/(1+o.Ratio)))
		switch {
		case o.Fill:
			negatives = o.Batch - positives
		case positives > 0:
			negatives = int(o.Ratio * float64(positives))
		}
	}
	total := o.Batch
	for _, e := range s.pool {
		left := &negatives
		if m.Match[e.at] >= 0 {
			left = &positives
		}
		if *left > 0 && total > 0 {
			*left--
			total--
			s.selected[e.at] = true
		}
	}
}

// smoothL1 is d²/(2·beta) for |d| < beta, else |d| - beta/2.
func smoothL1(d, beta float64) float64 {
	if d = math.Abs(d); d >= beta {
		return d - float64(beta/2)
	}
	return d * d / (2 * beta)
}

func largest(logits []float32) int32 {
	best := 0
	for k, v := range logits {
		if v > logits[best] {
			best = k
		}
	}
	return int32(best)
}
