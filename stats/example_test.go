package stats_test

import (
	"fmt"

	"focalgrid/stats"
)

// AP of two losses, trained with the same six seeds.
func ExamplePaired() {
	var ce, focal []stats.Value
	for seed, ap := range [][2]float64{{.201, .243}, {.206, .242}, {.217, .241}, {.176, .245}, {.207, .250}, {.190, .239}} {
		ce = append(ce, stats.Value{Seed: uint64(seed), Value: ap[0]})
		focal = append(focal, stats.Value{Seed: uint64(seed), Value: ap[1]})
	}
	d := stats.Paired(ce, focal)
	fmt.Printf("%+.1f, from %+.1f to %+.1f; p %.3f; better in %.0f %%; separated: %v\n",
		100*d.Mean, 100*d.Low, 100*d.High, d.P, 100*d.Superiority, d.Separated())

	other := stats.Paired(ce, focal)
	stats.Adjust(&d, &other)
	fmt.Printf("one of two comparisons: p %.3f; separated: %v\n", d.Adjusted, d.Separated())
	for _, c := range d.Caveats {
		fmt.Println(c)
	}
	// Output:
	// +4.4, from +2.8 to +6.0; p 0.031; better in 100 %; separated: true
	// one of two comparisons: p 0.062; separated: false
	// n = 6 is too few for any verdict at p ≤ 0.05 over 2 comparisons: it takes 7 pairs without ties
}

// The difference that is found four times in five, in standard deviations of the differences over pairs: alone, and as
// one of six comparisons.
func ExampleDetectable() {
	for _, n := range []int{6, 8, 10, 15, 20} {
		fmt.Printf("%d pairs: %.2f, %.2f\n", n, stats.Detectable(1, n, 1), stats.Detectable(1, n, 6))
	}
	// Output:
	// 6 pairs: 1.62, +Inf
	// 8 pairs: 1.17, 1.67
	// 10 pairs: 1.00, 1.39
	// 15 pairs: 0.78, 1.03
	// 20 pairs: 0.66, 0.86
}

// How many pairs it takes to find a difference of one standard deviation, or of half of it.
func ExampleNeeded() {
	fmt.Println(stats.Needed(1, 1, 1), stats.Needed(1, .5, 1), stats.Needed(1, .5, 6))
	// Output: 11 34 52
}
