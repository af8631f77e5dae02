package kernel

import "unsafe"

const (
	lanes    = 16 // pixels of a vector: one AVX-512 register, two AVX2 registers
	tileRows = 8  // output channels of a panel of packed weights
	tileVecs = 3  // vectors of a tile at most: 8 × 3 sums and 3 inputs fit 32 registers
)

// A tile is one call of the convolution's inner kernel: rows × vecs vectors,
//
//	y[r][v] = max(floor, sums[v][r] + bias[r] + Σ_step a[8·step+r] · x[v][off[step]])
//
// sums is nil or the sum of earlier steps, rows of lanes elements. off counts elements, stride is in bytes from row to row of y. The assembly
// knows this layout.
type tile struct {
	steps  int
	off    *int32
	a      *float32
	x      [tileVecs]*float32
	y      [tileVecs]*float32
	stride int
	bias   *float32
	floor  float32
	sums   [tileVecs]*float32
}

// chain is the most steps of one chain of multiply-adds. The rounding error of a
// sum grows with the root of its length; a convolution of 256 channels has 2,304
// steps, and in one chain it would be about four times what it is in sixteen.
const chain = 144

// chains runs t in chains of at most longest steps. All but the last leave their
// sums in partial, since neighbouring tiles may overlap in y.
func (t *tile) chains(set set, rows, vecs, longest int, partial *[tileVecs * tileRows * lanes]float32) {
	n := (t.steps + longest - 1) / longest
	if n <= 1 {
		t.run(set, rows, vecs)
		return
	}
	// Field by field, for a copy of what was just written waits for the writes.
	u := tile{bias: t.bias, floor: unbounded, stride: 4 * lanes}
	u.x[0], u.x[1], u.x[2] = t.x[0], t.x[1], t.x[2]
	for v := range vecs {
		u.y[v] = &partial[v*tileRows*lanes]
	}
	for i := range n {
		first, next := i*t.steps/n, (i+1)*t.steps/n
		u.steps = next - first
		u.off = (*int32)(unsafe.Add(unsafe.Pointer(t.off), 4*first))
		u.a = at(t.a, tileRows*first)
		if i == 1 {
			u.bias = &zeros[0]
			for v := range vecs {
				u.sums[v] = &partial[v*tileRows*lanes]
			}
		}
		if i == n-1 {
			u.floor, u.stride = t.floor, t.stride
			u.y[0], u.y[1], u.y[2] = t.y[0], t.y[1], t.y[2]
		}
		u.run(set, rows, vecs)
	}
}

// zeros is the bias of a chain that is not the first.
var zeros [tileRows]float32

// A dots is one call of the weight gradient's inner kernel:
//
//	out[r·outRow+c] += Σ_step Σ_lane y[r·stride+off[2·step+1]+lane] · x[c][off[2·step]+lane]
//
// for 4 rows and 6 columns; stride and outRow are in bytes. The assembly knows
// this layout.
type dots struct {
	steps  int
	off    *int32
	x      [dotCols]*float32
	y      *float32
	stride int
	out    *float32
	outRow int
}

const dotRows, dotCols = 4, 6

// at is the address of element i after p.
func at(p *float32, i int) *float32 {
	return (*float32)(unsafe.Add(unsafe.Pointer(p), 4*i))
}

// plain does the tile in Go.
func (t *tile) plain(rows, vecs int) {
	off := unsafe.Slice(t.off, t.steps)
	bias := unsafe.Slice(t.bias, rows)
	for v := range vecs {
		var acc [tileRows][lanes]float32
		for r := range rows {
			for l := range lanes {
				acc[r][l] = bias[r]
			}
		}
		for i, o := range off {
			x := (*[lanes]float32)(unsafe.Pointer(at(t.x[v], int(o))))
			w := unsafe.Slice(at(t.a, tileRows*i), rows)
			for r, w := range w {
				for l, v := range acc[r] {
					acc[r][l] = fma(w, x[l], v)
				}
			}
		}
		for r := range rows {
			y := (*[lanes]float32)(unsafe.Pointer(at(t.y[v], r*t.stride/4)))
			for l, s := range acc[r] {
				if t.sums[0] != nil {
					s += *at(t.sums[v], r*lanes+l)
				}
				if s < t.floor {
					s = t.floor
				}
				y[l] = s
			}
		}
	}
}

// plain does the dots in Go.
func (d *dots) plain() {
	off := unsafe.Slice(d.off, 2*d.steps)
	for r := range dotRows {
		for c := range dotCols {
			var acc [lanes]float32
			for i := 0; i < len(off); i += 2 {
				x := (*[lanes]float32)(unsafe.Pointer(at(d.x[c], int(off[i]))))
				y := (*[lanes]float32)(unsafe.Pointer(at(d.y, r*d.stride/4+int(off[i+1]))))
				for l, v := range acc {
					acc[l] = fma(x[l], y[l], v)
				}
			}
			*at(d.out, r*d.outRow/4+c) += addTree(&acc)
		}
	}
}

// addTree adds 16 lanes: those 8 apart, then 2, 1 and 4.
func addTree(a *[lanes]float32) float32 {
	for i := range 8 {
		a[i] += a[i+8]
	}
	for i := range 2 {
		a[i] += a[i+2]
		a[i+4] += a[i+6]
	}
	return a[0] + a[1] + (a[4] + a[5])
}
