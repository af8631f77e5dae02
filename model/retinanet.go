package model

import (
	"fmt"
	"math"
	"strings"

	"focalgrid/engine"
	"focalgrid/portable"
)

// Outputs are the nodes of a RetinaNet. A is the number of anchors of all
// levels, in the order of Anchors.
type Outputs struct {
	Logits   *engine.Node    // "logits" [N,A,K]
	Deltas   *engine.Node    // "deltas" [N,A,4]: dx, dy, dw, dh
	Features []*engine.Node  // "P3" … "P7", each [N,FPN,H,W]
	Anchors  [][4]float32    // [A]
	Body     [4]*engine.Node // C2..C5
}

// RetinaNet adds the whole network (section 4 and figure 3 of the paper) over
// image [N,3,H,W]. In training, batch norms outside frozen parts use and move
// their statistics.
func RetinaNet(g *engine.Graph, cfg Config, image *engine.Node, train bool) Outputs {
	out := newBuilder(g, cfg, image, train).retinaNet(image)
	out.Anchors = cfg.Anchors.Generate(image.Shape[2], image.Shape[3])
	return out
}

// maxClasses bounds the outputs so that sizes of tensors stay far from overflow.
const maxClasses = 1 << 16

// retinaNet is RetinaNet without the anchors' boxes.
func (b *builder) retinaNet(image *engine.Node) Outputs {
	g, cfg := b.g, b.cfg
	if cfg.Classes < 1 || cfg.Classes > maxClasses {
		panic(&engine.ShapeError{Op: "model", Msg: fmt.Sprintf("%d classes; must be 1 to %d", cfg.Classes, maxClasses)})
	}
	out := Outputs{Body: b.body(image)}
	out.Features = b.pyramid(out.Body)
	a := cfg.Anchors.PerCell()
	prior := 0.
	if cfg.Prior != nil {
		prior = -portable.Log((1 - *cfg.Prior) / *cfg.Prior)
	}
	logits := b.head(out.Features, "head.classification_head.", "cls_logits", a*cfg.Classes, prior)
	deltas := b.head(out.Features, "head.regression_head.", "bbox_reg", a*4, 0)
	out.Logits = g.Named(g.PackLevels(cfg.Classes, logits...), "logits")
	out.Deltas = g.Named(g.PackLevels(4, deltas...), "deltas")
	return out
}

// pyramid adds P3..P7: 1×1 laterals, the top-down path and 3×3 outputs on
// C3..C5; P6 by a 3×3 of stride 2 on C5 or P5; P7 by one on ReLU(P6) (footnote 2).
func (b *builder) pyramid(c [4]*engine.Node) []*engine.Node {
	const at = "backbone.fpn."
	p := make([]*engine.Node, 5)
	var top *engine.Node
	for i := 2; i >= 0; i-- {
		lateral := b.fpnConv(c[i+1], fmt.Sprintf("%sinner_blocks.%d.0", at, i), 1, 1)
		if top == nil {
			top = lateral
		} else {
			top = b.g.UpsampleAdd(lateral, top)
		}
		p[i] = b.fpnConv(top, fmt.Sprintf("%slayer_blocks.%d.0", at, i), 3, 1)
	}
	from := c[3]
	if b.cfg.P6 == "p5" {
		from = p[2]
	}
	p[3] = b.fpnConv(from, at+"extra_blocks.p6", 3, 2)
	p[4] = b.fpnConv(b.g.ReLU(p[3]), at+"extra_blocks.p7", 3, 2)
	for i, n := range p {
		b.g.Named(n, fmt.Sprintf("P%d", i+3))
	}
	return p
}

// fpnConv adds a convolution with bias to FPN channels, weights uniform in
// ±√(3/fan_in), so that outputs keep the variance of inputs.
func (b *builder) fpnConv(x *engine.Node, name string, kernel, stride int) *engine.Node {
	in := x.Shape[1]
	w := b.g.Param(name+".weight", engine.Uniform(math.Sqrt(3/float64(in*kernel*kernel))), true, b.cfg.FPN, in, kernel, kernel)
	bias := b.g.Param(name+".bias", engine.Constant(0), true, b.cfg.FPN)
	return b.g.Conv2D(x, w, bias, stride, kernel/2, false)
}

// towerConvs is the number of 3×3 convolutions before a head's last one.
const towerConvs = 4

// lastSD is the standard deviation of new layers in section 4.1.
const lastSD = .01

// head adds one subnet to every level, with one set of weights for all of them.
func (b *builder) head(levels []*engine.Node, at, last string, outputs int, lastBias float64) []*engine.Node {
	f := b.cfg.FPN
	sd := lastSD
	if b.cfg.HeadInit == "kaiming" {
		sd = math.Sqrt(2 / float64(9*f))
	}
	x := append([]*engine.Node{}, levels...)
	for i := range towerConvs {
		w := b.g.Param(fmt.Sprintf("%sconv.%d.0.weight", at, i), engine.Normal(sd), true, f, f, 3, 3)
		norm := fmt.Sprintf("%sconv.%d.1", at, i)
		if b.cfg.HeadNorm == "none" {
			bias := b.g.Param(fmt.Sprintf("%sconv.%d.0.bias", at, i), engine.Constant(0), true, f)
			for l := range x {
				x[l] = b.g.Conv2D(x[l], w, bias, 1, 1, true)
			}
			continue
		}
		weight, bias := b.affine(norm, f, true)
		for l := range x {
			y := b.g.Conv2D(x[l], w, nil, 1, 1, false)
			if b.cfg.HeadNorm == "group" {
				x[l] = b.g.GroupNorm(y, weight, bias, f/b.cfg.GroupChannels, normEps, true)
				continue
			}
			// One set of statistics would mix maps of different sizes and contents.
			p := b.statistics(norm, "."+strings.ToLower(levels[l].Name), f)
			p.Weight, p.Bias = weight, bias
			x[l] = b.g.BatchNorm(y, p, nil, true, b.train)
		}
	}
	w := b.g.Param(at+last+".weight", engine.Normal(lastSD), true, outputs, f, 3, 3)
	bias := b.g.Param(at+last+".bias", engine.Constant(lastBias), true, outputs)
	for l := range x {
		x[l] = b.g.Conv2D(x[l], w, bias, 1, 1, false)
	}
	return x
}
