//go:build !amd64

package kernel

import "runtime"

func vecWeave(set set, dst, src []float32, ni, stride, n int) int { return 0 }

func vecUnweave(set set, dst, src []float32, ni, stride, n int) int { return 0 }

func vecSplitRows(set set, even, odd, src []float32, rows, step, n int) bool { return false }

func vecEvens(set set, dst, src []float32, n int) int { return 0 }

func vecPlace(set set, dst, src []float32, rows, left, width, right int) bool { return false }

func vecMaxWindows(set set, best []float32, idx []int32, x []float32, off, first []int32, start, pad int) int {
	return 0
}

func spin(int) { runtime.Gosched() }
