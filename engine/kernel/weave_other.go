//go:build !amd64

package kernel

func vecWeave(set set, dst, src []float32, ni, stride, n int) int { return 0 }

func vecUnweave(set set, dst, src []float32, ni, stride, n int) int { return 0 }

func vecSplit(set set, even, odd, src []float32, n int) int { return 0 }

func vecEvens(set set, dst, src []float32, n int) int { return 0 }

func vecPlace(set set, dst, src []float32, rows, left, width, right int) bool { return false }
