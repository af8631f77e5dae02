package model

import (
	"fmt"
	"math"

	"focalgrid/engine"
)

// Builder adds one network to a graph.
type Builder struct {
	G *engine.Graph
	Config
	Train bool
}

// newBuilder ends engine.Build with an error if the shape is not an image's.
func newBuilder(g *engine.Graph, cfg Config, image *engine.Node, train bool) *Builder {
	if image == nil || len(image.Shape) != 4 || image.Shape[1] != 3 {
		panic(&engine.ShapeError{Op: "model", Msg: "the image must be [N,3,H,W]"})
	}
	return &Builder{G: g, Config: cfg, Train: train}
}

const (
	normEps      = 1e-5
	normMomentum = .1
)

// fanOut is He's initialisation for a convolution followed by ReLU, counted
// over its outputs: sd √(2/(K·R²)), which keeps the gradient's size.
func fanOut(outputs, kernel int) engine.Init {
	return engine.Normal(math.Sqrt(2 / float64(outputs*kernel*kernel)))
}

// body adds the ResNet and returns C2..C5.
func (b *Builder) body(image *engine.Node) [4]*engine.Node {
	const at = "backbone.body."
	widths := widths(b.Width)
	trained := b.FreezeStages < 1
	x := b.convNorm(image, at+"conv1", at+"bn1", widths[0], 7, 2, nil, true, trained)
	x = b.G.MaxPool(x, 3, 2, 1)

	var c [4]*engine.Node
	for stage, n := range blocks[b.Depth] {
		trained := b.FreezeStages < stage+2
		for i := range n {
			stride := 1
			if stage > 0 && i == 0 {
				stride = 2
			}
			x = b.block(x, fmt.Sprintf("%slayer%d.%d.", at, stage+1, i), widths[stage], stride, trained)
		}
		c[stage] = x
	}
	return c
}

// block adds a residual block; its last norm takes the shortcut and the ReLU.
func (b *Builder) block(x *engine.Node, at string, width, stride int, trained bool) *engine.Node {
	outputs := width
	if b.bottleneck() {
		outputs = 4 * width
	}
	shortcut := x
	if stride != 1 || x.Shape[1] != outputs {
		shortcut = b.convNorm(x, at+"downsample.0", at+"downsample.1", outputs, 1, stride, nil, false, trained)
	}
	if !b.bottleneck() {
		y := b.convNorm(x, at+"conv1", at+"bn1", width, 3, stride, nil, true, trained)
		return b.convNorm(y, at+"conv2", at+"bn2", width, 3, 1, shortcut, true, trained)
	}
	y := b.convNorm(x, at+"conv1", at+"bn1", width, 1, 1, nil, true, trained)
	y = b.convNorm(y, at+"conv2", at+"bn2", width, 3, stride, nil, true, trained)
	return b.convNorm(y, at+"conv3", at+"bn3", outputs, 1, 1, shortcut, true, trained)
}

// convNorm adds a convolution without bias that keeps the size over its
// stride, its norm, the residual (or nil) and the ReLU.
func (b *Builder) convNorm(x *engine.Node, conv, norm string, outputs, kernel, stride int, residual *engine.Node, relu, trained bool) *engine.Node {
	w := b.G.Param(conv+".weight", fanOut(outputs, kernel), trained, outputs, x.Shape[1], kernel, kernel)
	x = b.G.Conv2D(x, w, nil, stride, kernel/2, false)

	switch b.Norm {
	case "frozen":
		p := b.statistics(norm, "", outputs)
		p.Weight = b.G.Buffer(norm+".weight", engine.Constant(1), outputs)
		p.Bias = b.G.Buffer(norm+".bias", engine.Constant(0), outputs)
		return b.G.FrozenNorm(x, p, residual, relu)
	case "batch":
		p := b.statistics(norm, "", outputs)
		p.Weight, p.Bias = b.affine(norm, outputs, trained)
		return b.G.BatchNorm(x, p, residual, relu, b.Train && trained)
	}
	weight, bias := b.affine(norm, outputs, trained)
	x = b.G.GroupNorm(x, weight, bias, outputs/b.GroupChannels, normEps, relu && residual == nil)
	if residual == nil {
		return x
	}
	x = b.G.Add(x, residual)
	if relu {
		x = b.G.ReLU(x)
	}
	return x
}

// affine adds a norm's weight and bias.
func (b *Builder) affine(norm string, channels int, trained bool) (weight, bias *engine.Node) {
	return b.G.Param(norm+".weight", engine.Constant(1), trained, channels),
		b.G.Param(norm+".bias", engine.Constant(0), trained, channels)
}

// statistics adds a norm's running mean and variance; suffix distinguishes the levels of a head.
func (b *Builder) statistics(norm, suffix string, channels int) engine.Norm {
	return engine.Norm{
		Mean:     b.G.Buffer(norm+".running_mean"+suffix, engine.Constant(0), channels),
		Var:      b.G.Buffer(norm+".running_var"+suffix, engine.Constant(1), channels),
		Eps:      normEps,
		Momentum: normMomentum,
	}
}

// Classifier adds the backbone with a classifier on its last map, for
// pretraining: image [N,3,H,W] to the node "logits" [N,classes,1,1].
//
// It reads Depth, Width, Norm, FreezeStages and GroupChannels of cfg. The body's
// tensors have the names and shapes of the detector's; "frozen" and "batch" norm
// differ only in what is trained.
func Classifier(g *engine.Graph, cfg Config, image *engine.Node, classes int, train bool) *engine.Node {
	b := newBuilder(g, cfg, image, train)
	if classes < 1 {
		panic(&engine.ShapeError{Op: "model", Msg: fmt.Sprintf("a classifier of %d classes; must be 1 or more", classes)})
	}
	c5 := b.body(image)[3]
	in := c5.Shape[1]
	w := g.Param("fc.weight", engine.Uniform(1/math.Sqrt(float64(in))), true, classes, in, 1, 1)
	bias := g.Param("fc.bias", engine.Constant(0), true, classes)
	return g.Named(g.Conv2D(g.GlobalAvgPool(c5), w, bias, 1, 0, false), "logits")
}
