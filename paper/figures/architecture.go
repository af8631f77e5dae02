package figures

import (
	"fmt"
	"slices"
	"strings"

	"focalgrid/figure"
	"focalgrid/model"
	"focalgrid/setting"
)

// Places of Figure 3 in points: three columns of maps, of rows from the image at the bottom to P7 at the top, and the
// subnets at their right.
const (
	boxHigh   = 27.
	rowHigh   = 42.
	stageX    = 0. // the ResNet
	stageWide = 90.
	sumX      = 121. // the pyramid's top-down path
	sumWide   = 24.
	levelX    = 176. // P3 to P7
	levelWide = 94.
	subnetX   = 296.
	layerHigh = 17.
	panelWide = 438.
	panelHigh = 8*rowHigh - (rowHigh - boxHigh)
)

// place returns the column and the row of a map, by its name.
func place(name string) (x, wide float64, row int) {
	switch {
	case name == "image":
		return stageX, stageWide, 0
	case name == "stem":
		return stageX, stageWide, 1
	case name[0] == 'C':
		return stageX, stageWide, int(name[1] - '0')
	case name[0] == 'M':
		return sumX, sumWide, int(name[1] - '0')
	}
	return levelX, levelWide, int(name[1] - '0')
}

// architecture draws Figure 3: the network, from its own graph.
func architecture(in *Input) (*figure.Figure, error) {
	l := in.Network
	p := &figure.Panel{X: figure.Axis{Max: panelWide, Hidden: true}, Y: figure.Axis{Min: -2, Max: panelHigh + 2, Hidden: true}}
	for _, m := range l.Maps {
		x, wide, row := place(m.Name)
		y := float64(row) * rowHigh
		lines, fill := []string{m.Name, shape(m)}, figure.Tint(0)
		switch {
		case m.Blocks > 0:
			lines[0] += fmt.Sprintf(": %d blocks", m.Blocks)
		case m.Name == "stem":
			lines[0] += ": " + steps(m.Made)
		case m.Priors > 0:
			lines[0] += fmt.Sprintf(": %s anchors", thousands(m.Priors))
			fill = figure.Tint(1)
		case m.Name[0] == 'M':
			lines, fill = lines[:1], figure.Tint(5)
		}
		p.Box(x, y, wide, boxHigh, fill, lines...)
		for _, from := range m.From {
			join(p, l, m, from)
		}
	}
	drawSubnets(p, l)

	name := fmt.Sprintf("%s, ResNet-%d", l.Head, l.Depth)
	if l.Width != 1 {
		name += fmt.Sprintf(" of width %s", setting.Spell(l.Width))
	}
	return &figure.Figure{
		Title: "Figure 3. " + name + " and a feature pyramid, profile " + in.Profile,
		Caption: fmt.Sprintf("Read from the network's graph for one image, %d classes: %s parameters. Maps are channels×height×width. "+
			"3×3/2: a 3×3 convolution of stride 2. M4 and M3 add the map above, enlarged (up). %d anchors a place.",
			l.Classes, thousands(int(l.Params)), l.Subnets[0].Cell),
		Description: "The maps of the network and what each is made from. " + strings.Join(told(l), ". ") + ".",
		Plain:       strings.Join(told(l), "\n") + "\n",
		Panels:      []*figure.Panel{p},
		RowHeight:   panelHigh + 6,
	}, nil
}

// told says in words what the figure shows, a line a map or subnet.
func told(l *model.Layout) (lines []string) {
	for _, m := range l.Maps {
		line := m.Name + ", " + shape(m)
		if len(m.From) > 0 {
			line += ", from " + strings.Join(m.From, " and ")
		}
		switch {
		case m.Blocks > 0:
			line += fmt.Sprintf(" by %d blocks", m.Blocks)
		case len(m.Made) > 0:
			line += " by " + steps(m.Made)
		}
		if m.Priors > 0 {
			line += fmt.Sprintf(", %s anchors", thousands(m.Priors))
		}
		lines = append(lines, line)
	}
	for _, s := range l.Subnets {
		var layers []string
		for i, layer := range s.Layers {
			if i > 0 && layer == s.Layers[i-1] {
				continue
			}
			text, n := layer.String(), 1
			for n < len(s.Layers)-i && s.Layers[i+n] == layer {
				n++
			}
			if n > 1 {
				text = fmt.Sprintf("%d × (%s)", n, text)
			}
			layers = append(layers, text)
		}
		lines = append(lines, s.Name+" subnet: "+strings.Join(layers, ", "), fmt.Sprintf("%s: %s", s.Name, outputs(s)))
	}
	return lines
}

// join draws the arrow to a map from one of those that it is made from.
func join(p *figure.Panel, l *model.Layout, m model.Map, from string) {
	x, wide, row := place(m.Name)
	fx, fwide, frow := place(from)
	middle := func(row int) float64 { return float64(row)*rowHigh + boxHigh/2 }
	text := steps(m.Made)
	switch {
	case x == fx && frow < row: // upwards
		if m.Blocks > 0 || m.Name == "stem" {
			text = ""
		}
		p.Arrow(text, figure.Right, [2]float64{x + wide/2, float64(frow)*rowHigh + boxHigh}, [2]float64{x + wide/2, float64(row) * rowHigh})
	case x == fx:
		p.Arrow("up", figure.Right, [2]float64{x + wide/2, float64(frow) * rowHigh}, [2]float64{x + wide/2, float64(row)*rowHigh + boxHigh})
	case row == frow:
		p.Arrow(text, figure.Above, [2]float64{fx + fwide, middle(row)}, [2]float64{x, middle(row)})
	default: // up to the row, then across
		p.Arrow(text, figure.Above, [2]float64{fx + fwide/2, float64(frow)*rowHigh + boxHigh}, [2]float64{fx + fwide/2, middle(row)}, [2]float64{x, middle(row)})
	}
}

// drawSubnets draws the subnets below each other, with a line to all of them from all maps that they predict on.
func drawSubnets(p *figure.Panel, l *model.Layout) {
	const spine = subnetX - 13
	thin := figure.Style{Width: .8}
	low, high := panelHigh, 0.
	var levels []string
	for _, m := range l.Maps {
		if m.Priors == 0 {
			continue
		}
		x, wide, row := place(m.Name)
		y := float64(row)*rowHigh + boxHigh/2
		p.Shapes = append(p.Shapes, figure.Shape{X: []float64{x + wide, spine}, Y: []float64{y, y}, Open: true, Style: thin})
		low, high = min(low, y), max(high, y)
		levels = append(levels, m.Name)
	}
	room := panelHigh / float64(len(l.Subnets))
	for i, s := range l.Subnets {
		title := s.Name + " subnet"
		if s.Shared {
			title += fmt.Sprintf(", shared by %s–%s", levels[0], levels[len(levels)-1])
		}
		entry := subnet(p, s, title, panelHigh-float64(i)*room)
		low, high = min(low, entry), max(high, entry)
		p.Arrow("", figure.Above, [2]float64{spine, entry}, [2]float64{subnetX, entry})
	}
	p.Shapes = append(p.Shapes, figure.Shape{X: []float64{spine, spine}, Y: []float64{low, high}, Open: true, Style: thin})
}

// subnet draws the layers of a subnet below each other, from the top on, and returns the height where maps enter it.
func subnet(p *figure.Panel, s model.Subnet, title string, top float64) (entry float64) {
	const wide, line, gap = panelWide - subnetX - 1, 14., 3.
	p.Labels = append(p.Labels, figure.Label{X: subnetX + wide/2, Y: top - line/2, Text: title, Side: figure.Centre})
	y := top - line - gap
	entry = y - layerHigh/2
	for i, layer := range s.Layers {
		text := layer.String()
		if i == len(s.Layers)-1 {
			text += fmt.Sprintf(" = %d·%d", s.Cell, s.Size)
		}
		y -= layerHigh
		p.Box(subnetX, y, wide, layerHigh, figure.Tint(2), text)
		y -= gap
	}
	p.Labels = append(p.Labels, figure.Label{X: subnetX + wide/2, Y: y - line/2, Text: outputs(s), Side: figure.Centre})
	return entry
}

func shape(m model.Map) string { return fmt.Sprintf("%d×%d×%d", m.Channels, m.H, m.W) }

func outputs(s model.Subnet) string {
	return fmt.Sprintf("%s anchors × %d values", thousands(s.Priors), s.Size)
}

// steps writes layers by their kernels: "7×7/2, pool/2".
func steps(layers []model.Layer) string {
	var out []string
	for _, l := range layers {
		out = append(out, l.Step())
	}
	return strings.Join(out, ", ")
}

// thousands writes 91260 as 91,260.
func thousands(n int) string {
	digits := fmt.Sprint(n)
	var parts []string
	for len(digits) > 3 {
		parts, digits = append(parts, digits[len(digits)-3:]), digits[:len(digits)-3]
	}
	parts = append(parts, digits)
	slices.Reverse(parts)
	return strings.Join(parts, ",")
}
