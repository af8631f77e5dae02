package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestNormsByFiniteDifferences compares the gradients of both norms with
// central differences of Σ y·dy.
func TestNormsByFiniteDifferences(t *testing.T) {
	s := Shape{2, 4, 3, 5}
	const groups, eps = 2, 1e-5
	r := rand.New(rand.NewPCG(11, 12))
	x, dy, w, b := randoms(r, s.Len()), randoms(r, s.Len()), randoms(r, s.C), randoms(r, s.C)
	everyLevel(t, func(t *testing.T, p *Pool) {
		for _, group := range []bool{false, true} {
			stats := func(x []float32) (mean, inv []float32) {
				n := s.C
				if group {
					n = s.N * groups
				}
				mean, inv = make([]float32, n), make([]float32, n)
				if group {
					GroupNormStats(p, mean, inv, x, groups, s)
				} else {
					BatchNormStats(p, mean, inv, x, s)
				}
				InvStd(inv, inv, eps)
				return mean, inv
			}
			value := func(x, w, b []float32) float64 {
				y := make([]float32, s.Len())
				mean, inv := stats(x)
				if group {
					GroupNormApply(p, y, x, mean, inv, w, b, false, groups, s)
				} else {
					BatchNormApply(p, y, x, mean, inv, w, b, nil, false, s)
				}
				var sum float64
				for i, v := range y {
					sum += float64(v) * float64(dy[i])
				}
				return sum
			}
			dx, dw, db := make([]float32, s.Len()), make([]float32, s.C), make([]float32, s.C)
			mean, inv := stats(x)
			if group {
				GroupNormGrad(p, dx, dw, db, dy, x, mean, inv, w, groups, s)
			} else {
				BatchNormGradSums(p, db, dw, dy, x, mean, inv, s)
				BatchNormGradInput(p, dx, dy, x, mean, inv, w, db, dw, s)
			}
			check := func(name string, v, got []float32) {
				for i := range v {
					const h = 1.0 / 64 // exact in float32; the error of differences is about h² and 1e-6/h
					old := v[i]
					v[i] = old + h
					up := value(x, w, b)
					v[i] = old - h
					down := value(x, w, b)
					v[i] = old
					if want := (up - down) / (2 * h); math.Abs(want-float64(got[i])) > 3e-3*(1+math.Abs(want)) {
						t.Errorf("group %v: %s[%d] is %g, differences say %g", group, name, i, got[i], want)
					}
				}
			}
			check("dx", x, dx)
			check("dweight", w, dw)
			check("dbias", b, db)
		}
	})
}

// TestNormFarFromZero: the variance of data around 50 with sd .01 must not
// drown in the squares of 50.
func TestNormFarFromZero(t *testing.T) {
	s := Shape{4, 3, 40, 37}
	r := rand.New(rand.NewPCG(13, 14))
	x := make([]float32, s.Len())
	for i := range x {
		x[i] = 50 + .01*float32(r.NormFloat64())
	}
	x[0] = 50.5 // a first element far from the others must not matter either
	everyLevel(t, func(t *testing.T, p *Pool) {
		mean, variance := make([]float32, s.C), make([]float32, s.C)
		BatchNormStats(p, mean, variance, x, s)
		for c := range s.C {
			var m, q, n float64
			for pass := range 2 {
				for i := range s.N {
					for _, v := range x[(i*s.C+c)*s.Area() : (i*s.C+c+1)*s.Area()] {
						if pass == 0 {
							m += float64(v)
							n++
						} else {
							q += (float64(v) - m) * (float64(v) - m)
						}
					}
				}
				if pass == 0 {
					m /= n
				}
			}
			q /= n
			if math.Abs(float64(mean[c])-m) > 4e-6 || math.Abs(float64(variance[c])-q) > 1e-5*q {
				t.Errorf("channel %d: mean %g, variance %g; want %g, %g", c, mean[c], variance[c], m, q)
			}
		}
	})
}
