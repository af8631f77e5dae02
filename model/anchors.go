package model

import (
	"fmt"
	"math"

	"focalgrid/portable"
	"focalgrid/setting"
)

// AnchorParams are the settings of the boxes at each place of each level (section 4 of the
// paper, "Anchors").
var AnchorParams = []setting.Param{
	{Name: "base", Kind: setting.Number, Min: .01, Max: 1000, Doc: "side of the smallest anchor, in strides; 4 in the paper: 32² on P3 … 512² on P7"},
	{Name: "scales", Kind: setting.Int, Min: 1, Max: 64, Doc: "n scales an octave: 2^(k/n), k < n"},
	{Name: "ratios", Kind: setting.Numbers, Min: .01, Max: 100, Count: [2]int{1, 64}, Doc: "height over width; the area does not change with it"},
	{Name: "offset", Kind: setting.Number, Choices: []string{"0", "0.5"}, Doc: "centre of the first anchor, in strides: 0 (torchvision) or .5"},
	{Name: "round", Kind: setting.Text, Choices: []string{"none", "torchvision"},
		Doc: "torchvision: sides are truncated and then corners rounded, half to even, to whole pixels"},
}

// AnchorConfig describes the anchors, by the settings in AnchorParams.
type AnchorConfig struct {
	Base   float64
	Scales int
	Ratios []float64
	Offset float64
	Round  string
}

// NewAnchors makes the anchors of the settings.
func NewAnchors(v setting.Values) AnchorConfig {
	return AnchorConfig{Base: v.Number("base"), Scales: v.Int("scales"), Ratios: v.Numbers("ratios"), Offset: v.Number("offset"), Round: v.Text("round")}
}

// strides of P3..P7, in pixels of the input.
var strides = [5]int{8, 16, 32, 64, 128}

// Level is one map of the pyramid with its anchors.
type Level struct {
	Name    string // "P3" … "P7"
	Stride  int
	H, W    int // cells
	Anchors int // H·W·PerCell
}

// PerCell is A, the number of anchors at each place of a map.
func (c AnchorConfig) PerCell() int { return c.Scales * len(c.Ratios) }

// Levels returns the maps of an input of h×w pixels: each stride-2 layer
// halves a side, rounding up.
func (c AnchorConfig) Levels(h, w int) []Level {
	out := make([]Level, len(strides))
	for i, s := range strides {
		lh, lw := (h+s-1)/s, (w+s-1)/s
		out[i] = Level{Name: fmt.Sprintf("P%d", i+3), Stride: s, H: lh, W: lw, Anchors: lh * lw * c.PerCell()}
	}
	return out
}

// count returns the number of anchors of an input of h×w pixels, all levels together.
func (c AnchorConfig) count(h, w int) int {
	n := 0
	for _, l := range c.Levels(h, w) {
		n += l.Anchors
	}
	return n
}

// Cell returns the anchors of one place around the origin for a level of that
// stride, ratio by ratio, each with all its scales. For a side s and a ratio r
// the box is s/√r wide and s·√r high.
func (c AnchorConfig) Cell(stride int) [][4]float64 {
	out := make([][4]float64, 0, c.PerCell())
	for _, r := range c.Ratios {
		sr := math.Sqrt(r)
		for k := range c.Scales {
			side := c.Base * float64(stride) * portable.Pow(2, float64(k)/float64(c.Scales))
			if c.Round == "torchvision" {
				side = math.Trunc(side)
			}
			x, y := side/sr/2, side*sr/2
			if c.Round == "torchvision" {
				x, y = math.RoundToEven(x), math.RoundToEven(y)
			}
			out = append(out, [4]float64{-x, -y, x, y})
		}
	}
	return out
}

// Generate returns all anchors of an input of h×w pixels, in the order of the
// heads' outputs: level, y, x, then as in Cell. The centre at cell (y, x) is
// ((x+Offset)·stride, (y+Offset)·stride); boxes are not clipped to the image.
func (c AnchorConfig) Generate(h, w int) [][4]float32 {
	out := make([][4]float32, 0, c.count(h, w))
	for _, l := range c.Levels(h, w) {
		cell := c.Cell(l.Stride)
		for y := range l.H {
			cy := float64((float64(y) + c.Offset) * float64(l.Stride))
			for x := range l.W {
				cx := float64((float64(x) + c.Offset) * float64(l.Stride))
				for _, a := range cell {
					out = append(out, [4]float32{float32(cx + a[0]), float32(cy + a[1]), float32(cx + a[2]), float32(cy + a[3])})
				}
			}
		}
	}
	return out
}
