package kernel

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// exactFMA is a·b + c in numbers of any length, rounded once.
func exactFMA(a, b, c float32) float32 {
	p := new(big.Float).SetPrec(2000).SetMode(big.ToNearestEven)
	p.Mul(new(big.Float).SetPrec(2000).SetFloat64(float64(a)), big.NewFloat(float64(b)))
	p.Add(p, new(big.Float).SetPrec(2000).SetFloat64(float64(c)))
	v, _ := p.Float32()
	return v
}

// float32s draws numbers of all magnitudes, many with few bits set, at the edges of
// what is normal, and equal to others but for their last bits.
func float32s(r *rand.Rand) float32 {
	for {
		u := r.Uint32()
		switch r.IntN(8) {
		case 0, 1: // near 1, where trainings live
			u = u&(1<<31|1<<23-1) | (120+r.Uint32()%14)<<23
		case 2: // few bits
			u = u&(1<<31|0xff<<23) | 1<<r.IntN(23) | 1<<r.IntN(23)
		case 3: // a run of ones
			u = u&(1<<31|0xff<<23) | (1<<23-1)<<r.IntN(23)&(1<<23-1)
		case 4: // not normal, or nearly so
			u = u&(1<<31|1<<23-1) | (r.Uint32()%3)<<23
		case 5: // a power of two
			u &= 1<<31 | 0xff<<23
		}
		if v := math.Float32frombits(u); v-v == 0 {
			return v
		}
	}
}

func TestFMAIsExact(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 24))
	n := 400_000
	if testing.Short() {
		n /= 10
	}
	for i := range n {
		a, b, c := float32s(r), float32s(r), float32s(r)
		if i%2 == 0 { // the sum lies near a midpoint between two float32
			p := float64(a) * float64(b)
			near := float32(p)
			half := math.Float32frombits(math.Float32bits(near)&(0xff<<23)) / (1 << 24)
			c = float32(float64(half)*float64(1-2*r.IntN(2)) + float64(r.IntN(3)-1)*float64(half)/(1<<20))
			if c-c != 0 {
				continue
			}
		}
		if got, want := fma(a, b, c), exactFMA(a, b, c); got != want {
			t.Fatalf("%x·%x + %x is %x, want %x", a, b, c, got, want)
		}
	}
	inf := float32(math.Inf(1))
	for _, v := range []struct{ a, b, c, want float32 }{
		{1 << 100, 1 << 100, 0, inf}, {1 << 100, -1 << 100, 5, -inf}, {1, 1, -1, 0}, {0, 5, 0, 0}, {inf, 2, 3, inf}, {2, 3, -inf, -inf},
		{math.MaxFloat32, 1, math.MaxFloat32, inf}, {0x1p-149, 0x1p-149, 0, 0}, {0x1p-75, 0x1p-75, 0, 0}, {0x1.8p-75, 0x1p-75, 0, 0x1p-149},
		{0x1p-75, 0x1p-75, 0x1p-149, 0x1p-148}, // a tie goes to the even one
	} {
		if got := fma(v.a, v.b, v.c); got != v.want {
			t.Errorf("%x·%x + %x is %x, want %x", v.a, v.b, v.c, got, v.want)
		}
	}
	for _, v := range [][3]float32{{inf, 0, 1}, {inf, 1, -inf}, {inf - inf, 1, 1}, {1, 1, inf - inf}} {
		if got := fma(v[0], v[1], v[2]); got == got {
			t.Errorf("%x·%x + %x is %x, want NaN", v[0], v[1], v[2], got)
		}
	}
}

// TestFMAIsTheInstruction compares with the processor's own, sixteen at a time.
func TestFMAIsTheInstruction(t *testing.T) {
	if Best() == Plain {
		t.Skip("this processor has no kernels with fused multiply-adds")
	}
	r := rand.New(rand.NewPCG(25, 26))
	n := 200_000
	if testing.Short() {
		n /= 10
	}
	var x, y [lanes]float32
	for range n {
		a, c := float32s(r), float32s(r)
		for i := range x {
			x[i] = float32s(r)
			if i >= lanes/2 { // cancels, or nearly
				x[i] = float32(-float64(c) / float64(a))
			}
		}
		affine(Best().set(), y[:], x[:], 0, a, c, unbounded)
		for i, got := range y {
			if want := fma(x[i], a, c); got != want && (got == got || want == want) {
				t.Fatalf("%x·%x + %x is %x, in Go %x", x[i], a, c, got, want)
			}
		}
	}
}
