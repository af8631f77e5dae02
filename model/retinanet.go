package model

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"focalgrid/box"
	"focalgrid/engine"
	"focalgrid/portable"
	"focalgrid/setting"
)

// retinaNet is the head of the paper (section 4 and figure 3): two subnets of the same form, one
// for classes and one for boxes. With a norm the convolutions of a subnet have no bias, as in
// torchvision's v2 network: the norm's own takes its place. Batch norm shares its weights over the
// levels; statistics are a level's own, named running_mean.p3 and so on.
var retinaNet = Head{
	Title: "RetinaNet",
	Params: []setting.Param{
		{Name: "head_norm", Kind: setting.Text, Kinds: map[string][]setting.Param{"none": nil, "batch": nil, "group": {headGroups}},
			Doc: "norm after each convolution of the heads' towers: none (the paper), group or batch"},
		{Name: "head_init", Kind: setting.Text, Choices: []string{"gaussian", "kaiming"},
			Doc: "initialisation of the towers: gaussian (sd .01, the paper) or kaiming (sd √(2/fan_in)); last layers have sd .01"},
		{Name: "prior", Kind: setting.Number, Above: true, Max: 1, Below: true, None: true,
			Doc: "π of §4.1: the class bias starts at -log((1-π)/π); none starts it at 0, so that every class of every anchor starts at one half"},
	},
	Priors: func(c Config) AnchorConfig { return c.Anchors },
	Coder:  box.Deltas[float32]{},
	Terms:  []Term{{"class", []string{"class"}, "loss"}, {"box", []string{"box"}, "box_loss"}},
	Build:  buildRetinaNet,
	Parts:  []HeadPart{{PartClass, classSubnet}, {PartBox, boxSubnet}},
}

// The subnets as parts of a Summary, and the prefixes of their tensors' names.
const (
	PartClass   = "class head"
	PartBox     = "box head"
	classSubnet = "head.classification_head."
	boxSubnet   = "head.regression_head."
)

func buildRetinaNet(b *Builder, levels []*engine.Node) []Prediction {
	a, k := b.Anchors.PerCell(), b.Classes
	bias, start := b.prior()
	classes := b.last(b.tower(levels, classSubnet), classSubnet+"cls_logits", a*k, bias)
	boxes := b.last(b.tower(levels, boxSubnet), boxSubnet+"bbox_reg", a*4, 0)
	norm := ""
	if b.Settings.Text("head_norm") != "none" {
		norm = ", " + b.Settings.Text("head_norm") + " norm"
	}
	form := fmt.Sprintf("%d × (3×3 of %d%s, ReLU), 3×3 to %d·", towerConvs, b.FPN, norm, a)
	const shared = "shared by P3…P7"
	return []Prediction{
		{Name: "class", Size: k, Node: b.G.PackLevels(k, classes...), Form: fmt.Sprint(form, k), Notes: []string{shared, start}},
		{Name: "box", Size: 4, Node: b.G.PackLevels(4, boxes...), Form: form + "4", Notes: []string{shared}},
	}
}

// prior returns the bias that the logits of classes start from, with a note of its origin.
func (b *Builder) prior() (bias float64, note string) {
	if prior := b.Settings.Optional("prior"); prior != nil {
		return -portable.Log((1 - *prior) / *prior), fmt.Sprintf("prior %g", *prior)
	}
	return 0, "bias 0"
}

// towerConvs is the number of 3×3 convolutions before a head's last one.
const towerConvs = 4

// lastSD is the standard deviation of new layers in section 4.1.
const lastSD = .01

// tower adds the convolutions of one subnet to every level, with one set of weights for all of them.
func (b *Builder) tower(levels []*engine.Node, at string) []*engine.Node {
	f := b.FPN
	sd := lastSD
	if b.Settings.Text("head_init") == "kaiming" {
		sd = math.Sqrt(2 / float64(9*f))
	}
	kind := b.Settings.Text("head_norm")
	x := slices.Clone(levels)
	for i := range towerConvs {
		w := b.G.Param(fmt.Sprintf("%sconv.%d.0.weight", at, i), engine.Normal(sd), true, f, f, 3, 3)
		norm := fmt.Sprintf("%sconv.%d.1", at, i)
		if kind == "none" {
			bias := b.G.Param(fmt.Sprintf("%sconv.%d.0.bias", at, i), engine.Constant(0), true, f)
			for l := range x {
				x[l] = b.G.Conv2D(x[l], w, bias, 1, 1, true)
			}
			continue
		}
		weight, bias := b.affine(norm, f, true)
		for l := range x {
			y := b.G.Conv2D(x[l], w, nil, 1, 1, false)
			if kind == "group" {
				x[l] = b.G.GroupNorm(y, weight, bias, f/b.GroupChannels, normEps, true)
				continue
			}
			// One set of statistics would mix maps of different sizes and contents.
			p := b.statistics(norm, "."+strings.ToLower(levels[l].Name), f)
			p.Weight, p.Bias = weight, bias
			x[l] = b.G.BatchNorm(y, p, nil, true, b.Train)
		}
	}
	return x
}

// last adds the convolution that predicts to the towers of all levels.
func (b *Builder) last(towers []*engine.Node, name string, outputs int, start float64) []*engine.Node {
	w := b.G.Param(name+".weight", engine.Normal(lastSD), true, outputs, b.FPN, 3, 3)
	bias := b.G.Param(name+".bias", engine.Constant(start), true, outputs)
	x := slices.Clone(towers)
	for l := range x {
		x[l] = b.G.Conv2D(x[l], w, bias, 1, 1, false)
	}
	return x
}
