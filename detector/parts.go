package detector

import (
	"focalgrid/box"
	"focalgrid/engine"
	"focalgrid/experiments/catalogue"
	"focalgrid/experiments/plan"
	"focalgrid/loss"
	"focalgrid/model"
	"focalgrid/optim"
	"focalgrid/sampler"
)

// Settings is the catalogue of every setting of a detector and of its training.
var Settings = plan.NewCatalogue(catalogue.Groups())

// parts are what a detector is put together from.
type parts struct {
	Network model.Config       // backbone, pyramid and head
	Coder   box.Coder[float32] // of the boxes that the head predicts
	Sampler sampler.Config     // assigner, miner and normaliser
	Terms   []term             // of the training loss, in the order in which they are added
	Post    box.Post           // makes detections of predictions
	Optim   optim.Config
}

// term is a summand of the training loss. The weights that the sampler gives to priors contain the term's
// weight beside the others.
type term struct {
	model.Term
	Loss    loss.Loss
	Scalars engine.Feeds // the loss's settings, which the graph takes as inputs
}

// partsOf puts together the detector of the settings for that many classes.
func partsOf(c *plan.Config, classes int) parts {
	p := parts{Network: ModelConfig(c, classes), Post: box.NewPost(c.Group("eval")), Optim: optim.New(c.Group("optim"))}
	p.Coder = p.Network.Coder()
	p.Sampler = sampler.New(c.Group("sampler"), p.Coder, loss.BoxOf(c.Group("box_loss")).Target, c.Number("box_loss.weight"))
	for _, t := range p.Network.Terms() {
		l, scalars := loss.Of(t.Group, c.Group(t.Group), p.Coder), engine.Feeds{}
		for name, v := range l.Scalars(c.Group(t.Group)) {
			scalars[t.Group+"."+name] = []float32{v}
		}
		p.Terms = append(p.Terms, term{t, l, scalars})
	}
	return p
}

// ModelConfig returns the network for that many classes.
func ModelConfig(c *plan.Config, classes int) model.Config {
	return model.New(c.Group("model"), c.Group("anchors"), classes)
}
