package metrics

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
)

// TestChoose: choosing at all thresholds at once gives what choosing at one after
// the other gives, on boxes of few sizes and places, so that overlaps tie.
func TestChoose(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	opt := DefaultOptions()
	box := func() [4]float64 {
		return [4]float64{float64(r.IntN(3)), float64(r.IntN(3)), float64(6 + r.IntN(4)), float64(6 + r.IntN(4))}
	}
	matched := 0
	for range 3000 {
		once, oneByOne := newMatcher(&input{}, &opt), newMatcher(&input{}, &opt)
		for range 1 + r.IntN(6) {
			target := target{object: &object{box: box(), crowd: r.IntN(4) == 0, zeroID: r.IntN(8) == 0}}
			for a := range target.ignored {
				target.ignored[a] = target.crowd || r.IntN(3) == 0
			}
			once.targets, oneByOne.targets = append(once.targets, target), append(oneByOne.targets, target)
		}
		for d := range 6 {
			b := box()
			if !once.approach(&b) {
				t.Fatalf("overlaps of %v are not comparable", b)
			}
			oneByOne.near = oneByOne.near[:0]
			for i := range oneByOne.targets {
				o := &oneByOne.targets[i]
				oneByOne.near = append(oneByOne.near, candidate{target: int32(i), iou: iou(&b, &o.box, o.crowd)})
			}
			for a := range areaCount {
				got, want := once.choose(a), oneByOne.chooseOneByOne(a)
				if got != want {
					t.Fatalf("detection %d, area %d: %+v, want %+v", d, a, got, want)
				}
				if want.matched != 0 {
					matched++
				}
			}
			for i := range once.targets {
				if once.targets[i].taken != oneByOne.targets[i].taken {
					t.Fatalf("detection %d: target %d is taken at %v, want %v", d, i, once.targets[i].taken, oneByOne.targets[i].taken)
				}
			}
		}
	}
	if matched < 10_000 {
		t.Errorf("%d matches, too few to tell", matched)
	}
}

// TestNaNOverlap: boxes so small that their area is 0 in float64 have NaN overlap
// with each other. As in pycocotools it passes every threshold, and is beaten by
// whatever object follows, overlapping or not.
func TestNaNOverlap(t *testing.T) {
	const tiny = 1e-200
	s := newScene(1, 1)
	s.object(1, 1, 0, 0, tiny, tiny)
	s.object(1, 1, 5, 5, 10, 10)
	s.detect(1, 1, .9, 0, 0, tiny, tiny) // takes the second object
	s.detect(1, 1, .8, 5, 5, 10, 10)     // finds it taken
	r := s.evaluate(t)
	if ap := stat(t, r, "AP"); !near(ap, 51./101) {
		t.Errorf("AP %g, want 51/101: one of two found, ranked first", ap)
	}
	s.gt.Annotations[0], s.gt.Annotations[1] = s.gt.Annotations[1], s.gt.Annotations[0]
	r = s.evaluate(t) // now the tiny box comes last and is taken, and both are found
	if ap := stat(t, r, "AP"); !near(ap, 1) {
		t.Errorf("AP %g, want 1", ap)
	}
}

func TestSortMany(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	var spare []ranked
	for _, n := range []int{0, 1, 255, 256, 3000} {
		for _, score := range []func() float64{
			r.Float64, r.NormFloat64,
			func() float64 { return float64(r.IntN(5)) },
			func() float64 {
				return []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(), 1e300, -5e-324}[r.IntN(7)]
			},
			func() float64 { return .5 },
		} {
			var got []ranked
			for i := range n {
				got = append(got, ranked{scoreKey(score()), int32(i)})
			}
			want := slices.Clone(got)
			sortRanked(want)
			spare = sortMany(got, spare)
			if !slices.Equal(got, want) {
				t.Errorf("%d entries are sorted otherwise", n)
			}
		}
	}
}

// TestColumn computes precision and recall as they are defined, with running sums
// over all detections.
func TestColumn(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	for _, thresholds := range []int{1, 10, 64} {
		opt := DefaultOptions()
		opt.IoUThresholds = linspace(0, 1, 64)[:thresholds]
		for range 50 {
			n := r.IntN(300)
			verdicts := make([]verdict, n)
			rk := newRanking(&opt)
			scores := make([]float64, n)
			every := uint64(math.MaxUint64) >> (64 - thresholds)
			for i := range verdicts {
				scores[i] = float64(r.IntN(40))
				switch r.IntN(4) {
				case 0:
					verdicts[i].matched = r.Uint64() & every
				case 1:
					verdicts[i] = verdict{r.Uint64() & every, r.Uint64() & every}
				case 2:
					verdicts[i].ignored = every
				}
			}
			objects := n + 1
			rk.rank(scores)
			order := make([]int, n)
			for i := range order {
				order[i] = i
			}
			sort.SliceStable(order, func(a, b int) bool { return scores[order[a]] > scores[order[b]] })

			got := rk.column(verdicts, objects)
			for ti := range thresholds {
				var recall, precision []float64
				tp, fp := 0.0, 0.0
				for _, i := range order {
					right, ignored := verdicts[i].matched>>ti&1 == 1, verdicts[i].ignored>>ti&1 == 1
					if right && !ignored {
						tp++
					}
					if !right && !ignored {
						fp++
					}
					recall, precision = append(recall, tp/float64(objects)), append(precision, tp/(fp+tp+0x1p-52))
				}
				for i := len(precision) - 1; i > 0; i-- {
					precision[i-1] = max(precision[i-1], precision[i])
				}
				if want := tp / float64(objects); got.recall[ti] != want {
					t.Fatalf("recall %g, want %g", got.recall[ti], want)
				}
				for ri, threshold := range opt.RecallThresholds {
					want := 0.0
					if i := sort.SearchFloat64s(recall, threshold); i < len(recall) {
						want = precision[i]
					}
					if p := got.precision[ti*len(opt.RecallThresholds)+ri]; p != want {
						t.Fatalf("precision at recall %g is %.17g, want %.17g", threshold, p, want)
					}
				}
			}
		}
	}
}

// TestIoU holds the formula's corners.
func TestIoU(t *testing.T) {
	nan := math.NaN()
	tests := []struct {
		name  string
		d, g  [4]float64
		crowd bool
		want  float64
	}{
		{"equal", [4]float64{1, 2, 3, 4}, [4]float64{1, 2, 3, 4}, false, 1},
		{"quarter", [4]float64{0, 0, 10, 10}, [4]float64{5, 5, 10, 10}, false, 25. / 175},
		{"crowd", [4]float64{0, 0, 10, 10}, [4]float64{5, 0, 1000, 1000}, true, .5},
		{"touching", [4]float64{0, 0, 10, 10}, [4]float64{0, 10, 10, 10}, false, 0},
		{"no width", [4]float64{5, 5, 0, 10}, [4]float64{0, 0, 10, 10}, false, 0},
		{"negative width", [4]float64{5, 5, -3, 2}, [4]float64{0, 0, 10, 10}, false, 0},
		{"NaN width", [4]float64{0, 0, nan, 10}, [4]float64{0, 0, 10, 10}, false, nan},
	}
	for _, tt := range tests {
		if got := iou(&tt.d, &tt.g, tt.crowd); !near(got, tt.want) {
			t.Errorf("%s: %g, want %g", tt.name, got, tt.want)
		}
	}
}
