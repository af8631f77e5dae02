package stats

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

func TestLeastPairs(t *testing.T) {
	for comparisons, want := range map[int]int{0: 6, 1: 6, 2: 7, 3: 7, 4: 8, 6: 8, 7: 9, 12: 9, 13: 10, 25: 10, 26: 11} {
		if got := LeastPairs(comparisons); got != want {
			t.Errorf("%d comparisons: %d pairs, want %d", comparisons, got, want)
		}
	}
}

// TestNoncentralT: the chance that the t test finds a difference of so many standard deviations is, by definition,
// the mean over χ² of the normal chance at each; here as a sum of 20,000 rectangles. R's power.t.test has .8030969
// for ten pairs and 1.
func TestNoncentralT(t *testing.T) {
	for _, tt := range []struct {
		n      int
		effect float64
	}{{6, 1.5}, {10, 1}, {34, .5}} {
		degrees, shift := float64(tt.n-1), tt.effect*math.Sqrt(float64(tt.n))
		critical := studentT(.975, degrees)
		want, width := 0.0, (10*degrees+60)/20000
		for i := range 20000 {
			v := (float64(i) + .5) * width
			s := critical * math.Sqrt(v/degrees)
			beyond := distuv.UnitNormal.Survival(s-shift) + distuv.UnitNormal.CDF(-s-shift)
			want += distuv.ChiSquared{K: degrees}.Prob(v) * width * beyond
		}
		d := distuv.NoncentralT{Nu: degrees, Mu: shift}
		if got := 1 - d.CDF(critical) + d.CDF(-critical); math.Abs(got-want) > 1e-5 {
			t.Errorf("%d pairs find %g SD with chance %.6f, want %.6f", tt.n, tt.effect, got, want)
		}
	}
}

// TestDetectable: of differences as large as Detectable says, the exact test finds about 80 %.
func TestDetectable(t *testing.T) {
	const runs = 2000
	rng := rand.New(rand.NewPCG(11, 12))
	for _, tt := range []struct{ n, comparisons int }{{6, 1}, {7, 1}, {10, 1}, {10, 6}, {16, 20}} {
		shift := Detectable(2, tt.n, tt.comparisons)
		found := 0
		for range runs {
			d := make([]float64, tt.n)
			for i := range d {
				d[i] = shift + 2*rng.NormFloat64()
			}
			if signFlip(d) <= Alpha/float64(tt.comparisons) {
				found++
			}
		}
		power := float64(found) / runs
		t.Logf("%d pairs, %d comparisons: %.2f SD is found with chance %.3f", tt.n, tt.comparisons, shift/2, power)
		if power < .7 || power > .85 {
			t.Errorf("%d pairs, %d comparisons: %.3f is found with chance %.3f, want about .8", tt.n, tt.comparisons, shift, power)
		}
	}
	if d := Detectable(1, 5, 1); !math.IsInf(d, 1) {
		t.Errorf("5 pairs detect %g", d)
	}
	if d := Detectable(math.NaN(), 10, 1); !math.IsNaN(d) {
		t.Errorf("without a standard deviation %g is detectable", d)
	}
	if d := Detectable(0, 10, 1); d != 0 {
		t.Errorf("without noise %g is detectable", d)
	}
}

func TestNeeded(t *testing.T) {
	for _, tt := range []struct {
		sd, difference float64
		comparisons    int
		want           int
	}{
		{1, 1, 1, 11}, // the t test needs 10; the exact test of 10 pairs has level .0488
		{1, -1, 1, 11},
		{1, .5, 1, 34}, // as the t test
		{1, .1, 1, 787},
		{1, 100, 1, 6},
		{1, 100, 6, 8},
		{0, .1, 1, 6},
		{1, 0, 1, 0},
		{math.NaN(), 1, 1, 0},
		{1, 1e-9, 1, 0},
	} {
		if got := Needed(tt.sd, tt.difference, tt.comparisons); got != tt.want {
			t.Errorf("%+v: %d pairs", tt, got)
		}
	}
	for comparisons := range 8 {
		for n := LeastPairs(comparisons); n < 60; n++ {
			if again := Needed(1, Detectable(1, n, comparisons)*(1+1e-9), comparisons); again > n {
				t.Errorf("%d comparisons: %d pairs detect what needs %d", comparisons, n, again)
			}
		}
	}
}
