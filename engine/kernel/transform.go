package kernel

import (
	"math"
	"unsafe"
)

// A stage is one of the five linear transforms of Winograd's convolution.
type stage uint8

const (
	stageIn     stage = iota // input block → frequencies
	stageFilter              // 3 × 3 kernel → frequencies
	stageOut                 // frequencies → output block, plus bias, cut off below
	stageGrad                // block of the output's gradient → frequencies
	stageTaps                // frequencies → gradient of the 3 × 3 kernel
)

// A transform applies a stage, on both axes, to n blocks of vectors of 8 lanes.
// Vector i of a block lies i·srcStride bytes after src, or in stageIn and
// stageGrad off[i] elements after it; results go to dst in the same way, those of
// stageOut to places off tells. From block to block src advances by srcStep and
// dst by dstStep bytes, and off by a block. Pixels are numbered row by row,
// frequencies column by column. The assembly knows this layout.
type transform struct {
	dst, src  *float32
	off       *int32
	n         int
	srcStride int
	srcStep   int
	dstStride int
	dstStep   int
	bias      *float32 // [8]
	floor     float32
	_         float32
	middle    [36 * 8]float32
}

// The points of the transforms for blocks of 4 × 4, besides 0 and ∞; those for
// 2 × 2 are ±1. Errors grow with the spread of the points' powers: with these two
// they are about half of those with the usual 1 and 2.
const pointA, pointB = 11. / 16, 3. / 2

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

// plain does the transform in Go.
func (t *transform) plain(s stage, m int) {
	lines := s.matrix(m)
	in, out := len(lines[0]), len(lines)
	src, dst, off := t.src, t.dst, t.off
	sum := func(line []float64, first, step int) (v [8]float32) {
		for i, k := range line {
			x := (*[8]float32)(t.middle[(first+i*step)*8:])
			for l := range v {
				v[l] += float32(k) * x[l]
			}
		}
		return v
	}
	place := func(i int) int { return int(*(*int32)(unsafe.Add(unsafe.Pointer(off), 4*i))) }
	half := make([][8]float32, in*out)
	for block := range t.n {
		if block > 0 {
			src, dst = at(src, t.srcStep/4), at(dst, t.dstStep/4)
		}
		for i := range in * in {
			d := i * t.srcStride / 4
			if s == stageIn || s == stageGrad {
				d = place(block*in*in + i)
			}
			*(*[8]float32)(t.middle[i*8:]) = *(*[8]float32)(unsafe.Pointer(at(src, d)))
		}
		for row := range in {
			for k, line := range lines {
				half[row*out+k] = sum(line, row*in, 1)
			}
		}
		for i, v := range half {
			*(*[8]float32)(t.middle[i*8:]) = v
		}
		for column := range out {
			for k, line := range lines {
				v := sum(line, column, out)
				i := column*out + k
				d := i * t.dstStride / 4
				if s == stageOut {
					d = place(block*out*out + i)
					bias := (*[8]float32)(unsafe.Pointer(t.bias))
					for l := range v {
						v[l] = atLeast(t.floor, v[l]+bias[l])
					}
				}
				*(*[8]float32)(unsafe.Pointer(at(dst, d))) = v
			}
		}
	}
}

// unbounded is a floor that cuts nothing off.
var unbounded = float32(math.Inf(-1))

func transpose8Plain(dst, src []float32, dstRow, dstStep, srcRow, srcStep, blocks int) {
	for b := range blocks {
		for i := range 8 {
			for j := range 8 {
				dst[b*dstStep+j*dstRow+i] = src[b*srcStep+i*srcRow+j]
			}
		}
	}
}
