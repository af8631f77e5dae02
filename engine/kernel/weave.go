package kernel

// weave turns ni rows into tuples: dst[ni·j+i] = src[i·stride+j] for i < ni, j < n.
func weave(set set, dst, src []float32, ni, stride, n int) {
	from := vecWeave(set, dst, src, ni, stride, n)
	for i := range ni {
		for j := from; j < n; j++ {
			dst[ni*j+i] = src[i*stride+j]
		}
	}
}

// unweave is the inverse of weave: dst[i·stride+j] = src[ni·j+i].
func unweave(set set, dst, src []float32, ni, stride, n int) {
	from := vecUnweave(set, dst, src, ni, stride, n)
	for i := range ni {
		for j := from; j < n; j++ {
			dst[i*stride+j] = src[ni*j+i]
		}
	}
}
