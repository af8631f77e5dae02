//go:build !amd64

package kernel

func (t *transform) run(_ set, s stage, m int) { t.plain(s, m) }

// transpose8 computes dst[b·dstStep+j·dstRow+i] = src[b·srcStep+i·srcRow+j] for
// i, j < 8 and b < blocks.
func transpose8(_ set, dst, src []float32, dstRow, dstStep, srcRow, srcStep, blocks int) {
	transpose8Plain(dst, src, dstRow, dstStep, srcRow, srcStep, blocks)
}
