package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// winogradShapes go by way of frequencies in at least one pass: images in eights
// and not, channels that fill vectors and not, maps that blocks cover exactly and
// not, in one task and many.
var winogradShapes = []Conv{
	{8, 16, 16, 16, 16, 3, 1, 1}, {16, 24, 8, 8, 20, 3, 1, 1}, {16, 32, 4, 4, 36, 3, 1, 1}, {8, 9, 2, 2, 11, 3, 1, 1},
	{2, 32, 16, 16, 40, 3, 1, 1}, {1, 64, 32, 32, 24, 3, 1, 1}, {3, 17, 13, 11, 19, 3, 1, 1}, {8, 12, 13, 11, 9, 3, 1, 1},
	{2, 64, 8, 8, 64, 3, 1, 1}, {2, 96, 4, 4, 96, 3, 1, 1}, {8, 16, 20, 68, 8, 3, 1, 1}, {1, 8, 6, 6, 8, 3, 1, 1},
	{1, 8, 5, 130, 16, 3, 1, 1}, {1, 200, 16, 16, 16, 3, 1, 1}, {24, 8, 12, 12, 8, 3, 1, 1},
}

// errors are the root mean square and the largest difference.
func errors(got []float32, want []float64) (rms, worst float64) {
	for i, w := range want {
		d := math.Abs(float64(got[i]) - w)
		rms += d * d
		worst = max(worst, d)
	}
	return math.Sqrt(rms / float64(len(want))), worst
}

// TestWinogradErrors: against float64 the root mean square of the errors stays
// within four times that of the direct kernels, on normal data and on data like
// that after a ReLU; the largest, which is a matter of luck, within eight times.
func TestWinogradErrors(t *testing.T) {
	const limit = 4.0
	level := Best() // the others have the same bits
	p, _ := NewPoolLevel(2, level)
	direct, _ := NewPoolLevel(2, level)
	direct.Exact = true
	for _, c := range winogradShapes {
		for _, positive := range []bool{false, true} {
			r := rand.New(rand.NewPCG(21, uint64(c.In())))
			x, w, dy := randoms(r, c.In()), randoms(r, c.Weights()), randoms(r, c.Out())
			if positive {
				for i, v := range x {
					x[i] = max(v, 0)
				}
			}
			results := func(p *Pool) [][]float32 {
				y, dx, dw := make([]float32, c.Out()), make([]float32, c.In()), make([]float32, c.Weights())
				NewLayer(p, c).Forward(y, x, w, nil, false)
				NewLayer(p, c).GradInput(dx, dy, w)
				NewLayer(p, c).GradWeights(dw, x, dy)
				return [][]float32{y, dx, dw}
			}
			got, exact := results(p), results(direct)
			y, dx, dw := convOracle(c, x, w, nil, dy)
			for i, want := range [][]float64{y, dx, dw} {
				rms, worst := errors(got[i], want)
				rms0, worst0 := errors(exact[i], want)
				if rms > limit*rms0 || worst > 2*limit*worst0 {
					t.Errorf("%s %+v %s: rms error %.2f times that of direct sums, the largest %.2f times", level, c, passes[i], rms/rms0, worst/worst0)
				}
			}
		}
	}
	p.Close()
	direct.Close()
}

// TestWinogradIsChosen holds which way the convolutions of the networks go.
func TestWinogradIsChosen(t *testing.T) {
	p := NewPool(1)
	defer p.Close()
	for _, v := range []struct {
		c                Conv
		forward, weights int
	}{
		{Conv{16, 64, 16, 16, 64, 3, 1, 1}, 4, 4}, // heads of the mini profile, P3 … P7
		{Conv{16, 64, 8, 8, 64, 3, 1, 1}, 4, 4},
		{Conv{16, 64, 4, 4, 64, 3, 1, 1}, 4, 2},
		{Conv{16, 64, 2, 2, 64, 3, 1, 1}, 0, 2},
		{Conv{16, 64, 1, 1, 64, 3, 1, 1}, 0, 0},
		{Conv{2, 256, 32, 32, 256, 3, 1, 1}, 4, 4}, // heads of the large one
		{Conv{2, 256, 16, 16, 256, 3, 1, 1}, 4, 2},
		{Conv{2, 256, 8, 8, 256, 3, 1, 1}, 2, 2},
		{Conv{2, 512, 4, 4, 512, 3, 1, 1}, 0, 2},
		{Conv{16, 32, 16, 16, 64, 3, 2, 1}, 0, 0}, // other strides, sizes and borders
		{Conv{16, 32, 16, 16, 64, 1, 1, 0}, 0, 0},
		{Conv{16, 32, 16, 16, 64, 3, 1, 0}, 0, 0},
		{Conv{16, 3, 16, 16, 64, 3, 1, 1}, 0, 0},
	} {
		levels := []Conv{v.c}
		if f, w := p.winogradSides(levels)[0], p.winogradWeightsSides(levels)[0]; f != v.forward || w != v.weights {
			t.Errorf("%+v: blocks of %d, for weights of %d; want %d and %d", v.c, f, w, v.forward, v.weights)
		}
	}
	p.Exact = true
	if c := []Conv{{16, 64, 16, 16, 64, 3, 1, 1}}; p.winogradSides(c)[0] != 0 || p.winogradWeightsSides(c)[0] != 0 {
		t.Error("an exact pool doesn't add directly")
	}
}

// matrix is the one-dimensional transform of a stage for blocks of m × m.
func (s stage) matrix(m int) [][]float64 {
	const (
		a, b = pointA, pointB
		// By how much each point's polynomial differs from one at the point.
		zero, onA, onB = 1 / (a * a * b * b), 1 / (2 * a * a * (a*a - b*b)), 1 / (2 * b * b * (b*b - a*a))
	)
	points := []float64{0, a, -a, b, -b}
	norms := []float64{zero, onA, onA, onB, onB}
	if m == 2 {
		points, norms = []float64{0, 1, -1}, []float64{1, .5, .5}
	}
	// rows of powers, [1 q q² …] · norm, and one of the highest power for ∞
	powers := func(n int, norm []float64) [][]float64 {
		var rows [][]float64
		for i, q := range points {
			row := make([]float64, n)
			v := norm[i]
			for j := range row {
				row[j] = v
				v *= q
			}
			rows = append(rows, row)
		}
		last := make([]float64, n)
		last[n-1] = 1
		return append(rows, last)
	}
	one := []float64{1, 1, 1, 1, 1}
	switch {
	case s == stageFilter:
		return powers(3, norms)
	case s == stageGrad:
		return powers(m, norms)
	case s == stageOut:
		return transposed(powers(m, one))
	case s == stageTaps:
		return transposed(powers(3, one))
	case m == 2:
		return [][]float64{{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, -1, 0, 1}}
	}
	const p, q = a * a * b * b, a*a + b*b
	return [][]float64{
		{p, 0, -q, 0, 1, 0},
		{0, -a * b * b, -b * b, a, 1, 0},
		{0, a * b * b, -b * b, -a, 1, 0},
		{0, -b * a * a, -a * a, b, 1, 0},
		{0, b * a * a, -a * a, -b, 1, 0},
		{0, p, 0, -q, 0, 1},
	}
}

func transposed(m [][]float64) [][]float64 {
	t := make([][]float64, len(m[0]))
	for i := range t {
		for _, row := range m {
			t[i] = append(t[i], row[i])
		}
	}
	return t
}

// TestTransforms: the stages' matrices make the algorithm exact in float64, and
// every kernel set does what they say, with the same bits.
func TestTransforms(t *testing.T) {
	for _, m := range []int{2, 4} {
		in, filter, out := stageIn.matrix(m), stageFilter.matrix(m), stageOut.matrix(m)
		grad, taps := stageGrad.matrix(m), stageTaps.matrix(m)
		for d := range m + 2 {
			for _, v := range []struct {
				kernel, back [][]float64
			}{{filter, out}, {grad, taps}} {
				for k := range v.kernel[0] {
					for y := range v.back {
						var sum float64
						for f := range m + 2 {
							sum += v.back[y][f] * v.kernel[f][k] * in[f][d]
						}
						want := 0.0
						if d == y+k {
							want = 1
						}
						if math.Abs(sum-want) > 1e-14 {
							t.Errorf("m = %d: input %d, kernel element %d and output %d meet %g times, want %g", m, d, k, y, sum, want)
						}
					}
				}
			}
		}
		for s := stageIn; s <= stageTaps; s++ {
			lines := s.matrix(m)
			n, o := len(lines[0]), len(lines)
			r := rand.New(rand.NewPCG(22, uint64(m)))
			src := randoms(r, 3*n*n*8)
			off := make([]int32, 3*36)
			for i := range off {
				off[i] = int32(8 * (i % (n * n)))
				if s == stageOut {
					off[i] = int32(8 * (i % (o * o)))
				}
			}
			bias := randoms(r, 8)
			var first []float32
			for _, level := range Levels() {
				dst := make([]float32, 3*o*o*8)
				f := transform{dst: &dst[0], src: &src[0], off: &off[0], n: 3, srcStride: 32, srcStep: 32 * n * n,
					dstStride: 32, dstStep: 32 * o * o, bias: &bias[0], floor: -.5}
				f.run(level.set(), s, m)
				if first == nil {
					first = dst
				}
				if !slices.Equal(dst, first) {
					t.Errorf("stage %d, m = %d: %s and %s give different bits", s, m, level, Best())
				}
				for i, got := range dst {
					block, f, lane := i/(8*o*o), i/8%(o*o), i%8
					var want float64
					for k := range n * n {
						want += lines[f/o][k%n] * lines[f%o][k/n] * float64(src[(block*n*n+k)*8+lane])
					}
					if s == stageOut {
						want = max(want+float64(bias[lane]), -.5)
					}
					if d := math.Abs(float64(got) - want); !(d < 2e-5) {
						t.Fatalf("%s, stage %d, m = %d: element %d is %g, want %g", level, s, m, i, got, want)
					}
				}
			}
		}
	}
}

// TestWinogradKeepsNaN: what isn't finite in the input is not finite in every
// output it belongs to.
func TestWinogradKeepsNaN(t *testing.T) {
	c := Conv{8, 8, 8, 8, 8, 3, 1, 1}
	everyLevel(t, func(t *testing.T, p *Pool) {
		if p.winogradSides([]Conv{c})[0] == 0 {
			t.Fatal("the shape should go by way of frequencies")
		}
		for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
			for pixel := range 64 {
				x, y := ones(c.In()), make([]float32, c.Out())
				x[3*64+pixel] = bad // channel 3 of image 0
				NewLayer(p, c).Forward(y, x, ones(c.Weights()), nil, true)
				for k := range c.K {
					for at := max(0, pixel/8-1) * 8; at < min(8, pixel/8+2)*8; at++ {
						if d := at%8 - pixel%8; d < -1 || d > 1 {
							continue
						}
						if v := float64(y[k*64+at]); !math.IsNaN(v) && !math.IsInf(v, 0) {
							t.Fatalf("%g at pixel %d gives %g at pixel %d", bad, pixel, v, at)
						}
					}
				}
				if v := y[8*64]; !(math.Abs(float64(v)-32) < 1e-4) {
					t.Fatalf("%g in image 0 gives %g in image 1", bad, v)
				}
			}
		}
	})
}

// TestWinogradOfAnyShape compares blocks of both sizes with direct sums, also
// where neither would be chosen.
func TestWinogradOfAnyShape(t *testing.T) {
	p, direct := NewPool(2), NewPool(2)
	defer p.Close()
	defer direct.Close()
	direct.Exact = true
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.IntRange(1, 5), rapid.SampledFrom([]int{8, 16})).Draw(t, "N")
		channels := rapid.OneOf(rapid.IntRange(1, 20), rapid.IntRange(20, 70))
		side := rapid.OneOf(rapid.IntRange(1, 10), rapid.IntRange(10, 40))
		c := Conv{n, channels.Draw(t, "C"), side.Draw(t, "H"), side.Draw(t, "W"), channels.Draw(t, "K"), 3, 1, 1}
		m := rapid.SampledFrom([]int{2, 4}).Draw(t, "m")
		r := rand.New(rand.NewPCG(23, uint64(c.In())))
		x, w, dy, bias := randoms(r, c.In()), randoms(r, c.Weights()), randoms(r, c.Out()), make([]float32, c.K+c.C+16)
		copy(bias, randoms(r, c.K))
		compare := func(name string, got, want []float32) {
			wide := make([]float64, len(want))
			for i, v := range want {
				wide[i] = float64(v)
			}
			if d := far(got, wide); !(d < 1e-4) {
				t.Fatalf("%+v, blocks of %d: %s is %g away", c, m, name, d)
			}
		}
		got, want := make([]float32, c.Out()), make([]float32, c.Out())
		one, sides, zero := []Conv{c}, []int{m}, []int{0}
		forward := &pass{rows: (c.K + 7) &^ 7, blocks: []*winograd{newWinograd(one, sides, m, false, zero, zero)}}
		forward.run(p, got, x, w, bias[:c.K], 0)
		NewLayer(direct, c).Forward(want, x, w, bias[:c.K], true)
		compare("y", got, want)
		got, want = make([]float32, c.In()), make([]float32, c.In())
		back := &pass{rows: (c.C + 7) &^ 7, blocks: []*winograd{newWinograd(one, sides, m, true, zero, zero)}}
		back.run(p, got, dy, w, nil, unbounded)
		NewLayer(direct, c).GradInput(want, dy, w)
		compare("dx", got, want)
		got, want = make([]float32, c.Weights()), make([]float32, c.Weights())
		toWeights := &weightsPass{c: c, blocks: []*winogradWeights{newWinogradWeights(one, sides, m, zero, zero)}}
		toWeights.run(p, got, x, dy)
		NewLayer(direct, c).GradWeights(want, x, dy)
		compare("dw", got, want)
	})
}
