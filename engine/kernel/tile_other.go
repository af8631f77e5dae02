//go:build !amd64

package kernel

func (t *tile) run(_ set, rows, vecs int) { t.plain(rows, vecs) }

func (d *dots) run(set) { d.plain() }

// PeakLoop keeps one core busy with independent fused multiply-adds and returns
// how many floating-point operations that were: timed by the caller, it tells
// what the machine could do at most. The plain set has none, and returns 0.
func PeakLoop(Level, int) (flops float64) { return 0 }
