package model

import (
	"errors"
	"fmt"
	"slices"
)

// Config is everything that shapes a network. Start from Default: the zero
// value is not a network.
type Config struct {
	Depth int     // of the ResNet: 18, 34, 50, 101 or 152
	Width float64 // multiplies the stages' 64, 128, 256, 512 channels; truncated, at least 8

	// Norm is the backbone's: "frozen" (weights and statistics are constants),
	// "batch" (trained, with running statistics) or "group".
	Norm string
	// FreezeStages keeps the first parts of the backbone as they are: 0 none, 1
	// the stem (conv1, bn1), 2 also layer1 (C2), and so on to 5, the whole
	// backbone. Torchvision's trainable_backbone_layers is 5 less this. Batch
	// norm in a frozen part uses its running statistics in training too.
	FreezeStages int

	FPN    int    // channels of P3..P7 and of the heads
	P6From string // "c5" (the paper) or "p5" (torchvision's v1 weights)

	// HeadNorm follows each of the heads' tower convolutions: "none", "group" or
	// "batch" (affine shared by the levels; statistics a level's own, named
	// running_mean.p3 and so on). With a norm the convolution has no bias, as in
	// torchvision's v2 network: the norm's own takes its place.
	HeadNorm      string
	GroupChannels int // channels of one group, wherever group norm is chosen

	// HeadInit is "gaussian" (sd .01 in all head convolutions, the paper) or
	// "kaiming" (towers sd √(2/fan_in), last layers sd .01).
	HeadInit string
	// Prior is π of section 4.1: the class bias starts at -log((1-π)/π). Nil
	// starts it at 0, so that every class of every anchor starts at one half.
	Prior   *float64
	Classes int // K, with no background class

	Anchors AnchorConfig
}

// Default is the paper's RetinaNet-50 for COCO, with the parts that the paper
// leaves open as Detectron has them: frozen norm, stem and first stage frozen.
func Default() Config {
	prior := .01
	return Config{
		Depth: 50, Width: 1, Norm: "frozen", FreezeStages: 2,
		FPN: 256, P6From: "c5",
		HeadNorm: "none", GroupChannels: 8, HeadInit: "gaussian", Prior: &prior, Classes: 80,
		Anchors: AnchorConfig{Base: 4, Scales: 3, Ratios: []float64{.5, 1, 2}, Round: "none"},
	}
}

// blocks lists the residual blocks of the four stages by depth.
var blocks = map[int][4]int{
	18:  {2, 2, 2, 2},
	34:  {3, 4, 6, 3},
	50:  {3, 4, 6, 3},
	101: {3, 4, 23, 3},
	152: {3, 8, 36, 3},
}

// maxChannels bounds widths so that sizes of tensors stay far from overflow.
const maxChannels = 1 << 14

// Validate reports every field that is wrong and what it may be.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	word := func(field, v string, known ...string) {
		if !slices.Contains(known, v) {
			bad("%s is %q; known: %q", field, v, known)
		}
	}
	if _, ok := blocks[c.Depth]; !ok {
		bad("depth is %d; known: 18, 34, 50, 101, 152", c.Depth)
	}
	widthOK := c.Width > 0 && c.Width <= 8
	if !widthOK {
		bad("width is %v; must be above 0 and at most 8", c.Width)
	}
	word("norm", c.Norm, "frozen", "batch", "group")
	if c.FreezeStages < 0 || c.FreezeStages > 5 {
		bad("freeze_stages is %d; must be 0 (none), 1 (stem), 2 (and stage 1) … 5 (the whole backbone)", c.FreezeStages)
	}
	if c.FPN < 1 || c.FPN > maxChannels {
		bad("fpn is %d channels; must be 1 to %d", c.FPN, maxChannels)
	}
	word("p6_from", c.P6From, "c5", "p5")
	word("head_norm", c.HeadNorm, "none", "group", "batch")
	if c.Norm == "group" || c.HeadNorm == "group" {
		if c.GroupChannels < 1 {
			bad("group_channels is %d; must be 1 or more", c.GroupChannels)
		} else {
			if c.HeadNorm == "group" && c.FPN%c.GroupChannels != 0 {
				bad("fpn is %d; with head_norm group it must be a multiple of group_channels %d", c.FPN, c.GroupChannels)
			}
			if c.Norm == "group" && widthOK {
				w := c.widths()
				if slices.ContainsFunc(w[:], func(v int) bool { return v%c.GroupChannels != 0 }) {
					bad("width is %v, which gives stages of %v channels; with norm group each must be a multiple of group_channels %d", c.Width, w, c.GroupChannels)
				}
			}
		}
	}
	word("head_init", c.HeadInit, "gaussian", "kaiming")
	if c.Prior != nil && !(*c.Prior > 0 && *c.Prior < 1) {
		bad("prior is %v; must be between 0 and 1, both excluded, or none", *c.Prior)
	}
	if c.Classes < 1 || c.Classes > 1<<16 {
		bad("classes is %d; must be 1 to %d", c.Classes, 1<<16)
	}
	errs = append(errs, c.Anchors.Validate())
	return errors.Join(errs...)
}

// widths are the channels of the four stages' inner convolutions; the first is the stem's too.
func (c Config) widths() [4]int {
	var w [4]int
	for i := range w {
		w[i] = max(8, int(float64(int(64)<<i)*c.Width))
	}
	return w
}

// bottleneck tells whether blocks are 1×1, 3×3, 1×1 with four times as many outputs.
func (c Config) bottleneck() bool { return c.Depth >= 50 }
