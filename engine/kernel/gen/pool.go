package main

import (
	"math"

	"github.com/mmcloughlin/avo/attr"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
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

// maxWindows takes the maxima of n neighbouring windows of stride 2, tap by tap.
func maxWindows(set isa) {
	name := "maxWindows" + set.name
	TEXT(name, NOSPLIT, "func(best *float32, idx *int32, x *float32, off, first *int32, taps, start, pad, n int)")
	Doc(name+" begins with best[j] = -Inf, idx[j] = start+max(0, 2j-pad) and then sets, tap by tap,",
		"best[j] = x[off[tap]+j], idx[j] = first[tap]+2j where that x > best[j] or is NaN; taps is positive,",
		"n a positive multiple of 16.")
	Pragma("noescape")
	best, idx, x := Load(Param("best"), GP64()), Load(Param("idx"), GP64()), Load(Param("x"), GP64())
	off, first := Load(Param("off"), GP64()), Load(Param("first"), GP64())
	taps, n, i := Load(Param("taps"), GP64()), Load(Param("n"), GP64()), GP64()
	spreadInt := func(r Register) VecVirtual {
		v, t := set.vec(), XMM()
		VMOVD(r.(GP).As32(), t)
		VPBROADCASTD(t, v)
		return v
	}
	begin, pad := spreadInt(Load(Param("start"), GP64())), spreadInt(Load(Param("pad"), GP64()))
	step := GP64()
	MOVQ(U32(uint32(set.bytes/4*2)), step)
	steps := spreadInt(step)
	low, zero, column := set.vec(), set.vec(), set.vec()
	spread(set, float32(math.Inf(-1)), low)
	VXORPS(zero.AsX(), zero.AsX(), zero.AsX())
	VMOVUPS(twos(set), column)
	XORQ(i, i)
	Label("loop" + name)
	b, at := set.vec(), set.vec()
	VMOVAPS(low, b)
	VPSUBD(pad, column, at)
	VPMAXSD(zero, at, at)
	VPADDD(begin, at, at)
	t, o := GP64(), GP64()
	XORQ(t, t)
	Label("tap" + name)
	MOVLQSX(Mem{Base: off, Index: t, Scale: 4}, o)
	ADDQ(i, o)
	v, pos := set.vec(), set.vec()
	VMOVUPS(Mem{Base: x, Index: o, Scale: 4}, v)
	VPBROADCASTD(Mem{Base: first, Index: t, Scale: 4}, pos)
	VPADDD(column, pos, pos)
	const greater, unordered = 30, 3 // GT_OQ, UNORD_Q
	if set.bytes == 64 {
		k, nan := K(), K()
		VCMPPS(Imm(greater), b, v, k)
		VCMPPS(Imm(unordered), v, v, nan)
		KORW(k, nan, k)
		VMOVAPS(v, k, b)
		VMOVDQA32(pos, k, at)
	} else {
		m, nan := set.vec(), set.vec()
		VCMPPS(Imm(greater), b, v, m)
		VCMPPS(Imm(unordered), v, v, nan)
		VORPS(nan, m, m)
		VBLENDVPS(m, v, b, b)
		VBLENDVPS(m, pos, at, at)
	}
	INCQ(t)
	CMPQ(t, taps)
	JLT(LabelRef("tap" + name))
	VMOVUPS(b, Mem{Base: best, Index: i, Scale: 4})
	VMOVUPS(at, Mem{Base: idx, Index: i, Scale: 4})
	VPADDD(steps, column, column)
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
