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

// The figures are PyTorch 2.15's, float64, one parameter of three values.
func TestRulesAgainstPyTorch(t *testing.T) {
	lrs := []float32{.1, .1, .05, .005}
	grads := [][]float32{{.5, -1, .25}, {.1, .2, -.3}, {0, 0, 2}, {-1, .5, .125}}
	sgd := func(momentum, decay float32) func(p *Pool, w, m, v, g []float32, step int) {
		return func(p *Pool, w, m, _, g []float32, step int) { SGD(p, w, m, g, lrs[step-1], momentum, decay) }
	}
	adam := func(a Adam) func(p *Pool, w, m, v, g []float32, step int) {
		return func(p *Pool, w, m, v, g []float32, step int) {
			a.LR = lrs[step-1]
			a.Step(p, w, m, v, g, step)
		}
	}
	for _, tt := range []struct {
		name string
		step func(p *Pool, w, m, v, g []float32, step int)
		want [][]float64
	}{
		{"sgd, momentum .9, decay .01", sgd(.9, .01), [][]float64{
			{0.949, -1.898, 0.4745}, {0.892151, -1.824302, 0.4810755},
			{0.8661228745, -1.790225749, 0.38379393725}, {0.868737037061275, -1.78956937512255, 0.374394406905638}}},
		{"plain sgd", sgd(0, 0), [][]float64{
			{0.95, -1.9, 0.475}, {0.94, -1.92, 0.505}, {0.94, -1.92, 0.405}, {0.945, -1.9225, 0.404375}}},
		{"adamw, decay .01", adam(Adam{Beta1: .9, Beta2: .999, Eps: 1e-8, Decay: .01}), [][]float64{
			{0.899000002, -1.898000001, 0.399500004}, {0.817796906382652, -1.84499939398949, 0.413394976543747},
			{0.78635035879475, -1.82432566268934, 0.382896828148122}, {0.787746831385258, -1.82406283719965, 0.380223056380078}}},
		{"adamw, betas .8 .99, eps 1e-3, no decay", adam(Adam{Beta1: .8, Beta2: .99, Eps: 1e-3}), [][]float64{
			{0.900199600798403, -1.9000999000999, 0.400398406374502}, {0.823192676769158, -1.85383161206861, 0.420435820363743},
			{0.795309668888156, -1.83707330374538, 0.38718081518228}, {0.79734903723036, -1.83742021201316, 0.384433650975402}}},
	} {
		everyLevel(t, func(t *testing.T, p *Pool) {
			w, m, v := []float32{1, -2, .5}, make([]float32, 3), make([]float32, 3)
			for i, g := range grads {
				tt.step(p, w, m, v, g, i+1)
				close32(t, tt.name, w, tt.want[i], 5e-6)
			}
		})
	}
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
