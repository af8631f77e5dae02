package enginetest

import (
	"math"
	"testing"

	"focalgrid/engine"
)

// losses compares the coarse loss ops with float64 arithmetic and with differences.
func losses(t *testing.T, e *suite) {
	const n, a, k = 2, 5, 3
	labels := tensor{[]int{n, a}, []float32{0, -1, 2, -1, 1, -1, -1, 0, -2, 2}}
	weight := tensor{[]int{n, a}, []float32{.5, .5, .25, 0, 1, 1, .5, .5, 0, 2}}
	type nodes = map[string]*engine.Node

	for _, gamma := range []float64{0, .1, .5, 2, 5} {
		x := random("logits", n, a, k)
		for i := range x.values {
			x.values[i] *= 4
		}
		x.values[0], x.values[1], x.values[4], x.values[6] = 800, -800, 100, -100
		p := probe{params: map[string]tensor{"x": x}, fixed: map[string]tensor{"labels": labels, "weight": weight}, gy: []float32{1},
			build: func(g *engine.Graph, in nodes) *engine.Node {
				return g.Focal(in["x"], in["labels"], in["weight"], g.Const(gamma), g.Const(.25), g.Const(.75))
			}}
		got := p.run(t, e)
		var sum float64
		grad := make([]float64, len(x.values))
		sp := func(v float64) float64 { return math.Max(v, 0) + math.Log1p(math.Exp(-math.Abs(v))) }
		for r := range n * a {
			for c := range k {
				y, at := -1.0, .75
				if int(labels.values[r]) == c {
					y, at = 1, .25
				}
				z, w := y*float64(x.values[r*k+c]), float64(weight.values[r])
				m := at * math.Exp(-gamma*sp(z))
				sum += w * m * sp(-z)
				grad[r*k+c] = -w * y * m * (gamma*math.Exp(-sp(-z))*sp(-z) + math.Exp(-sp(z)))
			}
		}
		e.close32(t, "focal", got.y, []float64{sum}, 1e-5)
		e.close32(t, "focal gradient", got.grads["x"], grad, 1e-5)
	}

	deltas := random("deltas", n, a, 4)
	targets := tensor{[]int{n, a, 4}, make([]float32, n*a*4)}
	for i := range n * a {
		copy(targets.values[4*i:], []float32{float32(i%3) + 1, 3, float32(i%3) + 9.5, 12.5})
	}
	deltas.values[2] = 9 // nearer its target, within beta
	for _, c := range []struct {
		name  string
		build func(g *engine.Graph, in nodes) *engine.Node
	}{
		{"smooth l1", func(g *engine.Graph, in nodes) *engine.Node {
			return g.SmoothL1(in["x"], in["targets"], in["weight"], g.Const(.5))
		}},
		{"l1", func(g *engine.Graph, in nodes) *engine.Node {
			return g.SmoothL1(in["x"], in["targets"], in["weight"], g.Const(0))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := probe{params: map[string]tensor{"x": deltas}, fixed: map[string]tensor{"targets": targets, "weight": weight}, gy: []float32{1}, build: c.build}
			numeric(t, e, p)
		})
	}
	t.Run("softmax cross entropy", func(t *testing.T) {
		p := probe{params: map[string]tensor{"x": random("z", 4, 3)}, fixed: map[string]tensor{"labels": {[]int{4}, []float32{0, 2, 1, 2}}}, gy: []float32{1},
			build: func(g *engine.Graph, in nodes) *engine.Node { return g.SoftmaxCE(in["x"], in["labels"]) }}
		numeric(t, e, p)
	})
}

// numeric compares the gradient of a scalar probe with central differences.
func numeric(t *testing.T, e *suite, p probe) {
	t.Helper()
	got := p.run(t, e)
	v := p.params["x"].values
	want := make([]float64, len(v))
	const h = 1.0 / 256
	for i := range v {
		old := v[i]
		v[i] = old + h
		up := p.run(t, e).y[0]
		v[i] = old - h
		down := p.run(t, e).y[0]
		v[i] = old
		want[i] = (float64(up) - float64(down)) / (2 * h)
	}
	e.close32(t, "gradient", got.grads["x"], want, max(5e-3, e.tolerance.Differences))
}
