package kernel

import "math"

// fma is a·b + c rounded once to float32, as the assembly's fused multiply-adds
// are, on processors without such an instruction too.
func fma(a, b, c float32) float32 {
	p := float64(float64(a) * float64(b))
	s := p + float64(c)
	if halfway(s) {
		s = settle(s, p, float64(c))
	}
	return float32(s)
}

// halfway reports whether s, the sum in float64 of a product of two float32, which is
// exact there, and another float32, may lie halfway between two float32. Where it
// doesn't, rounding it to float32 rounds the exact sum. From 2^-126 on it does only if
// its last 29 bits say so.
func halfway(s float64) bool {
	u := math.Float64bits(s)
	return u<<35 == 1<<63 || u<<1 < (1023-126)<<53
}

// settle moves s, the rounded sum of p and c, by its last bit towards their exact
// sum if that is another: then it rounds to float32 as the exact sum does.
func settle(s, p, c float64) float64 {
	rest := s - p
	lost := (p - (s - rest)) + (c - rest)
	if lost == 0 || math.Float64bits(s)&1 == 1 {
		return s
	}
	return math.Nextafter(s, math.Inf(int(math.Copysign(1, lost))))
}
