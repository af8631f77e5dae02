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
	Name    string       // "class", "box"
	Reads   []string     // predictions that learn
	Loss    loss.Loss    // compares them with targets
	Group   string       // of the loss's settings; the graph's inputs for them begin with it
	Scalars engine.Feeds // of these inputs
}

// PartsOf puts together the detector of the settings for that many classes.
func PartsOf(c *plan.Config, classes int) Parts {
	p := Parts{Network: ModelConfig(c, classes), Post: box.NewPost(c.Group("eval")), Optim: OptimConfig(c)}
	p.Coder = p.Network.Coder()
	add := func(name, group string, l loss.Loss) {
		t := Term{Name: name, Reads: []string{name}, Loss: l, Group: group, Scalars: engine.Feeds{}}
		for scalar, v := range l.Scalars(c.Group(group)) {
			t.Scalars[group+"."+scalar] = []float32{v}
		}
		p.Terms = append(p.Terms, t)
	}
	boxes := loss.BoxOf(c.Group("box_loss"))
	add("class", "loss", loss.ClassificationOf(c.Group("loss")).Loss())
	add("box", "box_loss", boxes.Loss())
	p.Sampler = sampler.New(c.Group("sampler"), p.Coder, boxes.Target, c.Number("box_loss.weight"))
	return p
}

// ModelConfig returns the network for that many classes.
func ModelConfig(c *plan.Config, classes int) model.Config {
	return model.New(c.Group("model"), c.Group("anchors"), classes)
}

// OptimConfig returns the optimiser.
func OptimConfig(c *plan.Config) optim.Config { return optim.New(c.Group("optim")) }
