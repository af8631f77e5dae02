package gorgonia

import (
	"testing"

	"focalgrid/engine"
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
