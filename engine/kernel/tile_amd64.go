package kernel

import "unsafe"

func (t *tile) run(set set, rows, vecs int) {
	switch set {
	case avx512:
		b := (*byte)(unsafe.Pointer(t))
		switch rows + vecs {
		case 8 + 3:
			tile8x3AVX512(b)
		case 8 + 2:
			tile8x2AVX512(b)
		case 8 + 1:
			tile8x1AVX512(b)
		case 4 + 3:
			tile4x3AVX512(b)
		case 4 + 2:
			tile4x2AVX512(b)
		case 4 + 1:
			tile4x1AVX512(b)
		}
	case avx2:
		// A vector is two registers here, and 4 rows of 3 (else 2) registers a call.
		width := 2
		if vecs == 3 {
			width = 3
		}
		for r := 0; r < rows; r += 4 {
			for h := 0; h < 2*vecs; h += width {
				u := *t
				u.a, u.bias = at(t.a, r), at(t.bias, r)
				for i := range width {
					v, half := (h+i)/2, (h+i)%2*8
					u.x[i] = at(t.x[v], half)
					u.y[i] = at(t.y[v], half+r*t.stride/4)
					if t.sums[0] != nil {
						u.sums[i] = at(t.sums[v], half+r*lanes)
					}
				}
				if width == 3 {
					tile4x3AVX2((*byte)(unsafe.Pointer(&u)))
				} else {
					tile4x2AVX2((*byte)(unsafe.Pointer(&u)))
				}
			}
		}
	default:
		t.plain(rows, vecs)
	}
}

func (d *dots) run(set set) {
	switch set {
	case avx512:
		dot4x6AVX512((*byte)(unsafe.Pointer(d)))
	case avx2:
		for r := 0; r < dotRows; r += 2 {
			for c := 0; c < dotCols; c += 3 {
				u := *d
				u.y = at(d.y, r*d.stride/4)
				copy(u.x[:3], d.x[c:c+3])
				u.out = at(d.out, r*d.outRow/4+c)
				dot2x3AVX2((*byte)(unsafe.Pointer(&u)))
			}
		}
	default:
		d.plain()
	}
}

// PeakLoop keeps one core busy with independent fused multiply-adds and returns
// how many floating-point operations that were: timed by the caller, it tells
// what the machine could do at most. The plain set has none, and returns 0.
func PeakLoop(level Level, turns int) (flops float64) {
	switch level.set() {
	case avx512:
		peakAVX512(turns)
		return float64(turns) * 12 * 16 * 2
	case avx2:
		peakAVX2(turns)
		return float64(turns) * 12 * 8 * 2
	}
	return 0
}
