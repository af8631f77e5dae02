package weights

import "math"

// fromHalf returns the value of an IEEE 754 half-precision number, which
// float32 always holds exactly: 1 sign bit, 5 of exponent (bias 15), 10 of
// fraction. The payload of a NaN is kept.
func fromHalf(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exponent := uint32(h >> 10 & 31)
	fraction := uint32(h & 1023)
	switch exponent {
	case 0: // zero and the subnormal numbers fraction × 2^-24
		f := float32(fraction) * 0x1p-24
		return math.Float32frombits(sign | math.Float32bits(f))
	case 31: // infinity and NaN
		return math.Float32frombits(sign | 255<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}

// toHalf rounds f to the nearest half-precision number, ties to even. It
// returns false where a finite f would become infinite.
func toHalf(f float32) (uint16, bool) {
	bits := math.Float32bits(f)
	sign := uint16(bits >> 16 & 0x8000)
	magnitude := bits &^ (1 << 31)
	switch {
	case magnitude > 255<<23: // NaN: the upper part of its payload, quiet
		return sign | 31<<10 | 1<<9 | uint16(magnitude>>13&1023), true
	case magnitude == 255<<23:
		return sign | 31<<10, true
	case magnitude < 113<<23: // below 2^-14: a multiple of 2^-24
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(magnitude))*0x1p24)), true
	}
	// Add just under half of the last bit kept, and that bit itself: a tie
	// then carries only from odd. A carry out of the fraction raises the exponent.
	magnitude += 1<<12 - 1 + magnitude>>13&1
	h := magnitude>>13 - (127-15)<<10
	if h >= 31<<10 {
		return 0, false
	}
	return sign | uint16(h), true
}
