package kernel

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// rowKernels runs the kernels whose rows are computed one by one on random tables, and
// returns all results.
func rowKernels(p *Pool, rows int) []float32 {
	r := rand.New(rand.NewPCG(5, uint64(rows)))
	var all []float32
	fresh := func(n int) []float32 {
		all = append(all, make([]float32, n)...)
		return all[len(all)-n:]
	}
	const size, bins = 7, 5
	l := Last{Rows: rows, Size: size}
	x, dy, few := randoms(r, rows*size), randoms(r, rows*size), randoms(r, rows)
	l.Sum(p, fresh(rows), x)
	l.Expand(p, fresh(rows*size), few)
	l.LogSumExp(p, fresh(rows), x)
	l.LogSumExpGrad(p, fresh(rows*size), x, few)
	y := make([]float32, rows*size)
	l.Softmax(p, y, x)
	l.SoftmaxGrad(p, fresh(rows*size), y, dy)
	all = append(all, y...)
	for _, q := range []Pair{Div, Min, Max} {
		q.Apply(p, fresh(rows*size), x, y)
		q.GradA(p, fresh(rows*size), dy, x, y)
		q.GradB(p, fresh(rows*size), dy, x, y)
		q.GradB(p, fresh(1), dy, x, few[:1])
	}

	target, weight, priors := randoms(r, 4*rows), randoms(r, rows), randoms(r, 4*rows)
	for i := range target {
		target[i] += float32(i % 4 / 2 * 3) // mostly sides in order
		priors[i] += float32(i % 4 / 2 * 3)
	}
	for i := 0; i < rows; i += 3 {
		weight[i] = 0
	}
	for _, c := range []BoxCode{{}, {Kind: "deltas", MaxLogSize: 4}, {Kind: "distances"}, {Kind: "distances", InSides: true}, {Kind: "distribution", Bins: bins}} {
		b := Boxes{BoxCode: c, Images: 1, Priors: rows}
		values := randoms(r, rows*b.Values())
		b.Decode(p, fresh(4*rows), values, priors)
		b.DecodeGrad(p, fresh(rows*b.Values()), values, priors, target)
		for _, overlap := range []string{"iou", "giou", "diou", "ciou"} {
			q := IoULoss{b, overlap}
			all = append(all, float32(q.Sum(p, values, priors, target, weight)))
			q.Grad(p, fresh(rows*b.Values()), values, priors, target, weight, .5)
		}
	}
	return all
}

// TestRowKernelBits: the number of threads moves no bit.
func TestRowKernelBits(t *testing.T) {
	for _, rows := range []int{1, 5, 2500} {
		var first []float32
		for _, threads := range []int{1, 2, 3, 8} {
			t.Run(fmt.Sprintf("%d rows on %d threads", rows, threads), func(t *testing.T) {
				p := NewPool(threads)
				defer p.Close()
				got := rowKernels(p, rows)
				if first == nil {
					first = got
				}
				if !slices.Equal(got, first) {
					t.Error("other bits than on one thread")
				}
			})
		}
	}
}
