package model

import (
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"focalgrid/engine"
	"focalgrid/engine/gorgonia"
	"focalgrid/engine/kernel"
	"focalgrid/setting"
	"focalgrid/setting/settingtest"
)

// demand is something that every head of the map must do, also one that is added. The fault that
// it returns names where the head fails.
type demand struct {
	name  string
	fault func(c Config) error
}

var headDemands = []demand{
	{"predicts the values of each prior", wrongShapes},
	{"learns what it predicts", wrongTerms},
	{"has priors at the places of its maps", wrongPriors},
	{"is counted whole", wrongSummary},
	{"has the same tensors in training and at any size", wrongTensors},
	{"learns with all its parameters, from the prior on", untrained},
}

// sizes of images, as height and width.
var sizes = [][2]int{{64, 64}, {97, 130}, {128, 96}}

// faults holds a head to demands, on slim networks with settings drawn from their ranges.
func faults(head string) map[string]error {
	out := map[string]error{}
	r := rand.New(rand.NewPCG(1, 0))
	for range 6 {
		v := settingtest.Draw(r, slimParams(head), 8)
		v["group_channels"] = 4 // a norm of one channel leaves nothing on a map of one place
		c := New(v, v, 1+r.IntN(5))
		for _, d := range headDemands {
			if err := d.fault(c); err != nil {
				out[d.name] = fmt.Errorf("with %v: %w", v, err)
			}
		}
	}
	return out
}

// slimParams are the settings of a network with that head, but for sizes that take long to train,
// and anchors of less than a pixel.
func slimParams(head string) []setting.Param {
	params := slices.Concat(Params, AnchorParams)
	for i := range params {
		switch p := &params[i]; p.Name {
		case "depth":
			p.Choices = []string{"18"}
		case "width":
			p.Min, p.Max = .125, .125
		case "fpn":
			p.Min, p.Max = 8, 8
		case "freeze_stages":
			p.Max = 0
		case "scales":
			p.Max = 2
		case "base":
			p.Min = 1
		case "ratios":
			p.Min, p.Max, p.Count[1] = .2, 5, 2
		case "head":
			p.Kinds = map[string][]setting.Param{head: heads[head].Params}
		}
	}
	return params
}

func TestHeads(t *testing.T) {
	for name, head := range heads {
		if head.Title == "" || head.Coder == nil {
			t.Errorf("head %s has no title or no coder", name)
		}
		for demand, err := range faults(name) {
			t.Errorf("head %s %s: %v", name, demand, err)
		}
	}
}

// outputs builds the network of c for n images.
func outputs(c Config, n, h, w int, train bool) (g *engine.Graph, out Outputs, err error) {
	g, err = engine.Build(func(g *engine.Graph) error {
		out = Network(g, c, g.Input("image", n, 3, h, w), train)
		return nil
	})
	return g, out, err
}

func wrongShapes(c Config) error {
	for _, size := range sizes {
		priors, err := c.Priors(size[0], size[1])
		if err != nil {
			return err
		}
		g, out, err := outputs(c, 2, size[0], size[1], true)
		if err != nil {
			return err
		}
		sizes := map[string]int{}
		for _, p := range out.Predictions {
			if want := []int{2, len(priors.Boxes), p.Size}; !slices.Equal(p.Node.Shape, want) || g.Node(p.Name) != p.Node {
				return fmt.Errorf("%v: prediction %q is %v, want %v under that name", size, p.Name, p.Node.Shape, want)
			}
			sizes[p.Name] = p.Size
		}
		if len(sizes) != len(out.Predictions) || sizes["class"] != c.Classes || sizes["box"] != c.Coder().Values() {
			return fmt.Errorf("%d predictions of sizes %v, want class of %d and box of %d", len(out.Predictions), sizes, c.Classes, c.Coder().Values())
		}
	}
	_, err := Describe(c, 64, 64)
	return err
}

// wrongTerms compares what the terms of the loss read with what is predicted.
func wrongTerms(c Config) error {
	_, out, err := outputs(c, 1, 64, 64, false)
	if err != nil {
		return err
	}
	unread := map[string]bool{}
	for _, p := range out.Predictions {
		unread[p.Name] = true
	}
	for _, t := range c.Terms() {
		for _, name := range t.Reads {
			if _, ok := unread[name]; !ok {
				return fmt.Errorf("term %q reads %q, which is not predicted", t.Name, name)
			}
			unread[name] = false
		}
	}
	for name, alone := range unread {
		if alone {
			return fmt.Errorf("no term of the loss reads %q", name)
		}
	}
	return nil
}

func wrongPriors(c Config) error {
	for _, size := range sizes {
		priors, err := c.Priors(size[0], size[1])
		if err != nil {
			return err
		}
		_, out, err := outputs(c, 1, size[0], size[1], false)
		if err != nil {
			return err
		}
		if len(priors.Levels) != len(out.Features) {
			return fmt.Errorf("%v: priors of %d levels for %d maps", size, len(priors.Levels), len(out.Features))
		}
		rest := priors.Boxes
		for i, count := range priors.Levels {
			cells, stride := out.Features[i].Shape[2]*out.Features[i].Shape[3], float32(strides[i])
			if count == 0 || count%cells != 0 || count > len(rest) {
				return fmt.Errorf("%v: level %d has %d priors for %d places, %d priors are left", size, i, count, cells, len(rest))
			}
			for at, b := range rest[:count] {
				cell := at / (count / cells)
				x, y := float32(cell%out.Features[i].Shape[3])*stride, float32(cell/out.Features[i].Shape[3])*stride
				cx, cy := (b[0]+b[2])/2, (b[1]+b[3])/2
				if !(b[0] < b[2] && b[1] < b[3]) || cx < x-1 || cx > x+stride+1 || cy < y-1 || cy > y+stride+1 {
					return fmt.Errorf("%v: prior %d of level %d, %v, is not at its place (%g,%g) of stride %g", size, at, i, b, x, y, stride)
				}
			}
			rest = rest[count:]
		}
		if len(rest) > 0 {
			return fmt.Errorf("%v: %d priors are of no level", size, len(rest))
		}
	}
	return nil
}

func wrongSummary(c Config) error {
	s, err := Summarize(c, 128, 96)
	if err != nil {
		return err
	}
	priors, err := c.Priors(128, 96)
	if err != nil {
		return err
	}
	tensors, err := Tensors(c)
	if err != nil {
		return err
	}
	all, head := int64(0), int64(0)
	for _, t := range tensors {
		n := int64(1)
		for _, d := range t.Shape {
			n *= int64(d)
		}
		if all += n; !strings.HasPrefix(t.Name, "backbone.") {
			head += n
		}
	}
	if s.Total.Params+s.Total.Buffers != all || s.anchors() != len(priors.Boxes) {
		return fmt.Errorf("%d values and %d anchors, want %d and %d", s.Total.Params+s.Total.Buffers, s.anchors(), all, len(priors.Boxes))
	}
	for _, p := range heads[c.Head].Parts {
		part := s.Part(p.Name)
		if part.Params == 0 || part.MACs == 0 {
			return fmt.Errorf("part %q of the head has %d parameters and %d MACs", p.Name, part.Params, part.MACs)
		}
		head -= part.Params + part.Buffers
	}
	if head != 0 {
		return fmt.Errorf("%d values of the head are of none of its parts", head)
	}
	return nil
}

func wrongTensors(c Config) error {
	want, err := Tensors(c)
	if err != nil {
		return err
	}
	for _, size := range sizes {
		g, _, err := outputs(c, 2, size[0], size[1], true)
		if err != nil {
			return err
		}
		got := tensors(g)
		for _, t := range want {
			if shape, ok := got[t.Name]; !ok || !slices.Equal(shape, t.Shape) {
				return fmt.Errorf("%v: tensor %s is %v, want %v", size, t.Name, shape, t.Shape)
			}
		}
		if len(got) != len(want) {
			return fmt.Errorf("%v: %d tensors, want %d", size, len(got), len(want))
		}
	}
	return nil
}

// untrained takes one step from new weights. Where the head has a setting prior, classes must
// start at it, and with none at one half.
func untrained(c Config) error {
	p := &engine.Program{Update: engine.Update{Kind: "sgd"}, KeepGradients: true}
	var err error
	p.Graph, err = engine.Build(func(g *engine.Graph) error {
		for _, prediction := range Network(g, c, g.Input("image", 2, 3, 64, 64), true).Predictions {
			p.Outputs = append(p.Outputs, prediction.Node)
			l := g.Sum(g.Softplus(prediction.Node))
			if p.Loss == nil {
				p.Loss = l
			} else {
				p.Loss = g.Add(p.Loss, l)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	draw := func(purpose string, index uint64) *rand.Rand {
		h := fnv.New64a()
		h.Write([]byte(purpose))
		return rand.New(rand.NewPCG(h.Sum64(), index))
	}
	state := engine.NewState()
	if err := state.AddMissing(p.Graph, draw); err != nil {
		return err
	}
	pool := kernel.NewPool(1)
	defer pool.Close()
	session, err := gorgonia.New(pool, gorgonia.Options{}).Compile(p, state)
	if err != nil {
		return err
	}
	defer session.Close()
	image, r := make([]float32, 2*3*64*64), draw("image", 0)
	for i := range image {
		image[i] = float32(r.NormFloat64())
	}
	result, err := session.Step(engine.Feeds{"image": image, engine.LR: []float32{0}}, nil)
	if err != nil {
		return err
	}
	for _, n := range p.Graph.Nodes() {
		if n.Op == engine.OpParam && n.Attr.Trainable && !slices.ContainsFunc(session.Gradient(n.Name), func(x float32) bool { return x != 0 }) {
			return fmt.Errorf("parameter %s receives no gradient", n.Name)
		}
	}
	if !slices.ContainsFunc(heads[c.Head].Params, func(p setting.Param) bool { return p.Name == "prior" }) {
		return nil
	}
	start, mean := 0., 0.
	if prior := c.Settings.Optional("prior"); prior != nil {
		start = math.Log(*prior / (1 - *prior))
	}
	for _, x := range result.Outputs["class"] {
		mean += float64(x) / float64(len(result.Outputs["class"]))
	}
	if math.Abs(mean-start) > .5 {
		return fmt.Errorf("the classes' logits start at %g on average, want %g", mean, start)
	}
	return nil
}

// A head with a fault fails the demand that the fault is named after.
func TestDemandsFindFaults(t *testing.T) {
	defer maps.Copy(heads, maps.Clone(heads))
	for name, change := range map[string]func(h *Head){
		"predicts the values of each prior": func(h *Head) { // one level too few
			h.Build = func(b *Builder, levels []*engine.Node) []Prediction { return buildRetinaNet(b, levels[:4]) }
		},
		"learns what it predicts": func(h *Head) { h.Terms = h.Terms[:1] },
		"has priors at the places of its maps": func(h *Head) {
			h.Priors = func(c Config) AnchorConfig {
				a := c.Anchors
				a.Offset += 2
				return a
			}
		},
		"is counted whole": func(h *Head) { h.Parts = h.Parts[:1] },
		"has the same tensors in training and at any size": func(h *Head) {
			h.Build = func(b *Builder, levels []*engine.Node) []Prediction {
				b.G.Param(fmt.Sprint(classSubnet, "scale", levels[0].Shape[2]), engine.Constant(1), true)
				return buildRetinaNet(b, levels)
			}
		},
		"learns with all its parameters, from the prior on": func(h *Head) {
			h.Build = func(b *Builder, levels []*engine.Node) []Prediction {
				b.G.Param(classSubnet+"unused.weight", engine.Constant(1), true, 8)
				return buildRetinaNet(b, levels)
			}
		},
	} {
		h := retinaNet
		change(&h)
		heads["retinanet"] = h
		if found := faults("retinanet"); found[name] == nil {
			t.Errorf("a head with a fault in %q passes; found %v", name, found)
		}
	}
}
