package kernel

import "unsafe"

// run does the transform of a stage for blocks of m × m. Both vector sets take
// the same code.
func (t *transform) run(set set, s stage, m int) {
	if t.n == 0 {
		return
	}
	if set == plain {
		t.plain(s, m)
		return
	}
	b := (*byte)(unsafe.Pointer(t))
	switch {
	case s == stageIn && m == 4:
		winoIn4AVX2(b)
	case s == stageIn:
		winoIn2AVX2(b)
	case s == stageFilter && m == 4:
		winoFilter4AVX2(b)
	case s == stageFilter:
		winoFilter2AVX2(b)
	case s == stageOut && m == 4:
		winoOut4AVX2(b)
	case s == stageOut:
		winoOut2AVX2(b)
	case s == stageGrad && m == 4:
		winoGrad4AVX2(b)
	case s == stageGrad:
		winoGrad2AVX2(b)
	case m == 4:
		winoTaps4AVX2(b)
	default:
		winoTaps2AVX2(b)
	}
}

// transpose8 computes dst[b·dstStep+j·dstRow+i] = src[b·srcStep+i·srcRow+j] for
// i, j < 8 and b < blocks.
func transpose8(set set, dst, src []float32, dstRow, dstStep, srcRow, srcStep, blocks int) {
	if set == plain {
		transpose8Plain(dst, src, dstRow, dstStep, srcRow, srcStep, blocks)
		return
	}
	_, _ = dst[(blocks-1)*dstStep+7*dstRow+7], src[(blocks-1)*srcStep+7*srcRow+7]
	transpose8AVX2(&dst[0], &src[0], dstRow, dstStep, srcRow, srcStep, blocks)
}
