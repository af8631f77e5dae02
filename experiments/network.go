package experiments

import (
	"fmt"
	"slices"

	"focalgrid/engine"
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

// detector holds what all sizes share: settings, engine and weights.
type detector struct {
	cfg     Config
	classes int
	engine  engine.Engine
	state   *engine.State
	draw    engine.Draw
	nets    map[[4]int]*network // by images, height, width, training
	running float64             // of the normaliser "ema", over all sizes
	kept    *compiled           // of an earlier trial, to be used again; nil: none
}

func newDetector(cfg Config, classes int, e engine.Engine, state *engine.State, draw engine.Draw) *detector {
	return &detector{cfg: cfg, classes: classes, engine: e, state: state, draw: draw, nets: map[[4]int]*network{}}
}

func (d *detector) close() { d.handOver().close() }

// compiled is the networks of a trial that has ended, with the state that their
// sessions are bound to: the next trial need not compile the same programs.
type compiled struct {
	state *engine.State
	nets  map[[4]int]*network
}

func (c *compiled) close() {
	for _, n := range c.nets {
		n.session.Close()
	}
}

// handOver returns what the detector compiled, or took over itself. The detector
// must not be used, nor closed, afterwards.
func (d *detector) handOver() *compiled {
	if d.kept != nil {
		for key, n := range d.kept.nets {
			if d.nets[key] == nil {
				d.nets[key] = n
			} else {
				n.session.Close()
			}
		}
	}
	return &compiled{d.state, d.nets}
}

// reuse returns the session of an earlier trial's program, nil if there is none.
// All sessions share one state: with the first, the detector's goes into that of the
// earlier trial; if the first does not fit, none does.
func (d *detector) reuse(key [4]int, program string) (engine.Session, error) {
	if d.kept == nil {
		return nil, nil
	}
	old := d.kept.nets[key]
	if old == nil || old.program != program {
		if len(d.nets) == 0 {
			d.kept.close()
			d.kept = nil
		}
		return nil, nil
	}
	if theirs := d.kept.state; d.state != theirs {
		for _, name := range theirs.Names() {
			if d.state.Get(name) == nil {
				clear(theirs.Get(name).Values) // a slot of the optimiser
			}
		}
		for _, name := range d.state.Names() {
			t := d.state.Get(name)
			if err := theirs.Set(name, t.Shape, t.Values); err != nil {
				return nil, err
			}
		}
		d.state = theirs
	}
	delete(d.kept.nets, key)
	return old.session, nil
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
	net := &network{n: n, h: h, w: w, program: fmt.Sprintf("%s %+v", prog.Graph.Hash(), prog.Update), anchors: out.Anchors}
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
		if d.running == 0 {
			d.running = net.assigner.Running
		}
	}
	if net.session, err = d.reuse(key, net.program); err == nil && net.session == nil {
		net.session, err = d.engine.Compile(prog, d.state)
	}
	if err != nil {
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

// load puts weights over the state's.
func (d *detector) load(w tensors) error {
	used, err := fit(&d.cfg, d.classes, w)
	if err != nil {
		return err
	}
	for _, t := range used {
		if err := d.state.Set(t.Name, t.Shape, t.Data); err != nil {
			return err
		}
	}
	return nil
}

// fit returns those of the weights that a network of these settings has; others (such as
// a classifier's last layer) are left out. Every tensor of the backbone must be there,
// and of the network's shape.
func fit(cfg *Config, classes int, w tensors) ([]weights.Tensor, error) {
	g, err := engine.Build(func(g *engine.Graph) error {
		model.RetinaNet(g, cfg.modelConfig(classes), g.Input("image", 1, 3, 64, 64), true)
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
			if isBody(n.Name) {
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
