package sampler

import (
	"errors"
	"math"

	"focalgrid/box"
	"focalgrid/setting"
)

// ohemParams are the settings of OHEM. The paper gives batch, nms and ratio; it is silent
// about all the rest, so each choice is a setting.
var ohemParams = []setting.Param{
	{Name: "ratio", Kind: setting.Number, Max: 1e6, Doc: "negatives for each positive: 3 in the rows OHEM 1:3; 0 takes whatever is hardest"},
	{Name: "batch", Kind: setting.Int, Min: 1, Max: 1_000_000, Doc: "examples in the minibatch: 128, 256 or 512 in Table 1d"},
	{Name: "scope", Kind: setting.Text, Choices: []string{"image", "batch"}, Doc: "whose minibatch: of each image, or of the whole batch"},
	{Name: "nms", Kind: setting.Number, Max: 1, Doc: "IoU above which the easier of two examples goes: .7 or .5 in Table 1d; 1: none goes"},
	{Name: "score", Kind: setting.Text, Choices: []string{"class", "class+box"}, Doc: "hard by cross entropy over all classes, or by the box loss too"},
	{Name: "score_beta", Kind: setting.Number, Max: 1e6, Doc: "beta of the score's smooth L1; 0 is L1",
		When: func(v setting.Values) bool { return v.Text("score") == "class+box" }},
	{Name: "nms_on", Kind: setting.Text, Choices: []string{"decoded", "anchors"}, Doc: "overlap of predicted boxes or of anchors", When: suppresses},
	{Name: "nms_class", Kind: setting.Text, Choices: []string{"agnostic", "per_class"}, Doc: "among all examples, or among those of one largest logit", When: suppresses},
	{Name: "nms_groups", Kind: setting.Text, Choices: []string{"auto", "joint", "separate"}, Doc: "positives and negatives together or apart; auto: apart with a ratio", When: suppresses},
	{Name: "preselect", Kind: setting.Int, Max: 10_000_000, Doc: "hardest examples of an image (or group) that enter the NMS; 0: all"},
	{Name: "fill", Kind: setting.Bool, When: func(v setting.Values) bool { return v.Number("ratio") > 0 },
		Doc: "where positives are few: fill up with negatives, instead of a smaller minibatch (without any positive, batch negatives)"},
	{Name: "class_count", Kind: setting.Text, Choices: []string{"selected", "positives", "batch"}, Check: checkClassCount,
		Doc: "what the normalizer counts for the class loss; batch: the setting batch"},
	{Name: "box_loss", Kind: setting.Text, Choices: []string{"selected", "all"}, Doc: "positives whose box is learnt"},
	{Name: "box_count", Kind: setting.Text, Choices: []string{"positives", "same"}, Doc: "what the normalizer counts for the box loss: all positives, or as class_count"},
}

func suppresses(v setting.Values) bool { return v.Number("nms") < 1 }

func checkClassCount(v setting.Values) error {
	if v.Text("normalizer") == "ema" && v.Text("class_count") != "positives" {
		return errors.New("must be positives beside normalizer ema, which is a mean of positives; or set normalizer to batch or image")
	}
	return nil
}

// OHEM is online hard example mining as the paper compares with it (§5.1,
// Table 1d): examples are sorted by loss, non-maximum suppression drops those
// that overlap a harder one, and the hardest that remain make the minibatch.
// After Shrivastava et al., CVPR 2016, who do it for the proposals of a
// two-stage detector. Ignored anchors never take part. Decoded boxes are
// not clipped to the image.
type OHEM struct {
	Batch                      int
	NMS, Ratio                 float64
	Scope                      string
	Score                      string
	ScoreBeta                  float64
	NMSOn, NMSClass, NMSGroups string
	Preselect                  int
	Fill                       bool
	ClassCount                 string
	BoxLoss, BoxCount          string
}

func newOHEM(v setting.Values) Miner {
	return OHEM{
		Batch: v.Int("batch"), NMS: v.Number("nms"), Ratio: v.Number("ratio"), Scope: v.Text("scope"),
		Score: v.Text("score"), ScoreBeta: v.Number("score_beta"),
		NMSOn: v.Text("nms_on"), NMSClass: v.Text("nms_class"), NMSGroups: v.Text("nms_groups"), Preselect: v.Int("preselect"),
		Fill: v.Bool("fill"), ClassCount: v.Text("class_count"), BoxLoss: v.Text("box_loss"), BoxCount: v.Text("box_count"),
	}
}

func (o OHEM) readsLogits() bool { return o.NMS < 1 && o.NMSClass == "per_class" }

func (o OHEM) mine(s *Sampler, m Matched, p box.Predicted) {
	w, n := &s.scratch, len(s.priors.Boxes)
	separate := o.NMSGroups == "separate" || o.NMSGroups == "auto" && o.Ratio > 0
	w.boxes, w.labels = resize(w.boxes, n), resize(w.labels, n)
	w.pool = w.pool[:0]
	limit := o.Batch // no choice takes more of one group
	if o.Ratio > 0 && !separate {
		limit = n // positives may come late in a joint group
	}
	for i := range m.Images {
		if separate {
			o.survivors(s, m, i, p, limit, func(match int32) bool { return match >= 0 })
			o.survivors(s, m, i, p, limit, func(match int32) bool { return match == Background })
		} else {
			o.survivors(s, m, i, p, limit, func(match int32) bool { return match != Ignored })
		}
		if o.Scope == "image" {
			o.minibatch(s, m)
			w.pool = w.pool[:0]
		}
	}
	if o.Scope == "batch" {
		o.minibatch(s, m)
	}

	size := float64(o.Batch)
	if o.Scope == "batch" {
		size /= float64(len(m.Images))
	}
	for i := range m.Images {
		selected := 0
		for at := i * n; at < (i+1)*n; at++ {
			if w.selected[at] {
				selected++
			}
			if o.BoxLoss == "selected" {
				w.boxed[at] = w.boxed[at] && w.selected[at]
			}
		}
		switch o.ClassCount {
		case "selected":
			w.classCount[i] = float64(selected)
		case "batch":
			w.classCount[i] = size
		}
		if o.BoxCount == "same" {
			w.boxCount[i] = w.classCount[i]
		}
	}
}

// survivors deselects the examples of one image that are of the group, and adds to
// the pool those that NMS leaves, at most limit.
func (o OHEM) survivors(s *Sampler, m Matched, image int, p box.Predicted, limit int, in func(match int32) bool) {
	w, n, k := &s.scratch, len(s.priors.Boxes), s.classes
	logits, boxes, size := p["class"], p["box"], s.config.Coder.Values()
	w.group = w.group[:0]
	for at := image * n; at < (image+1)*n; at++ {
		if !in(m.Match[at]) {
			continue
		}
		w.selected[at] = false
		loss := s.hardness(p, at, m.label(at, n))
		if object := m.Match[at]; object >= 0 && o.Score == "class+box" {
			want := s.config.Coder.Encode(s.priors.Boxes[at-image*n], m.Images[image].Boxes[object])
			for j, v := range want {
				loss += float64(s.config.BoxWeight * smoothL1(float64(boxes[size*at+j])-float64(v), o.ScoreBeta))
			}
		}
		w.group = append(w.group, example{loss, at})
	}
	left := len(w.group)
	if o.Preselect > 0 {
		left = min(left, o.Preselect)
	}
	w.keep = w.keep[:0]
	rest := w.group
	for left > 0 && len(w.keep) < limit {
		// NMS rarely looks further than a few minibatches, so sort no more.
		next := hardest(rest, min(left, 4*o.Batch))
		rest, left = rest[len(next):], left-len(next)
		w.order = w.order[:0]
		for _, e := range next {
			j := e.at - image*n
			w.order = append(w.order, j)
			w.boxes[j], w.labels[j] = s.priors.Boxes[j], 0
			if o.NMSOn == "decoded" {
				w.boxes[j] = s.config.Coder.Decode(s.priors.Boxes[j], boxes[size*e.at:size*(e.at+1)])
			}
			if o.readsLogits() {
				w.labels[j] = largest(logits[e.at*k : (e.at+1)*k])
			}
		}
		kept := len(w.keep)
		w.keep = box.Suppress(w.keep, w.boxes, w.labels, w.order, o.NMS, limit)
		for _, e := range next { // what is new in keep has the order of next
			if kept < len(w.keep) && w.keep[kept] == e.at-image*n {
				w.pool = append(w.pool, e)
				kept++
			}
		}
	}
}

// minibatch selects from the pool.
func (o OHEM) minibatch(s *Sampler, m Matched) {
	w := &s.scratch
	hardest(w.pool, len(w.pool))
	positives, negatives := o.Batch, o.Batch
	if o.Ratio > 0 {
		found := 0
		for _, e := range w.pool {
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
	for _, e := range w.pool {
		left := &negatives
		if m.Match[e.at] >= 0 {
			left = &positives
		}
		if *left > 0 && total > 0 {
			*left--
			total--
			w.selected[e.at] = true
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
