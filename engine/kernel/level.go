package kernel

import (
	"fmt"
	"slices"
)

// A Level names a set of kernels.
type Level string

// The kernel sets, best first. All give the same bits.
const (
	AVX512 Level = "avx512" // AVX-512 F, DQ, BW, VL
	AVX2   Level = "avx2"   // AVX2 and FMA3
	Plain  Level = "go"     // Go alone, on every machine
)

// Best is the fastest kernel set this CPU can run.
func Best() Level { return Levels()[0] }

func (l Level) check() error {
	if have := Levels(); !slices.Contains(have, l) {
		return fmt.Errorf("kernel set %q does not run here; this CPU has %q", string(l), have)
	}
	return nil
}

// set is a Level as the kernels compare it.
type set uint8

const (
	plain set = iota
	avx2
	avx512
)

func (l Level) set() set {
	switch l {
	case AVX512:
		return avx512
	case AVX2:
		return avx2
	}
	return plain
}
