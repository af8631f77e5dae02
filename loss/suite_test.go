package loss

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"focalgrid/box"
	"focalgrid/engine"
	"focalgrid/engine/gorgonia"
	"focalgrid/engine/kernel"
	"focalgrid/setting"
	"focalgrid/setting/settingtest"
)

// demand is something that every loss of a map must do, also one that is added. The fault that
// it returns names the values at which the loss fails.
type demand[L any] struct {
	name  string
	fault func(c L, r *rand.Rand) error
}

var classificationDemands = []demand[Classification]{
	{"is finite", notFinite},
	{"gradient is the derivative", wrongGradient},
	{"alpha weighs positives", wrongAlpha},
	{"graph is the plain form", wrongGraph},
	{"graph is finite", notFiniteGraph},
}

var boxDemands = []demand[Box]{
	{"is finite", notFiniteBox},
	{"gradient is the derivative", wrongBoxGradient},
	{"graph is the plain form", wrongBoxGraph},
}

// faults holds a loss to demands.
func faults[L any](loss L, demands []demand[L]) map[string]error {
	out := map[string]error{}
	for i, d := range demands {
		if err := d.fault(loss, rand.New(rand.NewPCG(1, uint64(i)))); err != nil {
			out[d.name] = err
		}
	}
	return out
}

func TestClassifications(t *testing.T) {
	composed := focal
	composed.Build = FocalComposed
	all := maps.Clone(classifications)
	all["focal from elementary ops"] = composed
	for name, c := range all {
		for demand, err := range faults(c, classificationDemands) {
			t.Errorf("%s %s: %v", name, demand, err)
		}
	}
}

func TestBoxes(t *testing.T) {
	for name, b := range boxes {
		for demand, err := range faults(b, boxDemands) {
			t.Errorf("%s %s: %v", name, demand, err)
		}
	}
}

// A loss with a fault fails the demand that the fault is named after, whatever the names of its
// parameters.
func TestDemandsFindFaults(t *testing.T) {
	epsilon := setting.Param{Name: "epsilon", Kind: setting.Number, Max: math.MaxFloat32}
	value := focal.Value
	with := func(change func(c *Classification)) Classification {
		c := focal
		c.Params = append(slices.Clone(c.Params), epsilon)
		change(&c)
		return c
	}
	for name, c := range map[string]Classification{
		"is finite": with(func(c *Classification) {
			c.Value = func(x float64, positive bool, v setting.Values) (float64, float64) {
				l, g := value(x, positive, v)
				if math.Abs(x) > 100 && v.Number("epsilon") > 0 {
					l = math.NaN()
				}
				return l, g
			}
		}),
		"gradient is the derivative": with(func(c *Classification) {
			c.Value = func(x float64, positive bool, v setting.Values) (float64, float64) {
				l, g := value(x, positive, v)
				return l, g * (1 + 1e-6)
			}
		}),
		"alpha weighs positives": with(func(c *Classification) {
			c.Value = func(x float64, positive bool, v setting.Values) (float64, float64) {
				l, g := Focal(x, positive, v.Number("gamma"), alphaOf(!positive, v))
				return l, g
			}
		}),
		"graph is the plain form": with(func(c *Classification) {
			c.Build = func(g *engine.Graph, in Inputs, p func(string) *engine.Node) *engine.Node {
				in.Weight = g.Mul(in.Weight, in.Weight)
				return buildFocal(g, in, p)
			}
		}),
		"graph is finite": with(func(c *Classification) {
			c.Build = func(g *engine.Graph, in Inputs, p func(string) *engine.Node) *engine.Node {
				return g.Add(buildFocal(g, in, p), g.Sum(g.Exp(in.Logits)))
			}
		}),
	} {
		if found := faults(c, classificationDemands); found[name] == nil {
			t.Errorf("a loss with a fault in %q passes; found %v", name, found)
		}
	}
	for name, change := range map[string]func(b *Box){
		"is finite": func(b *Box) {
			b.Value = func(pred, target, anchor [4]float64, v setting.Values) (float64, [4]float64) {
				l, g := smoothL1.Value(pred, target, anchor, v)
				return l, [4]float64{g[0], g[1], g[2], g[3] + 0*math.Exp(pred[3])}
			}
		},
		"gradient is the derivative": func(b *Box) {
			b.Value = func(pred, target, anchor [4]float64, v setting.Values) (float64, [4]float64) {
				l, g := smoothL1.Value(pred, target, anchor, v)
				return l, [4]float64{g[0], g[1], g[2], g[3] * (1 + 4e-6)}
			}
		},
		"graph is the plain form": func(b *Box) {
			b.Build = func(g *engine.Graph, in BoxInputs, p func(string) *engine.Node) *engine.Node {
				in.Weight = g.Mul(in.Weight, in.Weight)
				return buildSmoothL1(g, in, p)
			}
		},
	} {
		b := smoothL1
		change(&b)
		if found := faults(b, boxDemands); found[name] == nil {
			t.Errorf("a box loss with a fault in %q passes; found %v", name, found)
		}
	}
}

func finite(x ...float64) bool {
	return !slices.ContainsFunc(x, func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) })
}

// float32s draws a finite float32 of any order of magnitude.
func float32s(r *rand.Rand) float64 {
	for {
		if x := float64(math.Float32frombits(r.Uint32())); finite(x) {
			return x
		}
	}
}

// No finite logit gives NaN or infinity at any setting allowed.
func notFinite(c Classification, r *rand.Rand) error {
	far := []float64{0, -800, 800, -100.5, 100.5, -math.MaxFloat32, math.MaxFloat32}
	for i := range 2000 {
		x := float32s(r)
		if i < 20*len(far) {
			x = far[i%len(far)]
		}
		v, positive := settingtest.Draw(r, c.Params, math.MaxFloat32), r.IntN(2) == 0
		if l, g := c.Value(x, positive, v); !finite(l, g) || l < 0 {
			return fmt.Errorf("at x %g, %v, positive %t: loss %g, gradient %g", x, v, positive, l, g)
		}
	}
	return nil
}

func FuzzFinite(f *testing.F) {
	f.Add(0.0, uint64(0), true)
	f.Add(-1e308, uint64(1), false)
	f.Add(1e308, uint64(2), true)
	f.Fuzz(func(t *testing.T, x float64, seed uint64, positive bool) {
		x = float64(float32(x)) // logits travel as float32
		if !finite(x) {
			return
		}
		for name, c := range classifications {
			v := settingtest.Draw(rand.New(rand.NewPCG(seed, 0)), c.Params, math.MaxFloat32)
			if l, g := c.Value(x, positive, v); !finite(l, g) || l < 0 {
				t.Errorf("%s at x %g, %v, positive %t: loss %g, gradient %g", name, x, v, positive, l, g)
			}
		}
	})
}

// differs reports whether gradient is not the slope of f at x: by more than the tolerance, and
// not at a corner of f, where the slopes on the two sides differ.
func differs(f func(x float64) float64, x, gradient, tol float64) bool {
	const h = 1e-5
	left, right := (f(x)-f(x-h))/h, (f(x+h)-f(x))/h
	return math.Abs((left+right)/2-gradient) > tol+1e-9*math.Abs(f(x)) && math.Abs(left-right) <= 1e-2
}

// Central differences of float64 are good for about 1e-9 here.
func wrongGradient(c Classification, r *rand.Rand) error {
	for range 100 {
		v := settingtest.Draw(r, c.Params, 5)
		for _, positive := range []bool{false, true} {
			for x := -12.0; x <= 12; x += .37 {
				_, g := c.Value(x, positive, v)
				if differs(func(x float64) float64 { l, _ := c.Value(x, positive, v); return l }, x, g, 2e-9) {
					return fmt.Errorf("at x %g, %v, positive %t: gradient %.12g is not the slope", x, v, positive, g)
				}
			}
		}
	}
	return nil
}

// wrongAlpha asks of the losses that take alphaParam that loss(x, +1, alpha) is
// loss(-x, -1, 1-alpha), with the gradient turned, and that a larger alpha raises the weight of
// positives and lowers the weight of negatives.
func wrongAlpha(c Classification, r *rand.Rand) error {
	if !slices.ContainsFunc(c.Params, func(p setting.Param) bool { return p.Name == alphaParam.Name && p.Doc == alphaParam.Doc }) {
		return nil
	}
	for range 500 {
		x := 60*r.Float64() - 30
		v := settingtest.Draw(r, c.Params, math.MaxFloat32)
		at := func(alpha float64, positive bool, x float64) (loss, gradient float64) {
			w := maps.Clone(v)
			w["alpha"] = alpha
			return c.Value(x, positive, w)
		}
		alpha := float64(r.IntN(1025)) / 1024 // so that 1-alpha is exact
		l, g := at(alpha, true, x)
		ml, mg := at(1-alpha, false, -x)
		if math.Abs(l-ml) > 1e-12*l+1e-300 || math.Abs(g+mg) > 1e-12*math.Abs(g)+1e-300 {
			return fmt.Errorf("at x %g, alpha %g, %v: %g and %g, mirrored %g and %g", x, alpha, v, l, g, ml, mg)
		}
		low, _ := at(.1, true, x)
		high, _ := at(.9, true, x)
		if low > 0 && high <= low {
			return fmt.Errorf("at x %g, %v: alpha .1 to .9 moves the loss of a positive from %g to %g", x, v, low, high)
		}
	}
	return nil
}

// onEngine returns the value of a loss's graph form and its gradient by x.
func onEngine(x []float32, shape []int, feeds engine.Feeds, build func(g *engine.Graph, x *engine.Node) *engine.Node) (float64, []float32, error) {
	pool := kernel.NewPool(1)
	defer pool.Close()
	p := &engine.Program{Update: engine.Update{Kind: "sgd"}, KeepGradients: true}
	var err error
	if p.Graph, err = engine.Build(func(g *engine.Graph) error {
		p.Loss = build(g, g.Param("x", engine.Constant(0), true, shape...))
		return nil
	}); err != nil {
		return 0, nil, err
	}
	s := engine.NewState()
	if err := s.Set("x", shape, x); err != nil {
		return 0, nil, err
	}
	ses, err := gorgonia.New(pool, gorgonia.Options{}).Compile(p, s)
	if err != nil {
		return 0, nil, err
	}
	defer ses.Close()
	feeds[engine.LR] = []float32{0}
	r, err := ses.Step(feeds, nil)
	if err != nil {
		return 0, nil, err
	}
	return r.Loss, ses.Gradient("x"), nil
}

// prefix stands before the names of a loss's scalars.
const prefix = "loss."

// A batch of 2 images with 4 anchors and 3 classes.
const images, anchors, classes = 2, 4, 3

var (
	labels = []float32{0, -1, 2, -1, 1, -2, -1, 2}
	weight = []float32{.5, .25, 1, 0, 2, 0, 1, .125}
)

func feed(scalars map[string]float32, feeds engine.Feeds) engine.Feeds {
	for name, x := range scalars {
		feeds[prefix+name] = []float32{x}
	}
	return feeds
}

func classificationOnEngine(c Classification, x []float32, v setting.Values) (float64, []float32, error) {
	feeds := feed(c.Scalars(v), engine.Feeds{"labels": labels, "weight": weight})
	return onEngine(x, []int{images, anchors, classes}, feeds, func(g *engine.Graph, x *engine.Node) *engine.Node {
		in := Inputs{Logits: x, Labels: g.Input("labels", images, anchors), Weight: g.Input("weight", images, anchors)}
		return c.Build(g, in, ScalarInputs(g, prefix))
	})
}

// wrongGraph compares the graph, which trains in float32, with the plain form.
func wrongGraph(c Classification, r *rand.Rand) error {
	for range 10 {
		x := make([]float32, images*anchors*classes)
		for i := range x {
			x[i] = float32(r.NormFloat64() * 3)
		}
		x[0], x[1], x[7] = 90, -90, 20
		v := settingtest.Draw(r, c.Params, 5)
		got, grad, err := classificationOnEngine(c, x, v)
		if err != nil {
			return err
		}
		want := 0.0
		for i := range x {
			l, d := c.Value(float64(x[i]), int(labels[i/classes]) == i%classes, v)
			want += float64(weight[i/classes]) * l
			if d *= float64(weight[i/classes]); !(math.Abs(float64(grad[i])-d) <= 1e-5*max(1, math.Abs(d))) {
				return fmt.Errorf("at %v: gradient of logit %d (%g) is %g, the plain form's %g", v, i, x[i], grad[i], d)
			}
		}
		if !(math.Abs(got-want) <= 1e-5*math.Abs(want)) {
			return fmt.Errorf("at %v: loss %g, the plain form's %g", v, got, want)
		}
	}
	return nil
}

func notFiniteGraph(c Classification, r *rand.Rand) error {
	for range 10 {
		x := make([]float32, images*anchors*classes)
		for i := range x {
			x[i] = []float32{100, 800, 1e30}[i%3]
			if r.IntN(2) == 0 {
				x[i] = -x[i]
			}
		}
		v := settingtest.Draw(r, c.Params, 5)
		l, grad, err := classificationOnEngine(c, x, v)
		if err != nil {
			return err
		}
		for i, g := range grad {
			if !finite(l, float64(g)) {
				return fmt.Errorf("at %v: loss %g, gradient of logit %d (%g) %g", v, l, i, x[i], g)
			}
		}
	}
	return nil
}

func notFiniteBox(b Box, r *rand.Rand) error {
	for i := range 2000 {
		pred := [4]float64{float32s(r), float32s(r), float32s(r), float32s(r)}
		if i%4 > 0 {
			for j := range pred {
				pred[j] = []float64{0, 1e30, -1e30, math.MaxFloat32, -math.MaxFloat32, 1}[r.IntN(6)]
			}
		}
		v := settingtest.Draw(r, b.Params, math.MaxFloat32)
		if l, g := b.Value(pred, [4]float64{1, 2, 9, 7}, [4]float64{0, 0, 8, 8}, v); !finite(append(g[:], l)...) {
			return fmt.Errorf("at %v, %v: loss %g, gradient %v", pred, v, l, g)
		}
	}
	return nil
}

func FuzzBoxFinite(f *testing.F) {
	f.Add(0.0, 0.0, 0.0, 0.0, uint64(0))
	f.Add(1e30, -1e30, 1e30, -1e30, uint64(1))
	f.Fuzz(func(t *testing.T, dx, dy, dw, dh float64, seed uint64) {
		pred := [4]float64{float64(float32(dx)), float64(float32(dy)), float64(float32(dw)), float64(float32(dh))}
		if !finite(pred[:]...) {
			return
		}
		for name, b := range boxes {
			v := settingtest.Draw(rand.New(rand.NewPCG(seed, 0)), b.Params, math.MaxFloat32)
			if l, g := b.Value(pred, [4]float64{1, 2, 9, 7}, [4]float64{0, 0, 8, 8}, v); !finite(append(g[:], l)...) {
				t.Errorf("%s at %v, %v: loss %g, gradient %v", name, pred, v, l, g)
			}
		}
	})
}

// detached are the losses whose gradient takes a part as constant, and so is not the derivative
// of the value: α of CIoU. Their graph is held to the gradient alone.
var detached = []string{"ciou"}

func wrongBoxGradient(b Box, r *rand.Rand) error {
	if slices.Contains(detached, b.Name) {
		return nil
	}
	anchor := [4]float64{8, 8, 40, 24}
	for range 500 {
		var pred, target [4]float64
		for i := range pred {
			pred[i], target[i] = 2*r.Float64()-1, 2*r.Float64()-1
		}
		if b.Target == "boxes" {
			target = [4]float64{20 + target[0], 12 + target[1], 44 + target[2], 30 + target[3]}
		}
		v := settingtest.Draw(r, b.Params, 5)
		_, g := b.Value(pred, target, anchor, v)
		for i := range pred {
			value := func(x float64) float64 {
				p := pred
				p[i] = x
				l, _ := b.Value(p, target, anchor, v)
				return l
			}
			if differs(value, pred[i], g[i], 1e-6) {
				return fmt.Errorf("at %v, target %v, %v: gradient %d, %.9g, is not the slope", pred, target, v, i, g[i])
			}
		}
	}
	return nil
}

func wrongBoxGraph(b Box, r *rand.Rand) error {
	const n, a = 2, 3
	anchors := []float32{0, 0, 16, 16, 8, 4, 30, 20, -4, 10, 12, 40}
	weight := []float32{1, .5, .25, 0, 2, 1}
	target := []float32{1, 2, 18, 15, 9, 3, 25, 30, 0, 8, 10, 44, 2, 1, 12, 12, 40, 40, 50, 60, -2, 12, 11, 38}
	if b.Target == "deltas" {
		for i := range target { // any deltas will do
			target[i] = .1*float32(i/4) - .2*float32(i%4)
		}
	}
	four := func(x []float32) (out [4]float64) {
		for i := range out {
			out[i] = float64(x[i])
		}
		return out
	}
	for range 10 {
		pred := make([]float32, n*a*4)
		for i := range pred {
			pred[i] = float32(r.NormFloat64() * .4)
		}
		v := settingtest.Draw(r, b.Params, 5)
		feeds := feed(b.Scalars(v), engine.Feeds{"target": target, "weight": weight})
		got, grad, err := onEngine(pred, []int{n, a, 4}, feeds, func(g *engine.Graph, x *engine.Node) *engine.Node {
			in := BoxInputs{Pred: x, Target: g.Input("target", n, a, 4), Weight: g.Input("weight", n, a)}
			if b.Target == "boxes" {
				in.Anchors, feeds["anchors"] = g.Input("anchors", a, 4), anchors
				in.Code = CodeOf(box.Deltas[float32]{})
			}
			return b.Build(g, in, ScalarInputs(g, prefix))
		})
		if err != nil {
			return err
		}
		want := 0.0
		for i := range n * a {
			l, d := b.Value(four(pred[4*i:]), four(target[4*i:]), four(anchors[4*(i%a):]), v)
			want += float64(weight[i]) * l
			for j := range d {
				if d[j] *= float64(weight[i]); !(math.Abs(float64(grad[4*i+j])-d[j]) <= 1e-5*max(1, math.Abs(d[j]))) {
					return fmt.Errorf("at %v: gradient of row %d, delta %d is %g, the plain form's %g", v, i, j, grad[4*i+j], d[j])
				}
			}
		}
		if !(math.Abs(got-want) <= 1e-5*math.Abs(want)) {
			return fmt.Errorf("at %v: loss %g, the plain form's %g", v, got, want)
		}
	}
	return nil
}

// Every loss builds to a scalar whose scalar inputs are those that Scalars feeds.
func TestGraphForms(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 0))
	for name, c := range classifications {
		holdScalars(t, name, buildClassification(t, c.Build), c.Scalars(settingtest.Draw(r, c.Params, 5)))
	}
	holdScalars(t, "composed focal", buildClassification(t, FocalComposed), focal.Scalars(settingtest.Draw(r, focal.Params, 5)))
	for name, b := range boxes {
		g, err := engine.Build(func(g *engine.Graph) error {
			in := BoxInputs{
				Pred: g.Input("pred", 2, 7, 4), Target: g.Input("target", 2, 7, 4), Weight: g.Input("weight", 2, 7),
				Anchors: g.Input("anchors", 7, 4), Code: CodeOf(box.Deltas[float32]{}),
			}
			if out := b.Build(g, in, ScalarInputs(g, prefix)); len(out.Shape) != 0 {
				t.Errorf("%s: shape %v, want a scalar", name, out.Shape)
			}
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		holdScalars(t, name, g, b.Scalars(settingtest.Draw(r, b.Params, 5)))
		if b.Target != "deltas" && b.Target != "boxes" {
			t.Errorf("%s: target %q", name, b.Target)
		}
	}
}

// holdScalars compares the scalar inputs of a graph with what it is fed.
func holdScalars(t *testing.T, loss string, g *engine.Graph, fed map[string]float32) {
	t.Helper()
	var read []string
	for _, n := range g.Nodes() {
		if name, ok := strings.CutPrefix(n.Name, prefix); ok && n.Op == engine.OpInput {
			read = append(read, name)
		}
	}
	slices.Sort(read)
	if want := slices.Sorted(maps.Keys(fed)); !slices.Equal(read, want) {
		t.Errorf("%s: graph reads %v, Scalars feeds %v", loss, read, want)
	}
}
