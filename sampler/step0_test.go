package sampler_test

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/sbinet/npyio/npz"

	"focalgrid/box"
	"focalgrid/loss"
	"focalgrid/sampler"
)

// The losses of a small RetinaNet before training, as torchvision and the
// paper's convention count them: matching, normalisers, targets and losses
// together, on real head outputs: for two pictures of 64 pixels with three objects each, and for the larger
// ones in the folder that FOCALGRID_REFS names.
func TestLossesBeforeTraining(t *testing.T) {
	const folder = "../box/testdata" // the test of box.Postprocess reads the same outputs
	f, err := os.Open(filepath.Join(folder, "step0.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	lossesBeforeTraining(t, text, filepath.Join(folder, "step0_"))
	if refs := os.Getenv("FOCALGRID_REFS"); refs != "" {
		larger, err := os.Open(filepath.Join(refs, "model_small", "small.json"))
		if err != nil {
			t.Fatal(err)
		}
		defer larger.Close()
		lossesBeforeTraining(t, larger, filepath.Join(refs, "model_small", "head_step0_p6_from_"))
	}
}

// lossesBeforeTraining compares the losses with those in text for head outputs in the files outputs + "p5.npz" and
// outputs + "c5.npz".
func lossesBeforeTraining(t *testing.T, text io.Reader, outputs string) {
	t.Helper()
	type losses struct {
		Class float64 `json:"classification"`
		Box   float64 `json:"bbox_regression"`
	}
	type variant struct {
		Losses map[string]losses `json:"losses_step0_float64"`
	}
	var ref struct {
		Classes int
		Targets []struct {
			Boxes  [][4]float32
			Labels []int32
		}
		P5 variant `json:"p6_from_P5"`
		C5 variant `json:"p6_from_C5"`
	}
	if err := json.NewDecoder(text).Decode(&ref); err != nil {
		t.Fatal(err)
	}
	var images []sampler.Objects
	for _, o := range ref.Targets {
		images = append(images, sampler.Objects{Boxes: o.Boxes, Labels: o.Labels})
	}
	settings := []struct {
		name, normaliser, force string
		beta                    float64
	}{
		{"torchvision: l1, per-image normaliser, low quality on", "image", "torchvision", 0},
		{"batch normaliser, smooth l1 beta 0.111111, low quality off", "batch", "none", 1. / 9},
		{"batch normaliser, smooth l1 beta 0.111111, low quality on", "batch", "torchvision", 1. / 9},
		{"batch normaliser, smooth l1 beta 0.100000, low quality off", "batch", "none", .1},
		{"batch normaliser, smooth l1 beta 0.100000, low quality on", "batch", "torchvision", .1},
		{"batch normaliser, smooth l1 beta 1.000000, low quality off", "batch", "none", 1},
		{"batch normaliser, smooth l1 beta 1.000000, low quality on", "batch", "torchvision", 1},
	}
	for file, v := range map[string]variant{"p5": ref.P5, "c5": ref.C5} {
		r, err := npz.Open(outputs + file + ".npz")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		read := func(name string, into any) {
			if err := r.Read(name+".npy", into); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		var logits, deltas, flat []float32
		read("cls_logits", &logits)
		read("bbox_regression", &deltas)
		read("anchors", &flat)
		anchors := make([][4]float32, len(flat)/4)
		for i := range anchors {
			anchors[i] = [4]float32(flat[4*i : 4*i+4])
		}
		for _, s := range settings {
			want, ok := v.Losses[s.name]
			if !ok {
				t.Fatalf("%s: no reference %q", file, s.name)
			}
			c := sampler.Config{
				Assigner:   sampler.IoU{Positive: .5, Negative: .4, Force: s.force},
				Normaliser: s.normaliser, Coder: box.Deltas[float32]{}, BoxTarget: "deltas", BoxWeight: 1,
			}
			a, err := sampler.NewSampler(c, sampler.NewPriors(box.Priors{Boxes: anchors, Levels: []int{len(anchors)}}), ref.Classes)
			if err != nil {
				t.Fatal(err)
			}
			m, err := a.Match(images)
			if err != nil {
				t.Fatal(err)
			}
			for i := range images {
				var matches []int64
				name := "matches_"
				if s.force == "torchvision" {
					name = "matches_low_quality_"
				}
				read(name+string(rune('0'+i)), &matches)
				for j, k := range matches {
					if got := m.Match[i*len(anchors)+j]; int64(got) != k {
						t.Fatalf("%s, %s, image %d, anchor %d: object %d, want %d", file, s.name, i, j, got, k)
					}
				}
			}
			got, err := a.Targets(m, nil)
			if err != nil {
				t.Fatal(err)
			}
			var class, boxes float64
			for at, w := range got.ClassWeight {
				for k := range ref.Classes {
					l, _ := loss.Focal(float64(logits[at*ref.Classes+k]), got.Labels[at] == float32(k), 2, alpha(got.Labels[at] == float32(k)))
					class += float64(w) * l
				}
				for j := range 4 {
					l, _ := loss.SmoothL1(float64(deltas[4*at+j])-float64(got.BoxTarget[4*at+j]), s.beta)
					boxes += float64(got.BoxWeight[at]) * l
				}
			}
			// Head outputs are float32 of a network computed in float32.
			if math.Abs(class/want.Class-1) > 1e-5 || math.Abs(boxes/want.Box-1) > 1e-5 {
				t.Errorf("%s, %s: losses %.8g and %.8g, want %.8g and %.8g", file, s.name, class, boxes, want.Class, want.Box)
			}
		}
	}
}

func alpha(positive bool) float64 {
	if positive {
		return .25
	}
	return .75
}
