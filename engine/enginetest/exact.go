package enginetest

import (
	"math"
	"testing"

	"focalgrid/engine"
)

// exact compares ops with values and gradients that are known by hand: at kinks, far from
// zero, and where a value is not finite.
func exact(t *testing.T, e *suite) {
	type nodes = map[string]*engine.Node
	const s1, s2, s3 = 0.09003057317038046, 0.24472847105479764, 0.6652409557748218 // softmax of 1 2 3
	first, second := tensor{[]int{4}, []float32{1, 2, -3, 0}}, tensor{[]int{4}, []float32{2, 2, -4, 0}}
	rows := tensor{[]int{3, 3}, []float32{1, 2, 3, 800, 800, -800, -900, -900, -1800}}
	for _, c := range []struct {
		name   string
		params map[string]tensor
		build  func(g *engine.Graph, in nodes) *engine.Node
		gy     []float32
		y      []float64
		grads  map[string][]float64
	}{
		{"div", map[string]tensor{"a": {[]int{3}, []float32{1, -6, 5}}, "b": {[]int{3}, []float32{4, 3, -.5}}},
			func(g *engine.Graph, in nodes) *engine.Node { return g.Div(in["a"], in["b"]) }, []float32{1, 1, 2},
			[]float64{.25, -2, -10}, map[string][]float64{"a": {.25, 1. / 3, -4}, "b": {-1. / 16, 2. / 3, -40}}},
		{"div by a scalar", map[string]tensor{"a": {[]int{3}, []float32{1, -6, 5}}, "b": {[]int{}, []float32{2}}},
			func(g *engine.Graph, in nodes) *engine.Node { return g.Div(in["a"], in["b"]) }, []float32{1, 1, 2},
			[]float64{.5, -3, 2.5}, map[string][]float64{"a": {.5, .5, 1}, "b": {-1.25}}},
		{"min", map[string]tensor{"a": first, "b": second},
			func(g *engine.Graph, in nodes) *engine.Node { return g.Min(in["a"], in["b"]) }, []float32{1, 1, 1, 3},
			[]float64{1, 2, -4, 0}, map[string][]float64{"a": {1, .5, 0, 1.5}, "b": {0, .5, 1, 1.5}}},
		{"max", map[string]tensor{"a": first, "b": second},
			func(g *engine.Graph, in nodes) *engine.Node { return g.Max(in["a"], in["b"]) }, []float32{1, 1, 1, 3},
			[]float64{2, 2, -3, 0}, map[string][]float64{"a": {0, .5, 1, 1.5}, "b": {1, .5, 0, 1.5}}},
		{"max with a scalar", map[string]tensor{"a": first, "b": {[]int{}, []float32{1}}},
			func(g *engine.Graph, in nodes) *engine.Node { return g.Max(in["a"], in["b"]) }, []float32{1, 1, 1, 3},
			[]float64{1, 2, 1, 1}, map[string][]float64{"a": {.5, 1, 0, 0}, "b": {4.5}}},
		{"max with itself", map[string]tensor{"a": first},
			func(g *engine.Graph, in nodes) *engine.Node { return g.Max(in["a"], in["a"]) }, []float32{1, 1, 1, 3},
			[]float64{1, 2, -3, 0}, map[string][]float64{"a": {1, 1, 1, 3}}},
		{"slice", map[string]tensor{"a": {[]int{2, 3, 2}, []float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}}},
			func(g *engine.Graph, in nodes) *engine.Node { return g.Slice(in["a"], 1, 1, 3) }, []float32{1, 2, 3, 4, 5, 6, 7, 8},
			[]float64{2, 3, 4, 5, 8, 9, 10, 11}, map[string][]float64{"a": {0, 0, 1, 2, 3, 4, 0, 0, 5, 6, 7, 8}}},
		{"stop gradient", map[string]tensor{"a": {[]int{2}, []float32{3, -2}}, "b": {[]int{2}, []float32{5, 7}}},
			func(g *engine.Graph, in nodes) *engine.Node {
				return g.Mul(in["a"], g.StopGradient(g.Add(g.Mul(in["a"], in["a"]), in["b"])))
			}, []float32{1, 2}, []float64{42, -22}, map[string][]float64{"a": {14, 22}, "b": nil}},
		{"sum last", map[string]tensor{"a": {[]int{2, 3}, []float32{1, 2, 3, 4, 5, -6}}},
			func(g *engine.Graph, in nodes) *engine.Node { return g.SumLast(in["a"]) }, []float32{2, 3},
			[]float64{6, 3}, map[string][]float64{"a": {2, 2, 2, 3, 3, 3}}},
		{"softmax last", map[string]tensor{"a": rows},
			func(g *engine.Graph, in nodes) *engine.Node { return g.SoftmaxLast(in["a"]) }, []float32{1, 0, 0, 1, 0, 5, 0, 4, 5},
			[]float64{s1, s2, s3, .5, .5, 0, .5, .5, 0}, map[string][]float64{"a": {s1 * (1 - s1), -s1 * s2, -s1 * s3, .25, -.25, 0, -1, 1, 0}}},
		{"log sum exp last", map[string]tensor{"a": rows},
			func(g *engine.Graph, in nodes) *engine.Node { return g.LogSumExpLast(in["a"]) }, []float32{1, 2, 4},
			[]float64{3.4076059644443806, 800 + math.Ln2, math.Ln2 - 900}, map[string][]float64{"a": {s1, s2, s3, 1, 1, 0, 2, 2, 0}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := probe{params: c.params, build: c.build, gy: c.gy}.run(t, e)
			e.close32(t, "y", got.y, c.y, 1e-6)
			for n, want := range c.grads {
				e.close32(t, "gradient of "+n, got.grads[n], want, 1e-6)
			}
		})
	}

	t.Run("not finite", func(t *testing.T) {
		nan, inf := float32(math.NaN()), float32(math.Inf(1))
		feeds := engine.Feeds{"a": []float32{nan, 1, inf, 1, 2, 4}, "b": []float32{1, nan, 2, 1, 8, 1}}
		want := map[string][]float64{ // 0 stands for what is not finite
			"div": {0, 0, 0, 1, .25, 4}, "min": {0, 0, 2, 1, 2, 1}, "max": {0, 0, 0, 1, 8, 4},
			"sum": {0, 7}, "softmax": {0, 0, 0, 0.042010066, 0.11419519, 0.84379473}, "log": {0, 4.169846},
		}
		_, ses := e.forward(t, func(g *engine.Graph) []*engine.Node {
			a, b := g.Input("a", 2, 3), g.Input("b", 2, 3)
			return []*engine.Node{
				g.Named(g.Div(a, b), "div"), g.Named(g.Min(a, b), "min"), g.Named(g.Max(a, b), "max"),
				g.Named(g.SumLast(a), "sum"), g.Named(g.SoftmaxLast(a), "softmax"), g.Named(g.LogSumExpLast(a), "log"),
			}
		})
		got, err := ses.Forward(feeds)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range want {
			y := append([]float32{}, got[name]...)
			for i, v := range y {
				if want[i] == 0 && (math.IsNaN(float64(v)) || math.IsInf(float64(v), 0)) {
					y[i] = 0
				}
			}
			e.close32(t, name, y, want, 1e-6)
		}
	})
}
