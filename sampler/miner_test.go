package sampler

import (
	"cmp"
	"math"
	"slices"
	"testing"

	"focalgrid/box"

	"pgregory.net/rapid"
)

// Log Σ in blocks equals the sum of the terms, also for more classes than a block and far out.
func TestCrossEntropy(t *testing.T) {
	softplus := func(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }
	for _, classes := range []int{1, 4, 80, 512, 1300} {
		for _, label := range []int{Background, 0, classes - 1} {
			logits, want := make([]float32, classes), 0.0
			for k := range logits {
				logits[k] = float32(k*37%100)/10 - 5
				if k%50 == 3 {
					logits[k] *= 200
				}
				x := float64(logits[k])
				if k == label {
					x = -x
				}
				want += softplus(x)
			}
			if got := crossEntropy(logits, float32(label)); math.Abs(got-want) > 1e-12*want {
				t.Errorf("%d classes, label %d: %.15g, want %.15g", classes, label, got, want)
			}
		}
	}
}

func TestHardest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := make([]example, rapid.IntRange(0, 60).Draw(t, "n"))
		for i := range e {
			e[i] = example{float64(rapid.IntRange(0, 20).Draw(t, "loss")), i}
			if e[i].loss == 20 {
				e[i].loss = math.NaN()
			}
		}
		k := rapid.IntRange(0, 70).Draw(t, "k")
		want := slices.SortedFunc(slices.Values(e), byHardness)[:min(k, len(e))]
		got := hardest(e, k)
		for i := range want {
			if len(got) != len(want) || got[i].at != want[i].at {
				t.Fatalf("the %d hardest: %v, want %v", k, got, want)
			}
		}
	})
}

// scene is a row of anchors of which the first are positives, with one class and logits that set their order.
type scene struct {
	positives, ignored, background int
	losses                         []float64 // cross entropy of positives, then background
}

// build places anchors 20 apart, so that nothing overlaps.
func (s scene) build() (anchors [][4]float32, image Objects, logits, deltas []float32) {
	n := s.positives + s.ignored + s.background
	for i := range n {
		x := float32(20 * i)
		a := [4]float32{x, 0, x + 10, 10}
		anchors = append(anchors, a)
		switch {
		case i < s.positives:
			image.Boxes, image.Labels = append(image.Boxes, a), append(image.Labels, 0)
		case i < s.positives+s.ignored:
			image.Boxes, image.Labels = append(image.Boxes, [4]float32{x, 0, x + 10, 4.5}), append(image.Labels, 0)
		}
		logits = append(logits, 5) // an ignored anchor looks as hard as can be
	}
	for i, loss := range s.losses {
		x := math.Log(math.Expm1(loss)) // softplus(x) = loss
		at := i
		if i < s.positives {
			x = -x
		} else {
			at += s.ignored
		}
		logits[at] = float32(x)
	}
	return anchors, image, logits, make([]float32, 4*n)
}

func selected(t Targets) []int {
	out := []int{}
	for at, w := range t.ClassWeight {
		if w > 0 {
			out = append(out, at)
		}
	}
	return out
}

func TestSSDByHand(t *testing.T) {
	tests := []struct {
		name   string
		scene  scene
		ssd    SSD
		want   []int
		weight float32
	}{
		{"three negatives for the positive, the hardest; the ignored one never",
			scene{1, 1, 6, []float64{.1, 1, 5, 2, 3, .5, 4}}, SSD{Ratio: 3, MinNegatives: 3}, []int{0, 3, 5, 7}, 1},
		{"1:1", scene{2, 0, 4, []float64{.1, .1, 1, 4, 3, 2}}, SSD{Ratio: 1}, []int{0, 1, 3, 4}, .5},
		{"fewer negatives than wanted", scene{2, 0, 2, []float64{.1, .1, 1, 2}}, SSD{Ratio: 3, MinNegatives: 3}, []int{0, 1, 2, 3}, .5},
		{"no positives", scene{0, 0, 5, []float64{1, 5, 2, 3, 4}}, SSD{Ratio: 3, MinNegatives: 3}, []int{1, 3, 4}, 1},
		{"no positives, SSD's own rule", scene{0, 0, 5, []float64{1, 5, 2, 3, 4}}, SSD{Ratio: 3}, []int{}, 0},
		{"equal losses by index", scene{1, 0, 5, []float64{1, 2, 2, 2, 2, 2}}, SSD{Ratio: 3, MinNegatives: 3}, []int{0, 1, 2, 3}, 1},
	}
	for _, tt := range tests {
		anchors, image, logits, deltas := tt.scene.build()
		c := paperConfig()
		c.Miner = tt.ssd
		got := targets(t, newSampler(t, c, anchors, 1), []Objects{image}, logits, deltas)
		if s := selected(got); !slices.Equal(s, tt.want) || got.Selected != len(tt.want) {
			t.Errorf("%s: selected %v, want %v", tt.name, s, tt.want)
		}
		for _, at := range selected(got) {
			if got.ClassWeight[at] != tt.weight {
				t.Errorf("%s: weight %g, want %g (1/positives)", tt.name, got.ClassWeight[at], tt.weight)
			}
		}
		for at := range anchors {
			if learns := got.BoxWeight[at] > 0; learns != (at < tt.scene.positives) {
				t.Errorf("%s: box of anchor %d learnt: %t", tt.name, at, learns)
			}
		}
	}
}

func ohem(edit func(o *OHEM)) Config {
	c := mining("ohem")
	o := c.Miner.(OHEM)
	edit(&o)
	c.Miner = o
	return c
}

// Nothing overlaps here, so what counts is loss, batch and ratio.
func TestOHEMByHand(t *testing.T) {
	mixed := scene{2, 1, 6, []float64{.1, 3, 1, 6, 2, 5, .5, 4}} // anchors 0 1 | 2 ignored | 3..8
	tests := []struct {
		name  string
		scene scene
		edit  func(o *OHEM)
		want  []int
		boxes []int
	}{
		{"the four hardest, whatever they are", mixed, func(o *OHEM) { o.Batch = 4 }, []int{1, 4, 6, 8}, []int{1}},
		{"boxes of all positives", mixed, func(o *OHEM) { o.Batch = 4; o.BoxLoss = "all" }, []int{1, 4, 6, 8}, []int{0, 1}},
		{"more than there are", mixed, func(o *OHEM) { o.Batch = 100 }, []int{0, 1, 3, 4, 5, 6, 7, 8}, []int{0, 1}},
		{"1:3, one positive of a batch of four", mixed, func(o *OHEM) { o.Batch, o.Ratio = 4, 3 }, []int{1, 4, 6, 8}, []int{1}},
		{"1:3, two positives take six negatives of a batch of twelve", mixed, func(o *OHEM) { o.Batch, o.Ratio = 12, 3 },
			[]int{0, 1, 3, 4, 5, 6, 7, 8}, []int{0, 1}},
		{"1:1 keeps the ratio though the batch is larger", mixed, func(o *OHEM) { o.Batch, o.Ratio = 8, 1 }, []int{0, 1, 4, 6}, []int{0, 1}},
		{"1:1 filled up", mixed, func(o *OHEM) { o.Batch, o.Ratio, o.Fill = 6, 1, true }, []int{0, 1, 4, 5, 6, 8}, []int{0, 1}},
		{"1:3 without positives: the hardest negatives", scene{0, 0, 5, []float64{1, 5, 2, 3, 4}}, func(o *OHEM) { o.Batch, o.Ratio = 3, 3 }, []int{1, 3, 4}, []int{}},
		{"preselected two", mixed, func(o *OHEM) { o.Batch, o.Preselect = 4, 2 }, []int{4, 6}, []int{}},
		{"equal losses by index", scene{0, 0, 4, []float64{2, 2, 2, 2}}, func(o *OHEM) { o.Batch = 2 }, []int{0, 1}, []int{}},
	}
	for _, tt := range tests {
		anchors, image, logits, deltas := tt.scene.build()
		got := targets(t, newSampler(t, ohem(tt.edit), anchors, 1), []Objects{image}, logits, deltas)
		if s := selected(got); !slices.Equal(s, tt.want) || got.Selected != len(tt.want) {
			t.Errorf("%s: selected %v, want %v", tt.name, s, tt.want)
		}
		for at := range anchors {
			if learns := got.BoxWeight[at] > 0; learns != slices.Contains(tt.boxes, at) {
				t.Errorf("%s: box of anchor %d learnt: %t", tt.name, at, learns)
			}
		}
	}
}

func TestOHEMNormalisers(t *testing.T) {
	s := scene{2, 0, 6, []float64{.1, 3, 1, 6, 2, 5, .5, 4}}
	anchors, image, logits, deltas := s.build()
	images := []Objects{image, {}}
	logits, deltas = append(logits, logits...), append(deltas, deltas...)
	tests := []struct {
		name       string
		normaliser string
		edit       func(o *OHEM)
		class, box float64 // divisors of the first image
	}{
		{"selected", "batch", func(o *OHEM) {}, 8, 2},
		{"selected, image by image", "image", func(o *OHEM) {}, 8, 4},
		{"positives", "batch", func(o *OHEM) { o.ClassCount = "positives" }, 2, 2},
		{"positives, running mean", "ema", func(o *OHEM) { o.ClassCount = "positives" }, 90.2, 90.2},
		{"batch size", "batch", func(o *OHEM) { o.ClassCount = "batch" }, 8, 2},
		{"batch size shared by all images", "batch", func(o *OHEM) { o.ClassCount, o.Scope = "batch", "batch" }, 4, 2},
		{"same", "batch", func(o *OHEM) { o.BoxCount = "same" }, 8, 8},
	}
	for _, tt := range tests {
		c := ohem(func(o *OHEM) { o.Batch = 4; tt.edit(o) })
		c.Normaliser = tt.normaliser
		got := targets(t, newSampler(t, c, anchors, 1), images, logits, deltas)
		// Anchors 1 and 3 are among the four hardest of an image, and of both.
		if c, b := got.ClassWeight[3], got.BoxWeight[1]; math.Abs(float64(c)*tt.class-1) > 1e-6 || tt.name != "batch size shared by all images" && math.Abs(float64(b)*tt.box-1) > 1e-6 {
			t.Errorf("%s: weights %g and %g, want 1/%g and 1/%g", tt.name, c, b, tt.class, tt.box)
		}
	}
}

// With Scope "batch" one minibatch is drawn from all images.
func TestOHEMScope(t *testing.T) {
	s := scene{0, 0, 4, []float64{1, 2, 3, 4}}
	anchors, image, logits, deltas := s.build()
	harder := scene{0, 0, 4, []float64{5, 6, 3.5, .5}}
	_, _, more, _ := harder.build()
	images, logits, deltas := []Objects{image, image}, append(logits, more...), append(deltas, deltas...)
	for scope, want := range map[string][]int{"image": {2, 3, 4, 5}, "batch": {4, 5}} {
		c := ohem(func(o *OHEM) { o.Batch, o.Scope = 2, scope })
		if got := selected(targets(t, newSampler(t, c, anchors, 1), images, logits, deltas)); !slices.Equal(got, want) {
			t.Errorf("scope %s: %v, want %v", scope, got, want)
		}
	}
}

// Three anchors on one object and a negative beside: who suppresses whom.
func TestOHEMSuppression(t *testing.T) {
	anchors := [][4]float32{{0, 0, 10, 10}, {0, 0, 10, 9}, {0, 0, 10, 3.9}, {0, 0, 30, 30}}
	image := Objects{Boxes: [][4]float32{{0, 0, 10, 10}}, Labels: []int32{1}}
	// Losses: positives 1 > 0, negatives 3 > 2, and 3 the hardest of all.
	logits := []float32{0, 0, 0, -1, 2, 0, 0, 5}
	none := make([]float32, 16)
	// Decoded, the large negative lies on the first positive.
	onto := append(make([]float32, 12), 0, 0, 0, 0)
	d := box.Deltas[float32]{}.Encode(anchors[3], anchors[0])
	copy(onto[12:], d[:])
	tests := []struct {
		name   string
		edit   func(o *OHEM)
		deltas []float32
		want   []int
	}{
		{"on anchors: 1 drops 0 (IoU .9)", func(o *OHEM) { o.NMSOn = "anchors" }, onto, []int{1, 2, 3}},
		{"exactly at the threshold nothing goes", func(o *OHEM) { o.NMSOn = "anchors"; o.NMS = .9 }, onto, []int{0, 1, 2, 3}},
		{"on decoded boxes the negative drops both positives", func(o *OHEM) {}, onto, []int{2, 3}},
		{"without movement it is as on anchors", func(o *OHEM) {}, none, []int{1, 2, 3}},
		{"separate groups: a negative drops no positive", func(o *OHEM) { o.NMSGroups = "separate" }, onto, []int{1, 2, 3}},
		{"1:3 is separate by itself", func(o *OHEM) { o.Ratio = 3 }, onto, []int{1, 2, 3}},
		{"1:3 joint", func(o *OHEM) { o.Ratio = 3; o.NMSGroups = "joint" }, onto, []int{2, 3}},
		// Largest logits: anchor 0 class 0 (a tie), 1 class 0, 2 class 0, 3 class 1.
		{"per class the negative of class 1 drops nobody", func(o *OHEM) { o.NMSClass = "per_class" }, onto, []int{1, 2, 3}},
	}
	for _, tt := range tests {
		got := targets(t, newSampler(t, ohem(tt.edit), anchors, 2), []Objects{image}, logits, tt.deltas)
		if s := selected(got); !slices.Equal(s, tt.want) {
			t.Errorf("%s: selected %v, want %v", tt.name, s, tt.want)
		}
	}
}

// With the box loss in the score, a badly placed positive is the hardest.
func TestOHEMScore(t *testing.T) {
	s := scene{2, 0, 2, []float64{1, 1.5, 2, .5}}
	anchors, image, logits, deltas := s.build()
	deltas[0] = 2 // smooth L1 at beta 1/9: 2 - 1/18
	for score, want := range map[string][]int{"class": {2}, "class+box": {0}} {
		c := ohem(func(o *OHEM) { o.Batch, o.Score = 1, score })
		if got := selected(targets(t, newSampler(t, c, anchors, 1), []Objects{image}, logits, deltas)); !slices.Equal(got, want) {
			t.Errorf("score %s: %v, want %v", score, got, want)
		}
	}
	for _, tt := range []struct{ d, beta, want float64 }{{.5, 1, .125}, {-3, 1, 2.5}, {0, 0, 0}, {-2, 0, 2}} {
		if got := smoothL1(tt.d, tt.beta); got != tt.want {
			t.Errorf("smooth L1 of %g at beta %g: %g, want %g", tt.d, tt.beta, got, tt.want)
		}
	}
}

// Whatever the settings: at most Batch, never an ignored anchor, what is
// selected of one group does not overlap, the same again gives the same, and
// changing the predictions of ignored anchors changes nothing.
func TestOHEMProperties(t *testing.T) {
	anchors := grid(48, 48)
	const classes = 3
	pick := func(t *rapid.T, from ...string) string { return rapid.SampledFrom(from).Draw(t, "choice") }
	rapid.Check(t, func(t *rapid.T) {
		c := ohem(func(o *OHEM) {
			o.Batch = rapid.IntRange(1, 40).Draw(t, "batch")
			o.NMS = rapid.Float64Range(.3, .9).Draw(t, "nms")
			o.Ratio = float64(rapid.IntRange(0, 3).Draw(t, "ratio"))
			o.Scope, o.Score = pick(t, "image", "batch"), pick(t, "class", "class+box")
			o.NMSOn, o.NMSClass, o.NMSGroups = pick(t, "decoded", "anchors"), pick(t, "agnostic", "per_class"), pick(t, "auto", "joint", "separate")
			o.Preselect = rapid.IntRange(0, 100).Draw(t, "preselect")
			o.Fill = rapid.Bool().Draw(t, "fill")
		})
		o := c.Miner.(OHEM)
		seed := rapid.Uint64Range(0, 99).Draw(t, "seed")
		images := []Objects{randomObjects(seed, 3, 48, 48, classes), {}}
		logits, deltas := randomPredictions(seed, 2*len(anchors), classes)
		a, err := NewSampler(c, priorsOf(anchors), classes)
		if err != nil {
			t.Fatal(err)
		}
		m, err := a.Match(images)
		if err != nil {
			t.Fatal(err)
		}
		step := func() []int {
			got, err := a.Targets(m, box.Predicted{"class": logits, "box": deltas})
			if err != nil {
				t.Fatal(err)
			}
			return selected(got)
		}
		first := step()
		perImage, positives := []int{0, 0}, []int{0, 0}
		for _, at := range first {
			if m.Match[at] == Ignored {
				t.Fatalf("ignored anchor %d is selected", at)
			}
			perImage[at/len(anchors)]++
			if m.Match[at] >= 0 {
				positives[at/len(anchors)]++
			}
		}
		largest := slices.Max(perImage)
		if o.Scope == "batch" {
			largest = len(first)
		}
		if largest > o.Batch || largest == 0 {
			t.Fatalf("%d selected of a batch of %d", largest, o.Batch)
		}
		if r := o.Ratio; r > 0 && o.Scope == "image" && !o.Fill && positives[0] > 0 && float64(perImage[0]-positives[0]) > r*float64(positives[0]) {
			t.Fatalf("%d positives and %d negatives at 1:%g", positives[0], perImage[0]-positives[0], r)
		}
		if o.NMSOn == "anchors" && o.NMSClass == "agnostic" {
			for i, x := range first {
				for _, y := range first[:i] {
					if x/len(anchors) == y/len(anchors) && (m.Match[x] < 0) == (m.Match[y] < 0) {
						if iou := box.IoU(anchors[x%len(anchors)], anchors[y%len(anchors)]); iou > o.NMS {
							t.Fatalf("anchors %d and %d, both selected, overlap by %g", x, y, iou)
						}
					}
				}
			}
		}
		for at, k := range m.Match {
			if k == Ignored {
				logits[at*classes] += 50
				deltas[at*4] -= 3
			}
		}
		if again := step(); !slices.Equal(first, again) {
			t.Fatalf("%v, and after a change of ignored anchors %v", first, again)
		}
	})
}

// Without NMS, batch OHEM at ratio 0 is a plain choice of the largest losses.
func TestOHEMWithoutNMSIsTopLosses(t *testing.T) {
	anchors := grid(64, 64)
	image := randomObjects(5, 3, 64, 64, 4)
	logits, deltas := randomPredictions(5, len(anchors), 4)
	got := targets(t, newSampler(t, ohem(func(o *OHEM) { o.NMS, o.Batch = 1, 30 }), anchors, 4), []Objects{image}, logits, deltas)
	var all []int
	loss := func(at int) float64 { return crossEntropy(logits[4*at:4*at+4], got.Labels[at]) }
	for at := range anchors {
		if got.Labels[at] != Ignored {
			all = append(all, at)
		}
	}
	slices.SortStableFunc(all, func(i, j int) int { return cmp.Compare(loss(j), loss(i)) })
	want := all[:30]
	slices.Sort(want)
	if s := selected(got); !slices.Equal(s, want) {
		t.Errorf("selected %v, want %v", s, want)
	}
}

// No predictions, however broken, make a miner panic.
func FuzzMiners(f *testing.F) {
	f.Add(float32(1), float32(-1), float32(0))
	f.Add(float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)))
	f.Fuzz(func(t *testing.T, a, b, c float32) {
		logits := []float32{a, b, c, b, a, c, c, a, b, a}
		deltas := []float32{a, b, c, a, b, c, a, b, c, a, b, c, a, b, c, a, b, c, a, b}
		for name := range miners {
			conf := mining(name)
			if name == "ohem" {
				conf = ohem(func(o *OHEM) { o.Batch, o.Score = 2, "class+box" })
			}
			got := targets(t, newSampler(t, conf, fiveAnchors, 2), []Objects{{Boxes: twoObjects.Boxes, Labels: []int32{0, 1}}}, logits, deltas)
			for at, w := range got.ClassWeight {
				if !(w >= 0 && w <= 1) {
					t.Errorf("%s: weight %g of anchor %d", name, w, at)
				}
			}
		}
	})
}
