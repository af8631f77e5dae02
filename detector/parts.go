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

// Settings knows every setting of a detector and of its training.
var Settings = plan.NewCatalogue(catalogue.Groups())

// Parts are what a detector is put together from.
type Parts struct {
	Network model.Config       // backbone, pyramid and head
	Coder   box.Coder[float32] // of the boxes that the head predicts
	Sampler sampler.Config     // assigner, miner and normaliser
	Terms   []Term             // of the training loss, in the order in which they are added
	Post    box.Post           // makes detections of predictions
	Optim   optim.Config
}

// Term is a summand of the training loss. Its weight beside the others is in the weights that the
// sampler gives priors.
type Term struct {
	model.Term
	Loss    loss.Loss
	Scalars engine.Feeds // the loss's settings, which the graph takes as inputs
}

// PartsOf puts together the detector of the settings for that many classes.
func PartsOf(c *plan.Config, classes int) Parts {
	p := Parts{Network: ModelConfig(c, classes), Post: box.NewPost(c.Group("eval")), Optim: OptimConfig(c)}
	p.Coder = p.Network.Coder()
	p.Sampler = sampler.New(c.Group("sampler"), p.Coder, loss.BoxOf(c.Group("box_loss")).Target, c.Number("box_loss.weight"))
	for _, t := range p.Network.Terms() {
		l, scalars := loss.Of(t.Group, c.Group(t.Group), p.Coder), engine.Feeds{}
		for name, v := range l.Scalars(c.Group(t.Group)) {
			scalars[t.Group+"."+name] = []float32{v}
		}
		p.Terms = append(p.Terms, Term{t, l, scalars})
	}
	return p
}

// ModelConfig returns the network for that many classes.
func ModelConfig(c *plan.Config, classes int) model.Config {
	return model.New(c.Group("model"), c.Group("anchors"), classes)
}

// OptimConfig returns the optimiser.
func OptimConfig(c *plan.Config) optim.Config { return optim.New(c.Group("optim")) }
