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

// plain does the transform in Go, by the lines of the stage: along the rows, then
// along the columns.
func (t *transform) plain(s stage, m int) {
	line := s.line(m)
	src, dst, off := t.src, t.dst, t.off
	place := func(i int) int { return int(*(*int32)(unsafe.Add(unsafe.Pointer(off), 4*i))) }
	for block := range t.n {
		if block > 0 {
			src, dst = at(src, t.srcStep/4), at(dst, t.dstStep/4)
		}
		var in, middle, out [36][8]float32
		for i := range line.in * line.in {
			d := i * t.srcStride / 4
			if s == stageIn || s == stageGrad {
				d = place(block*line.in*line.in + i)
			}
			in[i] = *(*[8]float32)(unsafe.Pointer(at(src, d)))
		}
		var v, r [6]float32
		for l := range 8 {
			for row := range line.in {
				for i := range line.in {
					v[i] = in[row*line.in+i][l]
				}
				line.do(&r, &v)
				for i := range line.out {
					middle[row*line.out+i][l] = r[i]
				}
			}
			for column := range line.out {
				for i := range line.in {
					v[i] = middle[i*line.out+column][l]
				}
				line.do(&r, &v)
				for i := range line.out {
					out[column*line.out+i][l] = r[i]
				}
			}
		}
		for i := range line.out * line.out {
			v, d := &out[i], i*t.dstStride/4
			if s == stageOut {
				d = place(block*line.out*line.out + i)
				bias := (*[8]float32)(unsafe.Pointer(t.bias))
				for l := range v {
					v[l] = atLeast(t.floor, v[l]+bias[l])
				}
			}
			*(*[8]float32)(unsafe.Pointer(at(dst, d))) = *v
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
