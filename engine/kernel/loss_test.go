package kernel

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// TestFocalIsFinite covers every finite logit and γ ≥ 0: loss and gradient are
// finite, the loss isn't negative and the gradient points the right way.
func TestFocalIsFinite(t *testing.T) {
	everyLevel(t, func(t *testing.T, p *Pool) {
		rapid.Check(t, func(t *rapid.T) {
			n := rapid.IntRange(1, 40).Draw(t, "rows")
			f := Focal{Rows: n, Classes: 3, AlphaPos: .25, AlphaNeg: .75}
			f.Gamma = rapid.OneOf(rapid.Float32Range(0, 10), rapid.SampledFrom([]float32{0, 1e-30, .1, .5, 1, 2, 5, 1e6})).Draw(t, "gamma")
			logit := rapid.OneOf(rapid.Float32Range(-20, 20), rapid.Float32Range(-math.MaxFloat32, math.MaxFloat32),
				rapid.SampledFrom([]float32{0, 800, -800, 1e4, -1e4, math.MaxFloat32, -math.MaxFloat32, 87.4, -87.4, 1e-40}))
			x := rapid.SliceOfN(logit, 3*n, 3*n).Draw(t, "logits")
			label, weight, d := make([]float32, n), ones(n), make([]float32, 3*n)
			for i := range label {
				label[i] = float32(rapid.IntRange(-1, 2).Draw(t, "label"))
			}
			if v := f.Sum(p, x, label, weight); math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
				t.Fatalf("loss is %g", v)
			}
			f.Grad(p, d, x, label, weight, 1)
			for i, v := range d {
				// γ·p·(1-p)^γ peaks near p = 1/γ, at 1/e, where -log p is log γ.
				if !(math.Abs(float64(v)) <= 1.5+math.Log1p(float64(f.Gamma))) {
					t.Fatalf("logit %g: gradient is %g", x[i], v)
				}
				if up := label[i/3] == float32(i%3); up && v > 0 || !up && v < 0 {
					t.Fatalf("logit %g: gradient %g has the wrong sign", x[i], v)
				}
			}
		})
	})
}

// TestFocalPrecision: value and gradient keep their relative precision however
// small they are, but for what e^-t loses by the rounding of a large t.
func TestFocalPrecision(t *testing.T) {
	var x []float32
	for v := float32(-30); v <= 30; v += .0137 {
		x = append(x, v)
	}
	x = x[:len(x)&^(lanes-1)]
	value, slope := make([]float32, len(x)), make([]float32, len(x))
	everyLevel(t, func(t *testing.T, p *Pool) {
		for _, gamma := range []float32{0, .5, 1, 2, 5} {
			focal(p.set, value, x, gamma)
			focalGrad(p.set, slope, x, gamma)
			for i, v := range x {
				up, down := wideSoftplus(-float64(v))
				e := math.Exp(-float64(gamma) * up)
				if min(e, e*down) < 1e-36 {
					continue // below, numbers stop being normal
				}
				wantValue := e * down
				wantSlope := e * (float64(gamma)*math.Exp(-down)*down + math.Exp(-up))
				tol := 2e-6 * max(1, float64(gamma)*up/8)
				if d := math.Abs(float64(value[i])/wantValue - 1); !(d <= tol) {
					t.Fatalf("γ = %g, x = %g: value %g, want %g", gamma, v, value[i], wantValue)
				}
				if d := math.Abs(float64(slope[i])/wantSlope - 1); !(d <= tol) {
					t.Fatalf("γ = %g, x = %g: slope %g, want %g", gamma, v, slope[i], wantSlope)
				}
			}
		}
	})
}
