// Command gen writes the assembly of package kernel with avo: AVX-512 and
// AVX2+FMA forms of each kernel that do the same arithmetic in the same order.
//
//	go run ./gen -out kernels_amd64.s -stubs kernels_amd64.go -pkg kernel
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64")
	for _, rows := range []int{8, 4} {
		for _, vecs := range []int{3, 2, 1} {
			tile(isa512, rows, vecs)
		}
	}
	tile(isa256, 4, 3)
	tile(isa256, 4, 2)
	dot512()
	dot256()
	weaves()
	spin()
	for _, l := range lines() {
		winograd(l)
	}
	for _, set := range []isa{isa512, isa256} {
		elementwise(set)
		reductions(set)
		maxWindows(set)
	}
	peak(isa512)
	peak(isa256)
	Generate()
}

// An isa is one instruction set: the name's suffix, a fresh vector register and
// the size of such a register in bytes.
type isa struct {
	name  string
	vec   func() VecVirtual
	bytes int
}

var (
	isa512 = isa{"AVX512", ZMM, 64}
	isa256 = isa{"AVX2", YMM, 32}
)
