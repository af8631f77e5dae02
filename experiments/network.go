package experiments

import (
	"fmt"
	"slices"

	"focalgrid/engine"
	"focalgrid/loss"
	"focalgrid/model"
	"focalgrid/sampler"
)

// network is the detector compiled for one size of input batch.
type network struct {
	n, h, w  int
	graph    *engine.Graph
	session  engine.Session
	anchors  [][4]float32
	levels   []int // anchors of each pyramid level
	assigner *sampler.Assigner
	running  float64   // the assigner's at first
	boxes    []float32 // the anchors as a feed, where the box loss wants them
}

// detector holds what all sizes share: settings, engine and weights.
type detector struct {
	cfg     Config
	classes int
	engine  engine.Engine
	state   *engine.State
	draw    engine.Draw
	nets    map[[4]int]*network // by images, height, width, training
	running float64             // of the normaliser "ema", over all sizes
}

func newDetector(cfg Config, classes int, e engine.Engine, state *engine.State, draw engine.Draw) *detector {
	return &detector{cfg: cfg, classes: classes, engine: e, state: state, draw: draw, nets: map[[4]int]*network{}}
}

func (d *detector) close() {
	for _, n := range d.nets {
		n.session.Close()
	}
}

// compiled is the networks of a trial that has ended, with the state that their
// sessions are bound to: the next trial of the same program need not compile.
type compiled struct {
	program string
	state   *engine.State
	nets    map[[4]int]*network
}

// programOf names the settings that networks are compiled from: all but the values of
// the losses and the learning rate, which are fed to every step.
func programOf(c Config, classes int) string {
	c.Loss, c.BoxLoss = Loss{Type: c.Loss.Type}, BoxLoss{Type: c.BoxLoss.Type}
	c.Optim.LR = 0
	return fmt.Sprintf("%d %s", classes, Resolved(&c))
}

// adopt gives a detector that has no networks yet, but its weights, those of c. What
// the weights lack is drawn as for new networks.
func (d *detector) adopt(c *compiled) error {
	for _, net := range c.nets {
		if err := d.state.AddMissing(net.graph, d.draw); err != nil {
			return err
		}
		if net.assigner != nil && d.running == 0 {
			d.running = net.running
		}
	}
	for _, name := range c.state.Names() {
		if d.state.Get(name) == nil {
			clear(c.state.Get(name).Values) // a slot of the optimiser
		}
	}
	for _, name := range d.state.Names() {
		t := d.state.Get(name)
		if err := c.state.Set(name, t.Shape, t.Values); err != nil {
			return err
		}
	}
	d.state, d.nets = c.state, c.nets
	return nil
}

// network returns the detector for n images of h × w pixels, compiled on first use.
func (d *detector) network(n, h, w int, train bool) (*network, error) {
	key := [4]int{n, h, w}
	if train {
		key[3] = 1
	}
	if net, ok := d.nets[key]; ok {
		return net, nil
	}
	mc := d.cfg.modelConfig(d.classes)
	prog := &engine.Program{Update: d.cfg.optimConfig().Update()}
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
	if err := d.state.AddMissing(prog.Graph, d.draw); err != nil {
		return nil, err
	}
	net := &network{n: n, h: h, w: w, graph: prog.Graph, anchors: out.Anchors}
	for _, l := range mc.Anchors.Levels(h, w) {
		net.levels = append(net.levels, l.Anchors)
	}
	if train {
		if net.assigner, err = sampler.NewAssigner(d.cfg.samplerConfig(), out.Anchors, d.classes); err != nil {
			return nil, err
		}
		if prog.Graph.Node("anchors") != nil {
			net.boxes = flat(out.Anchors)
		}
		net.running = net.assigner.Running
		if d.running == 0 {
			d.running = net.running
		}
	}
	if net.session, err = d.engine.Compile(prog, d.state); err != nil {
		return nil, fmt.Errorf("network for %d images of %d×%d: %w", n, h, w, err)
	}
	d.nets[key] = net
	return net, nil
}

// losses adds targets, both losses and their sum to the graph. What is swept
// is an input, so that one compiled program serves all values.
func (d *detector) losses(g *engine.Graph, prog *engine.Program, out model.Outputs) error {
	cls, err := loss.ClassificationByName(d.cfg.Loss.Type)
	if err != nil {
		return err
	}
	reg, err := loss.BoxByName(d.cfg.BoxLoss.Type)
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

// scalars are the feeds of the losses' settings.
func (d *detector) scalars() (engine.Feeds, error) {
	cls, err := loss.ClassificationByName(d.cfg.Loss.Type)
	if err != nil {
		return nil, err
	}
	reg, err := loss.BoxByName(d.cfg.BoxLoss.Type)
	if err != nil {
		return nil, err
	}
	out := engine.Feeds{}
	add := func(prefix string, params []loss.Param, values loss.Values, scalars func(loss.Values) map[string]float32) error {
		v, err := loss.Complete(params, values)
		if err != nil {
			return fmt.Errorf("%s%w", prefix, err)
		}
		for name, x := range scalars(v) {
			out[prefix+name] = []float32{x}
		}
		return nil
	}
	if err := add(loss.ClassPrefix, cls.Params, d.cfg.lossValues(), cls.Scalars); err != nil {
		return nil, err
	}
	return out, add(loss.BoxPrefix, reg.Params, d.cfg.boxLossValues(), reg.Scalars)
}

func flat(boxes [][4]float32) []float32 {
	out := make([]float32, 0, 4*len(boxes))
	for _, b := range boxes {
		out = append(out, b[:]...)
	}
	return out
}

// load puts weights over the state's; a tensor the network does not have
// (such as the classifier's last layer) is left out. Every tensor of the
// backbone must be there.
func (d *detector) load(w tensors) error {
	g, err := engine.Build(func(g *engine.Graph) error {
		model.RetinaNet(g, d.cfg.modelConfig(d.classes), g.Input("image", 1, 3, 64, 64), true)
		return nil
	})
	if err != nil {
		return err
	}
	for _, n := range g.Nodes() {
		if n.Op != engine.OpParam && n.Op != engine.OpBuffer {
			continue
		}
		t, ok := w[n.Name]
		if !ok {
			if isBody(n.Name) {
				return fmt.Errorf("initial weights lack the backbone's tensor %s", n.Name)
			}
			continue
		}
		if !slices.Equal(t.Shape, n.Shape) {
			return fmt.Errorf("initial weights: tensor %s has shape %v, this network wants %v", n.Name, t.Shape, n.Shape)
		}
		if err := d.state.Set(n.Name, t.Shape, t.Data); err != nil {
			return err
		}
	}
	return nil
}
