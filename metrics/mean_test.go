package metrics

import (
	"math/rand/v2"
	"testing"
)

// TestPairwise: sums that come out differently in each order. The wanted
// values follow numpy's rule written out: eight partial sums, halves, buffers.
func TestPairwise(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	values := func(n int) []float64 {
		v := make([]float64, n)
		for i := range v {
			v[i] = r.Float64()
		}
		return v
	}
	v := values(7)
	if got, want := pairwise(v), ((((((v[0] + v[1]) + v[2]) + v[3]) + v[4]) + v[5]) + v[6]); got != want {
		t.Errorf("7 values: %.17g, want one after the other %.17g", got, want)
	}
	v = values(18)
	var lane [8]float64
	for i := range 16 {
		lane[i%8] += v[i]
	}
	want := ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7])) + v[16] + v[17]
	if got := pairwise(v); got != want {
		t.Errorf("18 values: %.17g, want in eight lanes %.17g", got, want)
	}
	v = values(300) // 300/2 = 150, down to 144; 156/2 = 78, down to 72
	want = (pairwise(v[:72]) + pairwise(v[72:144])) + (pairwise(v[144:216]) + pairwise(v[216:]))
	if got := pairwise(v); got != want {
		t.Errorf("300 values: %.17g, want in halves %.17g", got, want)
	}
	v = values(20000)
	want = (pairwise(v[:8192]) + pairwise(v[8192:16384])) + pairwise(v[16384:])
	if got := SumBuffered.sum(v); got != want {
		t.Errorf("20000 values: %.17g, want in buffers %.17g", got, want)
	}
	if got := SumWhole.sum(v); got != pairwise(v) {
		t.Errorf("20000 values: %.17g, want in pairs %.17g", got, pairwise(v))
	}
	// Two ones that 2^53 swallows one by one, but not together.
	v = make([]float64, 20000)
	v[0], v[12000], v[17000] = 1<<53, 1, 1
	if whole, buffered := SumWhole.sum(v), SumBuffered.sum(v); whole != 1<<53+2 || buffered != 1<<53 {
		t.Errorf("2^53, 1, 1: in pairs %.17g, in buffers %.17g, want 2^53+2 and 2^53", whole, buffered)
	}
}
