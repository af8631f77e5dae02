// Package detector puts a detector together from its parts, trains it, and makes detections with it: parts.go
// joins backbone, head, assigner, miner, loss terms and box coder; network.go compiles them for one size of input;
// feeds.go makes of batches what networks are fed; train.go has the training loop, which pretraining shares
// (classifier.go); evaluate.go detects and scores; input.go and stats.go count what a network is given, logits.go what
// it says; look.go and gallery.go draw what a detector finds; initialfile.go reads the weights that a training starts
// from. Predictions, targets and losses have names. Boxes are x1,y1,x2,y2 in pixels.
// The package reads data and initial weights; checkpoints and records are the business of package experiments.
package detector

import (
	"errors"
	"fmt"
	"slices"

	"focalgrid/engine"
	"focalgrid/experiments/plan"
	"focalgrid/loss"
	"focalgrid/model"
	"focalgrid/sampler"
	"focalgrid/weights"
)

// network is the detector compiled for one size of input batch.
type network struct {
	size    size
	program string // what the session was compiled from
	session engine.Session
	priors  *sampler.Priors
	feeds   engine.Feeds // that are the same at each step
}

// size is what a network is compiled for.
type size struct {
	n, h, w int
	train   bool
	bytes   bool // it is fed images as bytes, and normalises them
	objects int  // it is fed tables of that many objects an image, and writes the targets; 0: it is fed targets
	top     bool // it hands out the predictions that detections can come from alone
	losses  bool // it hands out the loss of each prior, not its logits
}

// networks lists networks, the least recently used first.
type networks []*network

// remove takes the network of a size off the list and returns it, nil if there is none.
func (s *networks) remove(z size) *network {
	i := slices.IndexFunc(*s, func(n *network) bool { return n.size == z })
	if i < 0 {
		return nil
	}
	n := (*s)[i]
	*s = slices.Delete(*s, i, i+1)
	return n
}

// closeFirst closes that many networks at the front of the list.
func (s *networks) closeFirst(many int) error {
	var err error
	for _, n := range (*s)[:many] {
		n.free()
		err = errors.Join(err, n.session.Close())
	}
	*s = slices.Delete(*s, 0, many)
	return err
}

// maxNetworks is how many networks are compiled at a time. Each holds the memory of all its maps, which is gigabytes
// for the paper's network; batches of COCO come in some 200 sizes, of data whose pictures are alike in two or three.
const maxNetworks = 16

// Detector is a detector with its weights. Its network is compiled for each size of input.
type Detector struct {
	Config  plan.Config
	Classes int
	State   *engine.State // out of date after a step, until Stored
	Draw    engine.Draw   // of the trial's seed
	Running float64       // mean of the normaliser "ema", over all sizes

	parts   parts
	engine  engine.Engine
	feeder  *feeder
	nets    networks
	earlier *Compiled // networks of an earlier trial; nil: none
}

// New returns a detector that has compiled nothing yet.
func New(cfg plan.Config, classes int, e engine.Engine, state *engine.State, draw engine.Draw) *Detector {
	d := &Detector{Config: cfg, Classes: classes, parts: partsOf(&cfg, classes), engine: e, State: state, Draw: draw}
	d.feeder = newFeeder(d)
	return d
}

// Close frees the networks.
func (d *Detector) Close() { d.HandOver().Close() }

// Stored returns the state, up to date with the steps that were made, and good until the next one.
func (d *Detector) Stored() (*engine.State, error) { return d.State, d.engine.Store(d.State) }

// Compiled holds the networks of a trial that has ended, with the state that their
// sessions share: the next trial need not compile the same programs.
type Compiled struct {
	state *engine.State
	nets  networks
}

// Close frees the networks.
func (c *Compiled) Close() { c.nets.closeFirst(len(c.nets)) }

// Reuse gives a detector that has compiled nothing yet the networks of an earlier trial; nil: none.
func (d *Detector) Reuse(c *Compiled) { d.earlier = c }

// HandOver returns the networks that the detector compiled or was given by Reuse. The detector
// must not be used, nor closed, afterwards.
func (d *Detector) HandOver() *Compiled {
	if d.earlier != nil {
		d.nets = append(d.earlier.nets, d.nets...)
	}
	return &Compiled{d.State, d.nets}
}

// earlierSession returns the session of an earlier trial's program, nil if there is none.
// All sessions share one state: with the first, the earlier trial's state starts again as the
// detector's; if the first does not fit, none does.
func (d *Detector) earlierSession(z size, program string) (engine.Session, error) {
	if d.earlier == nil {
		return nil, nil
	}
	old := d.earlier.nets.remove(z)
	if old != nil {
		old.free()
	}
	if old != nil && old.program != program {
		old.session.Close()
		old = nil
	}
	if old == nil {
		if len(d.nets) == 0 {
			d.earlier.Close()
			d.earlier = nil
		}
		return nil, nil
	}
	if theirs := d.earlier.state; d.State != theirs {
		if err := theirs.Restart(d.State); err != nil {
			return nil, err
		}
		if err := d.engine.Load(theirs); err != nil {
			return nil, err
		}
		d.State = theirs
	}
	return old.session, nil
}

// bound closes the networks that were used least recently, an earlier trial's first, until no more than maxNetworks
// are left.
func (d *Detector) bound() error {
	over := len(d.nets) - maxNetworks
	if d.earlier != nil {
		over += len(d.earlier.nets)
		some := min(max(over, 0), len(d.earlier.nets))
		if err := d.earlier.nets.closeFirst(some); err != nil {
			return err
		}
		over -= some
	}
	return d.nets.closeFirst(max(over, 0))
}

// Compile compiles the detector for n images of h × w pixels, so that the first step or batch of that size need not,
// if no image has more than 16 objects.
func (d *Detector) Compile(n, h, w int, train bool) error {
	remote := Remote(d.engine)
	z := size{n: n, h: h, w: w, bytes: remote, top: remote}
	if train {
		z = d.feeder.training(n, h, w, remote, 0)
	}
	_, err := d.network(z)
	return err
}

// network returns the detector for that size, compiled on first use.
func (d *Detector) network(z size) (*network, error) {
	if net := d.nets.remove(z); net != nil {
		d.nets = append(d.nets, net)
		return net, nil
	}
	prog, priors, err := d.program(z)
	if err != nil {
		return nil, fmt.Errorf("network for %s: %w", z, err)
	}
	if err := d.State.AddMissing(prog.Graph, d.Draw); err != nil {
		return nil, err
	}
	net := &network{size: z, program: fmt.Sprintf("%s %+v %t", prog.Graph.Hash(), prog.Update, prog.BFloat16), priors: priors}
	if net.feeds, err = d.constants(prog.Graph, net.priors); err != nil {
		return nil, err
	}
	if net.session, err = d.earlierSession(z, net.program); err == nil && net.session == nil {
		net.session, err = d.engine.Compile(prog, d.State)
	}
	if err != nil {
		net.free()
		return nil, fmt.Errorf("network for %s: %w", z, err)
	}
	d.nets = append(d.nets, net)
	return net, d.bound()
}

// program returns the detector for that size, to be compiled, and its priors.
func (d *Detector) program(z size) (*engine.Program, *sampler.Priors, error) {
	priors, err := d.feeder.priors(z.h, z.w)
	if err != nil {
		return nil, nil, err
	}
	prog := &engine.Program{Update: d.parts.Optim.Update(), BFloat16: d.Config.Text("train.precision") == "bf16"}
	prog.Graph, err = engine.Build(func(g *engine.Graph) error {
		out := model.Network(g, d.parts.Network, z.image(g), z.train)
		for _, p := range out.Predictions {
			prog.Predictions = append(prog.Predictions, p.Node)
		}
		if z.losses {
			prog.Predictions = d.feeder.losses(g, z, prog.Predictions)
		}
		if z.top {
			prog.Predictions = d.top(g, prog.Predictions, priors.Levels)
		}
		if z.train {
			d.addTerms(g, prog, z)
		}
		return nil
	})
	return prog, priors, err
}

// addTerms adds targets, the terms of the loss and their sum to the graph. The losses' settings
// are inputs, so that one compiled program serves a sweep over their values.
func (d *Detector) addTerms(g *engine.Graph, prog *engine.Program, z size) {
	shape := prog.Predictions[0].Shape // [N,A,…]
	if z.objects > 0 {
		d.feeder.addTargets(g, z, shape[1])
	}
	for _, t := range d.parts.Terms {
		var predicted, targets []*engine.Node
		for _, name := range t.Reads {
			predicted = append(predicted, g.Node(name))
		}
		for _, name := range t.Loss.Targets {
			n := g.Node(name) // of an earlier term
			if n == nil {
				n = g.Input(name, targetShape(name, shape[0], shape[1])...)
				if name != "priors" {
					n = g.Batched(n)
				}
			}
			targets = append(targets, n)
		}
		n := g.Named(t.Loss.Build(g, predicted, targets, loss.ScalarInputs(g, t.Group+".")), t.Name+"_loss")
		prog.Outputs = append(prog.Outputs, n)
		if prog.Loss == nil {
			prog.Loss = n
		} else {
			prog.Loss = g.Add(prog.Loss, n)
		}
	}
	g.Named(prog.Loss, "loss")
}

// targetShape returns the shape of a target for n images with that many priors each.
func targetShape(name string, n, priors int) []int {
	switch name {
	case "box_target":
		return []int{n, priors, 4}
	case "priors":
		return []int{priors, 4}
	}
	return []int{n, priors}
}

// AddMissing draws the tensors of the network that the state lacks.
func (d *Detector) AddMissing() error {
	g, err := engine.Build(func(g *engine.Graph) error {
		model.Network(g, d.parts.Network, g.Input("image", 1, 3, 64, 64), true) // no tensor depends on the size
		return nil
	})
	if err != nil {
		return err
	}
	return d.State.AddMissing(g, d.Draw)
}

// Load overwrites the state's tensors with weights.
func (d *Detector) Load(w Tensors) error {
	used, err := fit(d.parts.Network, w)
	if err != nil {
		return err
	}
	for _, t := range used {
		if err := d.State.Set(t.Name, t.Shape, t.Data); err != nil {
			return err
		}
	}
	return nil
}

// fit returns the weights that a network of these settings has, without others such as
// a classifier's last layer. Every tensor of the backbone must be there, in the network's shape.
func fit(cfg model.Config, w Tensors) ([]weights.Tensor, error) {
	tensors, err := model.Tensors(cfg)
	if err != nil {
		return nil, err
	}
	var used []weights.Tensor
	for _, n := range tensors {
		t, ok := w[n.Name]
		if !ok {
			if IsBody(n.Name) {
				return nil, fmt.Errorf("initial weights lack the backbone's tensor %s", n.Name)
			}
			continue
		}
		if !slices.Equal(t.Shape, n.Shape) {
			return nil, fmt.Errorf("initial weights: tensor %s has shape %v, this network wants %v", n.Name, t.Shape, n.Shape)
		}
		used = append(used, t)
	}
	return used, nil
}
