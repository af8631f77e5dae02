package figure

import (
	"image/color"
	"math"
)

// Style is how a line looks.
type Style struct {
	Color  color.Color
	Dashes []float64 // strokes and gaps in points; nil: unbroken
	Marker Marker
	Width  float64 // in points; 0: 1.5
}

// Marker is the form of a point.
type Marker int

// The markers.
const (
	Circle Marker = iota
	Square
	Triangle
	Ring
	Box
	Pyramid
	Cross
	Plus
)

var (
	ink   = color.Gray{0x26}
	muted = color.Gray{0x59}
	faint = color.Gray{0xdd}
	tint  = color.Gray{0xf0}
	blue  = color.RGBA{0x00, 0x72, 0xb2, 0xff}
	pale  = color.RGBA{0xb3, 0xd4, 0xe8, 0xff}
)

// distinct are the colours of Okabe and Ito ("Color Universal Design", 2008), without the yellow, which is
// hard to see on white, each with dashes of its own.
var distinct = []Style{
	{Color: blue, Marker: Circle},
	{Color: color.RGBA{0xd5, 0x5e, 0x00, 0xff}, Dashes: []float64{6, 2.5}, Marker: Square},
	{Color: color.RGBA{0x00, 0x9e, 0x73, 0xff}, Dashes: []float64{1.5, 2}, Marker: Triangle},
	{Color: color.RGBA{0xcc, 0x79, 0xa7, 0xff}, Dashes: []float64{8, 2, 1.5, 2}, Marker: Ring},
	{Color: color.Gray{0x00}, Dashes: []float64{3, 1.5}, Marker: Box},
	{Color: color.RGBA{0xe6, 0x9f, 0x00, 0xff}, Dashes: []float64{10, 3}, Marker: Pyramid},
	{Color: color.RGBA{0x56, 0xb4, 0xe9, 0xff}, Dashes: []float64{6, 2, 1.5, 2, 1.5, 2}, Marker: Cross},
}

// Distinct returns style i of series that have no order among them. Colours, dashes and markers repeat after seven.
func Distinct(i int) Style { return distinct[i%len(distinct)] }

// Muted returns the style of what is there for comparison, such as an ideal or what others published.
func Muted() Style { return Style{Color: muted, Dashes: []float64{3, 2}, Marker: Box, Width: 1.2} }

// scale are stops of viridis (Smith and van der Walt, 2015), whose lightness rises evenly.
var scale = []color.RGBA{
	{0x44, 0x01, 0x54, 0xff}, {0x47, 0x2d, 0x7b, 0xff}, {0x3b, 0x52, 0x8b, 0xff}, {0x2c, 0x72, 0x8e, 0xff}, {0x21, 0x91, 0x8c, 0xff},
	{0x28, 0xae, 0x80, 0xff}, {0x5e, 0xc9, 0x62, 0xff}, {0xad, 0xdc, 0x30, 0xff}, {0xfd, 0xe7, 0x25, 0xff},
}

// shade returns the colour of a place between 0, dark, and 1, light.
func shade(at float64) color.RGBA {
	at = max(0, min(at, 1)) * float64(len(scale)-1)
	i := min(int(at), len(scale)-2)
	share := at - float64(i)
	mix := func(a, b uint8) uint8 { return uint8(math.Round(float64(a)*(1-share) + float64(b)*share)) }
	a, b := scale[i], scale[i+1]
	return color.RGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 0xff}
}

// Ordered returns the style of line i of n that follow each other, from dark to light; dashes and markers alternate.
func Ordered(i, n int) Style {
	s := Distinct(i)
	s.Color = shade(0)
	if n > 1 {
		s.Color = shade(.8 * float64(i) / float64(n-1)) // the lightest colours are hard to see on white
	}
	return s
}

// luminance returns how light a colour is, from 0 to 1.
func luminance(c color.RGBA) float64 {
	return (.2126*float64(c.R) + .7152*float64(c.G) + .0722*float64(c.B)) / 255
}
