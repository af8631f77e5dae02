package detector

import (
	"math"
	"testing"

	"focalgrid/engine"
	"focalgrid/engine/gorgonia"
	"focalgrid/engine/kernel"
	"focalgrid/loss"
	"focalgrid/setting"
)

// onEngine runs a loss's graph form over values and returns sum and gradient.
func onEngine(t *testing.T, x []float32, shape []int, feeds engine.Feeds, build func(g *engine.Graph, x *engine.Node) *engine.Node) (float64, []float32) {
	t.Helper()
	pool := kernel.NewPool(1)
	defer pool.Close()
	p := &engine.Program{Update: engine.Update{Kind: "sgd"}, KeepGradients: true}
	var err error
	p.Graph, err = engine.Build(func(g *engine.Graph) error {
		p.Loss = build(g, g.Param("x", engine.Constant(0), true, shape...))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s := engine.NewState()
	if err := s.Set("x", shape, x); err != nil {
		t.Fatal(err)
	}
	ses, err := gorgonia.New(pool, gorgonia.Options{}).Compile(p, s)
	if err != nil {
		t.Fatal(err)
	}
	defer ses.Close()
	feeds[engine.LR] = []float32{0}
	r, err := ses.Step(feeds, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r.Loss, ses.Gradient("x")
}

// values gives gamma 2, and every other parameter a value in the middle of its range.
func values(params []setting.Param) setting.Values {
	v := setting.Values{}
	for _, p := range params {
		if v[p.Name] = min(max(p.Min, .25), p.Max); p.Name == "gamma" {
			v[p.Name] = 2.
		}
	}
	return v
}

// Both forms of every classification loss agree: the graph that trains and the
// plain float64 value with its gradient. The composed focal loss stands beside the op.
func TestClassificationLossesOnEngine(t *testing.T) {
	const n, a, k = 2, 4, 3
	labels := []float32{0, -1, 2, -1, 1, -2, -1, 2}
	weight := []float32{.5, .25, 1, 0, 2, 0, 1, .125}
	x := make([]float32, n*a*k)
	r := Drawer(1)("logits", 0)
	for i := range x {
		x[i] = float32(r.NormFloat64() * 3)
	}
	x[0], x[1], x[7] = 90, -90, 20
	build := map[string]func(*engine.Graph, loss.Inputs, func(string) *engine.Node) *engine.Node{"composed focal": loss.FocalComposed}
	named := map[string]string{"composed focal": "focal"}
	for _, name := range loss.ClassificationNames() {
		c := loss.ClassificationOf(setting.Values{"type": name})
		build[name], named[name] = c.Build, name
	}
	for form, name := range named {
		t.Run(form, func(t *testing.T) {
			c := loss.ClassificationOf(setting.Values{"type": name})
			v := values(c.Params)
			feeds := engine.Feeds{"labels": labels, "weight": weight}
			for s, f := range c.Scalars(v) {
				feeds["loss."+s] = []float32{f}
			}
			got, grad := onEngine(t, x, []int{n, a, k}, feeds, func(g *engine.Graph, x *engine.Node) *engine.Node {
				in := loss.Inputs{Logits: x, Labels: g.Input("labels", n, a), Weight: g.Input("weight", n, a)}
				return build[form](g, in, loss.ScalarInputs(g, "loss."))
			})
			var want float64
			for i := range x {
				row := i / k
				l, d := c.Value(float64(x[i]), int(labels[row]) == i%k, v)
				want += float64(weight[row]) * l
				if d *= float64(weight[row]); math.Abs(float64(grad[i])-d) > 1e-5 {
					t.Errorf("gradient of logit %d (%g) is %g, want %g", i, x[i], grad[i], d)
				}
			}
			if math.Abs(got-want) > 1e-5*math.Abs(want) {
				t.Errorf("loss %g, want %g", got, want)
			}
		})
	}
}

// The same for every box loss.
func TestBoxLossesOnEngine(t *testing.T) {
	const n, a = 2, 3
	anchors := [a][4]float32{{0, 0, 16, 16}, {8, 4, 30, 20}, {-4, 10, 12, 40}}
	boxes := [n * a][4]float32{{1, 2, 18, 15}, {9, 3, 25, 30}, {0, 8, 10, 44}, {2, 1, 12, 12}, {40, 40, 50, 60}, {-2, 12, 11, 38}}
	weight := []float32{1, .5, .25, 0, 2, 1}
	pred := make([]float32, n*a*4)
	r := Drawer(2)("deltas", 0)
	for i := range pred {
		pred[i] = float32(r.NormFloat64() * .4)
	}
	for _, name := range loss.BoxNames() {
		t.Run(name, func(t *testing.T) {
			c := loss.BoxOf(setting.Values{"type": name})
			v := values(c.Params)
			target := make([]float32, 0, n*a*4)
			for i, b := range boxes {
				if c.Target == "deltas" { // any deltas will do
					b = [4]float32{.1 * float32(i), -.2, .05 * float32(i), .3}
				}
				target = append(target, b[:]...)
			}
			feeds := engine.Feeds{"target": target, "weight": weight, "anchors": flat(anchors[:])}
			for s, f := range c.Scalars(v) {
				feeds["box_loss."+s] = []float32{f}
			}
			got, grad := onEngine(t, pred, []int{n, a, 4}, feeds, func(g *engine.Graph, x *engine.Node) *engine.Node {
				in := loss.BoxInputs{Pred: x, Target: g.Input("target", n, a, 4), Weight: g.Input("weight", n, a)}
				if c.Target == "boxes" {
					in.Anchors = g.Input("anchors", a, 4)
				}
				return c.Build(g, in, loss.ScalarInputs(g, "box_loss."))
			})
			four := func(x []float32) (out [4]float64) {
				for i := range out {
					out[i] = float64(x[i])
				}
				return out
			}
			var want float64
			for i := range n * a {
				l, d := c.Value(four(pred[4*i:]), four(target[4*i:]), four(anchors[i%a][:]), v)
				want += float64(weight[i]) * l
				for j := range d {
					if d[j] *= float64(weight[i]); math.Abs(float64(grad[4*i+j])-d[j]) > 1e-5 {
						t.Errorf("gradient of row %d delta %d is %g, want %g", i, j, grad[4*i+j], d[j])
					}
				}
			}
			if math.Abs(got-want) > 1e-5*math.Abs(want) {
				t.Errorf("loss %g, want %g", got, want)
			}
		})
	}
}
