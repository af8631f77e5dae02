package detector

import (
	"focalgrid/box"
	"focalgrid/experiments/catalogue"
	"focalgrid/experiments/plan"
	"focalgrid/loss"
	"focalgrid/model"
	"focalgrid/optim"
	"focalgrid/sampler"
)

// Settings knows every setting of a detector and of its training.
var Settings = plan.NewCatalogue(catalogue.Groups())

// ModelConfig returns the network for that many classes.
func ModelConfig(c *plan.Config, classes int) model.Config {
	return model.New(c.Group("model"), c.Group("anchors"), classes)
}

// SamplerConfig returns what assigns anchors for the box loss of the settings.
func SamplerConfig(c *plan.Config) sampler.Config {
	target := "deltas"
	if b, err := loss.BoxByName(c.Text("box_loss.type")); err == nil { // Validate knows the name
		target = b.Target
	}
	return sampler.New(c.Group("sampler"), target, c.Number("box_loss.weight"))
}

// OptimConfig returns the optimiser.
func OptimConfig(c *plan.Config) optim.Config { return optim.New(c.Group("optim")) }

// PostConfig returns what makes detections of the network's outputs. They are kept from
// eval.low_score on; AP at eval.score leaves out the lower ones afterwards.
func PostConfig(c *plan.Config) box.Post { return box.NewPost(c.Group("eval")) }
