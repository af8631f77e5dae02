package synthetic

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"math/rand/v2"
)

// The synthetic set is drawn in integers only, so that its pixels are the same
// bits on every platform: a float expression may be fused into one rounding on
// arm64 and not on amd64. Unless a name says otherwise a fixed-point number has
// 16 fractional bits (Q16) in an int64, and an angle is in turns of 65536.
const one = 1 << 16

// fracPow2[i] is 2^(2^-(i+1)) in Q30: √2, its square root, and so on.
var fracPow2 = [16]int64{
	1518500250, 1276901417, 1170923762, 1121280436, 1097253708, 1085434106, 1079572136, 1076653033,
	1075196443, 1074468888, 1074105294, 1073923544, 1073832680, 1073787251, 1073764537, 1073753181,
}

// exp2Q30 returns 2^y in Q30 for y in Q16, -30 <= y < 30: the product of one
// constant per set bit of the fraction. The error is below 2^-25 of the value.
func exp2Q30(y int64) int64 {
	r := int64(1) << 30
	for i, p := range fracPow2 {
		if y>>(15-i)&1 != 0 {
			r = r * p >> 30
		}
	}
	n := y >> 16
	if n >= 0 {
		return r << n
	}
	return r >> -n
}

// exp2 returns 2^y in Q16.
func exp2(y int64) int64 { return exp2Q30(y) >> 14 }

// log2 returns the base-2 logarithm of x > 0, both in Q16, rounded down. One
// squaring of the mantissa gives one bit of the result.
func log2(x int64) int64 {
	n := bits.Len64(uint64(x)) - 1
	m := x
	if n <= 30 {
		m <<= 30 - n
	} else {
		m >>= n - 30
	}
	y := int64(n-16) << 16
	for b := int64(1 << 15); b > 0; b >>= 1 {
		m = m * m >> 30
		if m >= 2<<30 {
			m >>= 1
			y |= b
		}
	}
	return y
}

// sin returns the sine in Q16 of an angle in turns of 65536, by its Taylor
// series to x^11 in Q30 on the first quadrant (error below 2^-16).
func sin(angle int64) int64 {
	a := angle & 0xffff
	sign := int64(1)
	if a >= 0x8000 {
		a, sign = a-0x8000, -1
	}
	if a > 0x4000 {
		a = 0x8000 - a
	}
	const halfPi = 1686629713 // π/2 in Q30
	x := a * halfPi >> 14
	xx := x * x >> 30
	s := int64(1 << 30)
	for _, d := range [...]int64{10 * 11, 8 * 9, 6 * 7, 4 * 5, 2 * 3} {
		s = 1<<30 - (s*xx>>30)/d
	}
	s = s * x >> 30
	return sign * ((s + 1<<13) >> 14)
}

// cos is sin a quarter turn later.
func cos(angle int64) int64 { return sin(angle + 0x4000) }

// isqrt returns the integer part of the square root of x >= 0.
func isqrt(x int64) int64 {
	r := int64(0)
	for b := int64(1) << 31; b > 0; b >>= 1 {
		if q := r + b; q*q <= x {
			r = q
		}
	}
	return r
}

// mulQ multiplies two Q16 numbers.
func mulQ(a, b int64) int64 { return a * b >> 16 }

// stream is one sequence of random integers. Only Uint64 of the generator is
// used, so that no other choice of the library can change a pixel.
type stream struct{ pcg *rand.PCG }

// newStream returns the random stream of one picture.
func newStream(kind string, seed uint64, index int) stream {
	h := sha256.Sum256(fmt.Appendf(nil, "focalgrid synth v%d %s seed %d index %d", Version, kind, seed, index))
	return stream{rand.NewPCG(binary.BigEndian.Uint64(h[:8]), binary.BigEndian.Uint64(h[8:16]))}
}

// below returns a number in [0, n), n >= 1.
func (s stream) below(n int64) int64 {
	hi, _ := bits.Mul64(s.pcg.Uint64(), uint64(n))
	return int64(hi)
}

// between returns a number in [lo, hi]; lo where hi < lo.
func (s stream) between(lo, hi int64) int64 {
	if hi <= lo {
		return lo
	}
	return lo + s.below(hi-lo+1)
}

// colour returns three bytes.
func (s stream) colour() [3]int32 {
	v := s.pcg.Uint64()
	return [3]int32{int32(v & 255), int32(v >> 8 & 255), int32(v >> 16 & 255)}
}

// poisson draws counts of one mean by inverting the distribution function.
// A mean above 8 is cut into equal parts whose counts are added, so that the
// table's first entry, e^-mean, keeps its digits.
type poisson struct {
	parts int
	cdf   []int64 // P(count <= k) in Q40
}

// newPoisson takes the mean in thousandths.
func newPoisson(milli int64) poisson {
	if milli <= 0 {
		return poisson{}
	}
	parts := (milli + 7999) / 8000
	const log2e = 94548 // in Q16
	p := exp2Q30(-(milli*log2e/parts)/1000) << 10
	cdf := []int64{p}
	for k := int64(1); p > 0 && k < 64; k++ {
		p = p * milli / (1000 * parts * k)
		cdf = append(cdf, cdf[k-1]+p)
	}
	return poisson{int(parts), cdf}
}

func (p poisson) draw(s stream) int {
	n := 0
	for range p.parts {
		u := int64(s.pcg.Uint64() >> 24)
		for k := 0; k < len(p.cdf)-1 && u >= p.cdf[k]; k++ {
			n++
		}
	}
	return n
}
