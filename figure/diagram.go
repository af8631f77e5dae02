package figure

import "image/color"

// Tint returns the colour of Distinct(i) as a ground that dark text can be read on.
func Tint(i int) color.Color {
	r, g, b, _ := Distinct(i).Color.RGBA()
	mix := func(v uint32) uint8 { return uint8(255 - (255-v>>8)/5) }
	return color.RGBA{mix(r), mix(g), mix(b), 0xff}
}

// Box adds a filled box with its lower left corner at x, y, and lines of text spread over its height.
func (p *Panel) Box(x, y, wide, high float64, fill color.Color, lines ...string) {
	p.Shapes = append(p.Shapes, Shape{
		X: []float64{x, x + wide, x + wide, x}, Y: []float64{y, y, y + high, y + high}, Fill: fill, Style: Style{Width: .8},
	})
	for i, text := range lines {
		at := (float64(len(lines)-i) - .5) / float64(len(lines))
		// Letters reach above the middle of their line, and few below.
		p.Labels = append(p.Labels, Label{X: x + wide/2, Y: y + high*(.06+.94*at), Text: text, Side: Centre})
	}
}

// Arrow adds an arrow through places, with text beside the middle of its last piece; empty: none.
func (p *Panel) Arrow(text string, side Side, places ...[2]float64) {
	s := Shape{Open: true, Arrow: true, Style: Style{Width: .8}}
	for _, at := range places {
		s.X, s.Y = append(s.X, at[0]), append(s.Y, at[1])
	}
	p.Shapes = append(p.Shapes, s)
	if n := len(places); text != "" && n > 1 {
		a, b := places[n-2], places[n-1]
		p.Labels = append(p.Labels, Label{X: (a[0] + b[0]) / 2, Y: (a[1] + b[1]) / 2, Text: text, Side: side})
	}
}
