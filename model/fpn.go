package model

import (
	"fmt"
	"math"

	"focalgrid/engine"
)

// pyramid adds P3..P7: 1×1 laterals, the top-down path and 3×3 outputs on
// C3..C5; P6 by a 3×3 of stride 2 on C5 or P5; P7 by one on ReLU(P6) (footnote 2).
func (b *Builder) pyramid(c [4]*engine.Node) []*engine.Node {
	const at = "backbone.fpn."
	p := make([]*engine.Node, 5)
	var top *engine.Node
	for i := 2; i >= 0; i-- {
		lateral := b.fpnConv(c[i+1], fmt.Sprintf("%sinner_blocks.%d.0", at, i), 1, 1)
		if top == nil {
			top = lateral
		} else {
			top = b.G.UpsampleAdd(lateral, top)
		}
		p[i] = b.fpnConv(top, fmt.Sprintf("%slayer_blocks.%d.0", at, i), 3, 1)
	}
	from := c[3]
	if b.P6 == "p5" {
		from = p[2]
	}
	p[3] = b.fpnConv(from, at+"extra_blocks.p6", 3, 2)
	p[4] = b.fpnConv(b.G.ReLU(p[3]), at+"extra_blocks.p7", 3, 2)
	for i, n := range p {
		b.G.Named(n, fmt.Sprintf("P%d", i+3))
	}
	return p
}

// fpnConv adds a convolution with bias to FPN channels, weights uniform in
// ±√(3/fan_in), so that outputs keep the variance of inputs.
func (b *Builder) fpnConv(x *engine.Node, name string, kernel, stride int) *engine.Node {
	in := x.Shape[1]
	w := b.G.Param(name+".weight", engine.Uniform(math.Sqrt(3/float64(in*kernel*kernel))), true, b.FPN, in, kernel, kernel)
	bias := b.G.Param(name+".bias", engine.Constant(0), true, b.FPN)
	return b.G.Conv2D(x, w, bias, stride, kernel/2, false)
}
