// Package detector builds the network of a trial with its losses, trains it, and makes detections with it:
// network.go compiles it for one size of input, train.go runs the training steps, evaluate.go detects and scores,
// input.go and look.go show what it sees. Boxes are x1,y1,x2,y2 in pixels. It knows no trial's record and no file
// but those of the data and of initial weights.
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
	size     size
	program  string // what the session was compiled from
	session  engine.Session
	anchors  [][4]float32
	levels   []int // anchors of each pyramid level
	assigner *sampler.Assigner
	boxes    []float32 // the anchors as a feed, where the box loss wants them
}

// size is what a network is compiled for.
type size struct {
	n, h, w int
	train   bool
}

// networks lists networks, the least recently used first.
type networks []*network

// take removes the network of a size from the list and returns it, nil if there is none.
func (s *networks) take(z size) *network {
	i := slices.IndexFunc(*s, func(n *network) bool { return n.size == z })
	if i < 0 {
		return nil
	}
	n := (*s)[i]
	*s = slices.Delete(*s, i, i+1)
	return n
}

// closeFirst closes that many networks from the front of the list.
func (s *networks) closeFirst(many int) error {
	var err error
	for _, n := range (*s)[:many] {
		err = errors.Join(err, n.session.Close())
	}
	*s = slices.Delete(*s, 0, many)
	return err
}

// maxNetworks is how many networks are compiled at a time. Each holds the memory of all its maps, which is gigabytes
// for the paper's network; batches of COCO come in some 200 sizes, of data whose pictures are alike in two or three.
const maxNetworks = 16

// Detector holds what all sizes share: settings, engine and weights.
type Detector struct {
	Cfg     plan.Config
	Classes int
	engine  engine.Engine
	State   *engine.State // out of date after a step, until Stored
	Draw    engine.Draw
	nets    networks
	Running float64   // of the normaliser "ema", over all sizes
	Kept    *Compiled // of an earlier trial, to be used again; nil: none
}

// New returns a detector that has compiled nothing yet.
func New(cfg plan.Config, classes int, e engine.Engine, state *engine.State, draw engine.Draw) *Detector {
	return &Detector{Cfg: cfg, Classes: classes, engine: e, State: state, Draw: draw}
}

// Close frees the networks.
func (d *Detector) Close() { d.HandOver().Close() }

// Stored returns the state, up to date with the steps that were made, and good until the next one.
func (d *Detector) Stored() (*engine.State, error) { return d.State, d.engine.Store(d.State) }

// Compiled is the networks of a trial that has ended, with the state that their
// sessions share: the next trial need not compile the same programs.
type Compiled struct {
	state *engine.State
	nets  networks
}

// Close frees the networks.
func (c *Compiled) Close() { c.nets.closeFirst(len(c.nets)) }

// HandOver returns what the detector compiled, or took over itself. The detector
// must not be used, nor closed, afterwards.
func (d *Detector) HandOver() *Compiled {
	if d.Kept != nil {
		d.nets = append(d.Kept.nets, d.nets...)
	}
	return &Compiled{d.State, d.nets}
}

// reuse returns the session of an earlier trial's program, nil if there is none.
// All sessions share one state: with the first, the earlier trial's state starts again as the
// detector's; if the first does not fit, none does.
func (d *Detector) reuse(z size, program string) (engine.Session, error) {
	if d.Kept == nil {
		return nil, nil
	}
	old := d.Kept.nets.take(z)
	if old != nil && old.program != program {
		old.session.Close()
		old = nil
	}
	if old == nil {
		if len(d.nets) == 0 {
			d.Kept.Close()
			d.Kept = nil
		}
		return nil, nil
	}
	if theirs := d.Kept.state; d.State != theirs {
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
	if d.Kept != nil {
		over += len(d.Kept.nets)
		some := min(max(over, 0), len(d.Kept.nets))
		if err := d.Kept.nets.closeFirst(some); err != nil {
			return err
		}
		over -= some
	}
	return d.nets.closeFirst(max(over, 0))
}

// Network returns the detector for n images of h × w pixels, compiled on first use.
func (d *Detector) Network(n, h, w int, train bool) (*network, error) {
	z := size{n, h, w, train}
	if net := d.nets.take(z); net != nil {
		d.nets = append(d.nets, net)
		return net, nil
	}
	mc := ModelConfig(&d.Cfg, d.Classes)
	prog := &engine.Program{Update: OptimConfig(&d.Cfg).Update()}
	var out model.Outputs
	var err error
	prog.Graph, err = engine.Build(func(g *engine.Graph) error {
		out = model.RetinaNet(g, mc, g.Input("image", n, 3, h, w), train)
		prog.Predictions = []*engine.Node{out.Logits, out.Deltas}
		if !train {
			return nil
		}
		return d.losses(g, prog, out)
	})
	if err != nil {
		return nil, fmt.Errorf("network for %d images of %d×%d: %w", n, h, w, err)
	}
	if err := d.State.AddMissing(prog.Graph, d.Draw); err != nil {
		return nil, err
	}
	net := &network{size: z, program: fmt.Sprintf("%s %+v", prog.Graph.Hash(), prog.Update), anchors: out.Anchors}
	for _, l := range mc.Anchors.Levels(h, w) {
		net.levels = append(net.levels, l.Anchors)
	}
	if train {
		if net.assigner, err = sampler.NewAssigner(SamplerConfig(&d.Cfg), out.Anchors, d.Classes); err != nil {
			return nil, err
		}
		if prog.Graph.Node("anchors") != nil {
			net.boxes = flat(out.Anchors)
		}
		if d.Running == 0 {
			d.Running = net.assigner.Running
		}
	}
	if net.session, err = d.reuse(z, net.program); err == nil && net.session == nil {
		net.session, err = d.engine.Compile(prog, d.State)
	}
	if err != nil {
		return nil, fmt.Errorf("network for %d images of %d×%d: %w", n, h, w, err)
	}
	d.nets = append(d.nets, net)
	return net, d.bound()
}

// losses adds targets, both losses and their sum to the graph. What is swept
// is an input, so that one compiled program serves all values.
func (d *Detector) losses(g *engine.Graph, prog *engine.Program, out model.Outputs) error {
	cls, err := loss.ClassificationByName(d.Cfg.Text("loss.type"))
	if err != nil {
		return err
	}
	reg, err := loss.BoxByName(d.Cfg.Text("box_loss.type"))
	if err != nil {
		return err
	}
	s := out.Logits.Shape
	c := cls.Build(g, loss.Inputs{
		Logits: out.Logits,
		Labels: g.Input("labels", s[0], s[1]),
		Weight: g.Input("class_weight", s[0], s[1]),
	}, loss.ScalarInputs(g, loss.ClassPrefix))
	in := loss.BoxInputs{
		Pred:   out.Deltas,
		Target: g.Input("box_target", s[0], s[1], 4),
		Weight: g.Input("box_weight", s[0], s[1]),
	}
	if reg.Target == "boxes" {
		in.Anchors = g.Input("anchors", s[1], 4)
	}
	b := reg.Build(g, in, loss.ScalarInputs(g, loss.BoxPrefix))
	prog.Outputs = []*engine.Node{g.Named(c, "class_loss"), g.Named(b, "box_loss")}
	prog.Loss = g.Named(g.Add(c, b), "loss")
	return nil
}

// Scalars are the feeds of the losses' settings.
func (d *Detector) Scalars() (engine.Feeds, error) {
	cls, err := loss.ClassificationByName(d.Cfg.Text("loss.type"))
	if err != nil {
		return nil, err
	}
	reg, err := loss.BoxByName(d.Cfg.Text("box_loss.type"))
	if err != nil {
		return nil, err
	}
	out := engine.Feeds{}
	for name, x := range cls.Scalars(d.Cfg.Group("loss")) {
		out[loss.ClassPrefix+name] = []float32{x}
	}
	for name, x := range reg.Scalars(d.Cfg.Group("box_loss")) {
		out[loss.BoxPrefix+name] = []float32{x}
	}
	return out, nil
}

func flat(boxes [][4]float32) []float32 {
	out := make([]float32, 0, 4*len(boxes))
	for _, b := range boxes {
		out = append(out, b[:]...)
	}
	return out
}

// Load puts weights over the state's.
func (d *Detector) Load(w Tensors) error {
	used, err := fit(&d.Cfg, d.Classes, w)
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

// fit returns those of the weights that a network of these settings has; others (such as
// a classifier's last layer) are left out. Every tensor of the backbone must be there,
// and of the network's shape.
func fit(cfg *plan.Config, classes int, w Tensors) ([]weights.Tensor, error) {
	g, err := engine.Build(func(g *engine.Graph) error {
		model.RetinaNet(g, ModelConfig(cfg, classes), g.Input("image", 1, 3, 64, 64), true)
		return nil
	})
	if err != nil {
		return nil, err
	}
	var used []weights.Tensor
	for _, n := range g.Nodes() {
		if n.Op != engine.OpParam && n.Op != engine.OpBuffer {
			continue
		}
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
