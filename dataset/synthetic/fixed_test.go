package synthetic

import (
	"math"
	"testing"
)

func TestFixedPoint(t *testing.T) {
	for y := int64(-20 * one); y < 14*one; y += 997 {
		want := math.Exp2(float64(y)/one) * (1 << 30)
		if got := float64(exp2Q30(y)); math.Abs(got-want) > want/(1<<25)+1 {
			t.Errorf("2^%g: got %g, want %g", float64(y)/one, got, want)
		}
	}
	for x := int64(1); x < 1<<40; x += x/7 + 1 {
		want := math.Log2(float64(x) / one)
		if got := float64(log2(x)) / one; got > want+1e-6 || got < want-2./one {
			t.Errorf("log2(%g): got %g, want %g", float64(x)/one, got, want)
		}
	}
	for a := int64(-one); a < 2*one; a += 13 {
		turn := float64(a) / one * 2 * math.Pi
		if got, want := float64(sin(a))/one, math.Sin(turn); math.Abs(got-want) > 1./one {
			t.Errorf("sin(%g): got %g, want %g", turn, got, want)
		}
		if got, want := float64(cos(a))/one, math.Cos(turn); math.Abs(got-want) > 1./one {
			t.Errorf("cos(%g): got %g, want %g", turn, got, want)
		}
	}
	for x := int64(0); x < 1<<60; x += x/3 + 1 {
		if r := isqrt(x); r*r > x || (r+1)*(r+1) <= x {
			t.Errorf("isqrt(%d) = %d", x, r)
		}
	}
	for _, tt := range [][3]int64{{7, 2, 3}, {-7, 2, -4}, {-8, 2, -4}, {0, 5, 0}} {
		if got := floorDiv(tt[0], tt[1]); got != tt[2] {
			t.Errorf("floorDiv(%d, %d) = %d, want %d", tt[0], tt[1], got, tt[2])
		}
	}
}

func TestPoisson(t *testing.T) {
	for _, mean := range []int64{0, 1, 500, 1500, 8000, 8001, 40000, 160000} { // thousandths
		p := newPoisson(mean)
		s := newStream("test", 1, int(mean))
		const n = 20000
		var sum, squares float64
		for range n {
			v := float64(p.draw(s))
			sum += v
			squares += v * v
		}
		want := float64(mean) / 1000
		got, variance := sum/n, squares/n-sum/n*sum/n
		if math.Abs(got-want) > 5*math.Sqrt(want/n)+1e-12 {
			t.Errorf("mean %g: drawn %g", want, got)
		}
		if math.Abs(variance-want) > 0.06*want+0.002 {
			t.Errorf("mean %g: drawn with variance %g, want the same", want, variance)
		}
	}
}
