package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// convOracle computes all three passes in float64 straight from the definition.
func convOracle(c Conv, x, w, bias, dy []float32) (y, dx, dw []float64) {
	oh, ow := c.OutH(), c.OutW()
	y, dx, dw = make([]float64, c.Out()), make([]float64, c.In()), make([]float64, c.Weights())
	for n := range c.N {
		for k := range c.K {
			for i := range oh {
				for j := range ow {
					o := ((n*c.K+k)*oh+i)*ow + j
					if bias != nil {
						y[o] = float64(bias[k])
					}
					for ch := range c.C {
						for r := range c.R {
							for s := range c.R {
								yy, xx := i*c.Stride+r-c.Pad, j*c.Stride+s-c.Pad
								if yy < 0 || yy >= c.H || xx < 0 || xx >= c.W {
									continue
								}
								xi, wi := ((n*c.C+ch)*c.H+yy)*c.W+xx, ((k*c.C+ch)*c.R+r)*c.R+s
								y[o] += float64(x[xi]) * float64(w[wi])
								dx[xi] += float64(dy[o]) * float64(w[wi])
								dw[wi] += float64(dy[o]) * float64(x[xi])
							}
						}
					}
				}
			}
		}
	}
	return y, dx, dw
}

func randoms(r *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

// far is the largest difference in units of the root mean square of want.
func far(got []float32, want []float64) float64 {
	var sq, worst float64
	for i, w := range want {
		sq += w * w
		d := math.Abs(float64(got[i]) - w)
		if !(d <= worst) {
			worst = d
		}
	}
	return worst / math.Sqrt(sq/float64(max(1, len(want)))+1e-30)
}

var convShapes = []Conv{
	{1, 1, 1, 1, 1, 1, 1, 0}, {2, 3, 6, 7, 5, 1, 1, 0}, {2, 4, 7, 5, 3, 1, 2, 0},
	{2, 3, 6, 5, 4, 3, 1, 1}, {2, 3, 7, 9, 4, 3, 2, 1}, {2, 2, 1, 1, 3, 3, 2, 1},
	{2, 2, 2, 3, 2, 3, 2, 1}, {2, 3, 13, 11, 4, 7, 2, 3}, {2, 2, 5, 5, 2, 3, 1, 0},
	{3, 5, 16, 16, 12, 3, 1, 1}, {3, 5, 18, 16, 20, 3, 1, 1}, {4, 7, 8, 8, 9, 3, 1, 1}, {16, 8, 4, 4, 16, 3, 1, 1},
	{16, 8, 2, 2, 8, 3, 1, 1}, {16, 8, 1, 1, 8, 3, 1, 1}, {16, 8, 1, 1, 36, 1, 1, 0},
	{5, 3, 32, 32, 16, 7, 2, 3}, {6, 16, 32, 32, 8, 3, 2, 1}, {6, 8, 16, 16, 8, 3, 2, 1}, {6, 8, 16, 16, 8, 1, 2, 0},
	{2, 24, 16, 16, 40, 1, 1, 0}, {1, 4, 33, 35, 6, 3, 1, 1}, {1, 3, 37, 64, 8, 7, 2, 3},
	{1, 2, 9, 8, 3, 3, 3, 2}, {1, 2, 9, 8, 3, 5, 3, 0}, {2, 2, 4, 4, 3, 3, 1, 3}, {1, 64, 40, 40, 16, 3, 1, 1},
	{16, 4, 4, 4, 8, 3, 2, 1}, {7, 4, 2, 2, 8, 3, 2, 1}, {1, 3, 70, 16, 4, 1, 1, 0},
}

func TestConvAgreesWithDefinition(t *testing.T) {
	for _, level := range Levels() {
		p, err := NewPoolLevel(2, level)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		r := rand.New(rand.NewPCG(1, 2))
		for i, c := range slices.Concat(convShapes, winogradShapes) {
			x, w, dy := randoms(r, c.In()), randoms(r, c.Weights()), randoms(r, c.Out())
			var bias []float32
			if i%2 == 1 {
				bias = randoms(r, c.K)
			}
			y, dx, dw := make([]float32, c.Out()), make([]float32, c.In()), make([]float32, c.Weights())
			for _, s := range [][]float32{y, dx, dw} { // what lay there before must not matter
				for j := range s {
					s[j] = float32(math.NaN())
				}
			}
			NewLayer(p, c).Forward(y, x, w, bias, false)
			NewLayer(p, c).GradInput(dx, dy, w)
			NewLayer(p, c).GradWeights(dw, x, dy)
			wy, wdx, wdw := convOracle(c, x, w, bias, dy)
			// Sums of up to a few thousand products of float32: rounding grows like √n·2⁻²⁴.
			const tol = 2e-5
			if d := far(y, wy); !(d < tol) {
				t.Errorf("%s %+v: y is %g away", level, c, d)
			}
			if d := far(dx, wdx); !(d < tol) {
				t.Errorf("%s %+v: dx is %g away", level, c, d)
			}
			if d := far(dw, wdw); !(d < tol) {
				t.Errorf("%s %+v: dw is %g away", level, c, d)
			}
			NewLayer(p, c).Forward(y, x, w, bias, true)
			for j, v := range wy {
				wy[j] = max(v, 0)
			}
			if d := far(y, wy); !(d < tol) {
				t.Errorf("%s %+v: relu(y) is %g away", level, c, d)
			}
		}
	}
}

func TestConvBits(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, c := range slices.Concat(convShapes, winogradShapes) {
		x, w, dy, bias := randoms(r, c.In()), randoms(r, c.Weights()), randoms(r, c.Out()), randoms(r, c.K)
		var first []float32
		var firstName string
		for _, level := range Levels() {
			for _, threads := range threadCounts(level) {
				p, _ := NewPoolLevel(threads, level)
				y, dx, dw := make([]float32, c.Out()), make([]float32, c.In()), make([]float32, c.Weights())
				NewLayer(p, c).Forward(y, x, w, bias, true)
				NewLayer(p, c).GradInput(dx, dy, w)
				NewLayer(p, c).GradWeights(dw, x, dy)
				p.Close()
				all := slices.Concat(y, dx, dw)
				name := fmt.Sprintf("%s on %d threads", level, threads)
				if first == nil {
					first, firstName = all, name
				} else if !slices.Equal(all, first) {
					t.Errorf("%+v: %s and %s give different bits", c, name, firstName)
				}
			}
		}
	}
}
