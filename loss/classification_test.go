package loss

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"focalgrid/setting"
)

var gammas = []float64{0, .1, .2, .5, 1, 2, 5}

func TestFocalAgainstReference(t *testing.T) {
	var ref struct {
		Alpha, Gamma, Logit []float64
		Target              []int
		Loss, Grad          array
	}
	readRef(t, "focal", &ref)
	at := 0
	for _, alpha := range ref.Alpha {
		v := setting.Values{"alpha": alpha}
		if alpha == -1 { // the reference's word for none
			v["alpha"] = nil
		}
		for _, gamma := range ref.Gamma {
			v["gamma"] = gamma
			for _, target := range ref.Target {
				for _, x := range ref.Logit {
					l, g := focal.Value(x, target == 1, v)
					if !near(l, ref.Loss.Data[at]) || !near(g, ref.Grad.Data[at]) {
						t.Errorf("alpha %g, gamma %g, target %d, logit %g: loss %.12g, gradient %.12g, want %.12g and %.12g",
							alpha, gamma, target, x, l, g, ref.Loss.Data[at], ref.Grad.Data[at])
					}
					at++
				}
			}
		}
	}
	if at != len(ref.Loss.Data) || at != 3108 {
		t.Errorf("%d places checked of %d, want 3108", at, len(ref.Loss.Data))
	}
}

func TestFocalStarAgainstReference(t *testing.T) {
	var ref struct {
		Logit []float64
		Rows  []struct {
			Gamma, Beta float64
			Target      int
			Loss, Grad  []float64
		}
	}
	readRef(t, "focal_star", &ref)
	for _, r := range ref.Rows {
		v := setting.Values{"gamma": r.Gamma, "beta": r.Beta, "alpha": nil}
		for i, x := range ref.Logit {
			if l, g := focalStar.Value(x, r.Target == 1, v); !near(l, r.Loss[i]) || !near(g, r.Grad[i]) {
				t.Errorf("gamma %g, beta %g, target %d, logit %g: loss %.12g, gradient %.12g, want %.12g and %.12g",
					r.Gamma, r.Beta, r.Target, x, l, g, r.Loss[i], r.Grad[i])
			}
		}
	}
	if len(ref.Rows) != 8 {
		t.Errorf("%d rows, want 8", len(ref.Rows))
	}
}

// Values of eq. 4 and 10 at x = -3, -1, 0, 1, 3, y = +1, without alpha,
// computed by hand from the formulas to eight decimals.
func TestTable(t *testing.T) {
	xs := []float64{-3, -1, 0, 1, 3}
	tests := []struct {
		gamma      float64
		loss, grad [5]float64
	}{
		{0, [5]float64{3.04858735, 1.31326169, 0.69314718, 0.31326169, 0.04858735}, [5]float64{-.95257413, -.73105858, -.5, -.26894142, -.04742587}},
		{.5, [5]float64{2.97541833, 1.12286453, 0.49012907, 0.16245614, 0.01058110}, [5]float64{-1.00026734, -.77606183, -.47608566, -.19885432, -.01536780}},
		{1, [5]float64{2.90400543, 0.96007122, 0.34657359, 0.08424904, 0.00230430}, [5]float64{-1.04512246, -.79264956, -.42328680, -.13392047, -.00444423}},
		{2, [5]float64{2.76628044, 0.70186830, 0.17328680, 0.02265806, 0.00010928}, [5]float64{-1.12674988, -.76823472, -.29828680, -.05258113, -.00031487}},
		{5, [5]float64{2.39107143, 0.27422823, 0.02166085, 0.00044075, 1e-8}, [5]float64{-1.31411725, -.52141237, -.06977712, -.00198948, -7e-8}},
	}
	for _, tt := range tests {
		for i, x := range xs {
			l, g := Focal(x, true, tt.gamma, 1)
			if math.Abs(l-tt.loss[i]) > 1e-8 || math.Abs(g-tt.grad[i]) > 1e-8 {
				t.Errorf("gamma %g, x %g: loss %.8f, gradient %.8f, want %.8f and %.8f", tt.gamma, x, l, g, tt.loss[i], tt.grad[i])
			}
		}
	}
	star := []struct {
		gamma, beta float64
		loss        [5]float64
	}{
		{2, 1, [5]float64{2.50335767, 0.65663084, 0.15663084, 0.02429368, 0.00045573}},
		{4, 0, [5]float64{3.00000154, 1.00453748, 0.17328680, 0.00453748, 1.54e-6}},
	}
	for _, tt := range star {
		for i, x := range xs {
			if l, _ := FocalStar(x, true, tt.gamma, tt.beta, 1); math.Abs(l-tt.loss[i]) > 1e-8 {
				t.Errorf("FL* gamma %g, beta %g, x %g: %.8f, want %.8f", tt.gamma, tt.beta, x, l, tt.loss[i])
			}
		}
	}
}

// How much an example loses by focusing, as stated in §3.2.
func TestDownWeighting(t *testing.T) {
	tests := []struct {
		name   string
		pt     float64 // probability given to the true class
		factor float64 // CE / FL at gamma 2
		relTol float64
	}{
		{"easy", 0.9, 100, 1e-9},
		{"very easy, rounded in the paper", 0.968, 1000, 0.03},
		{"borderline, the most a hard example loses", 0.5, 4, 1e-9},
	}
	for _, tt := range tests {
		x := math.Log(tt.pt / (1 - tt.pt))
		ce, _ := CrossEntropy(x, true, 1)
		fl, _ := Focal(x, true, 2, 1)
		if got := ce / fl; math.Abs(got/tt.factor-1) > tt.relTol {
			t.Errorf("CE/FL at p_t=%g (%s): got %.4g, want %g", tt.pt, tt.name, got, tt.factor)
		}
	}
}

// The gradient of the focal loss is not bounded by that of cross entropy: its
// largest size, and where, without alpha.
func TestPeakGradient(t *testing.T) {
	for _, tt := range []struct{ gamma, at, peak float64 }{{.5, -4.02, 1.0090}, {1, -3.10, 1.0453}, {2, -2.79, 1.1290}, {5, -2.94, 1.3146}} {
		best, at := 0.0, 0.0
		for x := -10.0; x < 5; x += .001 {
			if _, g := Focal(x, true, tt.gamma, 1); math.Abs(g) > best {
				best, at = math.Abs(g), x
			}
		}
		if math.Abs(best-tt.peak) > 5e-5 || math.Abs(at-tt.at) > .006 {
			t.Errorf("gamma %g: largest gradient %.4f at x_t=%.3f, want %.4f at %.2f", tt.gamma, best, at, tt.peak, tt.at)
		}
	}
}

// First class loss of a network whose 113,193 anchors × 80 classes all say
// .01 (§4.1's prior), divided by 100 and by 50 positives.
func TestInitialLoss(t *testing.T) {
	const anchors, classes = 113193, 80
	prior := -math.Log(99)
	tests := []struct {
		name         string
		gamma, alpha float64
		of50, of100  float64
		tol          float64 // half of the last digit given
	}{
		{"focal 2, .25", 2, .25, 1.2649, 1.1966, 5e-5},
		{"focal 2, .5", 2, .5, 2.3478, 2.3023, 5e-5},
		{"focal 1, .25", 1, .25, 14.79, 7.966, 5e-3},
		{"focal 5, .25", 5, .25, 1.0949, 1.0949, 5e-5},
		{"focal .5, .5", .5, .5, 93.30, 47.80, 5e-3},
		{"focal .2, .75", .2, .75, 184.6, 94.0, .05},
		{"focal .1, .75", .1, .75, 290.6, 147.0, .05},
		{"cross entropy .75", 0, .75, 458.5, 231.0, .05},
		{"cross entropy .5", 0, .5, 912.4, 457.3, .05},
	}
	for _, tt := range tests {
		pos, _ := Focal(prior, true, tt.gamma, tt.alpha)
		neg, _ := Focal(prior, false, tt.gamma, 1-tt.alpha)
		for _, n := range []struct{ positives, want float64 }{{50, tt.of50}, {100, tt.of100}} {
			got := (n.positives*pos + (anchors*classes-n.positives)*neg) / n.positives
			if math.Abs(got-n.want) > tt.tol {
				t.Errorf("%s, %g positives: %.5g, want %g", tt.name, n.positives, got, n.want)
			}
		}
	}
}

// gamma 0 is cross entropy, and so is FL* with gamma 1 and beta 0; gradients included.
func TestCrossEntropyIdentities(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Float64Range(-50, 50).Draw(t, "x")
		a := rapid.Float64Range(0, 1).Draw(t, "a")
		positive := rapid.Bool().Draw(t, "positive")
		l, g := CrossEntropy(x, positive, a)
		for name, f := range map[string]func() (float64, float64){
			"focal, gamma 0":      func() (float64, float64) { return Focal(x, positive, 0, a) },
			"FL*, gamma 1 beta 0": func() (float64, float64) { return FocalStar(x, positive, 1, 0, a) },
		} {
			if fl, fg := f(); math.Abs(fl-l) > 1e-13*l || math.Abs(fg-g) > 1e-13*math.Abs(g) {
				t.Fatalf("%s at x %g: %g and %g, cross entropy %g and %g", name, x, fl, fg, l, g)
			}
		}
	})
}

func TestFiniteFarOut(t *testing.T) {
	for _, gamma := range append([]float64{1e-300, 100, 1e300}, gammas...) {
		for _, x := range []float64{-math.MaxFloat32, -800, 800, math.MaxFloat32} {
			for _, positive := range []bool{false, true} {
				l, g := Focal(x, positive, gamma, 1)
				if math.IsNaN(l+g) || math.IsInf(l, 0) || math.IsInf(g, 0) {
					t.Errorf("gamma %g, x %g, positive %t: loss %g, gradient %g", gamma, x, positive, l, g)
				}
			}
		}
		if gamma <= 100 {
			// A hopeless example has the gradient of cross entropy whatever gamma is.
			if l, g := Focal(-800, true, gamma, .25); math.Abs(l-200) > 1e-9 || math.Abs(g+.25) > 1e-12 {
				t.Errorf("gamma %g at x -800: loss %g, gradient %g, want 200 and -0.25", gamma, l, g)
			}
		}
		if _, g := Focal(800, true, gamma, 1); g != 0 && math.Abs(g) > 1e-300 {
			t.Errorf("gamma %g at x 800: gradient %g, want 0", gamma, g)
		}
	}
}

// The paper's scale: 100k anchors of 80 classes would be 8 million such logits.
func BenchmarkFocal100k(b *testing.B) {
	for b.Loop() {
		sum := 0.0
		for i := range 100000 {
			l, g := Focal(float64(i%2000)/100-15, i%1000 == 0, 2, .25)
			sum += l + g
		}
		if math.IsNaN(sum) {
			b.Fatal("NaN")
		}
	}
}
