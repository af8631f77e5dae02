package metrics

import "math"

// ranking is a category's detections that count (are not ignored) at one IoU
// threshold, best first: whether each is right, and how many objects there are.
type ranking struct {
	score   []float64
	right   []bool
	objects int
}

// sorted returns category k's detections by falling score, equal ones in
// pycocotools' order.
func (m *Matches) sorted(k int) []ranked {
	scores := m.matched[k].score
	sorted := make([]ranked, len(scores))
	for i, s := range scores {
		sorted[i] = ranked{scoreKey(s), int32(i)}
	}
	sortRanked(sorted)
	return sorted
}

// ranking returns that of category k, sorted, at the IoU threshold with index t.
func (m *Matches) ranking(k, t int, sorted []ranked) *ranking {
	o := &m.matched[k].outcome
	r := &ranking{objects: o.objects[areaAll]}
	for _, e := range sorted {
		if v := o.verdict[areaAll][e.entry]; v.ignored>>t&1 == 0 {
			r.score = append(r.score, o.score[e.entry])
			r.right = append(r.right, v.matched>>t&1 == 1)
		}
	}
	return r
}

// precisionAt returns, at each of the ascending recalls, the highest precision
// at that recall or a greater one, 0 if it is not reached, and the score of the
// right detection that reaches it, NaN if none does. Without objects precision is NaN.
func (r *ranking) precisionAt(recalls []float64) (precision, score []float64) {
	const guard = 0x1p-52 // as in Evaluate
	var at, scores []float64
	tp := 0.0
	for i, right := range r.right {
		if right {
			tp++
			at = append(at, tp/(float64(i+1)+guard))
			scores = append(scores, r.score[i])
		}
	}
	for i := len(at) - 1; i > 0; i-- {
		at[i-1] = max(at[i-1], at[i])
	}
	precision, score = make([]float64, len(recalls)), make([]float64, len(recalls))
	n := 0
	for i, recall := range recalls {
		for n < len(at) && float64(n+1)/float64(r.objects) < recall {
			n++
		}
		score[i] = math.NaN()
		switch {
		case r.objects == 0:
			precision[i] = math.NaN()
		case n < len(at):
			precision[i], score[i] = at[n], scores[n]
		}
	}
	return precision, score
}

// Curve is precision over recall of one category at one IoU threshold.
type Curve struct {
	CategoryID int64
	Name       string
	IoU        float64
	// Precision is the highest at a recall or any greater one, in [0,1], for
	// each of Curves.Recall; its mean is AP. NaN without objects.
	Precision []float64
	// Score is that of the detection which reaches the recall: a detector cut
	// there finds this share of the objects. NaN if it is not reached.
	Score []float64
}

// Curves are what average precision averages.
type Curves struct {
	Recall      []float64 // ascending, in [0,1]
	IoU         []float64
	Mean        [][]float64 // [IoU, recall]: mean precision of the categories with objects, else NaN
	PerCategory []Curve     // by category, then IoU
}

// Curves returns precision over recall for every category and IoU threshold, at
// the largest of MaxDets in the area range all.
func (m *Matches) Curves() *Curves {
	thresholds := m.opt.IoUThresholds
	c := &Curves{Recall: m.opt.RecallThresholds, IoU: thresholds, PerCategory: make([]Curve, len(m.classes)*len(thresholds))}
	parallel(len(m.classes), m.opt.Threads, func() func(int) {
		return func(k int) {
			sorted := m.sorted(k)
			for t, iou := range thresholds {
				curve := Curve{CategoryID: m.classes[k].ID, Name: m.classes[k].Name, IoU: iou}
				curve.Precision, curve.Score = m.ranking(k, t, sorted).precisionAt(c.Recall)
				c.PerCategory[k*len(thresholds)+t] = curve
			}
		}
	})
	for t := range thresholds {
		mean := make([]float64, len(c.Recall))
		n := 0.0
		for k, of := range m.matched {
			if of.objects[areaAll] == 0 {
				continue
			}
			n++
			for i, p := range c.PerCategory[k*len(thresholds)+t].Precision {
				mean[i] += p
			}
		}
		for i := range mean {
			mean[i] /= n // NaN if no category has objects
		}
		c.Mean = append(c.Mean, mean)
	}
	return c
}

// OperatingPoint is what a detector does that keeps detections from Score up.
type OperatingPoint struct {
	Score, Precision, Recall float64
	F1                       float64 // 2PR/(P+R)
}

// BestF1 returns, for each category, the point of highest F1 at an IoU threshold
// of Options, the one of highest score if several are. Detections of equal score
// are kept or cut together. F1 is NaN for a category without objects, and 0 where
// nothing right was found; the rest is then NaN. The error is ErrOptions.
func (m *Matches) BestF1(iou float64) ([]OperatingPoint, error) {
	t, err := m.threshold(iou)
	if err != nil {
		return nil, err
	}
	points := make([]OperatingPoint, len(m.classes))
	parallel(len(points), m.opt.Threads, func() func(int) {
		return func(k int) {
			points[k] = m.ranking(k, t, m.sorted(k)).bestF1()
		}
	})
	return points, nil
}

func (r *ranking) bestF1() OperatingPoint {
	none := math.NaN()
	if r.objects == 0 {
		return OperatingPoint{none, none, none, none}
	}
	best := OperatingPoint{Score: none, Precision: none, Recall: none}
	tp := 0.0
	for i, right := range r.right {
		if right {
			tp++
		}
		if i+1 < len(r.score) && r.score[i+1] == r.score[i] {
			continue
		}
		n := float64(i + 1)
		if f1 := 2 * tp / (n + float64(r.objects)); f1 > best.F1 {
			best = OperatingPoint{Score: r.score[i], Precision: tp / n, Recall: tp / float64(r.objects), F1: f1}
		}
	}
	return best
}
