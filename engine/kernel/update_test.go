package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestOptimisers(t *testing.T) {
	everyLevel(t, func(t *testing.T, p *Pool) {
		const n = 37
		r := rand.New(rand.NewPCG(17, 18))
		w, g := randoms(r, n), randoms(r, n)
		v := make([]float32, n)
		ww, vv := make([]float64, n), make([]float64, n)
		for i := range w {
			ww[i] = float64(w[i])
		}
		for range 5 {
			SGD(p, w, v, g, .1, .9, .01)
			for i := range ww {
				vv[i] = .9*vv[i] + float64(g[i]) + .01*ww[i]
				ww[i] -= .1 * vv[i]
			}
		}
		close32(t, "SGD: w", w, ww, 1e-6)
		close32(t, "SGD: v", v, vv, 1e-6)

		a := Adam{LR: .1, Beta1: .9, Beta2: .99, Eps: 1e-3, Decay: .05}
		m, q := make([]float32, n), make([]float32, n)
		mm, qq := make([]float64, n), make([]float64, n)
		for i := range w {
			ww[i] = float64(w[i])
		}
		for step := 1; step <= 5; step++ {
			a.Step(p, w, m, q, g, step)
			for i := range ww {
				d := float64(g[i])
				ww[i] -= .1 * .05 * ww[i]
				mm[i] = .9*mm[i] + .1*d
				qq[i] = .99*qq[i] + .01*d*d
				ww[i] -= .1 * mm[i] / (1 - math.Pow(.9, float64(step))) / (math.Sqrt(qq[i]/(1-math.Pow(.99, float64(step)))) + 1e-3)
			}
		}
		close32(t, "AdamW: w", w, ww, 5e-6)
	})
}

func TestSumSquaresPropagates(t *testing.T) {
	everyLevel(t, func(t *testing.T, p *Pool) {
		x := ones(40000)
		if got := SumSquares(p, x); got != 40000 {
			t.Errorf("Σ 1² over 40000 elements is %g", got)
		}
		x[3], x[39999] = math.MaxFloat32, -math.MaxFloat32
		if got := SumSquares(p, x); math.IsInf(got, 0) || math.IsNaN(got) {
			t.Errorf("finite elements give %g", got)
		}
		for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
			for _, at := range []int{0, 20000, 39999} {
				x := ones(40000)
				x[at] = bad
				if got := SumSquares(p, x); !math.IsInf(got, 1) && !math.IsNaN(got) {
					t.Errorf("%g at %d is lost: %g", bad, at, got)
				}
			}
		}
	})
}
