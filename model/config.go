package model

import (
	"fmt"
	"slices"

	"focalgrid/setting"
)

// Params are the settings of the network, but for its anchors.
var Params = []setting.Param{
	{Name: "depth", Kind: setting.Int, Choices: []string{"18", "34", "50", "101", "152"}, Doc: "layers of the ResNet"},
	{Name: "width", Kind: setting.Number, Min: 1. / 64, Max: 4, Doc: "multiplies the stages' 64, 128, 256, 512 channels; truncated, at least 8"},
	{Name: "norm", Kind: setting.Text, Kinds: map[string][]setting.Param{"frozen": nil, "batch": nil, "group": {bodyGroups}},
		Doc: "norm of the backbone; frozen: weights and statistics are constants"},
	{Name: "freeze_stages", Kind: setting.Int, Max: 5,
		Doc: "parts of the backbone that stay as they are: 0 none, 1 the stem, 2 the stem and the first stage, … 5 all (torchvision's trainable_backbone_layers is 5 less this)"},
	{Name: "fpn", Kind: setting.Int, Min: 1, Max: 4096, Doc: "channels of pyramid and heads"},
	{Name: "p6", Kind: setting.Text, Choices: []string{"c5", "p5"}, Doc: "what P6 is made from: c5 (the paper) or p5 (torchvision's v1 weights)"},
	{Name: "head", Kind: setting.Text, Kinds: headKinds(), Was: "retinanet", Doc: "what predicts classes and boxes on the pyramid"},
}

var (
	bodyGroups = groupChannels(func(v setting.Values, channels int) error {
		if w := widths(v.Number("width")); slices.ContainsFunc(w[:], func(c int) bool { return c%channels != 0 }) {
			return fmt.Errorf("must divide the channels of all stages, which are %v at width %s, beside norm group", w, setting.Spell(v.Number("width")))
		}
		return nil
	})
	headGroups = groupChannels(func(v setting.Values, channels int) error {
		if fpn := v.Int("fpn"); fpn%channels != 0 {
			return fmt.Errorf("must divide fpn, %d, beside head_norm group", fpn)
		}
		return nil
	})
)

func groupChannels(check func(v setting.Values, channels int) error) setting.Param {
	return setting.Param{Name: "group_channels", Kind: setting.Int, Min: 1, Max: 4096, Doc: "channels of one group, wherever a norm is group",
		Check: func(v setting.Values) error { return check(v, v.Int("group_channels")) }}
}

// Config holds everything that shapes a network, as Params and AnchorParams describe it.
type Config struct {
	Depth         int
	Width         float64
	Norm          string
	FreezeStages  int // batch norm in a frozen part uses its running statistics in training too
	FPN           int
	P6            string
	GroupChannels int

	Head     string
	Settings setting.Values // of the head: the network's group

	Classes int // K, with no background class
	Anchors AnchorConfig
}

// New makes the configuration of the settings for that many classes.
func New(v, anchors setting.Values, classes int) Config {
	return Config{
		Depth: v.Int("depth"), Width: v.Number("width"), Norm: v.Text("norm"), FreezeStages: v.Int("freeze_stages"),
		FPN: v.Int("fpn"), P6: v.Text("p6"), GroupChannels: v.Int("group_channels"),
		Head: v.Text("head"), Settings: v, Classes: classes, Anchors: NewAnchors(anchors),
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

// widths are the channels of the four stages' inner convolutions; the first is the stem's too.
func widths(width float64) [4]int {
	var w [4]int
	for i := range w {
		w[i] = max(8, int(float64(int(64)<<i)*width))
	}
	return w
}

// bottleneck reports whether blocks are 1×1, 3×3, 1×1 with four times as many outputs.
func (c Config) bottleneck() bool { return c.Depth >= 50 }
