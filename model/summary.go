package model

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"focalgrid/columns"
	"focalgrid/engine"
)

// Part counts the tensors of one part of the network, and its cost.
type Part struct {
	Name      string
	Params    int64 // values that training could change
	Trainable int64 // of them, those that this configuration trains
	Buffers   int64 // values no gradient reaches: running statistics, a frozen norm's affine
	MACs      int64 // multiply-accumulates of convolutions for one image
}

// Summary is a network's size, and its cost on one image of H×W pixels.
type Summary struct {
	H, W   int
	Parts  []Part // in the order of the network
	Total  Part
	Levels []Level
}

// The parts of a Summary; a head adds its own.
const (
	PartBackbone = "backbone convolutions"
	PartNorm     = "backbone norms"
	PartFPN      = "FPN laterals and outputs"
	PartP6       = "P6"
	PartP7       = "P7"
)

// partOf returns the part of a tensor; a backbone tensor of rank 1 belongs to a norm.
func partOf(n *engine.Node, head []HeadPart) string {
	for _, p := range head {
		if strings.HasPrefix(n.Name, p.Prefix) {
			return p.Name
		}
	}
	switch name := n.Name; {
	case strings.HasPrefix(name, "backbone.fpn.extra_blocks.p6."):
		return PartP6
	case strings.HasPrefix(name, "backbone.fpn.extra_blocks.p7."):
		return PartP7
	case strings.HasPrefix(name, "backbone.fpn."):
		return PartFPN
	case len(n.Shape) == 1:
		return PartNorm
	}
	return PartBackbone
}

// maxSide bounds an image's sides so that counts stay far from overflow.
const maxSide = 1 << 15

// evaluation returns the graph of a network for one image, for reading only.
func evaluation(cfg Config, h, w int) (*engine.Graph, Outputs, error) {
	if h < 1 || w < 1 || h > maxSide || w > maxSide {
		return nil, Outputs{}, fmt.Errorf("image of %d×%d pixels; both sides must be 1 to %d", h, w, maxSide)
	}
	var out Outputs
	g, err := engine.Build(func(g *engine.Graph) error {
		out = Network(g, cfg, g.Input("image", 1, 3, h, w), false)
		return nil
	})
	return g, out, err
}

// Summarize counts the network of cfg on one image of h×w pixels.
//
// Parameters are counted as in torchvision: a frozen norm has constants, not
// parameters. Multiply-accumulates are counted in convolutions alone, as in the
// literature's "FLOPs".
func Summarize(cfg Config, h, w int) (*Summary, error) {
	g, _, err := evaluation(cfg, h, w)
	if err != nil {
		return nil, err
	}
	head := heads[cfg.Head]
	s := &Summary{H: h, W: w, Levels: head.Priors(cfg).Levels(h, w), Total: Part{Name: "total"}}
	for _, name := range []string{PartBackbone, PartNorm, PartFPN, PartP6, PartP7} {
		s.Parts = append(s.Parts, Part{Name: name})
	}
	for _, p := range head.Parts {
		s.Parts = append(s.Parts, Part{Name: p.Name})
	}
	part := func(n *engine.Node) *Part {
		name := partOf(n, head.Parts)
		return &s.Parts[slices.IndexFunc(s.Parts, func(p Part) bool { return p.Name == name })]
	}
	for _, n := range g.Nodes() {
		switch n.Op {
		case engine.OpParam:
			p := part(n)
			p.Params += int64(n.Size())
			if n.Attr.Trainable {
				p.Trainable += int64(n.Size())
			}
		case engine.OpBuffer:
			part(n).Buffers += int64(n.Size())
		case engine.OpConv2D:
			part(n.In[1]).MACs += n.MACs()
		}
	}
	for _, p := range s.Parts {
		s.Total.Params += p.Params
		s.Total.Trainable += p.Trainable
		s.Total.Buffers += p.Buffers
		s.Total.MACs += p.MACs
	}
	return s, nil
}

// Part returns the part of that name, or a zero Part.
func (s *Summary) Part(name string) Part {
	for _, p := range s.Parts {
		if p.Name == name {
			return p
		}
	}
	return Part{}
}

// anchors returns the number of anchors of all levels.
func (s *Summary) anchors() int {
	n := 0
	for _, l := range s.Levels {
		n += l.Anchors
	}
	return n
}

// rows returns the table of parts, its header first and the total last.
func (s *Summary) rows() [][]string {
	rows := [][]string{{"part", "parameters", "trainable", "buffers", "MACs (M)"}}
	for _, p := range append(slices.Clone(s.Parts), s.Total) {
		rows = append(rows, []string{p.Name, thousands(p.Params), thousands(p.Trainable), thousands(p.Buffers), thousands((p.MACs + 500_000) / 1_000_000)})
	}
	return rows
}

// levelRows returns the table of levels, its header first and the total last.
func (s *Summary) levelRows() [][]string {
	rows := [][]string{{"level", "stride", "cells", "anchors"}}
	for _, l := range s.Levels {
		rows = append(rows, []string{l.Name, strconv.Itoa(l.Stride), fmt.Sprintf("%d×%d", l.H, l.W), thousands(int64(l.Anchors))})
	}
	return append(rows, []string{"total", "", "", thousands(int64(s.anchors()))})
}

// String returns both tables as text.
func (s *Summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "one image of %d×%d (height×width)\n\n", s.H, s.W)
	columns.Text(&b, "", s.rows(), 1)
	b.WriteByte('\n')
	columns.Text(&b, "", s.levelRows(), 1)
	return b.String()
}

// thousands writes 1234567 as 1,234,567.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
