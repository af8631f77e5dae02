package detector

import (
	"errors"
	"fmt"
	"testing"

	"focalgrid/dataset"
	"focalgrid/engine"
	"focalgrid/engine/enginetest"
	"focalgrid/engine/gorgonia"
	"focalgrid/engine/kernel"
	"focalgrid/experiments/plan"
	"focalgrid/weights"
)

// counted is an engine that counts its sessions.
type counted struct {
	engine.Engine
	compiled, open int
}

func (c *counted) Compile(p *engine.Program, s *engine.State) (engine.Session, error) {
	ses, err := c.Engine.Compile(p, s)
	if err == nil {
		c.compiled++
		c.open++
	}
	return &countedSession{ses, c}, err
}

// countedRemote is one that computes elsewhere.
type countedRemote struct {
	*counted
	engine.Stager
}

// onDevice returns an engine that computes elsewhere, and counts its sessions. Closing it fails where a staged feed is
// not free.
func onDevice(e engine.Engine) countedRemote {
	device := enginetest.Device(e)
	return countedRemote{&counted{Engine: device}, device.(engine.Stager)}
}

type countedSession struct {
	engine.Session
	c *counted
}

func (s *countedSession) Close() error {
	s.c.open--
	return s.Session.Close()
}

// TestNetworksAreBounded: a training on batches of many sizes has no more than maxNetworks compiled, in a next trial
// too, and ends in the bits of one that compiles every step anew.
func TestNetworksAreBounded(t *testing.T) {
	cfg, err := Settings.LoadBaseline("mini", plan.Selection{Set: []string{
		"data.pixels=64", "image.short=64", "image.long=64", "data.min_size=0.2", "train.batch=1", "model.width=0.125", "model.fpn=16",
		"pretrain.type=none", "sampler.normalizer=ema",
	}})
	if err != nil {
		t.Fatal(err)
	}
	const sizes = maxNetworks + 2
	var order []int // of the batches' sizes: the first is used again early, and again when many others came between
	for i := range sizes {
		order = append(order, i)
		if i == 1 {
			order = append(order, 0)
		}
	}
	order = append(order, 0, sizes-1)
	run := func(d *Detector, i int) {
		t.Helper()
		b := dataset.Batch{N: 1, H: 64, W: 64 + 32*order[i], Items: []dataset.Item{{
			Boxes: [][4]float32{{8, 8, 40, 40}}, Labels: []int32{1}, Crowd: []bool{false},
		}}}
		draw := Drawer(7)("pixels", uint64(i))
		for range 3 * b.H * b.W {
			b.Pixels = append(b.Pixels, float32(draw.NormFloat64()))
		}
		if err := d.Step(&b, &StepInfo{Step: i, LR: .01}); err != nil {
			t.Fatal(err)
		}
	}
	hash := func(d *Detector) string {
		t.Helper()
		s, err := d.Stored()
		if err != nil {
			t.Fatal(err)
		}
		h, err := weights.Hash(StateTensors(s))
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(h, d.Running)
	}

	pool := kernel.NewPool(2)
	defer pool.Close()
	cpu := gorgonia.New(pool, gorgonia.Options{})
	state, running := engine.NewState(), 0.
	for i := range order {
		d := New(cfg, cfg.Int("data.classes"), cpu, state, Drawer(0))
		d.Running = running
		run(d, i)
		running = d.Running
		d.Close()
	}
	want := hash(&Detector{State: state, Running: running, engine: cpu})

	e := onDevice(cpu)
	var kept *Compiled
	for trial := range 2 {
		d := New(cfg, cfg.Int("data.classes"), e, engine.NewState(), Drawer(0))
		d.earlier = kept
		for i := range order {
			run(d, i)
			if e.open > maxNetworks {
				t.Fatalf("trial %d, step %d: %d networks, want %d at most", trial, i, e.open, maxNetworks)
			}
		}
		if got := hash(d); got != want {
			t.Errorf("trial %d: state %s, want %s", trial, got, want)
		}
		kept = d.HandOver()
	}
	// The first trial compiles each size, and the first one again.
	if least, most := sizes+1, 2*(sizes+1); e.compiled <= least || e.compiled >= most {
		t.Errorf("%d networks were compiled in two trials, want more than %d and fewer than %d", e.compiled, least, most)
	}
	kept.Close()
	if err := e.Close(); err != nil || e.open != 0 {
		t.Errorf("%d networks are open, %v", e.open, err)
	}
}

// oneObject is a batch of an image with an object.
func oneObject(bytes bool) *dataset.Batch {
	b := &dataset.Batch{N: 1, H: 64, W: 64, Items: []dataset.Item{{
		Boxes: [][4]float32{{8, 8, 40, 40}}, Labels: []int32{1}, Crowd: []bool{false}, NetWidth: 64, NetHeight: 64,
	}}}
	if bytes {
		b.Bytes = make([]byte, 3*64*64)
	} else {
		b.Pixels = make([]float32, 3*64*64)
	}
	return b
}

// TestCompile: what is compiled ahead of a step or of a batch is what they need.
func TestCompile(t *testing.T) {
	for _, miner := range []string{"all", "ssd", "ohem"} {
		cfg, err := Settings.LoadBaseline("mini", plan.Selection{Set: []string{
			"data.pixels=64", "image.short=64", "image.long=64", "data.min_size=0.2", "model.width=0.125", "model.fpn=16", "sampler.type=" + miner,
		}})
		if err != nil {
			t.Fatal(err)
		}
		for _, remote := range []bool{false, true} {
			cpu := gorgonia.New(kernel.NewPool(1), gorgonia.Options{})
			count := &counted{Engine: cpu}
			var e engine.Engine = count
			if remote {
				r := onDevice(cpu)
				count, e = r.counted, r
			}
			d := New(cfg, 2, e, engine.NewState(), Drawer(7))
			b := oneObject(remote)
			if err := errors.Join(d.Compile(1, 64, 64, true), d.Compile(EvalBatch, 64, 64, false)); err != nil || count.compiled != 2 {
				t.Fatalf("%s, remote %t: %d networks are compiled ahead, %v", miner, remote, count.compiled, err)
			}
			err := d.Step(b, &StepInfo{LR: 1e-3})
			if _, inferErr := d.Infer(b); err != nil || inferErr != nil || count.compiled != 2 {
				t.Errorf("%s, remote %t: %d networks are compiled in all, %v, %v; want 2", miner, remote, count.compiled, err, inferErr)
			}
			d.Close()
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// full is an engine whose device takes so many feeds and no more.
type full struct {
	countedRemote
	left int
}

func (f *full) Stage(values any, batch bool, shape ...int) (engine.Staged, error) {
	if f.left--; f.left < 0 {
		return nil, errors.New("no memory")
	}
	return f.countedRemote.Stage(values, batch, shape...)
}

// TestStagingFails: where a feed finds no place on the device, the step fails, and those before it are given back.
func TestStagingFails(t *testing.T) {
	cfg, err := Settings.LoadBaseline("mini", plan.Selection{Set: []string{
		"data.pixels=64", "image.short=64", "image.long=64", "data.min_size=0.2", "model.width=0.125", "model.fpn=16",
	}})
	if err != nil {
		t.Fatal(err)
	}
	const feeds = 7 // bytes, sizes, rows and table of the batch; mean, std and priors
	for left := range feeds + 1 {
		e := &full{onDevice(gorgonia.New(kernel.NewPool(1), gorgonia.Options{})), left}
		d := New(cfg, 2, e, engine.NewState(), Drawer(7))
		if err := d.Step(oneObject(true), &StepInfo{LR: 1e-3}); (err == nil) != (left == feeds) {
			t.Errorf("a step with room for %d feeds of %d: error %v", left, feeds, err)
		}
		d.Close()
		if err := e.Close(); err != nil {
			t.Errorf("with room for %d feeds: %v", left, err)
		}
	}
}

// TestTermsShareTargets: terms of the loss that learn from one target read one input.
func TestTermsShareTargets(t *testing.T) {
	cfg, err := Settings.LoadBaseline("mini", plan.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	terms := partsOf(&cfg, 2).Terms
	again := terms[1]
	again.Name = "again"
	prog := &engine.Program{}
	_, err = engine.Build(func(g *engine.Graph) error {
		prog.Predictions = []*engine.Node{g.Input("class", 1, 5, 2), g.Input("box", 1, 5, 4)}
		d := New(cfg, 2, nil, nil, nil)
		d.parts.Terms = append(terms, again)
		d.addTerms(g, prog, size{})
		return nil
	})
	if err != nil || len(prog.Outputs) != 3 || prog.Outputs[1].In[1] != prog.Outputs[2].In[1] {
		t.Errorf("%d terms, of which two read target %s: %v", len(prog.Outputs), again.Loss.Targets[0], err)
	}
}

// unbuilt is an engine that keeps programs, and compiles none.
type unbuilt struct {
	engine.Engine
	programs []*engine.Program
}

func (u *unbuilt) Compile(p *engine.Program, _ *engine.State) (engine.Session, error) {
	u.programs = append(u.programs, p)
	return nil, errors.New("not compiled")
}

// TestBatchedInputs: what is fed by the image is marked so, and nothing else, on engines of both kinds.
func TestBatchedInputs(t *testing.T) {
	const n = 7
	for name, set := range map[string][]string{"priors": {"box_loss.type=giou"}, "classes": {"sampler.type=ssd"}} {
		cfg, err := Settings.LoadBaseline("mini", plan.Selection{Set: set})
		if err != nil {
			t.Fatal(err)
		}
		e := &unbuilt{}
		device := enginetest.Device(e)
		seen := map[string]bool{}
		for _, on := range []engine.Engine{e, device} {
			d := New(cfg, 2, on, engine.NewState(), Drawer(0))
			c := &Classifier{State: engine.NewState(), engine: on, draw: Drawer(0), settings: cfg.Group("pretrain"), network: ModelConfig(&cfg, 9), labels: 9}
			for _, train := range []bool{true, false} {
				d.Compile(n, 64, 64, train)
				c.compile(n, train)
			}
		}
		if len(e.programs) != 8 {
			t.Fatalf("%d programs, want a detector and a classifier, to train and to use, twice", len(e.programs))
		}
		for _, p := range e.programs {
			for _, in := range p.Graph.Nodes() {
				if in.Op != engine.OpInput {
					continue
				}
				if seen[in.Name] = true; in.Attr.Batch != (len(in.Shape) > 0 && in.Shape[0] == n) {
					t.Errorf("input %s %v of a batch of %d: marked %t", in.Name, in.Shape, n, in.Attr.Batch)
				}
			}
		}
		for _, want := range []string{name, "image", "labels", "bytes", "sizes", "table", "rows"} {
			if !seen[want] {
				t.Errorf("%v: no program has an input %s", set, want)
			}
		}
	}
}

// TestHeads: every head trains with every loss of boxes and of classes, and detects, also where an engine is fed bytes
// and tables.
func TestHeads(t *testing.T) {
	set := func(key string, values ...string) (out [][]string) {
		for _, v := range values {
			out = append(out, []string{key + "=" + v})
		}
		return out
	}
	cpu := gorgonia.New(kernel.NewPool(1), gorgonia.Options{})
	defer cpu.Close()
	for _, head := range Settings.Choices("model.head") {
		losses := append(set("box_loss.type", Settings.Choices("box_loss.type")...), set("loss.type", Settings.Choices("loss.type")...)...)
		for _, loss := range losses {
			cfg, err := Settings.LoadBaseline("mini", plan.Selection{Set: append(loss,
				"data.pixels=64", "image.short=64", "image.long=64", "data.min_size=0.2", "model.width=0.125", "model.fpn=16", "model.head="+head)})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range []engine.Engine{cpu, enginetest.Device(cpu)} {
				d := New(cfg, 2, e, engine.NewState(), Drawer(7))
				b := oneObject(Remote(e))
				info := StepInfo{LR: 1e-3}
				if err := d.Step(b, &info); err != nil || len(info.Losses) == 0 {
					t.Errorf("head %s with %v, remote %t: %d losses, %v", head, loss, Remote(e), len(info.Losses), err)
				}
				if _, err := d.Infer(b); err != nil {
					t.Errorf("head %s with %v, remote %t, detects: %v", head, loss, Remote(e), err)
				}
				d.Close()
			}
		}
	}
}
