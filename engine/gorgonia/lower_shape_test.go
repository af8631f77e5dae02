package gorgonia

import (
	"math/rand/v2"
	"testing"

	"focalgrid/engine"
	"focalgrid/engine/kernel"
)

// TestShapesOnThreads: tensors of more values than one thread takes at a time come out value by value as said at the
// ops' builders.
func TestShapesOnThreads(t *testing.T) {
	const a, b, c = 37, 41, 43
	r := rand.New(rand.NewPCG(8, 9))
	x, z, labels := make([]float32, a*b*c), make([]float32, a*b*c), make([]float32, a*b*c)
	for i := range x {
		x[i], z[i], labels[i] = float32(r.NormFloat64()), float32(r.NormFloat64()), float32(r.IntN(4)-1)
	}
	p := &engine.Program{}
	var err error
	p.Graph, err = engine.Build(func(g *engine.Graph) error {
		in, other, class := g.Input("x", a, b, c), g.Input("z", a, b, c), g.Input("labels", a, b, c)
		p.Outputs = []*engine.Node{
			g.Named(g.Transpose(in, 2, 0, 1), "transpose"), g.Named(g.Where(in, in, other), "where"),
			g.Named(g.OneHot(class, 3), "one hot"), g.Named(g.Expand(in, 2), "expand"),
			g.Named(g.Concat(1, in, other), "concat"), g.Named(g.Reshape(g.Mul(in, g.Const(3)), c, b, a), "thrice"),
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]func(i int) float32{
		"transpose": func(i int) float32 { return x[i/b%a*b*c+i%b*c+i/b/a] },
		"where": func(i int) float32 {
			if x[i] > 0 {
				return x[i]
			}
			return z[i]
		},
		"one hot": func(i int) float32 {
			if int(labels[i/3]) == i%3 {
				return 1
			}
			return 0
		},
		"expand": func(i int) float32 { return x[i/2] },
		"concat": func(i int) float32 {
			from, row := x, i%(2*b*c)
			if row >= b*c {
				from, row = z, row-b*c
			}
			return from[i/(2*b*c)*b*c+row]
		},
		"thrice": func(i int) float32 { return x[i] * 3 },
	}
	for _, threads := range []int{1, 3} {
		pool := kernel.NewPool(threads)
		defer pool.Close()
		ses, err := New(pool, Options{}).Compile(p, engine.NewState())
		if err != nil {
			t.Fatal(err)
		}
		got, err := ses.Forward(engine.Feeds{"x": x, "z": z, "labels": labels})
		if err != nil {
			t.Fatal(err)
		}
		for name, at := range want {
			for i, v := range got[name] {
				if v != at(i) {
					t.Fatalf("%d threads: %s[%d] is %g, want %g", threads, name, i, v, at(i))
				}
			}
		}
	}
}
