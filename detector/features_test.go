package detector

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"focalgrid/engine"
	"focalgrid/engine/gomlx"
	"focalgrid/engine/gorgonia"
	"focalgrid/engine/kernel"
	"focalgrid/experiments/plan"
	"focalgrid/model"
)

// features are the maps of torchvision's ResNets by depth and name, as testdata/features.py describes them.
type features struct {
	Image    [4]int
	Networks map[int]map[string]struct {
		Shape         []int
		Norm, Product float64
		Values        []float64
	}
}

// TestFeaturesOfTorchvision: with the weights and statistics of a file of torchvision's, the backbone under the pyramid
// gives torchvision's maps. Depth 50 has bottlenecks, whose stride torchvision puts into the 3×3 convolution.
func TestFeaturesOfTorchvision(t *testing.T) {
	text, err := os.ReadFile("testdata/features.json")
	if err != nil {
		t.Fatal(err)
	}
	var ref features
	if err := json.Unmarshal(text, &ref); err != nil {
		t.Fatal(err)
	}
	for _, exact := range []bool{true, false} {
		pool := kernel.NewPool(2)
		pool.Exact = exact
		e := gorgonia.New(pool, gorgonia.Options{})
		defer e.Close()
		followFeatures(t, &ref, e)
	}
	if os.Getenv(gomlx.PluginVariable) != "" {
		e, err := gomlx.New(gomlx.Options{Backend: gomlx.XLA})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		followFeatures(t, &ref, e)
	}
}

// followFeatures runs the backbone on the image of the references, and compares its maps.
func followFeatures(t *testing.T, ref *features, e engine.Engine) {
	for depth, maps := range ref.Networks {
		t.Run(fmt.Sprintf("%s/%d", e.Info().Name, depth), func(t *testing.T) {
			got := featuresOf(t, depth, ref.Image, e)
			if len(maps) != 3 || len(got) != 3 {
				t.Fatalf("%d maps of torchvision, %d of ours, want 3", len(maps), len(got))
			}
			for name, want := range maps {
				if !slices.Equal(got[name].shape, want.Shape) {
					t.Fatalf("%s has shape %v, want %v", name, got[name].shape, want.Shape)
				}
				x, product := got[name].values, 0.
				for i, u := range uniform(name, len(x)) {
					product += float64(x[i]) * u
				}
				rms := want.Norm / math.Sqrt(float64(len(x)))
				near := func(what string, got, want, scale float64) {
					if !(math.Abs(got-want) <= 1e-5*scale) { // the sums of float32 come within 3e-6
						t.Errorf("%s of %s is %.9g, want %.9g", what, name, got, want)
					}
				}
				near("norm", l2(x), want.Norm, want.Norm)
				near("product", product, want.Product, want.Norm)
				for i, v := range want.Values {
					near(fmt.Sprintf("value %d", i), float64(x[i*(len(x)/len(want.Values))]), v, max(math.Abs(v), rms))
				}
			}
		})
	}
}

// feature is a map.
type feature struct {
	shape  []int
	values []float32
}

// featuresOf returns C3, C4 and C5 of the image that the formula gives.
func featuresOf(t *testing.T, depth int, size [4]int, e engine.Engine) map[string]feature {
	t.Helper()
	cfg, err := Settings.LoadBaseline("paper", plan.Selection{Set: []string{fmt.Sprintf("model.depth=%d", depth)}})
	if err != nil {
		t.Fatal(err)
	}
	p := &engine.Program{}
	p.Graph, err = engine.Build(func(g *engine.Graph) error {
		body := model.Network(g, ModelConfig(&cfg, 1), g.Input("image", size[:]...), false).Body
		for i, n := range body[1:] {
			p.Outputs = append(p.Outputs, g.Named(n, fmt.Sprintf("C%d", i+3)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s := engine.NewState()
	for _, n := range p.Graph.Nodes() {
		if n.Op == engine.OpParam || n.Op == engine.OpBuffer {
			if err := s.Set(n.Name, n.Shape, formula(n.Name, n.Shape, false)); err != nil {
				t.Fatal(err)
			}
		}
	}
	ses, err := e.Compile(p, s)
	if err != nil {
		t.Fatal(err)
	}
	defer ses.Close()
	image := make([]float32, size[0]*size[1]*size[2]*size[3])
	for i, u := range uniform("image", len(image)) {
		image[i] = float32(u)
	}
	v, err := ses.Forward(engine.Feeds{"image": image})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]feature{}
	for _, n := range p.Outputs {
		out[n.Name] = feature{n.Shape, slices.Clone(v[n.Name])}
	}
	return out
}
