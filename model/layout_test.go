package model

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"focalgrid/engine"
)

// TestLayout: the network of the paper on 608×800 pixels, as its section 4 and the pyramid's own paper describe it.
// Sizes are the input's, halved with a half rounded up.
func TestLayout(t *testing.T) {
	l, err := LayOut(paper(), 608, 800)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range l.Maps {
		got = append(got, fmt.Sprintf("%s %d×%d×%d of %s, %d blocks, %d anchors", m.Name, m.Channels, m.H, m.W, strings.Join(m.From, "+"), m.Blocks, m.Priors))
	}
	want := []string{
		"image 3×608×800 of , 0 blocks, 0 anchors",
		"stem 64×152×200 of image, 0 blocks, 0 anchors",
		"C2 256×152×200 of stem, 3 blocks, 0 anchors",
		"C3 512×76×100 of C2, 4 blocks, 0 anchors",
		"C4 1024×38×50 of C3, 6 blocks, 0 anchors",
		"C5 2048×19×25 of C4, 3 blocks, 0 anchors",
		"M5 256×19×25 of C5, 0 blocks, 0 anchors",
		"M4 256×38×50 of C4+M5, 0 blocks, 0 anchors",
		"M3 256×76×100 of C3+M4, 0 blocks, 0 anchors",
		"P3 256×76×100 of M3, 0 blocks, 68400 anchors",
		"P4 256×38×50 of M4, 0 blocks, 17100 anchors",
		"P5 256×19×25 of M5, 0 blocks, 4275 anchors",
		"P6 256×10×13 of C5, 0 blocks, 1170 anchors",
		"P7 256×5×7 of P6, 0 blocks, 315 anchors",
	}
	if !slices.Equal(got, want) {
		t.Errorf("maps:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	conv := func(kernel, stride, channels int) Layer {
		return Layer{Op: engine.OpConv2D, Kernel: kernel, Stride: stride, Channels: channels}
	}
	stem := conv(7, 2, 64)
	stem.Norm, stem.ReLU = engine.OpFrozenNorm, true
	for name, want := range map[string][]Layer{
		"stem": {stem, {Op: engine.OpMaxPool, Kernel: 3, Stride: 2, Channels: 64}},
		"M4":   {conv(1, 1, 256)}, "P4": {conv(3, 1, 256)}, "P6": {conv(3, 2, 256)},
		"P7": {{Op: engine.OpReLU, ReLU: true}, conv(3, 2, 256)},
	} {
		if got := l.Map(name).Made; !slices.Equal(got, want) {
			t.Errorf("%s is made by %v, want %v", name, got, want)
		}
	}
	tower := conv(3, 1, 256)
	tower.ReLU = true
	for i, outputs := range []int{9 * 80, 9 * 4} {
		want := Subnet{
			Name: []string{"class", "box"}[i], Shared: true, Cell: 9, Size: outputs / 9, Priors: 9 * (76*100 + 38*50 + 19*25 + 10*13 + 5*7),
			Layers: []Layer{tower, tower, tower, tower, conv(3, 1, outputs)},
		}
		if got := l.Subnets[i]; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("subnet %v, want %v", got, want)
		}
	}
	s, err := Summarize(paper(), 608, 800)
	if err != nil || l.Params != s.Total.Params {
		t.Errorf("%d parameters, the summary has %d (%v)", l.Params, s.Total.Params, err)
	}
}

// TestLayoutFollowsTheGraph: another source of P6, a norm in the heads and other anchors are in the layout.
func TestLayoutFollowsTheGraph(t *testing.T) {
	l, err := LayOut(with(func(c *Config) {
		c.P6, c.Anchors.Scales, c.Classes = "p5", 1, 7
		c.Settings["head_norm"] = "group"
	}), 128, 128)
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Map("P6").From; !slices.Equal(got, []string{"P5"}) {
		t.Errorf("P6 is made from %v, want P5", got)
	}
	class := l.Subnets[0]
	if want := (Layer{engine.OpConv2D, 3, 1, 256, engine.OpGroupNorm, true}); class.Layers[0] != want || !class.Shared {
		t.Errorf("the first layer is %v, shared %t; want %v, shared by all levels", class.Layers[0], class.Shared, want)
	}
	if want := (Layer{engine.OpConv2D, 3, 1, 3 * 7, "", false}); class.Layers[4] != want || class.Cell != 3 || class.Size != 7 {
		t.Errorf("the last layer is %v for %d priors of %d values, want %v, 3 and 7", class.Layers[4], class.Cell, class.Size, want)
	}
}

func TestLayerText(t *testing.T) {
	for _, tt := range []struct {
		of         Layer
		step, text string
	}{
		{Layer{engine.OpConv2D, 3, 1, 256, "", true}, "3×3", "3×3 to 256, ReLU"},
		{Layer{engine.OpConv2D, 7, 2, 64, engine.OpGroupNorm, true}, "7×7/2", "7×7/2 to 64, group norm, ReLU"},
		{Layer{engine.OpConv2D, 3, 1, 720, "", false}, "3×3", "3×3 to 720"},
		{Layer{Op: engine.OpMaxPool, Kernel: 3, Stride: 2}, "pool/2", ""},
		{Layer{Op: engine.OpReLU, ReLU: true}, "ReLU", ""},
	} {
		if got := tt.of.Step(); got != tt.step {
			t.Errorf("%+v is %q, want %q", tt.of, got, tt.step)
		}
		if got := tt.of.String(); tt.text != "" && got != tt.text {
			t.Errorf("%+v is %q, want %q", tt.of, got, tt.text)
		}
	}
}

// TestLayoutRefuses: a network that cannot be built has no layout.
func TestLayoutRefuses(t *testing.T) {
	if l, err := LayOut(with(func(c *Config) { c.Classes = 0 }), 128, 128); err == nil {
		t.Errorf("a network without classes is laid out: %v", l)
	}
}
