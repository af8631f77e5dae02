// Package detector builds the network of a trial with its losses, trains it, and makes detections with it:
// network.go compiles it for one size of input, train.go runs the training steps, evaluate.go detects and scores,
// input.go and look.go show what it sees. Boxes are x1,y1,x2,y2 in pixels. It knows no trial's record and no file
// but those of the data and of initial weights.
package detector

import (
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
	n, h, w  int
	program  string // what the session was compiled from
	session  engine.Session
	anchors  [][4]float32
	levels   []int // anchors of each pyramid level
	assigner *sampler.Assigner
	boxes    []float32 // the anchors as a feed, where the box loss wants them
}

// Detector holds what all sizes share: settings, engine and weights.
type Detector struct {
	Cfg     plan.Config
	Classes int
	engine  engine.Engine
	State   *engine.State
	Draw    engine.Draw
	nets    map[[4]int]*network // by images, height, width, training
	Running float64             // of the normaliser "ema", over all sizes
	Kept    *Compiled           // of an earlier trial, to be used again; nil: none
}

func New(cfg plan.Config, classes int, e engine.Engine, state *engine.State, draw engine.Draw) *Detector {
	return &Detector{Cfg: cfg, Classes: classes, engine: e, State: state, Draw: draw, nets: map[[4]int]*network{}}
}

func (d *Detector) Close() { d.HandOver().Close() }

// Compiled is the networks of a trial that has ended, with the state that their
// sessions are bound to: the next trial need not compile the same programs.
type Compiled struct {
	state *engine.State
	nets  map[[4]int]*network
}

func (c *Compiled) Close() {
	for _, n := range c.nets {
		n.session.Close()
	}
}

// HandOver returns what the detector compiled, or took over itself. The detector
// must not be used, nor closed, afterwards.
func (d *Detector) HandOver() *Compiled {
	if d.Kept != nil {
		for key, n := range d.Kept.nets {
			if d.nets[key] == nil {
				d.nets[key] = n
			} else {
				n.session.Close()
			}
		}
	}
	return &Compiled{d.State, d.nets}
}

// reuse returns the session of an earlier trial's program, nil if there is none.
// All sessions share one state: with the first, the detector's goes into that of the
// earlier trial; if the first does not fit, none does.
func (d *Detector) reuse(key [4]int, program string) (engine.Session, error) {
	if d.Kept == nil {
		return nil, nil
	}
	old := d.Kept.nets[key]
	if old == nil || old.program != program {
		if len(d.nets) == 0 {
			d.Kept.Close()
			d.Kept = nil
		}
		return nil, nil
	}
	if theirs := d.Kept.state; d.State != theirs {
		for _, name := range theirs.Names() {
			if d.State.Get(name) == nil {
				clear(theirs.Get(name).Values) // a slot of the optimiser
			}
		}
		for _, name := range d.State.Names() {
			t := d.State.Get(name)
			if err := theirs.Set(name, t.Shape, t.Values); err != nil {
				return nil, err
			}
		}
		d.State = theirs
	}
	delete(d.Kept.nets, key)
	return old.session, nil
}

// Network returns the detector for n images of h × w pixels, compiled on first use.
func (d *Detector) Network(n, h, w int, train bool) (*network, error) {
	key := [4]int{n, h, w}
	if train {
		key[3] = 1
	}
	if net, ok := d.nets[key]; ok {
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
	net := &network{n: n, h: h, w: w, program: fmt.Sprintf("%s %+v", prog.Graph.Hash(), prog.Update), anchors: out.Anchors}
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
	if net.session, err = d.reuse(key, net.program); err == nil && net.session == nil {
		net.session, err = d.engine.Compile(prog, d.State)
	}
	if err != nil {
		return nil, fmt.Errorf("network for %d images of %d×%d: %w", n, h, w, err)
	}
	d.nets[key] = net
	return net, nil
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
