package metrics

import (
	"math"
	"slices"

	"focalgrid/coco"
)

// Curve is precision over recall of one category at one IoU threshold.
type Curve struct {
	CategoryID int64
	Name       string
	IoU        float64
	// Precision is the highest precision at a recall or any greater one, in [0,1], for
	// each of Curves.Recall; its mean is AP. NaN without objects.
	Precision []float64
	// Score is the score of the detection that reaches the recall: a detector that keeps
	// the scores from there up finds this share of the objects. NaN if it is not reached.
	Score []float64
}

// Curves are the precision over recall that average precision averages.
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
		rk := newRanking(&m.opt)
		return func(k int) {
			rk.curves(c.PerCategory[k*len(thresholds):][:len(thresholds)], m.classes[k], &m.matched[k].outcome)
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

// curves fills the curves of one category.
func (rk *ranking) curves(curves []Curve, class coco.Category, o *outcome) {
	rk.rank(o.score)
	recalls := len(rk.reach)
	none := make([]float64, recalls)
	for r := range none {
		none[r] = math.NaN()
	}
	var found column
	if o.objects[areaAll] > 0 {
		found = rk.column(o.verdict[areaAll], o.objects[areaAll])
	}
	for t := range curves {
		c := &curves[t]
		*c = Curve{CategoryID: class.ID, Name: class.Name, IoU: rk.opt.IoUThresholds[t], Precision: none, Score: none}
		if o.objects[areaAll] == 0 {
			continue
		}
		c.Precision, c.Score = found.precision[t*recalls:][:recalls], slices.Clone(none)
		var right []float64 // scores
		for _, r := range rk.sorted {
			if o.verdict[areaAll][r.entry].right(t) {
				right = append(right, o.score[r.entry])
			}
		}
		for r, below := range rk.reach {
			if below < len(right) {
				c.Score[r] = right[below]
			}
		}
	}
}

// right and counts report whether a detection is right at threshold t, and whether it counts
// there, right or wrong.
func (v verdict) right(t int) bool  { return v.matched&^v.ignored>>t&1 == 1 }
func (v verdict) counts(t int) bool { return v.ignored>>t&1 == 0 }

// OperatingPoint describes a detector that keeps the detections with a score from Score up.
type OperatingPoint struct {
	Score, Precision, Recall float64
	F1                       float64 // 2PR/(P+R)
}

// BestF1 returns, for each category, the point of highest F1 at an IoU threshold of Options;
// of several such points, the one with the highest score. Detections of equal score are kept
// or cut together. F1 is NaN for a category without objects, and 0 if nothing right was
// found; the other values are then NaN. The error is ErrOptions.
func (m *Matches) BestF1(iou float64) ([]OperatingPoint, error) {
	t, err := m.threshold(iou)
	if err != nil {
		return nil, err
	}
	points := make([]OperatingPoint, len(m.classes))
	parallel(len(points), m.opt.Threads, func() func(int) {
		rk := newRanking(&m.opt)
		return func(k int) { points[k] = rk.bestF1(&m.matched[k].outcome, t) }
	})
	return points, nil
}

func (rk *ranking) bestF1(o *outcome, t int) OperatingPoint {
	none := math.NaN()
	best := OperatingPoint{Score: none, Precision: none, Recall: none}
	objects := float64(o.objects[areaAll])
	if objects == 0 {
		best.F1 = none
		return best
	}
	rk.rank(o.score)
	tp, n := 0.0, 0.0
	for i, r := range rk.sorted {
		v := o.verdict[areaAll][r.entry]
		if v.counts(t) {
			n++
		}
		if v.right(t) {
			tp++
		}
		if i+1 < len(rk.sorted) && rk.sorted[i+1].key == r.key {
			continue
		}
		if f1 := 2 * tp / (n + objects); f1 > best.F1 {
			best = OperatingPoint{Score: o.score[r.entry], Precision: tp / n, Recall: tp / objects, F1: f1}
		}
	}
	return best
}
