// Package portable holds the elementary functions on which recorded bits depend. The
// functions of package math differ in the last bit between kinds of processors; the
// functions here give the same bits on all of them.
//
// Each function does, step by step, what package math does on an amd64 processor with
// fused multiply-adds. A product is converted to float64 before something is added to it:
// otherwise the language allows a compiler to fuse the two, and for some processors it
// does. Functions that math computes exactly (Sqrt, Floor, Frexp, Abs, …) are not needed
// here.
package portable

import "math"

// Exp returns e^x.
//
// The method is by Naoki Shibata (Efficient evaluation methods of elementary functions
// suitable for SIMD computation, ISC'10): x = k·ln 2 + 16·r, a Taylor series for e^r - 1,
// and four squarings, (1+y)² - 1 = y·(2+y).
func Exp(x float64) float64 {
	const (
		ln2High = 0.69314718055966295651160180568695068359375
		ln2Low  = 0.28235290563031577122588448175013436025525412068e-12
	)
	switch {
	case x != x || x > 7.09782712893384e+02:
		return x + math.Inf(1)
	case x < -800:
		return 0
	}
	k := math.RoundToEven(x * math.Log2E)
	r := math.FMA(-ln2Low, k, math.FMA(-ln2High, k, x)) / 16
	y := 1. / 40320
	for _, c := range [...]float64{1. / 5040, 1. / 720, 1. / 120, 1. / 24, 1. / 6, 1. / 2, 1} {
		y = math.FMA(y, r, c)
	}
	y *= r
	for range 3 {
		y *= y + 2
	}
	y = math.FMA(y, y+2, 1)
	switch e := int64(k) + 1023; {
	case e >= 0x7ff:
		return math.Inf(1)
	case e < -52:
		return 0
	case e <= 0:
		return y * math.Float64frombits(uint64(e+1022)<<52) * 0x1p-1022
	default:
		return y * math.Float64frombits(uint64(e)<<52)
	}
}

// The high and low parts of ln 2, and the coefficients of the series of log, from FreeBSD's
// e_log.c and s_log1p.c.
const (
	ln2Hi = 6.93147180369123816490e-01
	ln2Lo = 1.90821492927058770002e-10
	c1    = 6.666666666666735130e-01
	c2    = 3.999999999940941908e-01
	c3    = 2.857142874366239149e-01
	c4    = 2.222219843214978396e-01
	c5    = 1.818357216161805012e-01
	c6    = 1.531383769920937332e-01
	c7    = 1.479819860511658591e-01
)

// Log returns the natural logarithm of x.
func Log(x float64) float64 {
	switch {
	case x != x || x > math.MaxFloat64:
		return x
	case x < 0:
		return math.NaN()
	case x == 0:
		return math.Inf(-1)
	}
	f, e := math.Frexp(x)
	if f < math.Sqrt2/2 {
		f *= 2
		e--
	}
	f--
	k := float64(e)
	s := f / (2 + f)
	s2 := float64(s * s)
	s4 := float64(s2 * s2)
	t1 := float64(s2 * (c1 + float64(s4*(c3+float64(s4*(c5+float64(s4*c7)))))))
	t2 := float64(s4 * (c2 + float64(s4*(c4+float64(s4*c6)))))
	half := float64(.5 * f * f)
	return float64(k*ln2Hi) - ((half - (float64(s*(half+(t1+t2))) + float64(k*ln2Lo))) - f)
}

// Log1p returns log(1+x), also precisely near zero.
func Log1p(x float64) float64 {
	switch {
	case x < -1 || x != x:
		return math.NaN()
	case x == -1:
		return math.Inf(-1)
	case x > math.MaxFloat64:
		return x
	}
	size := math.Abs(x)
	switch {
	case size < 0x1p-54:
		return x
	case size < 0x1p-29:
		return x - float64(float64(x*x)*.5)
	}
	// 1+x = 2^k·(1+f), √½ < 1+f < √2; c corrects the rounding of 1+x.
	f, c, k, small := x, 0., 0, false
	if !(x > -2.928932188134524755992e-01 && size < 4.142135623730950488017e-01) {
		u := x
		if size < 1<<53 {
			u = 1 + x
		}
		k = int(math.Float64bits(u)>>52) - 1023
		switch {
		case size >= 1<<53:
		case k > 0:
			c = (1 - (u - x)) / u
		default:
			c = (x - (u - 1)) / u
		}
		bits := math.Float64bits(u) & (1<<52 - 1)
		if bits < 0x6a09e667f3bcd { // of √2
			u = math.Float64frombits(bits | 0x3ff<<52)
			small = bits == 0
		} else {
			k++
			u = math.Float64frombits(bits | 0x3fe<<52)
			small = (1<<52-bits)>>2 == 0
		}
		f = u - 1
	}
	half := float64(.5 * f * f)
	high, low := float64(float64(k)*ln2Hi), float64(float64(k)*ln2Lo)+c
	if small { // |f| < 2^-20
		if f == 0 {
			return high + low
		}
		r := float64(half * (1 - float64(0.66666666666666666*f)))
		return high - ((r - low) - f)
	}
	s := f / (2 + f)
	z := float64(s * s)
	r := float64(z * (c1 + float64(z*(c2+float64(z*(c3+float64(z*(c4+float64(z*(c5+float64(z*(c6+float64(z*c7)))))))))))))
	if k == 0 {
		return f - (half - float64(s*(half+r)))
	}
	return high - ((half - (float64(s*(half+r)) + low)) - f)
}

// Pow returns x to the power y, for x > 0.
func Pow(x, y float64) float64 {
	whole, rest := math.Modf(math.Abs(y))
	if !(x > 0) || x > math.MaxFloat64 || math.Abs(y) == .5 || !(whole < 1<<53) {
		return math.Pow(x, y) // exact, infinite or NaN
	}
	v, e := 1., 0
	if rest != 0 {
		if rest > .5 {
			rest--
			whole++
		}
		v = Exp(rest * Log(x))
	}
	square, exponent := math.Frexp(x)
	for i := int(whole); i != 0; i >>= 1 {
		if exponent < -1<<12 || exponent > 1<<12 {
			e += exponent // enough to make the result 0 or infinite
			break
		}
		if i&1 == 1 {
			v *= square
			e += exponent
		}
		square = float64(square * square)
		exponent <<= 1
		if square < .5 {
			square += square
			exponent--
		}
	}
	if y < 0 {
		v, e = 1/v, -e
	}
	return math.Ldexp(v, e)
}

// The coefficients of the Cephes library's sin.c.
var (
	sines   = [...]float64{1.58962301576546568060e-10, -2.50507477628578072866e-8, 2.75573136213857245213e-6, -1.98412698295895385996e-4, 8.33333333332211858878e-3, -1.66666666666666307295e-1}
	cosines = [...]float64{-1.13585365213876817300e-11, 2.08757008419747316778e-9, -2.75573141792967388112e-7, 2.48015872888517045348e-5, -1.38888888888730564116e-3, 4.16666666666665929218e-2}
)

// Cos returns the cosine of x radians, |x| < 2^29.
func Cos(x float64) float64 {
	x = math.Abs(x)
	octant := uint64(x * (4 / math.Pi))
	octant += octant & 1
	y := float64(octant)
	// x less whole octants, in three parts of π/4
	z := ((x - float64(y*7.85398125648498535156e-1)) - float64(y*3.77489470793079817668e-8)) - float64(y*2.69515142907905952645e-15)
	octant &= 7
	negative := octant > 3
	if negative {
		octant -= 4
	}
	if octant > 1 {
		negative = !negative
	}
	zz := float64(z * z)
	series := func(k *[6]float64) float64 {
		v := k[0]
		for _, c := range k[1:] {
			v = float64(v*zz) + c
		}
		return v
	}
	if octant == 1 || octant == 2 {
		y = z + float64(float64(z*zz)*series(&sines))
	} else {
		y = 1 - float64(.5*zz) + float64(float64(zz*zz)*series(&cosines))
	}
	if negative {
		return -y
	}
	return y
}

// The coefficients of the Cephes library's atan.c, numerator and denominator.
var (
	atanOver  = [...]float64{-8.750608600031904122785e-01, -1.615753718733365076637e+01, -7.500855792314704667340e+01, -1.228866684490136173410e+02, -6.485021904942025371773e+01}
	atanUnder = [...]float64{1, 2.485846490142306297962e+01, 1.650270098316988542046e+02, 4.328810604912902668951e+02, 4.853903996359136964868e+02, 1.945506571482613964425e+02}
)

// Atan returns the arctangent of x, in radians.
func Atan(x float64) float64 {
	const (
		half         = 3.061616997868382943065e-17 // of what π/2 lacks as a float64
		tan3Eighths  = 2.41421356237309504880      // tan(3π/8)
		seriesBefore = .66
	)
	series := func(x float64) float64 {
		z := x * x
		over, under := atanOver[0], atanUnder[0]
		for i := range atanOver[1:] {
			over = float64(over*z) + atanOver[i+1]
		}
		for _, c := range atanUnder[1:] {
			under = float64(under*z) + c
		}
		return float64(x*(z*over/under)) + x
	}
	switch size := math.Abs(x); {
	case x == 0 || x != x:
		return x
	case size <= seriesBefore:
		return math.Copysign(series(size), x)
	case size > tan3Eighths:
		return math.Copysign(math.Pi/2-series(1/size)+2*half, x)
	default:
		return math.Copysign(math.Pi/4+series((size-1)/(size+1))+half, x)
	}
}
