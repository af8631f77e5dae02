package synthetic

import (
	"crypto/sha256"
	"fmt"
	"math"
	"reflect"
	"slices"
	"sync"
	"testing"
)

// Hashes of pixels, boxes and labels before encoding. They were recorded on
// amd64; integers alone make them, so that every platform must agree. If a
// change of the drawing is meant, Version grows with them.
func TestGoldenScenes(t *testing.T) {
	if Version != 1 {
		t.Fatalf("Version is %d, these hashes are of 1", Version)
	}
	other := small()
	other.Pixels, other.Classes, other.MinSize, other.Objects, other.Clutter, other.Seed = 200, 8, 0.07, 3, 0.8, 5
	configs := map[string]Config{"default": small(), "other": other}
	tests := []struct {
		config, split string
		i             int
		hash          string
	}{
		{"default", "train", 0, "222725898c76faf9"},
		{"default", "train", 1, "345d59cfe61d18fb"},
		{"default", "train", 2, "ea211b0ea15dda72"},
		{"default", "tune", 0, "0094c6079c3e77c1"},
		{"default", "tune", 1, "b433e8addecae730"},
		{"default", "tune", 2, "c970f4a4be17e685"},
		{"default", "val", 0, "98df60045eab2634"},
		{"default", "val", 1, "e321ec627018ccf7"},
		{"default", "val", 2, "2818ed322385479f"},
		{"other", "train", 0, "c1514040caeb807a"},
		{"other", "val", 1, "a5916186e125746b"},
	}
	for _, tt := range tests {
		g := New(configs[tt.config])
		s := g.Scene(tt.split, tt.i)
		h := sha256.New()
		h.Write(s.Pixels)
		fmt.Fprint(h, s.Boxes, s.Labels)
		if got := fmt.Sprintf("%x", h.Sum(nil)[:8]); got != tt.hash {
			t.Errorf("{%q, %q, %d, %q}, // was %q", tt.config, tt.split, tt.i, got, tt.hash)
		}
	}
}

func TestScenesAreIndependent(t *testing.T) {
	g := New(small())
	want := make([]Scene, 8)
	for i := range want {
		want[i] = g.Scene("tune", i)
	}
	var wg sync.WaitGroup
	for i := range want {
		wg.Go(func() {
			i := len(want) - 1 - i
			if got := g.Scene("tune", i); !reflect.DeepEqual(got, want[i]) {
				t.Errorf("scene %d differs when drawn beside others", i)
			}
		})
	}
	wg.Wait()
	more := small()
	more.Seed = 1
	h := New(more)
	for name, s := range map[string]Scene{"index": g.Scene("tune", 8), "split": g.Scene("val", 0), "seed": h.Scene("tune", 0)} {
		if reflect.DeepEqual(s.Pixels, want[0].Pixels) {
			t.Errorf("another %s gives the same picture", name)
		}
	}
}

// The statistics that the settings ask for, over 600 scenes.
func TestSceneStatistics(t *testing.T) {
	c := small()
	g := New(c)
	const n = 600
	empty, objects := 0, 0
	labels := make([]int, c.Classes)
	var sides []float64
	for i := range n {
		s := g.Scene("train", i)
		if len(s.Boxes) == 0 {
			empty++
		}
		objects += len(s.Boxes)
		for j, b := range s.Boxes {
			w, h := b[2]-b[0], b[3]-b[1]
			if b[0] < 0 || b[1] < 0 || b[2] > c.Pixels || b[3] > c.Pixels || w <= 3 || h <= 3 {
				t.Fatalf("scene %d, object %d: box %v in %d pixels", i, j, b, c.Pixels)
			}
			labels[s.Labels[j]]++
			sides = append(sides, math.Sqrt(float64(w*h)))
		}
	}
	if empty < 36 || empty > 90 { // 60 ± 4 standard deviations
		t.Errorf("%d of %d scenes are empty, want about a tenth", empty, n)
	}
	if mean := float64(objects) / n; mean < 2.0 || mean > 2.5 { // .9 × 2.5, less what found no room
		t.Errorf("%g objects a scene, want about 2.25", mean)
	}
	for k, v := range labels {
		if v < objects/4-4*18 || v > objects/4+4*18 {
			t.Errorf("%d of %d objects are of class %d, want about a quarter", v, objects, k)
		}
	}
	// Log-uniform from 15 to 77 pixels: the median of the diameter is 34.
	slices.Sort(sides)
	if m := sides[len(sides)/2]; m < 28 || m > 40 {
		t.Errorf("median side %g pixels, want about 34", m)
	}
	if sides[0] < 6 || sides[len(sides)-1] > 128 {
		t.Errorf("sides from %g to %g", sides[0], sides[len(sides)-1])
	}
}

// All shapes, the largest sizes and the roughest background are drawn without a
// panic and stay in the picture.
func TestExtremeScenes(t *testing.T) {
	for _, c := range []Config{
		{Pixels: 32, Classes: 12, Train: 1, Tune: 1, Val: 1, Objects: 50, MinSize: 0.01, MaxSize: 1, Noise: 64, Clutter: 1},
		{Pixels: 33, Classes: 1, Train: 1, Tune: 1, Val: 1, Objects: 1, Empty: 1, Distractors: 50, MinSize: 1, MaxSize: 1},
		{Pixels: 301, Classes: 11, Train: 1, Tune: 1, Val: 1, Objects: 20, Distractors: 20, MinSize: 0.5, MaxSize: 1, Clutter: 0.001},
	} {
		g := New(c)
		for i := range 20 {
			s := g.Scene("val", i)
			if len(s.Pixels) != 3*c.Pixels*c.Pixels || c.Empty == 1 && len(s.Boxes) > 0 {
				t.Errorf("%+v: %d bytes, %d boxes", c, len(s.Pixels), len(s.Boxes))
			}
		}
	}
}

func BenchmarkScene(b *testing.B) {
	g := New(small())
	for i := 0; b.Loop(); i++ {
		g.Scene("train", i)
	}
}
