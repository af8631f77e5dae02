package kernel

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestWeaveAndBack(t *testing.T) {
	everyLevel(t, func(t *testing.T, p *Pool) {
		rapid.Check(t, func(t *rapid.T) {
			ni := rapid.SampledFrom([]int{1, 2, 3, 4, 5, 8, 16, 24}).Draw(t, "ni")
			n := rapid.IntRange(1, 40).Draw(t, "n")
			stride := n + rapid.IntRange(0, 3).Draw(t, "gap")
			src := make([]float32, ni*stride)
			for i := range src {
				src[i] = float32(i)
			}
			woven, back := make([]float32, ni*n), make([]float32, ni*stride)
			weave(p.set, woven, src, ni, stride, n)
			for i := range ni {
				for j := range n {
					if woven[ni*j+i] != src[i*stride+j] {
						t.Fatalf("tuple %d, row %d: %g, want %g", j, i, woven[ni*j+i], src[i*stride+j])
					}
				}
			}
			unweave(p.set, back, woven, ni, stride, n)
			for i := range ni {
				if !slices.Equal(back[i*stride:i*stride+n], src[i*stride:i*stride+n]) {
					t.Fatalf("row %d comes back as %v", i, back[i*stride:i*stride+n])
				}
			}
		})
	})
}
