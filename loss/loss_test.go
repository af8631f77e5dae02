package loss

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"focalgrid/engine"
	"focalgrid/setting"
)

// Every loss has the name it is chosen by, and the refusal of another lists the names.
func TestLookup(t *testing.T) {
	for name, c := range classifications {
		if got := ClassificationOf(setting.Values{"type": name}); got.Name != name || c.Name != name {
			t.Errorf("%s: got %q", name, got.Name)
		}
	}
	for name := range boxes {
		if got := BoxOf(setting.Values{"type": name}); got.Name != name {
			t.Errorf("%s: got %q", name, got.Name)
		}
	}
	for _, tt := range []struct {
		params []setting.Param
		known  []string
	}{{ClassParams(), slices.Sorted(maps.Keys(classifications))}, {BoxParams(), slices.Sorted(maps.Keys(boxes))}} {
		want := `is "focla", must be one of ` + strings.Join(tt.known, ", ")
		if err := tt.params[0].Judge("focla"); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// Parameters are numbers, which the graph can be fed, and judged as the losses need them.
func TestParams(t *testing.T) {
	for _, group := range [][]setting.Param{ClassParams(), BoxParams()} {
		for name, params := range group[0].Kinds {
			for _, p := range params {
				if p.Kind != setting.Number || p.Doc == "" || !(p.Min < p.Max) {
					t.Errorf("%s: parameter %+v", name, p)
				}
			}
		}
	}
	for _, tt := range []struct {
		params []setting.Param
		name   string
		value  any
		want   string
	}{
		{focal.Params, "gamma", nil, "is none, must be from 0 to 3.4e+38"},
		{focal.Params, "gamma", -.1, "is -0.1, must be from 0 to 3.4e+38"},
		{focal.Params, "gamma", math.NaN(), "is NaN, must be from 0 to 3.4e+38"},
		{focal.Params, "gamma", math.Inf(1), "is +Inf, must be from 0 to 3.4e+38"},
		{focalStar.Params, "beta", math.Inf(-1), "is -Inf, must be from -3.4e+38 to 3.4e+38"},
		{focal.Params, "alpha", 1.5, "is 1.5, must be from 0 to 1, or none"},
		{focal.Params, "alpha", nil, ""},
		{focalStar.Params, "gamma", 0., "is 0, must be from 1e-06 to 3.4e+38"},
		{hinge.Params, "margin", 0., "is 0, must be above 0 and at most 1"},
		{hinge.Params, "margin", 1., ""},
		{smoothL1.Params, "beta", -1., "is -1, must be from 0 to 3.4e+38"},
		{smoothL1.Params, "beta", 0., ""},
	} {
		p := tt.params[slices.IndexFunc(tt.params, func(p setting.Param) bool { return p.Name == tt.name })]
		if err := p.Judge(tt.value); err == nil && tt.want != "" || err != nil && err.Error() != tt.want {
			t.Errorf("%s %v: error %v, want %q", tt.name, tt.value, err, tt.want)
		}
	}
}

func TestScalars(t *testing.T) {
	tests := []struct {
		name  string
		given setting.Values
		want  map[string]float32
	}{
		{"focal", setting.Values{"gamma": .5, "alpha": .75}, map[string]float32{"gamma": .5, "alpha_pos": .75, "alpha_neg": .25}},
		{"focal", setting.Values{"gamma": 2., "alpha": nil}, map[string]float32{"gamma": 2, "alpha_pos": 1, "alpha_neg": 1}},
		{"ce", setting.Values{"alpha": .5}, map[string]float32{"gamma": 0, "alpha_pos": .5, "alpha_neg": .5}},
		{"focal_star", setting.Values{"gamma": 4., "beta": 0., "alpha": .25},
			map[string]float32{"gamma": 4, "inv_gamma": .25, "beta": 0, "alpha_pos": .25, "alpha_neg": .75}},
		{"hinge", setting.Values{"margin": .5, "alpha": .25}, map[string]float32{"margin": .5, "alpha_pos": .25, "alpha_neg": .75}},
	}
	for _, tt := range tests {
		if got := classifications[tt.name].Scalars(tt.given); !maps.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func buildClassification(t *testing.T, build func(*engine.Graph, Inputs, func(string) *engine.Node) *engine.Node) *engine.Graph {
	t.Helper()
	g, err := engine.Build(func(g *engine.Graph) error {
		in := Inputs{Logits: g.Input("logits", 2, 7, 3), Labels: g.Input("labels", 2, 7), Weight: g.Input("weight", 2, 7)}
		if out := build(g, in, ScalarInputs(g, prefix)); len(out.Shape) != 0 {
			t.Errorf("shape %v, want a scalar", out.Shape)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// Cross entropy and focal, L1 and smooth L1 share a graph, so one compile serves both.
func TestSharedGraphs(t *testing.T) {
	if ce, fl := buildClassification(t, crossEntropy.Build), buildClassification(t, focal.Build); ce.Hash() != fl.Hash() {
		t.Errorf("ce and focal build different graphs:\n%s\n%s", ce, fl)
	}
}

// ScalarInputs gives one node a name, so two losses of a graph may share it.
func TestScalarInputs(t *testing.T) {
	_, err := engine.Build(func(g *engine.Graph) error {
		p := ScalarInputs(g, "loss.")
		if a, b := p("gamma"), p("gamma"); a != b || a.Name != "loss.gamma" || len(a.Shape) != 0 {
			t.Errorf("%v and %v, want one scalar loss.gamma", a, b)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The composed graphs, walked in float64, give the plain form's sum and do not
// look at what has no weight.
func TestComposedGraphsByWalking(t *testing.T) {
	logits := []float64{-3, -1, 0, 1, 3, .5, 2, -2, 700, -700, 40, -40}
	labels := []float64{0, 2, -1, -2}
	weight := []float64{.5, .25, 1, 0}
	for _, tt := range []struct {
		name   string
		build  func(*engine.Graph, Inputs, func(string) *engine.Node) *engine.Node
		c      Classification
		values setting.Values
	}{
		{"FocalComposed", FocalComposed, focal, setting.Values{"gamma": 2., "alpha": .25}},
		{"FocalComposed", FocalComposed, focal, setting.Values{"gamma": .5, "alpha": nil}},
		{"focal_star", focalStar.Build, focalStar, setting.Values{"gamma": 4., "beta": 0., "alpha": .25}},
		{"focal_star", focalStar.Build, focalStar, setting.Values{"gamma": 2., "beta": 1., "alpha": .25}},
		{"hinge", hinge.Build, hinge, setting.Values{"margin": .5, "alpha": .25}},
		{"hinge", hinge.Build, hinge, setting.Values{"margin": 1., "alpha": nil}},
	} {
		want := 0.0
		for i, x := range logits {
			l, _ := tt.c.Value(x, labels[i/3] == float64(i%3), tt.values)
			want += weight[i/3] * l
		}
		g, err := engine.Build(func(g *engine.Graph) error {
			in := Inputs{Logits: g.Input("logits", 1, 4, 3), Labels: g.Input("labels", 1, 4), Weight: g.Input("weight", 1, 4)}
			tt.build(g, in, ScalarInputs(g, prefix))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		feeds := map[string][]float64{"logits": logits, "labels": labels, "weight": weight}
		for k, s := range tt.c.Scalars(tt.values) {
			feeds[prefix+k] = []float64{float64(s)}
		}
		if got := walk(t, g, feeds); math.Abs(got-want) > 1e-12*want {
			t.Errorf("%s %v: graph gives %.15g, the plain form %.15g", tt.name, tt.values, got, want)
		}
	}
}

// walk computes the last node of a graph of elementary ops.
func walk(t *testing.T, g *engine.Graph, feeds map[string][]float64) float64 {
	t.Helper()
	values := make([][]float64, len(g.Nodes()))
	for _, n := range g.Nodes() {
		in := func(i, at int) float64 { // a scalar stands for every place
			v := values[n.In[i].ID]
			return v[min(at, len(v)-1)]
		}
		out := make([]float64, n.Size())
		for i := range out {
			switch n.Op {
			case engine.OpInput:
				out[i] = feeds[n.Name][i]
			case engine.OpAdd:
				out[i] = in(0, i) + in(1, i)
			case engine.OpSub:
				out[i] = in(0, i) - in(1, i)
			case engine.OpMul:
				out[i] = in(0, i) * in(1, i)
			case engine.OpNeg:
				out[i] = -in(0, i)
			case engine.OpExp:
				out[i] = math.Exp(in(0, i))
			case engine.OpSoftplus:
				out[i] = softplus(in(0, i))
			case engine.OpSigmoid:
				out[i] = sigmoid(in(0, i))
			case engine.OpReLU:
				out[i] = max(in(0, i), 0)
			case engine.OpExpand:
				out[i] = in(0, i/n.Attr.Size)
			case engine.OpOneHot:
				if in(0, i/n.Attr.Size) == float64(i%n.Attr.Size) {
					out[i] = 1
				}
			case engine.OpSum:
				for _, v := range values[n.In[0].ID] {
					out[i] += v
				}
			default:
				t.Fatalf("op %s is not elementary", n.Op)
			}
		}
		values[n.ID] = out
	}
	return values[len(values)-1][0]
}
