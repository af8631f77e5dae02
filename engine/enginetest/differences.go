package enginetest

import (
	"slices"
	"testing"

	"focalgrid/engine"
)

// differences compares gradients with central differences of the output. The
// cases stay away from kinks: values near 0 of abs and relu are moved.
func differences(t *testing.T, e *suite) {
	type nodes = map[string]*engine.Node
	positive := func(x tensor) tensor {
		for i, v := range x.values {
			if v < 0 {
				x.values[i] = -v
			}
			x.values[i] += .2
		}
		return x
	}
	offZero := func(x tensor) tensor {
		for i, v := range x.values {
			if v > -.1 && v < .1 {
				x.values[i] += .3
			}
		}
		return x
	}
	three := map[string]tensor{"a": random("a", 2, 3, 4), "b": random("b", 2, 3, 4)}
	one := map[string]tensor{"a": random("a", 2, 3, 4)}
	small := random("small", 24).values // keeps exponentials near 1
	for i := range small {
		small[i] /= 8
	}
	maps := map[string]tensor{"a": random("m", 2, 6, 3, 2), "b": random("n", 2, 6, 2, 1)}
	cases := []struct {
		name   string
		params map[string]tensor
		build  func(g *engine.Graph, in nodes) *engine.Node
	}{
		{"add", three, func(g *engine.Graph, in nodes) *engine.Node { return g.Add(in["a"], in["b"]) }},
		{"sub", three, func(g *engine.Graph, in nodes) *engine.Node { return g.Sub(in["a"], in["b"]) }},
		{"mul", three, func(g *engine.Graph, in nodes) *engine.Node { return g.Mul(in["a"], in["b"]) }},
		{"square", one, func(g *engine.Graph, in nodes) *engine.Node { return g.Mul(in["a"], in["a"]) }},
		{"add scalar", one, func(g *engine.Graph, in nodes) *engine.Node { return g.Add(in["a"], g.Const(2)) }},
		{"sub scalar", one, func(g *engine.Graph, in nodes) *engine.Node { return g.Sub(in["a"], g.Const(2)) }},
		{"mul scalar", one, func(g *engine.Graph, in nodes) *engine.Node { return g.Mul(in["a"], g.Const(-3)) }},
		{"scalar of the graph", three, func(g *engine.Graph, in nodes) *engine.Node {
			return g.Mul(g.Sub(g.Add(in["a"], g.Sum(in["b"])), g.Sum(g.Exp(in["b"]))), g.Sum(in["a"]))
		}},
		{"scalar parameter", map[string]tensor{"a": random("a", 2, 3, 4), "s": random("s")}, func(g *engine.Graph, in nodes) *engine.Node {
			return g.Add(g.Mul(in["a"], in["s"]), in["s"])
		}},
		{"div", map[string]tensor{"a": random("a", 2, 3, 4), "b": positive(random("log", 2, 3, 4))}, func(g *engine.Graph, in nodes) *engine.Node { return g.Div(in["a"], in["b"]) }},
		{"div by a scalar", map[string]tensor{"a": random("a", 2, 3, 4), "s": {[]int{}, []float32{-1.5}}}, func(g *engine.Graph, in nodes) *engine.Node {
			return g.Div(in["a"], in["s"])
		}},
		{"min", three, func(g *engine.Graph, in nodes) *engine.Node { return g.Min(in["a"], in["b"]) }},
		{"max", three, func(g *engine.Graph, in nodes) *engine.Node { return g.Max(in["a"], in["b"]) }},
		{"neg", one, func(g *engine.Graph, in nodes) *engine.Node { return g.Neg(in["a"]) }},
		{"abs", map[string]tensor{"a": offZero(random("abs", 2, 3, 4))}, func(g *engine.Graph, in nodes) *engine.Node { return g.Abs(in["a"]) }},
		{"exp", one, func(g *engine.Graph, in nodes) *engine.Node { return g.Exp(in["a"]) }},
		{"log", map[string]tensor{"a": positive(random("log", 2, 3, 4))}, func(g *engine.Graph, in nodes) *engine.Node { return g.Log(in["a"]) }},
		{"softplus", one, func(g *engine.Graph, in nodes) *engine.Node { return g.Softplus(in["a"]) }},
		{"sigmoid", one, func(g *engine.Graph, in nodes) *engine.Node { return g.Sigmoid(in["a"]) }},
		{"relu", map[string]tensor{"a": offZero(random("relu", 2, 3, 4))}, func(g *engine.Graph, in nodes) *engine.Node { return g.ReLU(in["a"]) }},
		{"where", three, func(g *engine.Graph, in nodes) *engine.Node {
			c := g.OneHot(g.Sum(g.Const(2)), 4) // 0 0 1 0
			cond := g.Transpose(g.Expand(g.Expand(c, 2), 3), 1, 2, 0)
			return g.Where(cond, in["a"], in["b"])
		}},
		{"sum", one, func(g *engine.Graph, in nodes) *engine.Node { return g.Sum(in["a"]) }},
		{"expand", one, func(g *engine.Graph, in nodes) *engine.Node { return g.Expand(in["a"], 3) }},
		{"reshape", one, func(g *engine.Graph, in nodes) *engine.Node { return g.Reshape(in["a"], 6, 4) }},
		{"transpose", one, func(g *engine.Graph, in nodes) *engine.Node { return g.Transpose(in["a"], 2, 0, 1) }},
		{"concat", map[string]tensor{"a": random("a", 2, 3, 4), "b": random("b", 2, 2, 4)}, func(g *engine.Graph, in nodes) *engine.Node {
			return g.Concat(1, in["a"], in["b"], in["a"])
		}},
		{"slice", three, func(g *engine.Graph, in nodes) *engine.Node {
			return g.Concat(2, g.Slice(g.Slice(in["a"], 0, 1, 2), 1, 0, 2), g.Slice(g.Slice(in["b"], 1, 1, 3), 0, 0, 1), g.Slice(g.Slice(g.Slice(in["a"], 2, 3, 4), 0, 0, 1), 1, 1, 3))
		}},
		{"sum last", one, func(g *engine.Graph, in nodes) *engine.Node { return g.SumLast(in["a"]) }},
		{"softmax last", one, func(g *engine.Graph, in nodes) *engine.Node { return g.SoftmaxLast(in["a"]) }},
		{"log sum exp last", one, func(g *engine.Graph, in nodes) *engine.Node { return g.LogSumExpLast(in["a"]) }},
		{"log softmax", one, func(g *engine.Graph, in nodes) *engine.Node {
			return g.Sub(in["a"], g.Expand(g.LogSumExpLast(in["a"]), 4))
		}},
		{"conv padded beyond its kernel", map[string]tensor{"a": random("m", 2, 6, 3, 2), "w": {[]int{4, 6, 1, 1}, small}, "b": random("bias", 4)},
			func(g *engine.Graph, in nodes) *engine.Node { return g.Conv2D(in["a"], in["w"], in["b"], 2, 2, false) }},
		{"global average pool", maps, func(g *engine.Graph, in nodes) *engine.Node {
			return g.Add(g.GlobalAvgPool(in["a"]), g.GlobalAvgPool(in["b"]))
		}},
		{"upsample add", maps, func(g *engine.Graph, in nodes) *engine.Node { return g.UpsampleAdd(in["a"], in["b"]) }},
		{"pack levels", maps, func(g *engine.Graph, in nodes) *engine.Node { return g.PackLevels(3, in["a"], in["b"]) }},
		{"shared by levels", map[string]tensor{"a": random("m", 2, 6, 3, 2), "b": random("n", 2, 6, 2, 1), "w": random("w", 4, 6, 3, 3)},
			func(g *engine.Graph, in nodes) *engine.Node {
				return g.PackLevels(2, g.Conv2D(in["a"], in["w"], nil, 1, 1, false), g.Conv2D(in["b"], in["w"], nil, 1, 1, false))
			}},
		{"shared by levels with a scale each",
			map[string]tensor{"a": random("m", 2, 6, 3, 2), "b": random("n", 2, 6, 2, 1), "w": {[]int{4, 6, 1, 1}, small}, "s": random("s"), "t": random("t")},
			func(g *engine.Graph, in nodes) *engine.Node {
				level := func(x, scale *engine.Node) *engine.Node {
					return g.Exp(g.Mul(g.Conv2D(x, in["w"], nil, 1, 0, false), scale))
				}
				return g.PackLevels(2, level(in["a"], in["s"]), level(in["b"], in["t"]))
			}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := probe{params: c.params, build: c.build}
			shape := shapeOfProbe(t, p)
			p.gy = random("gy", shape...).values
			got := p.run(t, e)
			value := func() float64 {
				var s float64
				for i, v := range p.run(t, e).y {
					s += float64(v) * float64(p.gy[i])
				}
				return s
			}
			const h = 1.0 / 128
			for _, n := range p.names() {
				v := p.params[n].values
				want := make([]float64, len(v))
				check := min(len(v), 12) // a dozen of each parameter's values
				for i := range check {
					old := v[i]
					v[i] = old + h
					up := value()
					v[i] = old - h
					down := value()
					v[i] = old
					want[i] = (up - down) / (2 * h)
				}
				e.close32(t, "gradient of "+n, got.grads[n][:check], want[:check], max(2e-3, e.tolerance.Differences))
			}
		})
	}
}

// shapeOfProbe builds the probe's graph for the shape of its output.
func shapeOfProbe(t *testing.T, p probe) []int {
	t.Helper()
	var shape []int
	_, err := engine.Build(func(g *engine.Graph) error {
		in := map[string]*engine.Node{}
		for _, n := range p.names() {
			in[n] = g.Param(n, engine.Constant(0), true, p.params[n].shape...)
		}
		for n, v := range p.fixed {
			in[n] = g.Buffer(n, engine.Constant(0), v.shape...)
		}
		shape = slices.Clone(p.build(g, in).Shape)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return shape
}

// fused compares ops with an epilogue to the same computation in single ops.
func fused(t *testing.T, e *suite) {
	type nodes = map[string]*engine.Node
	params := map[string]tensor{
		"x": random("x", 2, 4, 5, 3), "r": random("r", 2, 4, 5, 3), "k": random("k", 4, 4, 3, 3),
		"weight": random("weight", 4), "bias": random("bias", 4),
	}
	fixed := map[string]tensor{"mean": random("mean", 4), "var": {[]int{4}, []float32{.5, 1, 2, .1}}}
	norm := func(in nodes) engine.Norm {
		return engine.Norm{Weight: in["weight"], Bias: in["bias"], Mean: in["mean"], Var: in["var"], Eps: 1e-5, Momentum: .1}
	}
	// all makes every parameter reach the loss in both forms, whatever the op uses.
	all := func(g *engine.Graph, y *engine.Node, in nodes) *engine.Node {
		z := g.Add(g.Sum(in["x"]), g.Add(g.Sum(in["r"]), g.Add(g.Sum(in["k"]), g.Add(g.Sum(in["weight"]), g.Sum(in["bias"])))))
		return g.Add(y, z)
	}
	cases := []struct {
		name          string
		fused, single func(g *engine.Graph, in nodes) *engine.Node
	}{
		{"conv bias relu",
			func(g *engine.Graph, in nodes) *engine.Node {
				return g.Conv2D(in["x"], in["k"], in["bias"], 1, 1, true)
			},
			func(g *engine.Graph, in nodes) *engine.Node {
				return g.ReLU(g.Conv2D(in["x"], in["k"], in["bias"], 1, 1, false))
			}},
		{"batch norm residual relu",
			func(g *engine.Graph, in nodes) *engine.Node {
				return g.BatchNorm(in["x"], norm(in), in["r"], true, true)
			},
			func(g *engine.Graph, in nodes) *engine.Node {
				return g.ReLU(g.Add(g.BatchNorm(in["x"], norm(in), nil, false, true), in["r"]))
			}},
		{"running norm residual relu",
			func(g *engine.Graph, in nodes) *engine.Node {
				return g.BatchNorm(in["x"], norm(in), in["r"], true, false)
			},
			func(g *engine.Graph, in nodes) *engine.Node {
				return g.ReLU(g.Add(g.BatchNorm(in["x"], norm(in), nil, false, false), in["r"]))
			}},
		{"frozen norm residual relu",
			func(g *engine.Graph, in nodes) *engine.Node { return g.FrozenNorm(in["x"], norm(in), in["r"], true) },
			func(g *engine.Graph, in nodes) *engine.Node {
				return g.ReLU(g.Add(g.FrozenNorm(in["x"], norm(in), nil, false), in["r"]))
			}},
		{"group norm relu",
			func(g *engine.Graph, in nodes) *engine.Node {
				return g.GroupNorm(in["x"], in["weight"], in["bias"], 2, 1e-5, true)
			},
			func(g *engine.Graph, in nodes) *engine.Node {
				return g.ReLU(g.GroupNorm(in["x"], in["weight"], in["bias"], 2, 1e-5, false))
			}},
		{"upsample add",
			func(g *engine.Graph, in nodes) *engine.Node { return g.UpsampleAdd(g.Upsample(in["x"], 7, 6), in["r"]) },
			func(g *engine.Graph, in nodes) *engine.Node {
				return g.Add(g.Upsample(in["x"], 7, 6), g.Upsample(in["r"], 7, 6))
			}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got [2]outcome
			for i, b := range []func(g *engine.Graph, in nodes) *engine.Node{c.fused, c.single} {
				p := probe{params: params, fixed: fixed, build: func(g *engine.Graph, in nodes) *engine.Node {
					return all(g, b(g, in), in)
				}}
				p.gy = random("gy", shapeOfProbe(t, p)...).values
				got[i] = p.run(t, e)
			}
			e.close32(t, "output", got[0].y, to64(got[1].y), 1e-6)
			for n := range params {
				e.close32(t, "gradient of "+n, got[0].grads[n], to64(got[1].grads[n]), 1e-5)
			}
		})
	}
}
