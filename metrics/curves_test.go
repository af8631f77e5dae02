package metrics

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

// TestCurves: the mean of a curve is AP, over all categories too, in what
// rounding leaves; and scores fall as recall rises.
func TestCurves(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for n := range 40 {
		s := hard(rng, 1+n, 1+n%5)
		m, err := Match(&s.gt, s.dt, DefaultOptions())
		if err != nil {
			t.Fatal(err)
		}
		want, c := m.Result(), m.Curves()
		mean := func(v []float64) float64 {
			sum := 0.0
			for _, x := range v {
				sum += x
			}
			return sum / float64(len(v))
		}
		for i, curve := range c.PerCategory {
			k, ti := i/10, i%10
			if curve.CategoryID != want.PerCategory[k].ID || curve.IoU != want.IoUThresholds[ti] {
				t.Fatalf("curve %d is of category %d at %g", i, curve.CategoryID, curve.IoU)
			}
			if ap := mean(curve.Precision); !near(ap, want.PerCategory[k].ByIoU[ti]) {
				t.Fatalf("category %d at IoU %g: mean precision %g, want AP %g", curve.CategoryID, curve.IoU, ap, want.PerCategory[k].ByIoU[ti])
			}
			for j := 1; j < len(curve.Score); j++ {
				if curve.Score[j] > curve.Score[j-1] || curve.Precision[j] > curve.Precision[j-1] || math.IsNaN(curve.Score[j-1]) && !math.IsNaN(curve.Score[j]) {
					t.Fatalf("score or precision rises with recall: %v, %v", curve.Score, curve.Precision)
				}
				if !math.IsNaN(curve.Precision[j]) && (curve.Precision[j] > 0) == math.IsNaN(curve.Score[j]) {
					t.Fatalf("precision %g with score %g", curve.Precision[j], curve.Score[j])
				}
			}
		}
		for ti, ap := range want.ByIoU {
			if got := mean(c.Mean[ti]); !near(got, ap) {
				t.Fatalf("mean curve at IoU %g: %g, want AP %g", c.IoU[ti], got, ap)
			}
		}
	}
}

// twoRight has two objects and, by falling score, right (.9), wrong (.8), right
// (.6), wrong (.6), wrong (.5).
func twoRight() *scene {
	s := newScene(1, 1, 2)
	s.object(1, 1, 0, 0, 10, 10)
	s.object(1, 1, 50, 0, 10, 10)
	s.detect(1, 1, .9, 0, 0, 10, 10)
	s.detect(1, 1, .8, 0, 50, 10, 10)
	s.detect(1, 1, .6, 50, 0, 10, 10)
	s.detect(1, 1, .6, 50, 50, 10, 10)
	s.detect(1, 1, .5, 90, 50, 10, 10)
	return s
}

func TestBestF1(t *testing.T) {
	s := twoRight()
	m, err := Match(&s.gt, s.dt, DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	f1, err := m.BestF1(.5)
	if err != nil {
		t.Fatal(err)
	}
	// Cut at .9: P 1, R 1/2, F1 2/3. Cut at .6, ties together: P 2/4, R 1, F1 2/3 too.
	if got, want := f1[0], (OperatingPoint{Score: .9, Precision: 1, Recall: .5, F1: 2. / 3}); got != want {
		t.Errorf("best F1 %+v, want %+v", got, want)
	}
	if !math.IsNaN(f1[1].F1) || !math.IsNaN(f1[1].Score) {
		t.Errorf("without objects: %+v, want NaN", f1[1])
	}
	if _, err := m.BestF1(.51); !errors.Is(err, ErrOptions) {
		t.Errorf("unknown threshold: %v, want ErrOptions", err)
	}
	s.dt = nil
	if m, err = Match(&s.gt, nil, DefaultOptions()); err != nil {
		t.Fatal(err)
	}
	if f1, err = m.BestF1(.5); err != nil || f1[0].F1 != 0 || !math.IsNaN(f1[0].Score) {
		t.Errorf("no detections: %+v, %v; want F1 0 at no score", f1[0], err)
	}
}

func TestCalibration(t *testing.T) {
	s := twoRight()
	s.detect(1, 2, 1, 0, 0, 5, 5) // of a category without objects: wrong all the same
	m, err := Match(&s.gt, s.dt, DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	c, err := m.Calibration(.5, 2)
	if err != nil {
		t.Fatal(err)
	}
	// All six lie in [.5,1]: mean score (.9+.8+.6+.6+.5+1)/6 = 4.4/6, precision 2/6.
	if !near(c.ECE, 2.4/6) || !near(c.PerCategory[0], 1.4/5) || !near(c.PerCategory[1], 1) {
		t.Errorf("ECE %g, by category %v; want .4, .28 and 1", c.ECE, c.PerCategory)
	}
	if b := c.Bins[1]; b.Detections != 6 || !near(b.Score, 4.4/6) || !near(b.Precision, 2./6) || b.From != .5 || b.To != 1 {
		t.Errorf("upper bin %+v", b)
	}
	if b := c.Bins[0]; b.Detections != 0 || !math.IsNaN(b.Score) || !math.IsNaN(b.Precision) {
		t.Errorf("empty bin %+v, want NaN", b)
	}
	if c, _ = m.Calibration(.5, 10); c.Bins[6].Detections != 2 || c.Bins[9].Detections != 2 {
		t.Errorf("ten bins: %+v; .6 belongs to the seventh, 1 to the last", c.Bins)
	}
	for i := range 100 { // whatever rounding does, a score lies in its bin
		r := newReliability(100)
		r.add(float64(i)/100, true)
		if r.n[i] != 1 {
			t.Errorf("score %g is not in bin %d of 100", float64(i)/100, i)
		}
	}

	s.detect(1, 1, 1.5, 0, 0, 5, 5)
	if m, err = Match(&s.gt, s.dt, DefaultOptions()); err != nil {
		t.Fatal(err)
	}
	if c, _ = m.Calibration(.5, 10); !math.IsNaN(c.ECE) || !math.IsNaN(c.PerCategory[0]) || !near(c.PerCategory[1], 1) {
		t.Errorf("a score of 1.5: ECE %g, by category %v; want NaN where it is", c.ECE, c.PerCategory)
	}
	if _, err := m.Calibration(.5, 0); !errors.Is(err, ErrOptions) {
		t.Errorf("no bins: %v, want ErrOptions", err)
	}
}
