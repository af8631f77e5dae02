package kernel

// vecWeave and vecUnweave do what weave and unweave do for the first columns,
// and return how many that was.

func vecWeave(set set, dst, src []float32, ni, stride, n int) int {
	n &^= 7
	if set == plain || n == 0 {
		return 0
	}
	_, _ = dst[n*ni-1], src[(ni-1)*stride+n-1]
	switch {
	case ni == 2:
		weave2AVX2(&dst[0], &src[0], stride, n)
	case ni == 4:
		weave4AVX2(&dst[0], &src[0], stride, n)
	case ni%8 == 0:
		for i := 0; i < ni; i += 8 {
			transpose8AVX2(&dst[i], &src[i*stride], ni, 8*ni, stride, 8, n/8)
		}
	default:
		return 0
	}
	return n
}

func vecUnweave(set set, dst, src []float32, ni, stride, n int) int {
	n &^= 7
	if set == plain || n == 0 {
		return 0
	}
	_, _ = src[n*ni-1], dst[(ni-1)*stride+n-1]
	switch {
	case ni == 2:
		unweave2AVX2(&dst[0], &src[0], stride, n)
	case ni == 4:
		unweave4AVX2(&dst[0], &src[0], stride, n)
	case ni%8 == 0:
		for i := 0; i < ni; i += 8 {
			transpose8AVX2(&dst[i*stride], &src[i], stride, 8, ni, 8*ni, n/8)
		}
	default:
		return 0
	}
	return n
}

// vecSplitRows splits rows of 2n elements, which follow each other in src, into
// rows that begin step apart. It does all of it or nothing.
func vecSplitRows(set set, even, odd, src []float32, rows, step, n int) bool {
	if set == plain || rows <= 0 || n <= 0 || n%8 != 0 {
		return false
	}
	last := (rows-1)*step + n - 1
	_, _, _ = even[last], odd[last], src[2*rows*n-1]
	split2AVX2(&even[0], &odd[0], &src[0], rows, step, n)
	return true
}

// vecEvens computes dst[j] = src[2j].
func vecEvens(set set, dst, src []float32, n int) int {
	n = min(n, len(src)/2) &^ 7
	if set == plain || n <= 0 {
		return 0
	}
	_, _ = dst[n-1], src[2*n-1]
	evensAVX2(&dst[0], &src[0], n)
	return n
}

// vecPlace writes rows of left zeros, width elements of src and right zeros. It
// does all of it or nothing.
func vecPlace(set set, dst, src []float32, rows, left, width, right int) bool {
	if set == plain || rows <= 0 || width <= 0 || width%8 != 0 {
		return false
	}
	_, _ = dst[rows*(left+width+right)-1], src[rows*width-1]
	placeAVX2(&dst[0], &src[0], rows, left, width, right)
	return true
}

// vecMaxWindows finds the maxima of the first windows of a row, and returns how
// many those were: best[j] is the greatest x[off[tap]+j], the last NaN if there
// is one, and idx[j] = first[tap]+2j; start+max(0, 2j-pad) if all are -∞.
func vecMaxWindows(set set, best []float32, idx []int32, x []float32, off, first []int32, start, pad int) int {
	n := len(best) &^ (lanes - 1)
	if n == 0 {
		return 0
	}
	_ = idx[n-1]
	for tap, o := range off {
		_, _ = x[int(o)+n-1], first[tap]
	}
	switch set {
	case avx512:
		maxWindowsAVX512(&best[0], &idx[0], &x[0], &off[0], &first[0], len(off), start, pad, n)
	case avx2:
		maxWindowsAVX2(&best[0], &idx[0], &x[0], &off[0], &first[0], len(off), start, pad, n)
	default:
		return 0
	}
	return n
}
