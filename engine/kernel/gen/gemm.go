package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Offsets in the Go struct tile.
const (
	tileSteps = 8 * iota
	tileOff
	tileA
	tileX
	_
	_
	tileY
	_
	_
	tileStride
	tileBias
	tileFloor
	tileSums
)

// tile writes a kernel for rows outputs × vecs vectors of neighbouring pixels:
//
//	y[r][v] = max(floor, sums[v][r] + bias[r] + Σ_step a[8·step+r] · x[v][off[step]])
//
// with one chain of fused multiply-adds from bias for each output, in the order of
// steps; sums, of rows 64 bytes apart, is added at the end unless its pointers are nil.
func tile(set isa, rows, vecs int) {
	TEXT(fmt.Sprintf("tile%dx%d%s", rows, vecs, set.name), NOSPLIT, "func(t *byte)")
	Doc(fmt.Sprintf("tile%dx%d%s computes %d rows of %d vectors of %d pixels;", rows, vecs, set.name, rows, vecs, set.bytes/4) + " t points to a tile.")
	Pragma("noescape")
	t := Load(Param("t"), GP64())
	field := func(off int) GPVirtual {
		r := GP64()
		MOVQ(Mem{Base: t, Disp: off}, r)
		return r
	}
	steps, off, a := field(tileSteps), field(tileOff), field(tileA)
	var x []GPVirtual
	for v := range vecs {
		x = append(x, field(tileX+8*v))
	}
	bias := field(tileBias)
	acc := make([][]VecVirtual, rows)
	for r := range rows {
		for v := range vecs {
			acc[r] = append(acc[r], set.vec())
			if v == 0 {
				VBROADCASTSS(Mem{Base: bias, Disp: 4 * r}, acc[r][0])
			} else {
				VMOVAPS(acc[r][0], acc[r][v])
			}
		}
	}
	o, w := GP64(), set.vec()
	in := make([]VecVirtual, vecs)
	for v := range in {
		in[v] = set.vec()
	}
	loop, done := fmt.Sprintf("loop%dx%d%s", rows, vecs, set.name), fmt.Sprintf("done%dx%d%s", rows, vecs, set.name)
	TESTQ(steps, steps)
	JZ(LabelRef(done))
	Label(loop)
	MOVLQSX(Mem{Base: off}, o)
	for v := range vecs {
		VMOVUPS(Mem{Base: x[v], Index: o, Scale: 4}, in[v])
	}
	for r := range rows {
		VBROADCASTSS(Mem{Base: a, Disp: 4 * r}, w)
		for v := range vecs {
			VFMADD231PS(in[v], w, acc[r][v])
		}
	}
	ADDQ(Imm(4), off)
	ADDQ(Imm(32), a)
	DECQ(steps)
	JNZ(LabelRef(loop))
	Label(done)
	last := fmt.Sprintf("last%dx%d%s", rows, vecs, set.name)
	any := field(tileSums)
	TESTQ(any, any)
	JZ(LabelRef(last))
	for v := range vecs {
		sums := field(tileSums + 8*v)
		for r := range rows {
			VADDPS(Mem{Base: sums, Disp: 64 * r}, acc[r][v], acc[r][v])
		}
	}
	Label(last)
	low := w
	VBROADCASTSS(Mem{Base: t, Disp: tileFloor}, low)
	stride := field(tileStride)
	for v := range vecs {
		y := field(tileY + 8*v)
		for r := range rows {
			Comment("The accumulator is the second source: a NaN stays NaN.")
			VMAXPS(acc[r][v], low, acc[r][v])
			VMOVUPS(acc[r][v], Mem{Base: y})
			if r+1 < rows {
				ADDQ(stride, y)
			}
		}
	}
	VZEROUPPER()
	RET()
}

// Offsets in the Go struct dots.
const (
	dotSteps  = 0
	dotOff    = 8
	dotX      = 16
	dotY      = 64
	dotStride = 72
	dotOut    = 80
	dotOutRow = 88
)

// dotHead loads what both forms of the dot kernel need.
func dotHead(name string) (field func(int) GPVirtual) {
	TEXT(name, NOSPLIT, "func(d *byte)")
	Doc(name + " adds products over pixels; d points to a dots.")
	Pragma("noescape")
	d := Load(Param("d"), GP64())
	return func(off int) GPVirtual {
		r := GP64()
		MOVQ(Mem{Base: d, Disp: off}, r)
		return r
	}
}

// dot512 writes the kernel of the weight gradient: 4 rows of dy times 6 rows of
// x, each a sum over pixels, added to memory.
//
//	out[r·outRow+c] += Σ_step Σ_lane y[r][off[step].y+lane] · x[c][off[step].x+lane]
//
// Sixteen chains, one a lane, are added at the end as a tree: lanes 8 apart,
// then 2, 1 and 4.
func dot512() {
	field := dotHead("dot4x6AVX512")
	steps, off := field(dotSteps), field(dotOff)
	var x []GPVirtual
	for c := range 6 {
		x = append(x, field(dotX+8*c))
	}
	y, s := field(dotY), field(dotStride)
	s3 := GP64()
	LEAQ(Mem{Base: s, Index: s, Scale: 2}, s3)
	var acc [4][6]VecVirtual
	for r := range acc {
		for c := range acc[r] {
			acc[r][c] = ZMM()
			VPXORD(acc[r][c], acc[r][c], acc[r][c])
		}
	}
	xo, yo := GP64(), GP64()
	Label("dot512loop")
	MOVLQSX(Mem{Base: off}, xo)
	MOVLQSX(Mem{Base: off, Disp: 4}, yo)
	LEAQ(Mem{Base: y, Index: yo, Scale: 4}, yo)
	rows := []Mem{{Base: yo}, {Base: yo, Index: s, Scale: 1}, {Base: yo, Index: s, Scale: 2}, {Base: yo, Index: s3, Scale: 1}}
	var g [4]VecVirtual
	for r := range g {
		g[r] = ZMM()
		VMOVUPS(rows[r], g[r])
	}
	in := ZMM()
	for c := range 6 {
		VMOVUPS(Mem{Base: x[c], Index: xo, Scale: 4}, in)
		for r := range g {
			VFMADD231PS(in, g[r], acc[r][c])
		}
	}
	ADDQ(Imm(8), off)
	DECQ(steps)
	JNZ(LabelRef("dot512loop"))
	out, outRow := field(dotOut), field(dotOutRow)
	for r := range acc {
		var f [6]VecVirtual
		for c := range f {
			f[c] = YMM()
			VEXTRACTF64X4(Imm(1), acc[r][c], f[c])
			VADDPS(acc[r][c].AsY(), f[c], f[c])
		}
		pairs := func(a, b VecVirtual) VecVirtual { // a02 b02 a13 b13 in each half
			t := YMM()
			VUNPCKLPS(b, a, t)
			VUNPCKHPS(b, a, a)
			VADDPS(a, t, t)
			return t
		}
		p, q, s := pairs(f[0], f[1]), pairs(f[2], f[3]), pairs(f[4], f[5])
		t := YMM()
		VSHUFPS(Imm(0x44), q, p, t)
		VSHUFPS(Imm(0xee), q, p, p)
		VADDPS(p, t, t) // columns 0 … 3
		VSHUFPS(Imm(0x0e), s, s, q)
		VADDPS(q, s, s) // columns 4, 5
		high := XMM()
		VEXTRACTF32X4(Imm(1), t, high)
		VADDPS(high, t.AsX(), t.AsX())
		VADDPS(Mem{Base: out}, t.AsX(), t.AsX())
		VMOVUPS(t.AsX(), Mem{Base: out})
		VEXTRACTF32X4(Imm(1), s, high)
		VADDPS(high, s.AsX(), s.AsX())
		VMOVSD(Mem{Base: out, Disp: 16}, high)
		VADDPS(high, s.AsX(), s.AsX())
		VMOVLPS(s.AsX(), Mem{Base: out, Disp: 16})
		if r < 3 {
			ADDQ(outRow, out)
		}
	}
	VZEROUPPER()
	RET()
}

// addTree adds the 8 lanes of v as a tree, 2, 1 and 4 apart, and stores the sum;
// t is scratch.
func addTree(set isa, v, t VecVirtual, to Mem) {
	x, u := v.AsX(), t.AsX()
	VSHUFPS(Imm(0x0e), v.AsY(), v.AsY(), t.AsY())
	VADDPS(t.AsY(), v.AsY(), v.AsY())
	VMOVSHDUP(v.AsY(), t.AsY())
	VADDPS(t.AsY(), v.AsY(), v.AsY())
	if set.bytes == 64 { // VEXTRACTF128 doesn't reach the upper sixteen registers
		VEXTRACTF32X4(Imm(1), v.AsY(), u)
	} else {
		VEXTRACTF128(Imm(1), v.AsY(), u)
	}
	VADDSS(u, x, x)
	VMOVSS(x, to)
}

// dot256 is the AVX2 form of dot512 for 2 × 3 of its 24 sums.
func dot256() {
	field := dotHead("dot2x3AVX2")
	steps, off := field(dotSteps), field(dotOff)
	var x []GPVirtual
	for c := range 3 {
		x = append(x, field(dotX+8*c))
	}
	y, s := field(dotY), field(dotStride)
	var acc [2][2][3]VecVirtual // half, row, column
	for h := range acc {
		for r := range acc[h] {
			for c := range acc[h][r] {
				acc[h][r][c] = YMM()
				VXORPS(acc[h][r][c], acc[h][r][c], acc[h][r][c])
			}
		}
	}
	xo, yo := GP64(), GP64()
	g0, g1, in := YMM(), YMM(), YMM()
	Label("dot256loop")
	MOVLQSX(Mem{Base: off}, xo)
	MOVLQSX(Mem{Base: off, Disp: 4}, yo)
	LEAQ(Mem{Base: y, Index: yo, Scale: 4}, yo)
	for h := range acc {
		VMOVUPS(Mem{Base: yo, Disp: 32 * h}, g0)
		VMOVUPS(Mem{Base: yo, Index: s, Scale: 1, Disp: 32 * h}, g1)
		for c := range 3 {
			VMOVUPS(Mem{Base: x[c], Index: xo, Scale: 4, Disp: 32 * h}, in)
			VFMADD231PS(in, g0, acc[h][0][c])
			VFMADD231PS(in, g1, acc[h][1][c])
		}
	}
	ADDQ(Imm(8), off)
	DECQ(steps)
	JNZ(LabelRef("dot256loop"))
	out, outRow := field(dotOut), field(dotOutRow)
	for r := range 2 {
		for c := range 3 {
			to := Mem{Base: out, Disp: 4 * c}
			v, old := acc[0][r][c], XMM()
			VADDPS(acc[1][r][c], v, v)
			VMOVSS(to, old)
			addTree(isa256, v, acc[1][r][c], to)
			VADDSS(v.AsX(), old, old)
			VMOVSS(old, to)
		}
		ADDQ(outRow, out)
	}
	VZEROUPPER()
	RET()
}

// peak writes a loop of independent multiply-adds without memory, the most a
// core can do: 12 a turn.
func peak(set isa) {
	name := "peak" + set.name
	TEXT(name, NOSPLIT, "func(turns int)")
	Doc(name + " does 12 vector multiply-adds a turn; turns is positive.")
	n := Load(Param("turns"), GP64())
	var acc [12]VecVirtual
	for i := range acc {
		acc[i] = set.vec()
		VXORPS(acc[i].AsX(), acc[i].AsX(), acc[i].AsX())
	}
	a, b := set.vec(), set.vec()
	VXORPS(a.AsX(), a.AsX(), a.AsX())
	VXORPS(b.AsX(), b.AsX(), b.AsX())
	Label("loop" + name)
	for i := range acc {
		VFMADD231PS(a, b, acc[i])
	}
	DECQ(n)
	JNZ(LabelRef("loop" + name))
	VZEROUPPER()
	RET()
}
