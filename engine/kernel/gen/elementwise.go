package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// A body writes the arithmetic of one vector: from loaded inputs to the value
// stored. scalars are already spread over all lanes.
type body func(set isa, in []VecVirtual, scalars []VecVirtual) (out []VecVirtual)

// maps writes a kernel that applies f to n elements of each input. Outputs are
// pointers written, in the order of f's results; ptrs lists the inputs, which
// may be outputs too. n is a positive multiple of 16.
func maps(set isa, name, doc string, outs, ins, scalars []string, f body) {
	sig := "func("
	seen := map[string]bool{}
	var ptrs []string
	for _, p := range append(append([]string{}, outs...), ins...) {
		if !seen[p] {
			seen[p] = true
			ptrs = append(ptrs, p)
			sig += p + ", "
		}
	}
	sig = sig[:len(sig)-2] + " *float32, "
	for _, s := range scalars {
		sig += s + ", "
	}
	if len(scalars) > 0 {
		sig = sig[:len(sig)-2] + " float32, "
	}
	sig += "n int)"
	full := name + set.name
	TEXT(full, NOSPLIT, sig)
	Doc(full + " computes " + doc + "; n is a positive multiple of 16.")
	Pragma("noescape")
	at := map[string]Register{}
	for _, p := range ptrs {
		at[p] = Load(Param(p), GP64())
	}
	var spread []VecVirtual
	for _, s := range scalars {
		v := set.vec()
		m, err := Param(s).Resolve()
		if err != nil {
			panic(err)
		}
		VBROADCASTSS(m.Addr, v)
		spread = append(spread, v)
	}
	n, i := Load(Param("n"), GP64()), GP64()
	XORQ(i, i)
	loop := "loop" + full
	Label(loop)
	var in []VecVirtual
	for _, p := range ins {
		v := set.vec()
		VMOVUPS(Mem{Base: at[p], Index: i, Scale: 4}, v)
		in = append(in, v)
	}
	for k, v := range f(set, in, spread) {
		VMOVUPS(v, Mem{Base: at[outs[k]], Index: i, Scale: 4})
	}
	ADDQ(Imm(uint64(set.bytes/4)), i)
	CMPQ(i, n)
	JLT(LabelRef(loop))
	VZEROUPPER()
	RET()
}

// elementwise writes the kernels without reductions.
func elementwise(set isa) {
	list := func(s ...string) []string { return s }
	maps(set, "add", "y = a + b", list("y"), list("a", "b"), nil, func(set isa, in, c []VecVirtual) []VecVirtual {
		VADDPS(in[1], in[0], in[0])
		return in[:1]
	})
	maps(set, "relu", "y = max(x, 0)", list("y"), list("x"), nil, func(set isa, in, c []VecVirtual) []VecVirtual {
		zero := set.vec()
		VXORPS(zero.AsX(), zero.AsX(), zero.AsX())
		VMAXPS(in[0], zero, in[0])
		return in[:1]
	})
	maps(set, "reluGrad", "dx = dy where y > 0, else 0", list("dx"), list("dy", "y"), nil, func(set isa, in, c []VecVirtual) []VecVirtual {
		zero := set.vec()
		VXORPS(zero.AsX(), zero.AsX(), zero.AsX())
		keepWhereGreater(set, in[0], in[1], zero)
		return in[:1]
	})
	maps(set, "scale", "x = x·a", list("x"), list("x"), list("a"), func(set isa, in, c []VecVirtual) []VecVirtual {
		VMULPS(c[0], in[0], in[0])
		return in[:1]
	})
	maps(set, "affine", "y = max(floor, (x-m)·a + b)", list("y"), list("x"), list("m", "a", "b", "floor"), func(set isa, in, c []VecVirtual) []VecVirtual {
		VSUBPS(c[0], in[0], in[0])
		VFMADD213PS(c[2], c[1], in[0])
		VMAXPS(in[0], c[3], in[0])
		return in[:1]
	})
	maps(set, "affineAdd", "y = max(floor, (x-m)·a + b + r)", list("y"), list("x", "r"), list("m", "a", "b", "floor"), func(set isa, in, c []VecVirtual) []VecVirtual {
		VSUBPS(c[0], in[0], in[0])
		VFMADD213PS(c[2], c[1], in[0])
		VADDPS(in[1], in[0], in[0])
		VMAXPS(in[0], c[3], in[0])
		return in[:1]
	})
	maps(set, "normGrad", "dx = a·dy + (b·(x-m) + k)", list("dx"), list("dy", "x"), list("m", "a", "b", "k"), func(set isa, in, c []VecVirtual) []VecVirtual {
		VSUBPS(c[0], in[1], in[1])
		VFMADD213PS(c[3], c[2], in[1])
		VFMADD213PS(in[1], c[1], in[0])
		return in[:1]
	})
	maps(set, "sgd", "v = momentum·v + (decay·w + g), w = w - lr·v", list("v", "w"), list("grad", "v", "w"), list("lr", "momentum", "decay"), func(set isa, in, c []VecVirtual) []VecVirtual {
		VFMADD231PS(in[2], c[2], in[0])
		VFMADD213PS(in[0], c[1], in[1])
		VFNMADD231PS(in[1], c[0], in[2])
		return []VecVirtual{in[1], in[2]}
	})
	maps(set, "adam", "one step of AdamW, as Adam.Step says", list("m", "v", "w"), list("grad", "m", "v", "w"),
		list("b1", "c1", "b2", "c2", "keep", "lr", "root", "eps"), func(set isa, in, c []VecVirtual) []VecVirtual {
			g, m, v, w := in[0], in[1], in[2], in[3]
			VMULPS(c[0], m, m)
			VFMADD231PS(g, c[1], m)
			VMULPS(g, g, g)
			VMULPS(c[2], v, v)
			VFMADD231PS(g, c[3], v)
			VSQRTPS(v, g)
			VFMADD213PS(c[7], c[6], g)
			q := set.vec()
			VDIVPS(g, m, q)
			VMULPS(c[4], w, w)
			VFNMADD231PS(q, c[5], w)
			return []VecVirtual{m, v, w}
		})
	maps(set, "focal", "y = e^(-γ·sp(-x))·sp(x)", list("y"), list("x"), list("gamma"), func(set isa, in, c []VecVirtual) []VecVirtual {
		down, up, _ := softplus(set, in[0])
		VMULPS(c[0], up, up)
		expNegative(set, up)
		VMULPS(down, up, up)
		return []VecVirtual{up}
	})
	maps(set, "focalGrad", "y = e^(-γ·sp(-x))·(γ·p·sp(x) + 1-p), p = sigmoid(-x)", list("y"), list("x"), list("gamma"), func(set isa, in, c []VecVirtual) []VecVirtual {
		down, up, e := softplus(set, in[0])
		// big = 1/(1+e), small = e/(1+e): 1-p and p for x ≥ 0, the other way round below.
		one, big := set.vec(), set.vec()
		spread(set, 1, one)
		VADDPS(one, e, big)
		VDIVPS(big, one, big)
		VMULPS(big, e, e)
		p, q := set.vec(), set.vec()
		zero := one
		VXORPS(zero.AsX(), zero.AsX(), zero.AsX())
		swapWhereNegative(set, in[0], zero, big, e, q, p)
		VMULPS(p, down, down) // first: γ·sp(x) may be infinite where p is 0
		VFMADD213PS(q, c[0], down)
		VMULPS(c[0], up, up)
		expNegative(set, up)
		VMULPS(down, up, up)
		return []VecVirtual{up}
	})
}

// constants holds the data sections written so far.
var constants = map[string]Mem{}

// spread puts a constant into all lanes.
func spread(set isa, v float32, to VecVirtual) {
	name := fmt.Sprintf("f%08x", math.Float32bits(v))
	m, ok := constants[name]
	if !ok {
		m = ConstData(name, U32(math.Float32bits(v)))
		constants[name] = m
	}
	VBROADCASTSS(m, to)
}

// keepWhereGreater clears the lanes of v where a ≤ b, or where either is NaN.
func keepWhereGreater(set isa, v, a, b VecVirtual) {
	const greater = 30 // GT_OQ
	if set.bytes == 64 {
		k := K()
		VCMPPS(Imm(greater), b, a, k)
		VMOVAPS_Z(v, k, v)
		return
	}
	VCMPPS(Imm(greater), b, a, a)
	VANDPS(a, v, v)
}

// swapWhereNegative sets p, q to a, b, or to b, a where z < 0.
func swapWhereNegative(set isa, z, zero, a, b, p, q VecVirtual) {
	const less = 17 // LT_OQ
	if set.bytes == 64 {
		k := K()
		VCMPPS(Imm(less), zero, z, k)
		VBLENDMPS(b, a, k, p)
		VBLENDMPS(a, b, k, q)
		return
	}
	m := set.vec()
	VCMPPS(Imm(less), zero, z, m)
	VBLENDVPS(m, b, a, p)
	VBLENDVPS(m, a, b, q)
}

// softplus returns sp(z), sp(-z) and e^-|z|, sp(t) = log(1+e^t). z stays.
//
// With e = e^-|z|, log(1+e) is 2·artanh(s), s = e/(2+e) ≤ 1/3: its series keeps
// the relative precision however small e is.
func softplus(set isa, z VecVirtual) (up, down, e VecVirtual) {
	zero := set.vec()
	VXORPS(zero.AsX(), zero.AsX(), zero.AsX())
	up, down, e = set.vec(), set.vec(), set.vec()
	VSUBPS(z, zero, down)
	VMAXPS(z, zero, up)
	VMAXPS(down, zero, down)
	VADDPS(up, down, e) // |z|
	expNegative(set, e)
	s, two := set.vec(), zero
	spread(set, 2, two)
	VADDPS(two, e, s)
	VDIVPS(s, e, s)
	sq, poly, c := set.vec(), set.vec(), two
	VMULPS(s, s, sq)
	spread(set, 2./15, poly)
	for _, k := range []float32{2. / 13, 2. / 11, 2. / 9, 2. / 7, 2. / 5, 2. / 3, 2} {
		spread(set, k, c)
		VFMADD213PS(c, sq, poly)
	}
	VMULPS(s, poly, poly)
	VADDPS(poly, up, up)
	VADDPS(poly, down, down)
	return up, down, e
}

// expNegative replaces x ≥ 0 by e^-x, and by 0 beyond 87.3, where numbers stop
// being normal, and for NaN.
//
// e^-x = 2^-k·e^r with k = round(x/ln 2): adding 1.5·2²³ rounds and leaves k in
// the low bits, which are then taken from the exponent of e^r's series.
func expNegative(set isa, x VecVirtual) {
	c, k, t, magic, x0 := set.vec(), set.vec(), set.vec(), set.vec(), set.vec()
	spread(set, 87.33654, c)
	VMINPS(x, c, x0)
	VMOVAPS(x0, x)
	spread(set, 12582912, magic)
	spread(set, 1.4426950408889634, t)
	VFMADD213PS(magic, x, t)
	VSUBPS(magic, t, k)
	spread(set, 0.693359375, c) // ln 2 in two parts
	VFMSUB231PS(k, c, x)
	spread(set, -2.12194440e-4, c)
	VFMADD231PS(k, c, x)
	poly := k
	spread(set, 1./5040, poly)
	for _, f := range []float32{1. / 720, 1. / 120, 1. / 24, 1. / 6, .5, 1, 1} {
		spread(set, f, c)
		VFMADD213PS(c, x, poly)
	}
	VPSLLD(Imm(23), t, t)
	VPSUBD(t, poly, x)
	spread(set, 87.33654, c)
	keepWhereGreater(set, x, c, x0)
}

// reductions writes the kernels that add over their input, in 16 chains of one
// lane each that end as a tree.
func reductions(set isa) {
	pairSum(set, "moments", "out[0] = Σ (x-m) and out[1] = Σ (x-m)²", "x", "")
	pairSum(set, "products", "out[0] = Σ dy and out[1] = Σ dy·(x-m)", "x", "dy")
	squares(set)
}

func zeroed(set isa, n int) []VecVirtual {
	var v []VecVirtual
	for range n {
		r := set.vec()
		VXORPS(r.AsX(), r.AsX(), r.AsX())
		v = append(v, r)
	}
	return v
}

// pairSum writes the kernel of Σ a and Σ a·(x-m), a being dy, or x-m itself
// where dy has no name.
func pairSum(set isa, name, doc, x, dy string) {
	full := name + set.name
	pointers := x
	if dy != "" {
		pointers = dy + ", " + x
	}
	TEXT(full, NOSPLIT, "func("+pointers+" *float32, m float32, n int, out *float32)")
	Doc(full + " computes " + doc + "; n is a positive multiple of 16.")
	Pragma("noescape")
	xs, n, i, m := Load(Param(x), GP64()), Load(Param("n"), GP64()), GP64(), set.vec()
	var dys Register
	if dy != "" {
		dys = Load(Param(dy), GP64())
	}
	addr, err := Param("m").Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(addr.Addr, m)
	parts := 64 / set.bytes
	s1, s2 := zeroed(set, parts), zeroed(set, parts)
	XORQ(i, i)
	Label("loop" + full)
	for part := range parts {
		d := set.vec()
		VMOVUPS(Mem{Base: xs, Index: i, Scale: 4, Disp: part * set.bytes}, d)
		VSUBPS(m, d, d)
		a := d
		if dy != "" {
			a = set.vec()
			VMOVUPS(Mem{Base: dys, Index: i, Scale: 4, Disp: part * set.bytes}, a)
		}
		VADDPS(a, s1[part], s1[part])
		VFMADD231PS(d, a, s2[part])
	}
	ADDQ(Imm(16), i)
	CMPQ(i, n)
	JLT(LabelRef("loop" + full))
	out := Load(Param("out"), GP64())
	for j, s := range [][]VecVirtual{s1, s2} {
		t := YMM()
		if set.bytes == 64 {
			VEXTRACTF64X4(Imm(1), s[0], t)
			VADDPS(t, s[0].AsY(), s[0].AsY())
		} else {
			VADDPS(s[1], s[0], s[0])
		}
		addTree(set, s[0], t, Mem{Base: out, Disp: 4 * j})
	}
	VZEROUPPER()
	RET()
}

// squares writes Σ x² in float64: 16 chains whose ends are stored.
func squares(set isa) {
	full := "squares" + set.name
	TEXT(full, NOSPLIT, "func(x *float32, n int, out *float64)")
	Doc(full + " computes out[l] = Σ x[16i+l]² for 16 lanes in float64; n is a positive multiple of 16.")
	Pragma("noescape")
	xs, n, i := Load(Param("x"), GP64()), Load(Param("n"), GP64()), GP64()
	parts := 128 / set.bytes
	sums := zeroed(set, parts)
	XORQ(i, i)
	Label("loop" + full)
	for part := range parts {
		v := set.vec()
		VCVTPS2PD(Mem{Base: xs, Index: i, Scale: 4, Disp: part * set.bytes / 2}, v)
		VFMADD231PD(v, v, sums[part])
	}
	ADDQ(Imm(16), i)
	CMPQ(i, n)
	JLT(LabelRef("loop" + full))
	out := Load(Param("out"), GP64())
	for part := range parts {
		VMOVUPD(sums[part], Mem{Base: out, Disp: part * set.bytes})
	}
	VZEROUPPER()
	RET()
}
