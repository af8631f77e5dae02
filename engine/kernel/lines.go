package kernel

// The points of the transforms for blocks of 4 × 4, besides 0 and ∞; those for
// 2 × 2 are ±1. Errors grow with the spread of the points' powers: with these two
// they are about half of those with the usual 1 and 2.
const pointA, pointB = 11. / 16, 3. / 2

// A line is the transform of one row or column: r from v, in numbers to out, with
// the additions and fused multiply-adds of the assembly in their order.
type line struct {
	in, out int
	do      func(r, v *[6]float32)
}

// line is that of a stage for blocks of m × m.
func (s stage) line(m int) line {
	if m == 4 {
		return [...]line{
			stageIn: {6, 6, in4}, stageFilter: {3, 6, filter4}, stageOut: {6, 4, out4}, stageGrad: {4, 6, grad4}, stageTaps: {6, 3, taps4},
		}[s]
	}
	return [...]line{
		stageIn: {4, 4, in2}, stageFilter: {3, 4, filter2}, stageOut: {4, 2, out2}, stageGrad: {2, 4, grad2}, stageTaps: {4, 3, taps2},
	}[s]
}

// norms4 is by how much each point's polynomial differs from one at the point:
// for 0, ±pointA and ±pointB.
func norms4() (zero, onA, onB float64) {
	const a, b = pointA, pointB
	return 1 / (a * a * b * b), 1 / (2 * a * a * (a*a - b*b)), 1 / (2 * b * b * (b*b - a*a))
}

func in4(r, v *[6]float32) {
	const a, b = pointA, pointB
	const product, sum = a * a * b * b, a*a + b*b
	end := func(low, mid, high float32) float32 { return fma(product, low, fma(-sum, mid, high)) }
	pair := func(point, square float32) (plus, minus float32) { // square is the other point's
		even, odd := fma(-square, v[2], v[4]), fma(-square, v[1], v[3])
		return fma(point, odd, even), fma(-point, odd, even)
	}
	r[0], r[5] = end(v[0], v[2], v[4]), end(v[1], v[3], v[5])
	r[1], r[2] = pair(a, b*b)
	r[3], r[4] = pair(b, a*a)
}

func filter4(r, v *[6]float32) {
	zero, onA, onB := norms4()
	pair := func(norm, point float64) (plus, minus float32) {
		even := fma(float32(point*point*norm), v[2], v[0]*float32(norm))
		odd := float32(v[1] * float32(point*norm))
		return even + odd, even - odd
	}
	r[0], r[5] = v[0]*float32(zero), v[2]
	r[1], r[2] = pair(onA, pointA)
	r[3], r[4] = pair(onB, pointB)
}

func out4(r, v *[6]float32) {
	const a, b = pointA, pointB
	sA, dA, sB, dB := v[1]+v[2], v[1]-v[2], v[3]+v[4], v[3]-v[4]
	r[0] = v[0] + sA + sB
	r[1] = fma(b, dB, dA*a)
	r[2] = fma(b*b, sB, sA*(a*a))
	r[3] = fma(b*b*b, dB, fma(a*a*a, dA, v[5]))
}

func grad4(r, v *[6]float32) {
	zero, onA, onB := norms4()
	pair := func(norm, point float64) (plus, minus float32) {
		even := fma(float32(point*point*norm), v[2], v[0]*float32(norm))
		odd := fma(float32(point*point*point*norm), v[3], v[1]*float32(point*norm))
		return even + odd, even - odd
	}
	r[0], r[5] = v[0]*float32(zero), v[3]
	r[1], r[2] = pair(onA, pointA)
	r[3], r[4] = pair(onB, pointB)
}

func taps4(r, v *[6]float32) {
	const a, b = pointA, pointB
	sA, dA, sB, dB := v[1]+v[2], v[1]-v[2], v[3]+v[4], v[3]-v[4]
	r[0] = v[0] + sA + sB
	r[1] = fma(b, dB, a*dA)
	r[2] = fma(b*b, sB, fma(a*a, sA, v[5]))
}

func in2(r, v *[6]float32) {
	r[0], r[1], r[2], r[3] = v[0]-v[2], v[2]+v[1], v[2]-v[1], v[3]-v[1]
}

func filter2(r, v *[6]float32) {
	even, odd := float32(.5*(v[0]+v[2])), float32(v[1]*.5)
	r[0], r[1], r[2], r[3] = v[0], even+odd, even-odd, v[2]
}

func out2(r, v *[6]float32) {
	plus, minus := v[1]+v[2], v[1]-v[2]
	r[0], r[1] = v[0]+plus, v[3]+minus
}

func grad2(r, v *[6]float32) {
	even, odd := float32(v[0]*.5), float32(v[1]*.5)
	r[0], r[1], r[2], r[3] = v[0], even+odd, even-odd, v[1]
}

func taps2(r, v *[6]float32) {
	plus, minus := v[1]+v[2], v[1]-v[2]
	r[0], r[1], r[2] = v[0]+plus, minus, v[3]+plus
}
