package gorgonia

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"focalgrid/engine"
	"focalgrid/engine/kernel"
)

// TestFindStacks: convolutions and group norms of several maps with one set of
// parameters become one op where all that use them can take the maps together.
func TestFindStacks(t *testing.T) {
	type built struct {
		members []*engine.Node // all that share parameters
		wanted  *engine.Node
	}
	for _, v := range []struct {
		name  string
		build func(g *engine.Graph, x []*engine.Node, w, gain, bias *engine.Node) built
		want  int // members of stacks
	}{
		{"a head", func(g *engine.Graph, x []*engine.Node, w, gain, bias *engine.Node) built {
			var all, out []*engine.Node
			for _, x := range x {
				y := g.Conv2D(x, w, nil, 1, 1, false)
				z := g.GroupNorm(y, gain, bias, 2, 1e-5, true)
				all, out = append(all, y, z), append(out, z)
			}
			g.PackLevels(1, out...)
			return built{members: all}
		}, 4},
		{"a head with a scale each and exponentials", func(g *engine.Graph, x []*engine.Node, w, _, _ *engine.Node) built {
			var all, out []*engine.Node
			for i, x := range x {
				y := g.Conv2D(x, w, nil, 1, 1, false)
				z := g.Mul(y, g.Param(fmt.Sprint("scale", i), engine.Constant(1), true))
				e := g.Exp(z)
				all, out = append(all, y, z, e), append(out, e)
			}
			g.PackLevels(1, out...)
			return built{members: all}
		}, 6},
		{"a scale of one level", func(g *engine.Graph, x []*engine.Node, w, _, _ *engine.Node) built {
			y, z := g.Conv2D(x[0], w, nil, 1, 1, false), g.Conv2D(x[1], w, nil, 1, 1, false)
			scaled := g.Mul(y, g.Const(2))
			g.PackLevels(1, scaled, z)
			return built{members: []*engine.Node{y, z, scaled}}
		}, 0},
		{"a scale that another level decides", func(g *engine.Graph, x []*engine.Node, w, _, _ *engine.Node) built {
			y, z := g.Conv2D(x[0], w, nil, 1, 1, false), g.Conv2D(x[1], w, nil, 1, 1, false)
			a := g.Mul(y, g.Const(2))
			b := g.Mul(z, g.Sum(a))
			g.PackLevels(1, a, b)
			return built{members: []*engine.Node{y, z, a, b}}
		}, 0},
		{"one map", func(g *engine.Graph, x []*engine.Node, w, _, _ *engine.Node) built {
			y := g.Conv2D(x[0], w, nil, 1, 1, false)
			g.PackLevels(1, y)
			return built{members: []*engine.Node{y}}
		}, 0},
		{"one after the other", func(g *engine.Graph, x []*engine.Node, w, _, _ *engine.Node) built {
			y := g.Conv2D(x[0], w, nil, 1, 1, false)
			z := g.Conv2D(g.ReLU(y), w, nil, 1, 1, false)
			return built{members: []*engine.Node{y, z}}
		}, 0},
		{"a map used by itself", func(g *engine.Graph, x []*engine.Node, w, _, _ *engine.Node) built {
			y, z := g.Conv2D(x[0], w, nil, 1, 1, false), g.Conv2D(x[1], w, nil, 1, 1, false)
			g.PackLevels(1, y, z)
			g.ReLU(y)
			return built{members: []*engine.Node{y, z}}
		}, 0},
		{"a map that is wanted", func(g *engine.Graph, x []*engine.Node, w, _, _ *engine.Node) built {
			y, z := g.Conv2D(x[0], w, nil, 1, 1, false), g.Conv2D(x[1], w, nil, 1, 1, false)
			g.PackLevels(1, y, z)
			return built{members: []*engine.Node{y, z}, wanted: z}
		}, 0},
		{"packed in another order", func(g *engine.Graph, x []*engine.Node, w, _, _ *engine.Node) built {
			y, z := g.Conv2D(x[0], w, nil, 1, 1, false), g.Conv2D(x[1], w, nil, 1, 1, false)
			g.PackLevels(1, z, y)
			return built{members: []*engine.Node{y, z}}
		}, 0},
		{"a norm that cannot take them", func(g *engine.Graph, x []*engine.Node, w, gain, bias *engine.Node) built {
			y, z := g.Conv2D(x[0], w, nil, 1, 1, false), g.Conv2D(x[1], w, nil, 1, 1, false)
			a, b := g.GroupNorm(y, gain, bias, 2, 1e-5, true), g.GroupNorm(z, gain, bias, 2, 1e-5, true)
			g.PackLevels(1, a, b)
			g.ReLU(a)
			return built{members: []*engine.Node{y, z, a, b}}
		}, 0},
	} {
		t.Run(v.name, func(t *testing.T) {
			var b built
			g, err := engine.Build(func(g *engine.Graph) error {
				x := []*engine.Node{g.Input("x", 2, 4, 6, 6), g.Input("y", 2, 4, 3, 3)}
				w := g.Param("w", engine.Constant(1), true, 4, 4, 3, 3)
				b = v.build(g, x, w, g.Param("gain", engine.Constant(1), true, 4), g.Param("bias", engine.Constant(0), true, 4))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			wanted := map[int]bool{}
			if b.wanted != nil {
				wanted[b.wanted.ID] = true
			}
			if got := findStacks(g.Nodes(), wanted); len(got) != v.want {
				t.Errorf("%d nodes are in stacks, want %d", len(got), v.want)
			}
		})
	}
}

// TestScaledHeadIsOneConvolution: a head whose levels have a scale each and an exponential before they are packed runs
// one convolution, and has the gradients of the head whose levels are computed one by one.
func TestScaledHeadIsOneConvolution(t *testing.T) {
	pool := kernel.NewPool(2)
	defer pool.Close()
	names := []string{"w", "scale0", "scale1", "scale2"}
	run := func(apart bool) (convolutions int, loss float64, grads [][]float32) {
		p := &engine.Program{Update: engine.Update{Kind: "sgd"}, KeepGradients: true}
		feeds := engine.Feeds{engine.LR: []float32{0}}
		r := rand.New(rand.NewPCG(5, 6))
		random := func(n *engine.Node) {
			v := make([]float32, n.Size())
			for i := range v {
				v[i] = float32(r.NormFloat64()) / 4
			}
			feeds[n.Name] = v
		}
		var err error
		p.Graph, err = engine.Build(func(g *engine.Graph) error {
			w := g.Param("w", engine.Normal(.1), true, 8, 4, 3, 3)
			var out []*engine.Node
			for i, side := range []int{8, 4, 2} {
				x := g.Input(fmt.Sprint("x", i), 2, 4, side, side)
				random(x)
				y := g.Conv2D(x, w, nil, 1, 1, false)
				if apart { // a node that is wanted is computed by itself
					p.Outputs = append(p.Outputs, g.Named(y, fmt.Sprint("y", i)))
				}
				out = append(out, g.Exp(g.Mul(y, g.Param(fmt.Sprint("scale", i), engine.Constant(1+float64(i)/4), true))))
			}
			packed := g.PackLevels(4, out...)
			weight := g.Input("weight", packed.Shape...)
			random(weight)
			p.Loss = g.Sum(g.Mul(packed, weight))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		s := engine.NewState()
		if err := s.AddMissing(p.Graph, func(string, uint64) *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }); err != nil {
			t.Fatal(err)
		}
		ses, err := New(pool, Options{}).Compile(p, s)
		if err != nil {
			t.Fatal(err)
		}
		defer ses.Close()
		result, err := ses.Step(feeds, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range ses.(*session).run.(*plan).steps {
			if step.kind == "conv 3x3/1" {
				convolutions++
			}
		}
		for _, name := range names {
			grads = append(grads, slices.Clone(ses.Gradient(name)))
		}
		return convolutions, result.Loss, grads
	}
	one, loss, grads := run(false)
	three, lossApart, gradsApart := run(true)
	if one != 1 || three != 3 {
		t.Errorf("%d convolutions, and %d of single levels; want 1 and 3", one, three)
	}
	if loss != lossApart {
		t.Errorf("loss %g, of single levels %g", loss, lossApart)
	}
	for i, name := range names {
		for j, g := range grads[i] {
			if want := gradsApart[i][j]; math.Abs(float64(g-want)) > 1e-5*max(1, math.Abs(float64(want))) {
				t.Fatalf("gradient of %s[%d] is %g, of single levels %g", name, j, g, want)
			}
		}
		if len(grads[i]) == 0 || len(grads[i]) != len(gradsApart[i]) {
			t.Errorf("%s has %d and %d gradients", name, len(grads[i]), len(gradsApart[i]))
		}
	}
}
