package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Offsets in the Go struct transform.
const (
	transDst = 8 * iota
	transSrc
	transOff
	transN
	transSrcStride
	transSrcStep
	transDstStride
	transDstStep
	transBias
	transFloor
	transMiddle
)

// The points of the transforms of 4 × 4 outputs, besides 0 and ∞; for 2 × 2 they
// are 1 and -1. Their powers are exact in float32.
const pointA, pointB = 11. / 16, 3. / 2

// A line is a transform of one row: it emits the code from the inputs in to the
// outputs, which it hands to store in order, and may overwrite in. k are its
// constants.
type line struct {
	name    string
	doc     string
	in, out int
	k       []float64
	f       func(in, k []VecVirtual, store func(i int, v VecVirtual))
	scatter bool // outputs go to a table's places, with bias and floor
	gather  bool // inputs come from a table's places
}

// copied returns a copy of v.
func copied(v VecVirtual) VecVirtual {
	c := YMM()
	VMOVAPS(v, c)
	return c
}

// product returns a·b.
func product(a, b VecVirtual) VecVirtual {
	c := YMM()
	VMULPS(a, b, c)
	return c
}

// sumDifference returns a+b and a-b.
func sumDifference(a, b VecVirtual) (sum, difference VecVirtual) {
	sum, difference = YMM(), YMM()
	VADDPS(b, a, sum)
	VSUBPS(b, a, difference)
	return sum, difference
}

// lines lists the transforms for 4 × 4 and for 2 × 2 outputs.
func lines() []line {
	const a, b = pointA, pointB
	zero, onA, onB := 1/(a*a*b*b), 1/(2*a*a*(a*a-b*b)), 1/(2*b*b*(b*b-a*a))
	return []line{
		{"winoIn4", "the input's transform for 4 × 4 outputs", 6, 6, []float64{a * a * b * b, a*a + b*b, a, a * a, b, b * b},
			func(d, k []VecVirtual, store func(int, VecVirtual)) {
				end := func(low, mid, high VecVirtual) VecVirtual {
					t := copied(high)
					VFNMADD231PS(k[1], mid, t)
					VFMADD231PS(k[0], low, t)
					return t
				}
				store(0, end(d[0], d[2], d[4]))
				for i := range 2 {
					point, square := k[2+2*i], k[5-2*i] // the other point's
					even, odd := copied(d[4]), copied(d[3])
					VFNMADD231PS(square, d[2], even)
					VFNMADD231PS(square, d[1], odd)
					plus := copied(even)
					VFMADD231PS(point, odd, plus)
					VFNMADD231PS(point, odd, even)
					store(1+2*i, plus)
					store(2+2*i, even)
				}
				store(5, end(d[1], d[3], d[5]))
			}, false, true},
		{"winoFilter4", "the kernel's transform for 4 × 4 outputs", 3, 6,
			[]float64{zero, onA, a * onA, a * a * onA, onB, b * onB, b * b * onB},
			func(g, k []VecVirtual, store func(int, VecVirtual)) {
				store(0, product(g[0], k[0]))
				for i := range 2 {
					even := product(g[0], k[1+3*i])
					VFMADD231PS(k[3+3*i], g[2], even)
					plus, minus := sumDifference(even, product(g[1], k[2+3*i]))
					store(1+2*i, plus)
					store(2+2*i, minus)
				}
				store(5, g[2])
			}, false, false},
		{"winoOut4", "the output's transform for 4 × 4 outputs", 6, 4, []float64{a, a * a, a * a * a, b, b * b, b * b * b},
			func(v, k []VecVirtual, store func(int, VecVirtual)) {
				sA, dA := sumDifference(v[1], v[2])
				sB, dB := sumDifference(v[3], v[4])
				VADDPS(sA, v[0], v[0])
				VADDPS(sB, v[0], v[0])
				store(0, v[0])
				for i, p := range [][2]VecVirtual{{dA, dB}, {sA, sB}} {
					t := product(p[0], k[i])
					VFMADD231PS(k[3+i], p[1], t)
					store(1+i, t)
				}
				VFMADD231PS(k[2], dA, v[5])
				VFMADD231PS(k[5], dB, v[5])
				store(3, v[5])
			}, true, false},
		{"winoGrad4", "the transform of 4 × 4 elements of an output's gradient", 4, 6,
			[]float64{zero, onA, a * onA, a * a * onA, a * a * a * onA, onB, b * onB, b * b * onB, b * b * b * onB},
			func(g, k []VecVirtual, store func(int, VecVirtual)) {
				store(0, product(g[0], k[0]))
				for i := range 2 {
					even, odd := product(g[0], k[1+4*i]), product(g[1], k[2+4*i])
					VFMADD231PS(k[3+4*i], g[2], even)
					VFMADD231PS(k[4+4*i], g[3], odd)
					plus := YMM()
					VADDPS(odd, even, plus)
					VSUBPS(odd, even, even)
					store(1+2*i, plus)
					store(2+2*i, even)
				}
				store(5, g[3])
			}, false, true},
		{"winoTaps4", "the last transform of a kernel's gradient from 4 × 4 blocks", 6, 3, []float64{a, a * a, b, b * b},
			func(v, k []VecVirtual, store func(int, VecVirtual)) {
				sA, dA := sumDifference(v[1], v[2])
				sB, dB := sumDifference(v[3], v[4])
				VADDPS(sA, v[0], v[0])
				VADDPS(sB, v[0], v[0])
				store(0, v[0])
				VMULPS(k[0], dA, dA)
				VFMADD231PS(k[2], dB, dA)
				store(1, dA)
				VFMADD231PS(k[1], sA, v[5])
				VFMADD231PS(k[3], sB, v[5])
				store(2, v[5])
			}, false, false},
		{"winoIn2", "the input's transform for 2 × 2 outputs", 4, 4, nil,
			func(d, _ []VecVirtual, store func(int, VecVirtual)) {
				plus, minus := sumDifference(d[2], d[1])
				VSUBPS(d[2], d[0], d[0])
				VSUBPS(d[1], d[3], d[3])
				store(0, d[0])
				store(1, plus)
				store(2, minus)
				store(3, d[3])
			}, false, true},
		{"winoFilter2", "the kernel's transform for 2 × 2 outputs", 3, 4, []float64{.5},
			func(g, k []VecVirtual, store func(int, VecVirtual)) {
				store(0, g[0])
				even := YMM()
				VADDPS(g[2], g[0], even)
				VMULPS(k[0], even, even)
				plus, minus := sumDifference(even, product(g[1], k[0]))
				store(1, plus)
				store(2, minus)
				store(3, g[2])
			}, false, false},
		{"winoOut2", "the output's transform for 2 × 2 outputs", 4, 2, nil,
			func(v, _ []VecVirtual, store func(int, VecVirtual)) {
				plus, minus := sumDifference(v[1], v[2])
				VADDPS(plus, v[0], v[0])
				VADDPS(minus, v[3], v[3])
				store(0, v[0])
				store(1, v[3])
			}, true, false},
		{"winoGrad2", "the transform of 2 × 2 elements of an output's gradient", 2, 4, []float64{.5},
			func(g, k []VecVirtual, store func(int, VecVirtual)) {
				plus, minus := sumDifference(product(g[0], k[0]), product(g[1], k[0]))
				store(0, g[0])
				store(1, plus)
				store(2, minus)
				store(3, g[1])
			}, false, true},
		{"winoTaps2", "the last transform of a kernel's gradient from 2 × 2 blocks", 4, 3, nil,
			func(v, _ []VecVirtual, store func(int, VecVirtual)) {
				plus, minus := sumDifference(v[1], v[2])
				VADDPS(plus, v[0], v[0])
				VADDPS(plus, v[3], v[3])
				store(0, v[0])
				store(1, minus)
				store(2, v[3])
			}, false, false},
	}
}

// eight is a constant in all lanes, in memory.
func eight(v float64) Mem {
	bits := math.Float32bits(float32(v))
	name := fmt.Sprintf("eight%08x", bits)
	m, ok := constants[name]
	if !ok {
		m = GLOBL(name, attr.RODATA|attr.NOPTR)
		for i := range 8 {
			DATA(4*i, U32(bits))
		}
		constants[name] = m
	}
	return m
}

// winograd writes the two-dimensional transform of n blocks of 8 lanes: l along
// the rows of in × in vectors, then along the columns. Frequencies are numbered
// column by column on either side, so that one side's stores and the other's
// loads walk through memory.
func winograd(l line) {
	TEXT(l.name+"AVX2", NOSPLIT, "func(t *byte)")
	Doc(l.name + "AVX2 is " + l.doc + "; t points to a transform.")
	Pragma("noescape")
	t := Load(Param("t"), GP64())
	field := func(off int) GPVirtual {
		r := GP64()
		MOVQ(Mem{Base: t, Disp: off}, r)
		return r
	}
	dst, src, n := field(transDst), field(transSrc), field(transN)
	srcStride, dstStride := field(transSrcStride), field(transDstStride)
	var off GPVirtual
	if l.gather || l.scatter {
		off = field(transOff)
	}
	middle := Mem{Base: t, Disp: transMiddle} // [in][out] vectors
	var k []VecVirtual
	for _, c := range l.k {
		v := YMM()
		VMOVUPS(eight(c), v)
		k = append(k, v)
	}
	from, to, at := GP64(), GP64(), GP64()
	loop := "loop" + l.name
	Label(loop)
	MOVQ(src, from)
	for row := range l.in {
		in := make([]VecVirtual, l.in)
		for i := range in {
			in[i] = YMM()
			if l.gather {
				MOVLQSX(Mem{Base: off, Disp: 4 * (row*l.in + i)}, at)
				VMOVUPS(Mem{Base: src, Index: at, Scale: 4}, in[i])
				continue
			}
			VMOVUPS(Mem{Base: from}, in[i])
			ADDQ(srcStride, from)
		}
		l.f(in, k, func(i int, v VecVirtual) {
			VMOVUPS(v, middle.Offset(32*(row*l.out+i)))
		})
	}
	MOVQ(dst, to)
	for column := range l.out {
		in := make([]VecVirtual, l.in)
		for i := range in {
			in[i] = YMM()
			VMOVUPS(middle.Offset(32*(i*l.out+column)), in[i])
		}
		var bias GPVirtual
		if l.scatter {
			bias = field(transBias)
		}
		l.f(in, k, func(i int, v VecVirtual) {
			if l.scatter {
				low := YMM()
				VBROADCASTSS(Mem{Base: t, Disp: transFloor}, low)
				VADDPS(Mem{Base: bias}, v, v)
				Comment("The value is the second source: a NaN stays NaN.")
				VMAXPS(v, low, v)
				MOVLQSX(Mem{Base: off, Disp: 4 * (column*l.out + i)}, at)
				VMOVUPS(v, Mem{Base: dst, Index: at, Scale: 4})
				return
			}
			VMOVUPS(v, Mem{Base: to})
			ADDQ(dstStride, to)
		})
	}
	if l.gather {
		ADDQ(U32(uint32(4*l.in*l.in)), off)
	}
	if l.scatter {
		ADDQ(U32(uint32(4*l.out*l.out)), off)
	}
	ADDQ(Mem{Base: t, Disp: transSrcStep}, src)
	ADDQ(Mem{Base: t, Disp: transDstStep}, dst)
	DECQ(n)
	JNZ(LabelRef(loop))
	VZEROUPPER()
	RET()
}
