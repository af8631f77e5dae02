package enginetest

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/json"
	"testing"

	"focalgrid/engine"
)

//go:embed testdata/*.json.gz
var testdata embed.FS

type refArray struct {
	Shape []int
	Data  []float64
}

func (a refArray) tensor() tensor {
	v := make([]float32, len(a.Data))
	for i, x := range a.Data {
		v[i] = float32(x)
	}
	return tensor{a.Shape, v}
}

type refCase struct {
	Name, Op                        string
	Inputs, Grads                   map[string]refArray
	Buffers, Before, After          map[string]refArray
	Output                          refArray
	GradOutput                      refArray `json:"grad_output"`
	Stride, Padding, Kernel, Groups int
	Size                            []int
	Training                        bool
	Momentum, Eps                   float64
}

// Trap: inputs far from zero lose digits when they are rounded to float32, so
// their references hold to what is left of a standard deviation of .01 at 50.
const farFromZero = 2e-3

func references(t *testing.T, e *suite) {
	for _, file := range []string{"layers", "norms"} {
		packed, err := testdata.ReadFile("testdata/" + file + ".json.gz")
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		var f struct{ Cases []refCase }
		if err := json.NewDecoder(z).Decode(&f); err != nil {
			t.Fatal(err)
		}
		if len(f.Cases) == 0 {
			t.Fatalf("%s: no cases", file)
		}
		for _, c := range f.Cases {
			t.Run(c.Name, func(t *testing.T) { reference(t, e, c) })
		}
	}
}

func reference(t *testing.T, e *suite, c refCase) {
	p := probe{params: map[string]tensor{}, fixed: map[string]tensor{}, gy: c.GradOutput.tensor().values}
	for n, a := range c.Inputs {
		p.params[n] = a.tensor()
	}
	for n, a := range c.Buffers {
		p.fixed[n] = a.tensor()
	}
	for n, a := range c.Before {
		p.fixed[n] = a.tensor()
	}
	p.build = func(g *engine.Graph, in map[string]*engine.Node) *engine.Node {
		norm := engine.Norm{Weight: in["weight"], Bias: in["bias"], Mean: in["running_mean"], Var: in["running_var"], Eps: c.Eps, Momentum: c.Momentum}
		switch c.Op {
		case "conv2d":
			return g.Conv2D(in["x"], in["weight"], in["bias"], c.Stride, c.Padding, false)
		case "max_pool2d":
			return g.MaxPool(in["x"], c.Kernel, c.Stride, c.Padding)
		case "frozen_batch_norm":
			return g.FrozenNorm(in["x"], norm, nil, false)
		case "upsample_nearest":
			return g.Upsample(in["x"], c.Size[0], c.Size[1])
		case "relu":
			return g.ReLU(in["x"])
		case "group_norm":
			return g.GroupNorm(in["x"], in["weight"], in["bias"], c.Groups, c.Eps, false)
		case "batch_norm":
			return g.BatchNorm(in["x"], norm, nil, false, c.Training)
		}
		t.Fatalf("op %q has no case in the suite", c.Op)
		return nil
	}
	tol := 1e-5
	if c.Inputs["x"].far() {
		tol = farFromZero
	}
	got := p.run(t, e)
	e.close32(t, "output", got.y, c.Output.Data, tol)
	for n, want := range c.Grads {
		e.close32(t, "gradient of "+n, got.grads[n], want.Data, tol)
	}
	for n, want := range c.After {
		e.close32(t, n, got.state.Get(n).Values, want.Data, tol)
	}
}

func (a refArray) far() bool {
	for _, v := range a.Data {
		if v < 40 {
			return false
		}
	}
	return true
}
