// Package kernel holds the arithmetic of the CPU engine: convolution, norms,
// pooling, boxes, losses and the optimiser's update on flat float32 slices.
//
// Every tensor is a dense NCHW []float32: element (n, c, y, x) of a [N, C, H, W]
// tensor lies at ((n*C+c)*H+y)*W+x. Kernels write into slices of the caller and
// keep none of them; outputs must not overlap inputs unless a comment allows it.
//
// Work runs on a Pool. It is cut by the shapes alone and partial sums are added
// in a fixed order, so that a result has the same bits for every number of
// threads. All kernel sets agree with each other to the bit, on every processor: each
// goes through the same sequence of fused multiply-adds for each output. Plain Go,
// where there is no assembly, takes about sixty times as long as AVX2.
//
// Convolutions are those of a Layer, whose maps may be of several levels. Each is
// computed by the algorithm that its shape says is cheapest:
// direct sums (direct.go, gradweights.go), or for maps of 3 × 3 kernels Winograd's
// (winograd.go, winogradweights.go), whose errors against exact arithmetic are up
// to four times those of direct sums. Pool.Exact leaves the latter out.
//
// A slice shorter than its shape says is a mistake of the calling program and
// panics with the name of the argument. Graphs, gradients by name and memory
// planning are the engine's business; nothing here knows a network.
package kernel

import "fmt"

//go:generate go run ./gen -out kernels_amd64.s -stubs kernels_amd64.go -pkg kernel

// A Shape is the extent of an NCHW tensor.
type Shape struct{ N, C, H, W int }

// Len is the number of elements, N*C*H*W.
func (s Shape) Len() int { return s.N * s.C * s.H * s.W }

// Area is the number of pixels of one map, H*W.
func (s Shape) Area() int { return s.H * s.W }

// need panics if a slice is too short for what the kernel is about to touch.
func need(kernel, arg string, s []float32, n int) {
	if len(s) < n {
		panic(fmt.Sprintf("kernel: %s: %s has %d elements, its shape needs %d", kernel, arg, len(s), n))
	}
}
