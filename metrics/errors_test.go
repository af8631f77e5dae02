package metrics

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

func findErrors(t *testing.T, s *scene) *Errors {
	t.Helper()
	e, err := FindErrors(&s.gt, s.dt, DefaultOptions(), DefaultErrorOptions())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestErrorsByHand has one object found, at score .5, and one error of the
// stated kind ranked above it. AP is the mean over 101 recalls, of which 51 are
// at most 1/2; with one object, right after wrong is AP 1/2.
func TestErrorsByHand(t *testing.T) {
	tests := []struct {
		name   string
		change func(s *scene)
		kind   ErrorKind
		ap     float64 // before
		dAP    float64
	}{
		{"at IoU .25 beside a found object", func(s *scene) {
			s.detect(1, 1, .9, 6, 0, 10, 10)
		}, Localisation, .5, .5},
		{"at IoU .25 beside an object of its own: both are then found", func(s *scene) {
			s.object(1, 1, 100, 0, 10, 10)
			s.detect(1, 1, .9, 106, 0, 10, 10)
		}, Localisation, 51. / 101 / 2, 1 - 51./101/2},
		{"on an object of class 2, which is then found", func(s *scene) {
			s.object(1, 2, 100, 0, 10, 10)
			s.detect(1, 1, .9, 100, 0, 10, 10)
		}, Classification, .25, .75},
		{"on an object of class 2 that is found already", func(s *scene) {
			s.object(1, 2, 100, 0, 10, 10)
			s.detect(1, 2, .3, 100, 0, 10, 10)
			s.detect(1, 1, .9, 100, 0, 10, 10)
		}, Classification, .75, .25},
		{"at IoU .25 beside an object of class 2", func(s *scene) {
			s.object(1, 2, 100, 0, 10, 10)
			s.detect(1, 2, .3, 100, 0, 10, 10)
			s.detect(1, 1, .9, 106, 0, 10, 10)
		}, BothWrong, .75, .25},
		{"far from all", func(s *scene) {
			s.detect(1, 1, .9, 200, 0, 10, 10)
		}, Background, .5, .5},
		{"on an image without objects", func(s *scene) {
			s.detect(2, 1, .9, 0, 0, 10, 10)
		}, Background, .5, .5},
		{"on an object found at a higher score", func(s *scene) {
			s.detect(1, 1, .95, 0, 0, 10, 10) // right; the one at .5 repeats it
			s.object(1, 1, 100, 0, 10, 10)
			s.detect(1, 1, .4, 100, 0, 10, 10)
		}, Duplicate, (51 + 50*2./3) / 101, 1 - (51+50*2./3)/101},
		{"an object that nothing comes near", func(s *scene) {
			s.object(1, 1, 100, 0, 10, 10)
		}, Missed, 51. / 101, 50. / 101},
		{"a category of which nothing is found", func(s *scene) {
			s.object(1, 2, 100, 0, 10, 10)
		}, Missed, .5, .5},
	}
	for _, tt := range tests {
		s := newScene(2, 1, 2)
		s.object(1, 1, 0, 0, 10, 10)
		s.detect(1, 1, .5, 0, 0, 10, 10)
		tt.change(s)
		e := findErrors(t, s)
		if !near(e.AP, tt.ap) {
			t.Errorf("%s: AP %g, want %g", tt.name, e.AP, tt.ap)
		}
		for k, got := range e.Kinds {
			want := ErrorCost{}
			if ErrorKind(k) == tt.kind {
				want = ErrorCost{1, tt.dAP}
			}
			if got.Count != want.Count || !near(got.DAP, want.DAP) {
				t.Errorf("%s: %v %+v, want %+v", tt.name, ErrorKind(k), got, want)
			}
		}
		wrong, missed := 1, 0
		if tt.kind == Missed {
			wrong, missed = 0, 1
		}
		if e.FalsePositives.Count != wrong || tt.kind == Missed && e.FalseNegatives.Count != missed {
			t.Errorf("%s: %d wrong, %d not found", tt.name, e.FalsePositives.Count, e.FalseNegatives.Count)
		}
	}
}

// TestErrorsCompete: two errors aim at one object; the better one finds it, the
// other goes. Neither kind alone makes the object missed.
func TestErrorsCompete(t *testing.T) {
	s := newScene(1, 1, 2)
	s.object(1, 1, 0, 0, 10, 10)
	s.detect(1, 1, .9, 6, 0, 10, 10)  // localisation
	s.detect(1, 1, .85, 99, 0, 9, 9)  // background
	s.detect(1, 1, .8, -6, 0, 10, 10) // localisation, second
	s.detect(1, 2, .7, 0, 0, 10, 10)  // classification
	e := findErrors(t, s)
	if e.Kinds[Localisation].Count != 2 || !near(e.Kinds[Localisation].DAP, 1) {
		t.Errorf("localisation %+v, want 2 that cost 1", e.Kinds[Localisation])
	}
	if e.Kinds[Classification].Count != 1 || !near(e.Kinds[Classification].DAP, 1./4) { // right after three wrong
		t.Errorf("classification %+v, want 1 that costs 1/4", e.Kinds[Classification])
	}
	if e.Kinds[Missed].Count != 0 || e.FalseNegatives != (ErrorCost{1, 0}) {
		t.Errorf("missed %+v, not found %+v; want none and one that costs nothing", e.Kinds[Missed], e.FalseNegatives)
	}
	if e.PerCategory[0] != [errorKinds]int{Localisation: 2, Background: 1} || e.PerCategory[1] != [errorKinds]int{Classification: 1} {
		t.Errorf("by category %v", e.PerCategory)
	}
}

// TestErrorsFound: what is aimed at an object that is found goes when fixed, and
// does not find another.
func TestErrorsFound(t *testing.T) {
	s := newScene(1, 1)
	s.object(1, 1, 0, 0, 10, 10)
	s.object(1, 1, 100, 0, 10, 10) // missed
	s.detect(1, 1, .9, 6, 0, 10, 10)
	s.detect(1, 1, .5, 0, 0, 10, 10)
	if e := findErrors(t, s); !near(e.AP, 51./101/2) || !near(e.Kinds[Localisation].DAP, 51./101/2) {
		t.Errorf("AP %g, localisation %+v; want AP to double to 51/101", e.AP, e.Kinds[Localisation])
	}
}

// TestErrorsOtherClass: what changes class ranks there by its score.
func TestErrorsOtherClass(t *testing.T) {
	s := newScene(1, 1, 2)
	s.object(1, 2, 0, 0, 10, 10)
	s.detect(1, 1, .3, 0, 0, 10, 10)
	s.detect(1, 2, .9, 99, 0, 9, 9)
	if e := findErrors(t, s); e.AP != 0 || !near(e.Kinds[Classification].DAP, .5) {
		t.Errorf("AP %g, classification %+v; want AP to become 1/2", e.AP, e.Kinds[Classification])
	}
}

func TestErrorsNothing(t *testing.T) {
	s := newScene(1, 1)
	s.detect(1, 1, .9, 0, 0, 9, 9)
	e := findErrors(t, s)
	if !math.IsNaN(e.AP) || !math.IsNaN(e.Kinds[Background].DAP) || e.Kinds[Background].Count != 1 || !math.IsNaN(e.FalsePositives.DAP) {
		t.Errorf("no objects: %+v, want NaN", e)
	}
	s.dt = nil
	s.crowd(1, 1, 0, 0, 99, 99)
	s.object(1, 1, 0, 0, 9, 9)
	s.detect(1, 1, .9, 50, 50, 9, 9) // in the crowd
	e = findErrors(t, s)
	if e.AP != 0 || e.FalsePositives.Count != 0 || !near(e.Kinds[Missed].DAP, 1) {
		t.Errorf("a crowd: %+v, want only one missed object", e)
	}
	for _, o := range []ErrorOptions{{}, {.5, .6}, {1.5, .1}, {math.NaN(), .1}, {.5, math.NaN()}} {
		if _, err := FindErrors(&s.gt, s.dt, DefaultOptions(), o); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: %v, want ErrOptions", o, err)
		}
	}
}

// TestErrorsProperties: on random scenes AP is Evaluate's, every cost is 0 or
// more, the counts add up, and with everything fixed AP is 1.
func TestErrorsProperties(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for n := range 150 {
		s := hard(rng, 1+n%40, 1+n%5)
		e := findErrors(t, s)
		want := s.evaluate(t)
		if ap50 := stat(t, want, "AP50"); !near(e.AP, ap50) {
			t.Fatalf("AP %g, want AP50 %g", e.AP, ap50)
		}
		if math.IsNaN(e.AP) {
			continue
		}
		wrong := 0
		for k, c := range e.Kinds {
			if !(c.DAP >= -1e-12) || c.Count == 0 && c.DAP != 0 {
				t.Fatalf("%v: %+v", ErrorKind(k), c)
			}
			if ErrorKind(k) != Missed {
				wrong += c.Count
			}
		}
		if wrong != e.FalsePositives.Count || e.Kinds[Missed].Count > e.FalseNegatives.Count || e.FalsePositives.DAP < -1e-12 || e.FalseNegatives.DAP < -1e-12 {
			t.Fatalf("%+v: counts or costs do not agree", e)
		}
		in, err := prepare(&s.gt, s.dt)
		if err != nil {
			t.Fatal(err)
		}
		opt := DefaultOptions()
		opt.IoUThresholds = []float64{.5}
		sorter := newErrorSorter(in, &opt)
		for i := range sorter.images {
			sorter.sort(i, DefaultErrorOptions())
		}
		all := scenario{}
		for k := range all.kinds {
			all.kinds[k] = true
		}
		if ap := sorter.ap(sorter.ranked(), all); !near(ap, 1) {
			t.Fatalf("with all fixed AP is %.17g, want 1", ap)
		}
	}
}
