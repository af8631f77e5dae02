package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// weaves writes the kernels that turn ni rows into one row of ni-tuples and
// back, for ni = 2, 4 and 8: eight columns a turn. Strides count elements.
func weaves() {
	weave(2)
	weave(4)
	unweave(2)
	unweave(4)
	transpose8()
	split2()
	evens()
	place()
}

// evens keeps every second element.
func evens() {
	TEXT("evensAVX2", NOSPLIT, "func(dst, src *float32, n int)")
	Doc("evensAVX2 computes dst[j] = src[2j] for j < n, reading 2n elements; n is a positive multiple of 8.")
	Pragma("noescape")
	dst, src, n := Load(Param("dst"), GP64()), Load(Param("src"), GP64()), Load(Param("n"), GP64())
	Label("evensloop")
	v := YMM()
	VMOVUPS(Mem{Base: src}, v)
	VSHUFPS(Imm(0x88), Mem{Base: src, Disp: 32}, v, v)
	VPERMPD(Imm(0xd8), v, v)
	VMOVUPS(v, Mem{Base: dst})
	ADDQ(Imm(64), src)
	ADDQ(Imm(32), dst)
	SUBQ(Imm(8), n)
	JNZ(LabelRef("evensloop"))
	VZEROUPPER()
	RET()
}

// place copies rows into the middle of longer rows and clears both ends.
func place() {
	TEXT("placeAVX2", NOSPLIT, "func(dst, src *float32, rows, left, width, right int)")
	Doc("placeAVX2 writes rows of left zeros, width elements of src and right zeros, one after the other; rows is positive, width a positive multiple of 8.")
	Pragma("noescape")
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	rows, left := Load(Param("rows"), GP64()), Load(Param("left"), GP64())
	width, right := Load(Param("width"), GP64()), Load(Param("right"), GP64())
	n := GP64()
	v, zero := YMM(), YMM()
	VXORPS(zero, zero, zero)
	clear := func(label string, count Register) {
		MOVQ(count, n)
		TESTQ(n, n)
		JZ(LabelRef("placeafter" + label))
		Label("place" + label)
		VMOVSS(zero.AsX(), Mem{Base: dst})
		ADDQ(Imm(4), dst)
		DECQ(n)
		JNZ(LabelRef("place" + label))
		Label("placeafter" + label)
	}
	Label("placerow")
	clear("left", left)
	MOVQ(width, n)
	Label("placecopy")
	VMOVUPS(Mem{Base: src}, v)
	VMOVUPS(v, Mem{Base: dst})
	ADDQ(Imm(32), src)
	ADDQ(Imm(32), dst)
	SUBQ(Imm(8), n)
	JNZ(LabelRef("placecopy"))
	clear("right", right)
	DECQ(rows)
	JNZ(LabelRef("placerow"))
	VZEROUPPER()
	RET()
}

// split2 splits rows into their even and odd elements.
func split2() {
	TEXT("split2AVX2", NOSPLIT, "func(even, odd, src *float32, rows, step, n int)")
	Doc("split2AVX2 computes even[r·step+j] = src[2(r·n+j)], odd[r·step+j] = src[2(r·n+j)+1] for r < rows, j < n; rows is positive, n a positive multiple of 8.")
	Pragma("noescape")
	even, odd, src := Load(Param("even"), GP64()), Load(Param("odd"), GP64()), Load(Param("src"), GP64())
	rows, step, n := Load(Param("rows"), GP64()), Load(Param("step"), GP64()), Load(Param("n"), GP64())
	SHLQ(Imm(2), step)
	j := GP64()
	Label("split2row")
	XORQ(j, j)
	Label("split2loop")
	in := ymm(2)
	VMOVUPS(Mem{Base: src}, in[0])
	VMOVUPS(Mem{Base: src, Disp: 32}, in[1])
	a, b := halves(in[0], in[1])
	out := ymm(2)
	VSHUFPS(Imm(0x88), b, a, out[0])
	VSHUFPS(Imm(0xdd), b, a, out[1])
	VMOVUPS(out[0], Mem{Base: even, Index: j, Scale: 4})
	VMOVUPS(out[1], Mem{Base: odd, Index: j, Scale: 4})
	ADDQ(Imm(64), src)
	ADDQ(Imm(8), j)
	CMPQ(j, n)
	JLT(LabelRef("split2loop"))
	ADDQ(step, even)
	ADDQ(step, odd)
	DECQ(rows)
	JNZ(LabelRef("split2row"))
	VZEROUPPER()
	RET()
}

func ymm(n int) []VecVirtual {
	v := make([]VecVirtual, n)
	for i := range v {
		v[i] = YMM()
	}
	return v
}

// rowsAt gives the addresses of 1, 2, 4 or 8 rows stride apart. For 8 rows it
// returns a second base register that must be advanced as well.
func rowsAt(base, s Register, n int) (rows []Mem, low Register) {
	s3 := GP64()
	LEAQ(Mem{Base: s, Index: s, Scale: 2}, s3)
	rows = []Mem{{Base: base}, {Base: base, Index: s, Scale: 1}, {Base: base, Index: s, Scale: 2}, {Base: base, Index: s3, Scale: 1}}
	if n == 8 {
		low = GP64()
		LEAQ(Mem{Base: base, Index: s, Scale: 4}, low)
		rows = append(rows, Mem{Base: low}, Mem{Base: low, Index: s, Scale: 1}, Mem{Base: low, Index: s, Scale: 2}, Mem{Base: low, Index: s3, Scale: 1})
	}
	return rows[:n], low
}

// cross is the 4 × 4 transposition in each half of four registers.
func cross(in []VecVirtual) []VecVirtual {
	t, out := ymm(4), ymm(4)
	VUNPCKLPS(in[1], in[0], t[0])
	VUNPCKHPS(in[1], in[0], t[1])
	VUNPCKLPS(in[3], in[2], t[2])
	VUNPCKHPS(in[3], in[2], t[3])
	for i := range 2 {
		VSHUFPS(Imm(0x44), t[2+i], t[i], out[2*i])
		VSHUFPS(Imm(0xee), t[2+i], t[i], out[2*i+1])
	}
	return out
}

// halves returns the low halves and the high halves of a and b, joined.
func halves(a, b VecVirtual) (low, high VecVirtual) {
	low, high = YMM(), YMM()
	VPERM2F128(Imm(0x20), b, a, low)
	VPERM2F128(Imm(0x31), b, a, high)
	return low, high
}

func weave(ni int) {
	name := fmt.Sprintf("weave%dAVX2", ni)
	TEXT(name, NOSPLIT, "func(dst, src *float32, stride, n int)")
	Doc(fmt.Sprintf("%s computes dst[%dj+i] = src[i·stride+j] for i < %d, j < n; n is a positive multiple of 8.", name, ni, ni))
	Pragma("noescape")
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	s, n := Load(Param("stride"), GP64()), Load(Param("n"), GP64())
	SHLQ(Imm(2), s)
	rows, _ := rowsAt(src, s, ni)
	Label("loop" + name)
	in := ymm(ni)
	for i, m := range rows {
		VMOVUPS(m, in[i])
	}
	var out []VecVirtual
	if ni == 2 {
		t := ymm(2)
		VUNPCKLPS(in[1], in[0], t[0])
		VUNPCKHPS(in[1], in[0], t[1])
		a, b := halves(t[0], t[1])
		out = []VecVirtual{a, b}
	} else {
		c := cross(in)
		a, b := halves(c[0], c[1])
		d, e := halves(c[2], c[3])
		out = []VecVirtual{a, d, b, e}
	}
	for i, v := range out {
		VMOVUPS(v, Mem{Base: dst, Disp: 32 * i})
	}
	ADDQ(Imm(32), src)
	ADDQ(U32(uint32(32*ni)), dst)
	SUBQ(Imm(8), n)
	JNZ(LabelRef("loop" + name))
	VZEROUPPER()
	RET()
}

func unweave(ni int) {
	name := fmt.Sprintf("unweave%dAVX2", ni)
	TEXT(name, NOSPLIT, "func(dst, src *float32, stride, n int)")
	Doc(fmt.Sprintf("%s computes dst[i·stride+j] = src[%dj+i] for i < %d, j < n; n is a positive multiple of 8.", name, ni, ni))
	Pragma("noescape")
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	s, n := Load(Param("stride"), GP64()), Load(Param("n"), GP64())
	SHLQ(Imm(2), s)
	rows, _ := rowsAt(dst, s, ni)
	Label("loop" + name)
	in := ymm(ni)
	for i := range in {
		VMOVUPS(Mem{Base: src, Disp: 32 * i}, in[i])
	}
	var out []VecVirtual
	if ni == 2 {
		a, b := halves(in[0], in[1])
		out = ymm(2)
		VSHUFPS(Imm(0x88), b, a, out[0])
		VSHUFPS(Imm(0xdd), b, a, out[1])
	} else {
		a, b := halves(in[0], in[2])
		c, d := halves(in[1], in[3])
		out = cross([]VecVirtual{a, b, c, d})
	}
	for i, m := range rows {
		VMOVUPS(out[i], m)
	}
	ADDQ(Imm(32), dst)
	ADDQ(U32(uint32(32*ni)), src)
	SUBQ(Imm(8), n)
	JNZ(LabelRef("loop" + name))
	VZEROUPPER()
	RET()
}

// transpose8 transposes blocks of 8 × 8 with a free step on either side: it is
// weave and unweave for 8 rows, and for 16 in two halves.
func transpose8() {
	TEXT("transpose8AVX2", NOSPLIT, "func(dst, src *float32, dstRow, dstStep, srcRow, srcStep, blocks int)")
	Doc("transpose8AVX2 computes dst[b·dstStep+j·dstRow+i] = src[b·srcStep+i·srcRow+j] for i, j < 8 and b < blocks; blocks is positive.")
	Pragma("noescape")
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	load := func(name string) Register {
		r := Load(Param(name), GP64())
		SHLQ(Imm(2), r)
		return r
	}
	srcRow, dstRow := load("srcRow"), load("dstRow")
	srcStep, dstStep := load("srcStep"), load("dstStep")
	n := Load(Param("blocks"), GP64())
	from, fromLow := rowsAt(src, srcRow, 8)
	to, toLow := rowsAt(dst, dstRow, 8)
	Label("transpose8loop")
	in := ymm(8)
	for i, m := range from {
		VMOVUPS(m, in[i])
	}
	a, b := cross(in[:4]), cross(in[4:])
	for i := range 4 {
		low, high := halves(a[i], b[i])
		VMOVUPS(low, to[i])
		VMOVUPS(high, to[4+i])
	}
	ADDQ(srcStep, src)
	ADDQ(srcStep, fromLow)
	ADDQ(dstStep, dst)
	ADDQ(dstStep, toLow)
	DECQ(n)
	JNZ(LabelRef("transpose8loop"))
	VZEROUPPER()
	RET()
}
