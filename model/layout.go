package model

import (
	"fmt"
	"slices"
	"strings"

	"focalgrid/engine"
)

// Layout is a network as maps and subnets, as figure 3 of the paper draws it. Sizes, joins and layers are read from
// the graph of the network on one image.
type Layout struct {
	Head    string // its title: "RetinaNet"
	Depth   int    // of the ResNet
	Width   float64
	Classes int
	Params  int64 // values that training could change, as in a Summary

	Maps    []Map    // image, stem, C2…C5, M5…M3, P3…P7; each after those that it is made from
	Subnets []Subnet // on P3 to P7
}

// Map is what the network holds at one place, of Channels×H×W values. "stem" is the map after the first
// convolution and pooling; M5 to M3 are the sums of the pyramid's top-down path, before their 3×3 convolutions.
type Map struct {
	Name           string
	Channels, H, W int
	From           []string // the maps that it is made from
	Made           []Layer  // the layers on the way from the first of them; nil for the stages of the ResNet
	Blocks         int      // of the ResNet; 0 elsewhere
	Priors         int      // boxes that predictions on the map start from; 0 where there are none
}

// Layer is a convolution with what follows it, or a step without weights: a max-pool, or a ReLU before a convolution.
type Layer struct {
	Op                       engine.Op
	Kernel, Stride, Channels int
	Norm                     engine.Op // empty: none
	ReLU                     bool
}

// Step writes the layer by its kernel and stride: "3×3/2" for a convolution, "pool/2", "ReLU".
func (l Layer) Step() string {
	text := fmt.Sprintf("%d×%d", l.Kernel, l.Kernel)
	switch l.Op {
	case engine.OpReLU:
		return "ReLU"
	case engine.OpMaxPool:
		text = "pool"
	}
	if l.Stride > 1 {
		text += fmt.Sprintf("/%d", l.Stride)
	}
	return text
}

// String writes a convolution with what follows it: "3×3 to 256, group norm, ReLU".
func (l Layer) String() string {
	text := fmt.Sprintf("%s to %d", l.Step(), l.Channels)
	if l.Norm != "" {
		text += ", " + strings.ReplaceAll(string(l.Norm), "_", " ")
	}
	if l.ReLU {
		text += ", ReLU"
	}
	return text
}

// Subnet makes one prediction from each map of the pyramid.
type Subnet struct {
	Name   string // of the prediction: "class", "box"
	Layers []Layer
	Shared bool // all maps go through the same weights
	Cell   int  // priors at each place of a map
	Size   int  // values for each prior
	Priors int  // on all maps
}

// LayOut reads the layout of the network of cfg on one image of h×w pixels.
func LayOut(cfg Config, h, w int) (*Layout, error) {
	g, out, err := evaluation(cfg, h, w)
	if err != nil {
		return nil, err
	}
	head := heads[cfg.Head]
	l := &Layout{Head: head.Title, Depth: cfg.Depth, Width: cfg.Width, Classes: cfg.Classes}
	marks := map[*engine.Node]string{}
	var order []*engine.Node
	mark := func(name string, n *engine.Node) {
		marks[n] = name
		order = append(order, n)
	}
	mark("image", g.Node("image"))
	for _, n := range g.Nodes() {
		if n.Op == engine.OpMaxPool {
			mark("stem", n)
		}
		if n.Op == engine.OpParam {
			l.Params += int64(n.Size())
		}
	}
	for i, n := range out.Body {
		mark(fmt.Sprintf("C%d", i+2), n)
	}
	for i := 2; i >= 0; i-- {
		mark(fmt.Sprintf("M%d", i+3), out.Features[i].In[0])
	}
	for _, n := range out.Features {
		mark(n.Name, n)
	}
	for _, n := range order {
		m := Map{Name: marks[n], Channels: n.Shape[1], H: n.Shape[2], W: n.Shape[3]}
		for _, from := range sources(n, marks) {
			m.From = append(m.From, marks[from])
		}
		if i := slices.Index(out.Body[:], n); i >= 0 {
			m.Blocks = blocks[cfg.Depth][i]
		} else {
			m.Made, _ = chain(n, marks)
		}
		if i := slices.Index(out.Features, n); i >= 0 {
			m.Priors = head.Priors(cfg).Levels(h, w)[i].Anchors
		}
		l.Maps = append(l.Maps, m)
	}
	for _, p := range out.Predictions {
		levels := p.Node.In
		layers, weights := chain(levels[0], marks)
		s := Subnet{Name: p.Name, Layers: layers, Shared: true, Cell: levels[0].Shape[1] / p.Size, Size: p.Size, Priors: p.Node.Shape[1]}
		for _, level := range levels[1:] {
			_, others := chain(level, marks)
			s.Shared = s.Shared && slices.Equal(weights, others)
		}
		l.Subnets = append(l.Subnets, s)
	}
	return l, nil
}

// sources returns the marked nodes that n is made from, with none between, in the order of the graph.
func sources(n *engine.Node, marks map[*engine.Node]string) []*engine.Node {
	var found []*engine.Node
	seen := map[*engine.Node]bool{}
	var walk func(n *engine.Node)
	walk = func(n *engine.Node) {
		for _, in := range n.In {
			if seen[in] {
				continue
			}
			seen[in] = true
			if marks[in] != "" {
				found = append(found, in)
			} else {
				walk(in)
			}
		}
	}
	walk(n)
	slices.SortFunc(found, func(a, b *engine.Node) int { return a.ID - b.ID })
	return found
}

// chain returns the layers between a node and the marked node before it, along first inputs, and their weights.
func chain(n *engine.Node, marks map[*engine.Node]string) (layers []Layer, weights []*engine.Node) {
	var next Layer // what was met of the layer whose convolution comes next
	for first := true; len(n.In) > 0 && (first || marks[n] == ""); n, first = n.In[0], false {
		next.ReLU = next.ReLU || n.Attr.ReLU || n.Op == engine.OpReLU
		switch n.Op {
		case engine.OpBatchNorm, engine.OpFrozenNorm, engine.OpGroupNorm:
			next.Norm = n.Op
		case engine.OpMaxPool:
			layers = append(layers, Layer{Op: n.Op, Kernel: n.Attr.Kernel, Stride: n.Attr.Stride, Channels: n.Shape[1]})
		case engine.OpConv2D:
			next.Op, next.Kernel, next.Stride, next.Channels = n.Op, n.Attr.Kernel, n.Attr.Stride, n.Shape[1]
			layers, weights = append(layers, next), append(weights, n.In[1])
			next = Layer{}
		}
	}
	if next.ReLU {
		layers = append(layers, Layer{Op: engine.OpReLU, ReLU: true})
	}
	slices.Reverse(layers)
	slices.Reverse(weights)
	return layers, weights
}

// Map returns the map of that name, or a zero Map.
func (l *Layout) Map(name string) Map {
	for _, m := range l.Maps {
		if m.Name == name {
			return m
		}
	}
	return Map{}
}
