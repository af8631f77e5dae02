package metrics

import (
	"fmt"
	"math"
)

// Calibration measures how far a score can be read as the probability of being right at an
// IoU threshold. The measure is the expected calibration error of Guo et al., "On
// Calibration of Modern Neural Networks" (2017), eq. 3, with precision in place of accuracy
// as Küppers et al., "Multivariate Confidence Calibration for Object Detection" (2020),
// define it for detectors. Detections that count for nothing, such as detections in crowds,
// are left out.
type Calibration struct {
	IoU float64
	// ECE is the mean over detections of the distance between the mean score of
	// a bin and its precision, in [0,1]; NaN without detections or if a score
	// lies outside [0,1].
	ECE  float64
	Bins []CalibrationBin
	// PerCategory is the ECE of the detections of each category, by ascending id.
	PerCategory []float64
}

// CalibrationBin describes the detections with From <= score < To; the last bin also has
// the detections with score 1.
type CalibrationBin struct {
	From, To         float64
	Detections       int
	Score, Precision float64 // mean score, and the share that is right; NaN without detections
}

// Calibration uses bins of equal width over [0,1], at an IoU threshold of Options. The error
// is ErrOptions.
func (m *Matches) Calibration(iou float64, bins int) (*Calibration, error) {
	t, err := m.threshold(iou)
	if err != nil {
		return nil, err
	}
	if bins < 1 {
		return nil, fmt.Errorf("%w: expected at least one bin, found %d", ErrOptions, bins)
	}
	c := &Calibration{IoU: iou}
	all := newReliability(bins)
	for k := range m.matched {
		o := &m.matched[k].outcome
		own := newReliability(bins)
		for i, v := range o.verdict[areaAll] {
			if v.counts(t) {
				own.add(o.score[i], v.right(t))
			}
		}
		c.PerCategory = append(c.PerCategory, own.ece())
		all.merge(own)
	}
	c.ECE = all.ece()
	for i := range bins {
		n := all.n[i]
		c.Bins = append(c.Bins, CalibrationBin{
			From: float64(i) / float64(bins), To: float64(i+1) / float64(bins), Detections: n,
			Score: all.score[i] / float64(n), Precision: float64(all.right[i]) / float64(n),
		})
	}
	return c, nil
}

// reliability counts detections by bins of their score.
type reliability struct {
	n, right []int
	score    []float64
	outside  bool // a score outside [0,1] was seen
}

func newReliability(bins int) *reliability {
	return &reliability{n: make([]int, bins), right: make([]int, bins), score: make([]float64, bins)}
}

func (r *reliability) add(score float64, right bool) {
	if !(score >= 0 && score <= 1) {
		r.outside = true
		return
	}
	bins := float64(len(r.n))
	i := min(int(score*bins), len(r.n)-1)
	switch { // the product is rounded
	case score < float64(i)/bins:
		i--
	case i+1 < len(r.n) && score >= float64(i+1)/bins:
		i++
	}
	r.n[i]++
	r.score[i] += score
	if right {
		r.right[i]++
	}
}

func (r *reliability) merge(other *reliability) {
	for i := range r.n {
		r.n[i] += other.n[i]
		r.right[i] += other.right[i]
		r.score[i] += other.score[i]
	}
	r.outside = r.outside || other.outside
}

// ece is sum_b n_b/n |precision_b - score_b|.
func (r *reliability) ece() float64 {
	if r.outside {
		return math.NaN()
	}
	n, sum := 0, 0.0
	for i := range r.n {
		n += r.n[i]
		sum += math.Abs(float64(r.right[i]) - r.score[i])
	}
	return sum / float64(n)
}
