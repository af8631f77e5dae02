package model

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"focalgrid/engine"
	"focalgrid/setting"
)

// paper is the paper's RetinaNet-50 for COCO, with the parts that the paper leaves open as Detectron has them: frozen
// norm, stem and first stage frozen.
func paper() Config {
	return Config{
		Depth: 50, Width: 1, Norm: "frozen", FreezeStages: 2, FPN: 256, P6: "c5",
		GroupChannels: 8, Classes: 80, Head: "retinanet",
		Settings: values(),
		Anchors:  AnchorConfig{Base: 4, Scales: 3, Ratios: []float64{.5, 1, 2}, Round: "none"},
	}
}

func with(f func(c *Config)) Config {
	c := paper()
	f(&c)
	return c
}

func summarize(t *testing.T, c Config, h, w int) *Summary {
	t.Helper()
	s, err := Summarize(c, h, w)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The published totals and what arithmetic gives for the parts: nine anchors,
// biases on the pyramid's and the heads' convolutions, none in the backbone.
func TestParameterCounts(t *testing.T) {
	r50 := map[string]int64{
		PartBackbone: 23_454_912, PartNorm: 53_120, PartFPN: 2_688_512, PartP6: 4_718_848, PartP7: 590_080,
		PartClass: 4*590_080 + 1_659_600, PartBox: 4*590_080 + 82_980, "total": 37_968_692,
	}
	r101 := map[string]int64{
		PartBackbone: 42_394_816, PartNorm: 105_344, PartFPN: 2_688_512, PartP6: 4_718_848, PartP7: 590_080,
		PartClass: 4*590_080 + 1_659_600, PartBox: 4*590_080 + 82_980, "total": 56_960_820,
	}
	tests := []struct {
		name string
		cfg  Config
		want map[string]int64
	}{
		{"R50", with(func(c *Config) { c.Norm = "batch" }), r50},
		{"R101", with(func(c *Config) { c.Norm, c.Depth = "batch", 101 }), r101},
		{"R50, group norm", with(func(c *Config) { c.Norm = "group" }), r50},
		{"R50, P6 from P5", with(func(c *Config) { c.Norm, c.P6 = "batch", "p5" }), map[string]int64{PartP6: 590_080, "total": 33_839_924}},
		{"R101, P6 from P5", with(func(c *Config) { c.Norm, c.P6, c.Depth = "batch", "p5", 101 }), map[string]int64{PartP6: 590_080, "total": 52_832_052}},
		{"frozen norm counts nothing", paper(), map[string]int64{PartNorm: 0, "total": 37_968_692 - 53_120}},
		{"K 90", with(func(c *Config) { c.Norm, c.Classes = "batch", 90 }), map[string]int64{"total": 37_968_692 + 207_450}},
		{"K 91", with(func(c *Config) { c.Norm, c.Classes = "batch", 91 }), map[string]int64{"total": 37_968_692 + 228_195}},
		// As torchvision's list of weights has them.
		{"RetinaNet_ResNet50_FPN_Weights", with(func(c *Config) { c.Classes, c.P6 = 91, "p5" }), map[string]int64{"total": 34_014_999}},
		// Group norm's affine is in, the biases of the convolutions before it are out.
		{"RetinaNet_ResNet50_FPN_V2_Weights", with(func(c *Config) { c.Norm, c.Classes, c.Settings["head_norm"] = "batch", 91, "group" }),
			map[string]int64{"total": 38_196_887 + 4_096 - 2_048}},
		// ResNet-18 to 152 of torchvision's list less their classifiers of 1000, norms counted.
		{"R18", with(func(c *Config) { c.Norm, c.Depth = "batch", 18 }), map[string]int64{"body": 11_689_512 - 513_000}},
		{"R34", with(func(c *Config) { c.Norm, c.Depth = "batch", 34 }), map[string]int64{"body": 21_797_672 - 513_000}},
		{"R50 body", with(func(c *Config) { c.Norm = "batch" }), map[string]int64{"body": 25_557_032 - 2_049_000}},
		{"R101 body", with(func(c *Config) { c.Norm, c.Depth = "batch", 101 }), map[string]int64{"body": 44_549_160 - 2_049_000}},
		{"R152 body", with(func(c *Config) { c.Norm, c.Depth = "batch", 152 }), map[string]int64{"body": 60_192_808 - 2_049_000}},
	}
	for _, tt := range tests {
		s := summarize(t, tt.cfg, 256, 256)
		for name, want := range tt.want {
			got := s.Part(name).Params
			switch name {
			case "total":
				got = s.Total.Params
			case "body":
				got = s.Part(PartBackbone).Params + s.Part(PartNorm).Params
			}
			if got != want {
				t.Errorf("%s: %s has %d parameters, want %d", tt.name, name, got, want)
			}
		}
	}
	s := summarize(t, with(func(c *Config) { c.Norm = "batch" }), 64, 64)
	if heads := s.Part(PartClass).Params + s.Part(PartBox).Params; heads != 6_463_220 {
		t.Errorf("both heads: %d, want 6463220: one set of weights for five levels", heads)
	}
	if b := summarize(t, paper(), 64, 64).Part(PartNorm).Buffers; b != 2*53_120 {
		t.Errorf("frozen norm: %d constants, want weight, bias, mean and variance of 26560 channels", b)
	}
}

func TestTrainableCounts(t *testing.T) {
	tests := []struct {
		name   string
		norm   string
		depth  int
		freeze int
		want   int64
	}{
		{"norm affine trained, stem and stage 1 frozen", "batch", 50, 2, 37_743_348},
		{"all norms frozen, stem and stage 1 frozen", "frozen", 50, 2, 37_693_172},
		{"the same, R101", "batch", 101, 2, 56_735_476},
		{"the same, R101", "frozen", 101, 2, 56_633_076},
		{"nothing frozen", "batch", 50, 0, 37_968_692},
		{"stem frozen: 9408 weights, 64 norm weights and biases", "batch", 50, 1, 37_968_692 - 9408 - 128},
		{"whole backbone frozen", "batch", 50, 5, 37_968_692 - 23_454_912 - 53_120},
	}
	for _, tt := range tests {
		c := with(func(c *Config) { c.Norm, c.Depth, c.FreezeStages = tt.norm, tt.depth, tt.freeze })
		if got := summarize(t, c, 64, 64).Total.Trainable; got != tt.want {
			t.Errorf("%s: %d trainable, want %d", tt.name, got, tt.want)
		}
	}
}

// In units of 1e9, batch 1, K 80 unless said; the 800×800 rows are the figures
// in torchvision's list of weights.
func TestMACs(t *testing.T) {
	r101 := func(c *Config) { c.Depth = 101 }
	tests := []struct {
		h, w  int
		cfg   Config
		want  float64
		parts [3]float64 // backbone, pyramid, heads
		tol   float64
	}{
		{600, 1000, paper(), 141.07, [3]float64{49.57, 10.25, 81.25}, .0051},
		{800, 1280, paper(), 238.54, [3]float64{83.41, 17.32, 137.80}, .0051},
		{800, 1333, paper(), 249.52, [3]float64{87.33, 18.12, 144.07}, .0051},
		{640, 640, paper(), 95.35, [3]float64{33.36, 6.91, 55.08}, .0051},
		{600, 1000, with(r101), 186.42, [3]float64{}, .0051},
		{800, 1280, with(r101), 314.30, [3]float64{}, .0051},
		{800, 1333, with(r101), 329.07, [3]float64{}, .0051},
		{640, 640, with(r101), 125.65, [3]float64{}, .0051},
		{800, 800, with(func(c *Config) { c.Classes, c.P6 = 91, "p5" }), 151.540, [3]float64{}, .00051},
		{800, 800, with(func(c *Config) { c.Classes, c.Settings["head_norm"] = 91, "group" }), 152.238, [3]float64{}, .00051},
	}
	for _, tt := range tests {
		s := summarize(t, tt.cfg, tt.h, tt.w)
		near := func(what string, got int64, want float64) {
			if g := float64(got) / 1e9; math.Abs(g-want) > tt.tol {
				t.Errorf("R%d %d×%d: %s %.4f G, want %v", tt.cfg.Depth, tt.h, tt.w, what, g, want)
			}
		}
		near("total", s.Total.MACs, tt.want)
		if tt.parts[0] != 0 {
			near("backbone", s.Part(PartBackbone).MACs, tt.parts[0])
			near("pyramid", s.Part(PartFPN).MACs+s.Part(PartP6).MACs+s.Part(PartP7).MACs, tt.parts[1])
			near("heads", s.Part(PartClass).MACs+s.Part(PartBox).MACs, tt.parts[2])
		}
	}
}

// slim is the small reference network: RetinaNet-18 of quarter width.
func slim(p6 string) Config {
	return with(func(c *Config) {
		c.Depth, c.Width, c.FPN, c.Classes, c.P6, c.FreezeStages = 18, .25, 32, 4, p6, 0
		c.Anchors.Round = "torchvision"
	})
}

func build(t *testing.T, c Config, n, h, w int, train bool) (*engine.Graph, Outputs) {
	t.Helper()
	var out Outputs
	g, err := engine.Build(func(g *engine.Graph) error {
		out = Network(g, c, g.Input("image", n, 3, h, w), train)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return g, out
}

// tensors lists parameters and buffers with their shapes.
func tensors(g *engine.Graph) map[string][]int {
	m := map[string][]int{}
	for _, n := range g.Nodes() {
		if n.Op == engine.OpParam || n.Op == engine.OpBuffer {
			m[n.Name] = n.Shape
		}
	}
	return m
}

// The lists in testdata were read from weights that torchvision saved.
func TestTensorNamesAreTorchvisions(t *testing.T) {
	for _, p6 := range []string{"c5", "p5"} {
		f, err := os.Open("testdata/names_p6_from_" + p6 + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		want := map[string][]int{}
		for s := bufio.NewScanner(f); s.Scan(); {
			fields := strings.Fields(s.Text())
			for _, d := range fields[1:] {
				v, err := strconv.Atoi(d)
				if err != nil {
					t.Fatal(err)
				}
				want[fields[0]] = append(want[fields[0]], v)
			}
		}
		if len(want) != 136 {
			t.Fatalf("P6 from %s: %d names in the list, want 136", p6, len(want))
		}
		g, _ := build(t, slim(p6), 2, 128, 128, true)
		got := tensors(g)
		for name, shape := range want {
			if !slices.Equal(got[name], shape) {
				t.Errorf("P6 from %s: %s is %v, want %v", p6, name, got[name], shape)
			}
		}
		for name := range got {
			if want[name] == nil {
				t.Errorf("P6 from %s: %s is not in torchvision's network", p6, name)
			}
		}
	}
}

func TestRetinaNetShapes(t *testing.T) {
	for _, depth := range []int{18, 34, 50, 101, 152} {
		for _, norm := range []string{"frozen", "batch", "group"} {
			c := with(func(c *Config) {
				c.Depth, c.Norm, c.Settings["head_norm"], c.Width, c.FPN, c.Classes = depth, norm, norm, .25, 16, 5
				if norm == "frozen" {
					c.Settings["head_norm"] = "none"
				}
				c.Anchors.Scales = 2
			})
			g, out := build(t, c, 2, 97, 130, true)
			name := fmt.Sprintf("R%d %s", depth, norm)
			a := c.Anchors.count(97, 130)
			priors, err := c.Priors(97, 130)
			if err != nil || len(priors.Boxes) != a {
				t.Errorf("%s: %d boxes, %v; want %d anchors", name, len(priors.Boxes), err, a)
			}
			if p := out.Predictions; len(p) != 2 || p[0].Name != "class" || p[0].Size != 5 || p[1].Name != "box" || p[1].Size != 4 {
				t.Errorf("%s: predictions %+v, want class and box", name, p)
			}
			for _, p := range out.Predictions {
				if g.Node(p.Name) != p.Node || !slices.Equal(p.Node.Shape, []int{2, a, p.Size}) {
					t.Errorf("%s: %s is %v, not found by name or not of %d anchors", name, p.Name, p.Node.Shape, a)
				}
			}
			for i, l := range c.Anchors.Levels(97, 130) {
				if f := out.Features[i]; f.Name != l.Name || !slices.Equal(f.Shape, []int{2, 16, l.H, l.W}) {
					t.Errorf("%s: feature %s %v, want %s of %d×%d", name, f.Name, f.Shape, l.Name, l.H, l.W)
				}
			}
			expansion := 1
			if depth >= 50 {
				expansion = 4
			}
			for i, n := range out.Body {
				if n.Shape[1] != (16<<i)*expansion {
					t.Errorf("%s: C%d has %d channels, want %d", name, i+2, n.Shape[1], (16<<i)*expansion)
				}
			}
		}
	}
}

// The stride of a bottleneck is in its 3×3, and P6 hangs where the settings say.
func TestWiring(t *testing.T) {
	g, out := build(t, paper(), 1, 64, 64, false)
	user := func(weight string) *engine.Node {
		for _, n := range g.Nodes() {
			if n.Op == engine.OpConv2D && n.In[1].Name == weight {
				return n
			}
		}
		t.Fatalf("no convolution by %s", weight)
		return nil
	}
	for name, stride := range map[string]int{
		"conv1": 2, "layer1.0.conv2": 1, "layer2.0.conv1": 1, "layer2.0.conv2": 2, "layer2.0.conv3": 1, "layer2.0.downsample.0": 2,
		"layer2.1.conv2": 1, "layer1.0.downsample.0": 1,
	} {
		if n := user("backbone.body." + name + ".weight"); n.Attr.Stride != stride {
			t.Errorf("%s has stride %d, want %d", name, n.Attr.Stride, stride)
		}
	}
	if g.Node("backbone.body.layer1.1.downsample.0.weight") != nil {
		t.Error("a block that keeps its shape has a projection")
	}
	if out.Features[3].In[0] != out.Body[3] {
		t.Error("P6 is not a convolution of C5")
	}
	if r := out.Features[4].In[0]; r.Op != engine.OpReLU || r.In[0] != out.Features[3] {
		t.Error("P7 is not a convolution of ReLU(P6)")
	}
	_, out = build(t, with(func(c *Config) { c.P6 = "p5" }), 1, 64, 64, false)
	if out.Features[3].In[0] != out.Features[2] {
		t.Error("P6 is not a convolution of P5")
	}
	for _, c := range out.Body {
		if !c.Attr.ReLU || !c.Attr.Residual {
			t.Error("a block does not end with shortcut and ReLU in its norm")
		}
	}
}

func TestTrainingOfNorms(t *testing.T) {
	c := with(func(c *Config) {
		c.Norm, c.Settings["head_norm"], c.FreezeStages, c.Width, c.FPN = "batch", "batch", 2, .25, 16
	})
	for _, train := range []bool{true, false} {
		g, _ := build(t, c, 2, 64, 64, train)
		if train {
			for _, name := range []string{"head.classification_head.conv.2.1.running_mean.p5", "head.regression_head.conv.0.1.running_var.p3"} {
				if g.Node(name) == nil {
					t.Errorf("no tensor %s", name)
				}
			}
		}
		for _, n := range g.Nodes() {
			if n.Op != engine.OpBatchNorm {
				continue
			}
			weight := n.In[1].Name
			frozen := strings.HasPrefix(weight, "backbone.body.bn1.") || strings.HasPrefix(weight, "backbone.body.layer1.")
			if n.In[1].Attr.Trainable == frozen {
				t.Errorf("%s: trainable %v, frozen %v", weight, n.In[1].Attr.Trainable, frozen)
			}
			if n.Attr.Train != (train && !frozen) {
				t.Errorf("%s: statistics of the batch %v in training %v, frozen %v", weight, n.Attr.Train, train, frozen)
			}
		}
	}
}

func TestInitialisation(t *testing.T) {
	kaiming := with(func(c *Config) { c.Settings["head_init"], c.Settings["prior"] = "kaiming", nil })
	tests := []struct {
		cfg  Config
		name string
		want engine.Init
	}{
		{paper(), "backbone.body.conv1.weight", engine.Normal(math.Sqrt(2. / (64 * 49)))},
		{paper(), "backbone.body.layer4.2.conv3.weight", engine.Normal(math.Sqrt(2. / 2048))},
		{paper(), "backbone.body.bn1.weight", engine.Constant(1)},
		{paper(), "backbone.body.bn1.running_var", engine.Constant(1)},
		{paper(), "backbone.body.bn1.running_mean", engine.Constant(0)},
		{paper(), "backbone.fpn.inner_blocks.2.0.weight", engine.Uniform(math.Sqrt(3. / 2048))},
		{paper(), "backbone.fpn.extra_blocks.p7.weight", engine.Uniform(math.Sqrt(3. / (9 * 256)))},
		{paper(), "backbone.fpn.layer_blocks.0.0.bias", engine.Constant(0)},
		{paper(), "head.classification_head.conv.3.0.weight", engine.Normal(.01)},
		{paper(), "head.regression_head.bbox_reg.weight", engine.Normal(.01)},
		{paper(), "head.regression_head.bbox_reg.bias", engine.Constant(0)},
		{paper(), "head.classification_head.cls_logits.bias", engine.Constant(-4.59511985013459)}, // -log 99
		{kaiming, "head.classification_head.conv.0.0.weight", engine.Normal(math.Sqrt(2. / (9 * 256)))},
		{kaiming, "head.classification_head.cls_logits.weight", engine.Normal(.01)},
		{kaiming, "head.classification_head.cls_logits.bias", engine.Constant(0)},
	}
	for _, tt := range tests {
		g, _ := build(t, tt.cfg, 1, 64, 64, true)
		n := g.Node(tt.name)
		if n == nil {
			t.Errorf("no tensor %s", tt.name)
			continue
		}
		if got := n.Attr.Init; got.Kind != tt.want.Kind || math.Abs(got.Value-tt.want.Value) > 1e-14 {
			t.Errorf("%s starts as %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// A pretrained body goes into a detector as it is.
func TestClassifierSharesTheBody(t *testing.T) {
	cfg := slim("c5")
	cfg.Norm = "batch"
	var logits *engine.Node
	g, err := engine.Build(func(g *engine.Graph) error {
		logits = Classifier(g, cfg, g.Input("image", 4, 3, 64, 64), 9, true)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if logits.Name != "logits" || !slices.Equal(logits.Shape, []int{4, 9, 1, 1}) {
		t.Errorf("%s %v, want logits [4 9 1 1]", logits.Name, logits.Shape)
	}
	want := map[string][]int{"fc.weight": {9, 128, 1, 1}, "fc.bias": {9}}
	detector, _ := build(t, slim("c5"), 2, 128, 128, true)
	for name, shape := range tensors(detector) {
		if strings.HasPrefix(name, "backbone.body.") {
			want[name] = shape
		}
	}
	if got := tensors(g); !reflect.DeepEqual(got, want) {
		t.Errorf("tensors %v\nwant %v", got, want)
	}
}

// values are the settings that give the paper's network.
func values() setting.Values {
	return setting.Values{
		"depth": 50, "width": 1., "norm": "frozen", "freeze_stages": 2, "fpn": 256, "p6": "c5",
		"head": "retinanet", "head_norm": "none", "group_channels": 8, "head_init": "gaussian", "prior": .01,
		"base": 4., "scales": 3, "ratios": []float64{.5, 1, 2}, "offset": 0., "round": "none",
	}
}

func TestNew(t *testing.T) {
	if got := New(values(), values(), 80); !reflect.DeepEqual(got, paper()) {
		t.Errorf("got %+v, want %+v", got, paper())
	}
}

func TestParams(t *testing.T) {
	for _, tt := range []struct {
		params []setting.Param
		edit   setting.Values
		want   string
	}{
		{Params, setting.Values{"depth": 20}, "is 20, must be one of 18, 34, 50, 101, 152"},
		{Params, setting.Values{"width": math.NaN()}, "is NaN, must be from 0.015625 to 4"},
		{Params, setting.Values{"norm": "bn"}, `is "bn", must be one of batch, frozen, group`},
		{Params, setting.Values{"freeze_stages": 6}, "is 6, must be from 0 to 5"},
		{Params, setting.Values{"fpn": 0}, "is 0, must be from 1 to 4096"},
		{Params, setting.Values{"p6": "C5"}, `is "C5", must be one of c5, p5`},
		{Params, setting.Values{"head": "fcoz"}, `is "fcoz", must be one of ` + strings.Join(slices.Sorted(maps.Keys(heads)), ", ")},
		{retinaNet.Params, setting.Values{"head_norm": ""}, `is "", must be one of batch, group, none`},
		{[]setting.Param{headGroups}, setting.Values{"group_channels": 0}, "is 0, must be from 1 to 4096"},
		{[]setting.Param{headGroups}, setting.Values{"group_channels": 8, "fpn": 20}, "is 8, must divide fpn, 20, beside head_norm group"},
		{[]setting.Param{headGroups}, setting.Values{"group_channels": 8}, ""},
		{[]setting.Param{bodyGroups}, setting.Values{"group_channels": 8, "width": .1},
			"is 8, must divide the channels of all stages, which are [8 12 25 51] at width 0.1, beside norm group"},
		{[]setting.Param{bodyGroups}, setting.Values{"group_channels": 8}, ""},
		{retinaNet.Params, setting.Values{"head_init": "he"}, `is "he", must be one of gaussian, kaiming`},
		{retinaNet.Params, setting.Values{"prior": 1.}, "is 1, must be above 0 and below 1, or none"},
		{retinaNet.Params, setting.Values{"prior": nil}, ""},
		{AnchorParams, setting.Values{"base": 0.}, "is 0, must be from 0.01 to 1000"},
		{AnchorParams, setting.Values{"scales": 0}, "is 0, must be from 1 to 64"},
		{AnchorParams, setting.Values{"ratios": []float64{}}, "is [], must be 1 to 64 numbers from 0.01 to 100"},
		{AnchorParams, setting.Values{"ratios": []float64{1, -2}}, "is [1,-2], must be 1 to 64 numbers from 0.01 to 100"},
		{AnchorParams, setting.Values{"offset": .25}, "is 0.25, must be one of 0, 0.5"},
		{AnchorParams, setting.Values{"round": "int"}, `is "int", must be one of none, torchvision`},
	} {
		v := values()
		maps.Copy(v, tt.edit)
		var errs []error
		for _, p := range tt.params {
			if err := p.Judge(v[p.Name]); err != nil {
				errs = append(errs, err)
			} else if err := p.JudgeGroup(v); err != nil {
				errs = append(errs, err)
			}
		}
		if err := errors.Join(errs...); err == nil && tt.want != "" || err != nil && err.Error() != tt.want {
			t.Errorf("%v: error %v, want %q", tt.edit, err, tt.want)
		}
	}
	for _, classes := range []int{0, 1<<16 + 1} {
		_, err := engine.Build(func(g *engine.Graph) error {
			Network(g, with(func(c *Config) { c.Classes = classes }), g.Input("image", 1, 3, 64, 64), false)
			return nil
		})
		var shape *engine.ShapeError
		if !errors.As(err, &shape) || !strings.Contains(err.Error(), "classes; must be 1 to 65536") {
			t.Errorf("%d classes: %v", classes, err)
		}
	}
}

func TestBuildersRefuseWrongImages(t *testing.T) {
	for _, shape := range [][]int{{3, 64, 64}, {1, 1, 64, 64}} {
		for name, f := range map[string]func(g *engine.Graph, image *engine.Node){
			"retinanet":  func(g *engine.Graph, image *engine.Node) { Network(g, paper(), image, false) },
			"classifier": func(g *engine.Graph, image *engine.Node) { Classifier(g, paper(), image, 9, false) },
		} {
			_, err := engine.Build(func(g *engine.Graph) error { f(g, g.Input("image", shape...)); return nil })
			if err == nil || !strings.Contains(err.Error(), "the image must be [N,3,H,W]") {
				t.Errorf("%s over %v: %v", name, shape, err)
			}
		}
	}
	_, err := engine.Build(func(g *engine.Graph) error {
		Classifier(g, paper(), g.Input("image", 1, 3, 64, 64), 0, false)
		return nil
	})
	if err == nil {
		t.Error("a classifier of no classes was built")
	}
	for _, side := range []int{0, -1, maxSide + 1} {
		if _, err := Summarize(paper(), side, 64); err == nil {
			t.Errorf("summary of an image %d high: no error", side)
		}
		if _, err := Describe(paper(), 64, side); err == nil {
			t.Errorf("description of an image %d wide: no error", side)
		}
	}
}

// golden compares with testdata/name; FOCALGRID_UPDATE=1 writes it anew.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := "testdata/" + name
	if os.Getenv("FOCALGRID_UPDATE") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got\n%s", path, got)
	}
}

func TestText(t *testing.T) {
	golden(t, "summary_r50.golden", summarize(t, paper(), 600, 1000).String())
	text, err := Describe(paper(), 600, 1000)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "describe_r50.golden", text)
	mini := slim("p5")
	mini.Settings["head_norm"], mini.Settings["prior"], mini.Norm = "group", nil, "batch"
	if text, err = Describe(mini, 128, 128); err != nil {
		t.Fatal(err)
	}
	golden(t, "describe_slim.golden", text)
}
