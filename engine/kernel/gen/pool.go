package main

import (
	"github.com/mmcloughlin/avo/attr"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// spin writes a short wait that leaves the core to its other thread.
func spin() {
	TEXT("spin", NOSPLIT, "func(turns int)")
	Doc("spin waits turns PAUSE instructions; turns is positive.")
	n := Load(Param("turns"), GP64())
	Label("spinloop")
	PAUSE()
	DECQ(n)
	JNZ(LabelRef("spinloop"))
	RET()
}

// maxStep offers one candidate of a window to n maxima: where x[j] > best[j], or
// x[j] is NaN, it becomes the best and idx[j] = first + 2j.
func maxStep(set isa) {
	name := "maxStep" + set.name
	TEXT(name, NOSPLIT, "func(best *float32, idx *int32, x *float32, first int, n int)")
	Doc(name + " sets best[j] = x[j], idx[j] = first+2j where x[j] > best[j] or x[j] is NaN; n is a positive multiple of 16.")
	Pragma("noescape")
	best, idx, x := Load(Param("best"), GP64()), Load(Param("idx"), GP64()), Load(Param("x"), GP64())
	first, n, i := GP64(), Load(Param("n"), GP64()), GP64()
	Load(Param("first"), first)
	pos, step, t := set.vec(), set.vec(), XMM()
	VMOVD(first.As32(), t)
	VPBROADCASTD(t, pos)
	VPADDD(twos(set), pos, pos)
	MOVL(U32(uint32(set.bytes/4*2)), first.As32())
	VMOVD(first.As32(), t)
	VPBROADCASTD(t, step)
	XORQ(i, i)
	Label("loop" + name)
	b, v, at := set.vec(), set.vec(), set.vec()
	VMOVUPS(Mem{Base: best, Index: i, Scale: 4}, b)
	VMOVUPS(Mem{Base: x, Index: i, Scale: 4}, v)
	const greater, unordered = 30, 3 // GT_OQ, UNORD_Q
	if set.bytes == 64 {
		VMOVDQU32(Mem{Base: idx, Index: i, Scale: 4}, at)
		k, nan := K(), K()
		VCMPPS(Imm(greater), b, v, k)
		VCMPPS(Imm(unordered), v, v, nan)
		KORW(k, nan, k)
		VMOVAPS(v, k, b)
		VMOVDQA32(pos, k, at)
		VMOVDQU32(at, Mem{Base: idx, Index: i, Scale: 4})
	} else {
		VMOVDQU(Mem{Base: idx, Index: i, Scale: 4}, at)
		m, nan := set.vec(), set.vec()
		VCMPPS(Imm(greater), b, v, m)
		VCMPPS(Imm(unordered), v, v, nan)
		VORPS(nan, m, m)
		VBLENDVPS(m, v, b, b)
		VBLENDVPS(m, pos, at, at)
		VMOVDQU(at, Mem{Base: idx, Index: i, Scale: 4})
	}
	VMOVUPS(b, Mem{Base: best, Index: i, Scale: 4})
	VPADDD(step, pos, pos)
	ADDQ(Imm(uint64(set.bytes/4)), i)
	CMPQ(i, n)
	JLT(LabelRef("loop" + name))
	VZEROUPPER()
	RET()
}

// twos is 0, 2, 4, … in memory.
func twos(set isa) Mem {
	name := "twos"
	m, ok := constants[name]
	if !ok {
		m = GLOBL(name, attr.RODATA|attr.NOPTR)
		for i := range 16 {
			DATA(4*i, U32(2*i))
		}
		constants[name] = m
	}
	return m
}
