package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"focalgrid/box"
	"focalgrid/engine"
	"focalgrid/setting"
)

// heads names every head. To add one, write a file and add a line.
var heads = map[string]Head{
	"retinanet": retinaNet,
}

// Head turns the maps of the pyramid into predictions.
type Head struct {
	Title  string          // "RetinaNet"
	Params []setting.Param // of its own, in the group of the network

	// Priors returns the boxes at each place of each level that predictions start from. A point is
	// a square box as wide as its level's stride, with its centre at the point.
	Priors func(c Config) AnchorConfig

	Coder box.Coder[float32] // of the prediction "box"
	Terms []Term             // of its loss, in the order in which they are added

	// Build adds the head to the maps of P3 to P7.
	Build func(b *Builder, levels []*engine.Node) []Prediction

	Parts []HeadPart // in the order of a Summary
}

// HeadPart is a part of a head that a Summary counts.
type HeadPart struct {
	Name   string
	Prefix string // of its tensors' names
}

// Term names a loss and the predictions that it trains.
type Term struct {
	Name  string   // "class", "box"
	Reads []string // names of predictions
	Group string   // of the settings that choose the loss: "loss", "box_loss"
}

// Prediction is a named output of a head.
type Prediction struct {
	Name string       // "class", "box"; the node gets this name
	Size int          // values for each prior
	Node *engine.Node // [N,A,Size], in the order of AnchorConfig.Generate

	Form  string   // of its layers, for Describe
	Notes []string // the same
}

// headKinds lists the settings that each head brings.
func headKinds() map[string][]setting.Param {
	kinds := map[string][]setting.Param{}
	for name, h := range heads {
		kinds[name] = h.Params
	}
	return kinds
}

func (c Config) head() (Head, error) {
	h, ok := heads[c.Head]
	if !ok {
		return Head{}, fmt.Errorf("unknown head %q; known: %s", c.Head, strings.Join(slices.Sorted(maps.Keys(heads)), ", "))
	}
	return h, nil
}

// Coder returns the coder of the prediction "box".
func (c Config) Coder() box.Coder[float32] { return heads[c.Head].Coder }

// Terms returns the terms of the head's loss.
func (c Config) Terms() []Term { return heads[c.Head].Terms }

// Priors returns the boxes that predictions on an input of h×w pixels start from.
func (c Config) Priors(h, w int) (box.Priors, error) {
	head, err := c.head()
	if err != nil {
		return box.Priors{}, err
	}
	a := head.Priors(c)
	p := box.Priors{Boxes: a.Generate(h, w)}
	for _, l := range a.Levels(h, w) {
		p.Levels = append(p.Levels, l.Anchors)
	}
	return p, nil
}

// Outputs are the nodes of a network.
type Outputs struct {
	Predictions []Prediction
	Features    []*engine.Node  // "P3" … "P7", each [N,FPN,H,W]
	Body        [4]*engine.Node // C2..C5
}

// maxClasses bounds the outputs so that sizes of tensors stay far from overflow.
const maxClasses = 1 << 16

// Network adds backbone, pyramid and head over image [N,3,H,W]. In training, batch norms outside
// frozen parts use and move their statistics. A wrong configuration ends engine.Build with an error.
func Network(g *engine.Graph, cfg Config, image *engine.Node, train bool) Outputs {
	b := newBuilder(g, cfg, image, train)
	head, err := cfg.head()
	if cfg.Classes < 1 || cfg.Classes > maxClasses {
		err = fmt.Errorf("%d classes; must be 1 to %d", cfg.Classes, maxClasses)
	}
	if err != nil {
		panic(&engine.ShapeError{Op: "model", Msg: err.Error()})
	}
	out := Outputs{Body: b.body(image)}
	out.Features = b.pyramid(out.Body)
	out.Predictions = head.Build(b, out.Features)
	for _, p := range out.Predictions {
		g.Named(p.Node, p.Name)
	}
	return out
}

// Tensor is the name and shape of a parameter or of a running statistic.
type Tensor struct {
	Name  string
	Shape []int
}

// Tensors lists the parameters and running statistics of a network of cfg, in the order of its layers.
// They do not depend on the size of images.
func Tensors(cfg Config) ([]Tensor, error) {
	g, _, err := evaluation(cfg, 64, 64)
	if err != nil {
		return nil, err
	}
	var out []Tensor
	for _, n := range g.Nodes() {
		if n.Op == engine.OpParam || n.Op == engine.OpBuffer {
			out = append(out, Tensor{n.Name, n.Shape})
		}
	}
	return out, nil
}
