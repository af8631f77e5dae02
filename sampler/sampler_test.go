package sampler

import (
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"focalgrid/box"
	"focalgrid/setting"
)

// priorsOf are anchors of one level.
func priorsOf(anchors [][4]float32) *Priors {
	return NewPriors(box.Priors{Boxes: anchors, Levels: []int{len(anchors)}})
}

func newSampler(t testing.TB, c Config, anchors [][4]float32, classes int) *Sampler {
	t.Helper()
	s, err := NewSampler(c, priorsOf(anchors), classes)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func targets(t testing.TB, a *Sampler, images []Objects, logits, deltas []float32) Targets {
	t.Helper()
	m, err := a.Match(images)
	if err != nil {
		t.Fatal(err)
	}
	out, err := bothForms(a, m, box.Predicted{"class": logits, "box": deltas})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Five anchors: the first two fit the object at (0,0), the third is in the
// ignored band with it, the fourth is far away, the fifth fits the second object.
var (
	fiveAnchors = [][4]float32{{0, 0, 10, 10}, {0, 0, 10, 8}, {0, 0, 10, 4.5}, {50, 50, 60, 60}, {20, 0, 30, 10}}
	twoObjects  = Objects{Boxes: [][4]float32{{0, 0, 10, 10}, {20, 0, 30, 20}}, Labels: []int32{2, 0}}
)

func TestTargetsByHand(t *testing.T) {
	c := paperConfig()
	c.BoxWeight = 3
	got := targets(t, newSampler(t, c, fiveAnchors, 3), []Objects{twoObjects, {}}, nil, nil)
	third := float32(1. / 3)
	want := Targets{
		Labels:      []float32{2, 2, Ignored, Background, 0, -1, -1, -1, -1, -1},
		ClassWeight: []float32{third, third, 0, third, third, third, third, third, third, third},
		BoxWeight:   []float32{1, 1, 0, 0, 1, 0, 0, 0, 0, 0},
		Positives:   3, Ignored: 1, Selected: 9,
	}
	if !slices.Equal(got.Labels, want.Labels) {
		t.Errorf("labels %v, want %v", got.Labels, want.Labels)
	}
	if !slices.Equal(got.ClassWeight, want.ClassWeight) {
		t.Errorf("class weights %v, want %v", got.ClassWeight, want.ClassWeight)
	}
	if !slices.Equal(got.BoxWeight, want.BoxWeight) {
		t.Errorf("box weights %v, want %v", got.BoxWeight, want.BoxWeight)
	}
	if got.Positives != 3 || got.Ignored != 1 || got.Selected != 9 {
		t.Errorf("positives %d, ignored %d, selected %d, want 3, 1, 9", got.Positives, got.Ignored, got.Selected)
	}
	for at, want := range map[int][4]float32{
		0: {}, 3: {}, 7: {},
		1: box.Deltas[float32]{}.Encode(fiveAnchors[1], twoObjects.Boxes[0]),
		4: {0, .5, 0, float32(math.Log(2))},
	} {
		if d := [4]float32(got.BoxTarget[4*at : 4*at+4]); d != want {
			t.Errorf("deltas of anchor %d: %v, want %v", at, d, want)
		}
	}

	c.BoxTarget = "boxes"
	got = targets(t, newSampler(t, c, fiveAnchors, 3), []Objects{twoObjects}, nil, nil)
	for at, want := range [][4]float32{twoObjects.Boxes[0], twoObjects.Boxes[0], fiveAnchors[2], fiveAnchors[3], twoObjects.Boxes[1]} {
		if b := [4]float32(got.BoxTarget[4*at : 4*at+4]); b != want {
			t.Errorf("target box of anchor %d: %v, want %v", at, b, want)
		}
	}
}

// Positives of the images are 3, 0 and 1.
func TestNormalisers(t *testing.T) {
	images := []Objects{twoObjects, {}, {Boxes: twoObjects.Boxes[1:], Labels: []int32{1}}}
	tests := []struct {
		normaliser string
		want       [3]float64 // divisor of each image, first step
		second     [3]float64
	}{
		{"batch", [3]float64{4, 4, 4}, [3]float64{4, 4, 4}},
		{"image", [3]float64{9, 3, 3}, [3]float64{9, 3, 3}},
		{"ema", [3]float64{90.4, 90.4, 90.4}, [3]float64{81.76, 81.76, 81.76}}, // .9·100 + .1·4, then .9·90.4 + .1·4
	}
	for _, tt := range tests {
		c := paperConfig()
		c.Normaliser = tt.normaliser
		a := newSampler(t, c, fiveAnchors, 3)
		for step, want := range [][3]float64{tt.want, tt.second} {
			got := targets(t, a, images, nil, nil)
			for i := range images {
				if w := got.ClassWeight[5*i+4]; math.Abs(float64(w)*want[i]-1) > 1e-6 {
					t.Errorf("%s, step %d, image %d: weight %g, want 1/%g", tt.normaliser, step, i, w, want[i])
				}
			}
			if w := got.BoxWeight[0]; w != got.ClassWeight[0] {
				t.Errorf("%s: box weight %g, class weight %g", tt.normaliser, w, got.ClassWeight[0])
			}
		}
		if tt.normaliser == "ema" && math.Abs(a.Running-81.76) > 1e-9 {
			t.Errorf("running mean %g, want 81.76", a.Running)
		}
	}
}

// A running mean put back, as from a checkpoint, continues as if nothing had happened.
func TestRunningMeanContinues(t *testing.T) {
	c := paperConfig()
	c.Normaliser = "ema"
	a, b := newSampler(t, c, fiveAnchors, 3), newSampler(t, c, fiveAnchors, 3)
	for range 3 {
		targets(t, a, []Objects{twoObjects}, nil, nil)
	}
	b.Running = a.Running
	x := slices.Clone(targets(t, a, []Objects{{}}, nil, nil).ClassWeight)
	if y := targets(t, b, []Objects{{}}, nil, nil).ClassWeight; !slices.Equal(x, y) {
		t.Errorf("%v, continued %v", x, y)
	}
}

func TestZeroPositives(t *testing.T) {
	for _, normaliser := range []string{"batch", "image"} {
		c := paperConfig()
		c.Normaliser = normaliser
		got := targets(t, newSampler(t, c, fiveAnchors, 3), []Objects{{}}, nil, nil)
		for at := range fiveAnchors {
			if got.ClassWeight[at] != 1 || got.BoxWeight[at] != 0 || got.Labels[at] != Background {
				t.Errorf("%s, anchor %d: label %g, weights %g and %g, want background, 1 and 0",
					normaliser, at, got.Labels[at], got.ClassWeight[at], got.BoxWeight[at])
			}
		}
	}
}

// Every image twice leaves the normalised loss as it is: each anchor's weights halve.
func TestDoublingTheBatch(t *testing.T) {
	for _, normaliser := range []string{"batch", "image"} {
		for miner := range miners {
			c := mining(miner)
			c.Normaliser = normaliser
			anchors := grid(96, 96)
			images := []Objects{randomObjects(1, 8, 96, 96, 4), randomObjects(2, 9, 96, 96, 4)}
			logits, deltas := randomPredictions(3, len(images)*len(anchors), 4)
			// An image without positives would have the divisor 1 in both.
			if p := targets(t, newSampler(t, paperConfig(), anchors, 4), images[1:], nil, nil).Positives; p == 0 {
				t.Fatal("the scene has an image without positives")
			}
			one := targets(t, newSampler(t, c, anchors, 4), images, logits, deltas)
			two := targets(t, newSampler(t, c, anchors, 4), slices.Repeat(images, 2), slices.Repeat(logits, 2), slices.Repeat(deltas, 2))
			for at := range two.ClassWeight {
				k := at % len(one.ClassWeight)
				if 2*two.ClassWeight[at] != one.ClassWeight[k] || 2*two.BoxWeight[at] != one.BoxWeight[k] {
					t.Fatalf("%s, %s, anchor %d: weights %g and %g, doubled batch %g and %g", normaliser, miner, k,
						one.ClassWeight[k], one.BoxWeight[k], two.ClassWeight[at], two.BoxWeight[at])
				}
			}
		}
	}
}

func randomPredictions(seed uint64, anchors, classes int) (logits, deltas []float32) {
	r := rand.New(rand.NewPCG(seed, 2))
	for range anchors * classes {
		logits = append(logits, float32(r.NormFloat64()*2-3))
	}
	for range anchors * 4 {
		deltas = append(deltas, float32(r.NormFloat64()*.2))
	}
	return logits, deltas
}

func TestErrors(t *testing.T) {
	if _, err := NewSampler(paperConfig(), priorsOf(nil), 3); err == nil || !strings.Contains(err.Error(), "0 priors and 3 classes") {
		t.Errorf("no anchors: %v", err)
	}
	if _, err := NewSampler(paperConfig(), priorsOf([][4]float32{{0, 0, 0, 4}}), 3); err == nil || !strings.Contains(err.Error(), "prior 0, [0 0 0 4]") {
		t.Errorf("anchor without area: %v", err)
	}
	a := newSampler(t, paperConfig(), fiveAnchors, 3)
	nan := float32(math.NaN())
	for _, tt := range []struct {
		image Objects
		want  string
	}{
		{Objects{Boxes: [][4]float32{{0, 0, 1, 1}}}, "image 1 of the batch: 1 boxes and 0 labels"},
		{Objects{Boxes: [][4]float32{{0, 0, 1, 1}}, Labels: []int32{3}}, "image 1 of the batch, object 0: class 3 is not in 0..2"},
		{Objects{Boxes: [][4]float32{{0, 0, 1, 1}}, Labels: []int32{-1}}, "class -1 is not in 0..2"},
		{Objects{Boxes: [][4]float32{{0, 0, 0, 1}}, Labels: []int32{0}}, "object 0: box [0 0 0 1]: want finite x1 < x2"},
		{Objects{Boxes: [][4]float32{{0, 0, nan, 1}}, Labels: []int32{0}}, "object 0: box [0 0 NaN 1]: want finite"},
	} {
		if _, err := a.Match([]Objects{{}, tt.image}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, want one with %q", err, tt.want)
		}
	}
	if _, err := a.Targets(Matched{}, nil); err == nil || !strings.Contains(err.Error(), "at least one image") {
		t.Errorf("no images: %v", err)
	}

	c := paperConfig()
	c.Miner = SSD{Ratio: 3, MinNegatives: 3}
	a = newSampler(t, c, fiveAnchors, 3)
	m, err := a.Match([]Objects{twoObjects})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Targets(m, nil); !errors.Is(err, ErrPredictions) {
		t.Errorf("ssd without predictions: %v", err)
	}
	if _, err := a.Targets(m, box.Predicted{"class": make([]float32, 4), "box": make([]float32, 20)}); err == nil || !strings.Contains(err.Error(), "prediction class has 4 values; want 15 (5 priors of 3)") {
		t.Errorf("too few logits: %v", err)
	}
}

// values are the settings that give the paper's configuration.
func values() setting.Values {
	return setting.Values{
		"assigner": "iou", "positive": .5, "negative": .4, "force": "none", "normalizer": "batch",
		"type": "all", "ratio": 3., "min_negatives": 3,
		"batch": 128, "nms": .5, "scope": "image", "score": "class", "score_beta": .11, "nms_on": "decoded", "nms_class": "agnostic",
		"nms_groups": "auto", "preselect": 10000, "fill": false, "class_count": "selected", "box_loss": "selected", "box_count": "positives",
	}
}

// paperConfig is the paper's assignment (§4, §4.1), all anchors counting.
func paperConfig() Config { return New(values(), box.Deltas[float32]{}, "deltas", 1) }

// mining is the paper's assignment with that miner: 3:1 for SSD, and for OHEM the best row of Table 1d (batch 128,
// NMS .5).
func mining(miner string) Config {
	v := values()
	if v["type"] = miner; miner == "ohem" {
		v["ratio"] = 0.
	}
	return New(v, box.Deltas[float32]{}, "deltas", 1)
}

// A sampler has its miner's settings, and asks for predictions where it mines.
func TestNew(t *testing.T) {
	for name, want := range map[string]Miner{"all": nil, "ssd": SSD{Ratio: 3, MinNegatives: 3}, "ohem": newOHEM(values())} {
		v := values()
		v["type"] = name
		c := New(v, box.Deltas[float32]{}, "boxes", 2)
		if c.Miner != want || c.Assigner != paperIoU || c.BoxTarget != "boxes" || c.BoxWeight != 2 {
			t.Errorf("%s: %+v", name, c)
		}
		if c.NeedsPredictions() != (want != nil) {
			t.Errorf("%s: NeedsPredictions is %t", name, c.NeedsPredictions())
		}
	}
}

// best is an assigner that reads predictions: the prior with the largest logit of an object's class learns it.
type best struct{}

func (best) NeedsPredictions() bool { return true }

func (best) Assign(p *Priors, o Objects, predicted box.Predicted) (object []int32, quality []float32) {
	object, quality = make([]int32, len(p.Boxes)), make([]float32, len(p.Boxes))
	k := len(predicted["class"]) / len(p.Boxes)
	for i := range object {
		object[i] = Background
	}
	for j, label := range o.Labels {
		at := 0
		for i := range object {
			if predicted["class"][i*k+int(label)] > predicted["class"][at*k+int(label)] {
				at = i
			}
		}
		object[at], quality[at] = int32(j), predicted["class"][at*k+int(label)]
	}
	return object, quality
}

// An assigner may read the predictions of its image, and say how well a prior fits.
func TestAssignByPredictions(t *testing.T) {
	c := paperConfig()
	c.Assigner = best{}
	s := newSampler(t, c, fiveAnchors, 1)
	image := Objects{Boxes: twoObjects.Boxes[:1], Labels: []int32{0}}
	logits := []float32{0, 1, 0, 0, 0, 0, 0, 0, 0, 2}
	got := targets(t, s, []Objects{image, image}, logits, make([]float32, 40))
	if want := []float32{-1, 0, -1, -1, -1, -1, -1, -1, -1, 0}; !slices.Equal(got.Labels, want) || got.Positives != 2 {
		t.Errorf("labels %v, want %v", got.Labels, want)
	}
	if want := []float32{0, 1, 0, 0, 0, 0, 0, 0, 0, 2}; !slices.Equal(got.ByName()["quality"], want) {
		t.Errorf("quality %v, want %v", got.Quality, want)
	}
	m, err := s.Match([]Objects{image})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Targets(m, nil); !errors.Is(err, ErrPredictions) {
		t.Errorf("without predictions: %v", err)
	}
}

func names[T any](kinds map[string]kind[T]) string {
	return strings.Join(slices.Sorted(maps.Keys(kinds)), ", ")
}

func TestParams(t *testing.T) {
	for _, tt := range []struct {
		params []setting.Param
		name   string
		value  any
		want   string
	}{
		{Params(), "type", "hard", `is "hard", must be one of ` + names(miners)},
		{Params(), "assigner", "uoi", `is "uoi", must be one of ` + names(assigners)},
		{Params(), "normalizer", "mean", `is "mean", must be one of batch, image, ema`},
		{iouParams, "positive", 0., "is 0, must be above 0 and at most 1"},
		{iouParams, "positive", 2., "is 2, must be above 0 and at most 1"},
		{iouParams, "negative", .5, ""},
		{iouParams, "negative", .6, "is 0.6, must be from 0 to 0.5, the value of positive"},
		{iouParams, "force", "yes", `is "yes", must be one of none, detectron2, torchvision`},
		{ssdParams, "ratio", 0., "is 0, must be from 0.01 to 1e+06"},
		{ssdParams, "min_negatives", -1, "is -1, must be from 0 to 1000000"},
		{ohemParams, "batch", 0, "is 0, must be from 1 to 1000000"},
		{ohemParams, "nms", 1.5, "is 1.5, must be from 0 to 1"},
		{ohemParams, "ratio", -3., "is -3, must be from 0"},
		{ohemParams, "score_beta", -3., "is -3, must be from 0"},
		{ohemParams, "preselect", -1, "is -1, must be from 0"},
		{ohemParams, "scope", "gpu", `is "gpu", must be one of image, batch`},
		{ohemParams, "score", "", `is "", must be one of class, class+box`},
		{ohemParams, "nms_on", "", `is "", must be one of decoded, anchors`},
		{ohemParams, "nms_class", "", `is "", must be one of agnostic, per_class`},
		{ohemParams, "nms_groups", "", `is "", must be one of auto, joint, separate`},
		{ohemParams, "class_count", "", `is "", must be one of selected, positives, batch`},
		{ohemParams, "class_count", "selected", ""},
		{ohemParams, "box_loss", "", `is "", must be one of selected, all`},
		{ohemParams, "box_count", "", `is "", must be one of positives, same`},
	} {
		v := values()
		v[tt.name] = tt.value
		p := tt.params[slices.IndexFunc(tt.params, func(p setting.Param) bool { return p.Name == tt.name })]
		err := p.Judge(tt.value)
		if err == nil {
			err = p.JudgeGroup(v)
		}
		if err == nil && tt.want != "" || err != nil && !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s %v: error %v, want %q", tt.name, tt.value, err, tt.want)
		}
	}
	v := values()
	v["normalizer"] = "ema"
	if err := checkClassCount(v); err == nil || !strings.HasPrefix(err.Error(), "must be positives beside normalizer ema") {
		t.Errorf("a count of selected beside a running mean of positives: %v", err)
	}
}

// After the first step no step allocates more than the few words that calls need.
func TestStepsReuseMemory(t *testing.T) {
	anchors := grid(64, 64)
	images := []Objects{randomObjects(1, 3, 64, 64, 4), randomObjects(2, 2, 64, 64, 4)}
	logits, deltas := randomPredictions(3, len(images)*len(anchors), 4)
	for miner := range miners {
		c := mining(miner)
		a := newSampler(t, c, anchors, 4)
		for form, of := range map[string]func(m Matched) error{
			"targets": func(m Matched) error {
				_, err := a.Targets(m, box.Predicted{"class": logits, "box": deltas})
				return err
			},
			"rows": func(m Matched) error {
				_, err := a.Rows(m, box.Predicted{"class": logits, "box": deltas}, 3)
				return err
			},
		} {
			step := func() {
				m, err := a.Match(images)
				if err == nil {
					err = of(m)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			step()
			if n := testing.AllocsPerRun(5, step); n > 20 {
				t.Errorf("%s, %s: %g allocations a step", miner, form, n)
			}
		}
	}
}

func TestCoresChangeNothing(t *testing.T) {
	anchors := grid(64, 64)
	var images []Objects
	for i := range 5 {
		images = append(images, randomObjects(uint64(i), i, 64, 64, 4))
	}
	logits, deltas := randomPredictions(3, len(images)*len(anchors), 4)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for miner := range miners {
		c := mining(miner)
		runtime.GOMAXPROCS(1)
		want := targets(t, newSampler(t, c, anchors, 4), images, logits, deltas)
		if want.Positives == 0 || want.Ignored == 0 {
			t.Fatalf("%d positives and %d ignored, want some of each", want.Positives, want.Ignored)
		}
		for _, cores := range []int{2, 3, 8} {
			runtime.GOMAXPROCS(cores)
			if got := targets(t, newSampler(t, c, anchors, 4), images, logits, deltas); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: targets on %d cores are not those on one", miner, cores)
			}
		}
	}
}

func BenchmarkStep(b *testing.B) {
	anchors := grid(128, 128)
	var images []Objects
	for i := range 16 {
		images = append(images, randomObjects(uint64(i), 3, 128, 128, 4))
	}
	logits, deltas := randomPredictions(3, len(images)*len(anchors), 4)
	for _, miner := range []string{"all", "ssd", "ohem"} {
		b.Run(miner, func(b *testing.B) {
			c := mining(miner)
			a := newSampler(b, c, anchors, 4)
			for b.Loop() {
				targets(b, a, images, logits, deltas)
			}
		})
	}
}
