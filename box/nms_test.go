package box

import (
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

type nmsCase struct {
	Name          string
	Boxes, Scores array
	Labels        []int32
	Threshold     float64
	Keep          []int
}

// suppressed visits boxes by falling score and returns all that are kept.
func suppressed[F Float](boxes [][4]F, scores []F, labels []int32, threshold float64) []int {
	return Suppress([]int{}, boxes, labels, byFallingScore(scores), threshold, len(boxes))
}

func TestNMSAgainstTorchvision(t *testing.T) {
	var ref struct{ Cases []nmsCase }
	readRef(t, "nms", &ref)
	for _, c := range ref.Cases {
		if got := suppressed(boxesOf[float32](c.Boxes), float32s(c.Scores), nil, c.Threshold); !slices.Equal(got, c.Keep) {
			t.Errorf("%s: kept %v, want %v", c.Name, got, c.Keep)
		}
	}
	if len(ref.Cases) != 12 {
		t.Errorf("%d cases, want 12", len(ref.Cases))
	}
}

func TestNMSPerClassAgainstTorchvision(t *testing.T) {
	var ref struct{ Cases []nmsCase }
	readRef(t, "batched_nms", &ref)
	for _, c := range ref.Cases {
		if got := suppressed(boxesOf[float32](c.Boxes), float32s(c.Scores), c.Labels, c.Threshold); !slices.Equal(got, c.Keep) {
			t.Errorf("%s: kept %v, want %v", c.Name, got, c.Keep)
		}
	}
	if len(ref.Cases) != 5 {
		t.Errorf("%d cases, want 5", len(ref.Cases))
	}
}

// What is kept does not overlap, what is dropped overlaps something kept of a
// score at least as high, and a second pass changes nothing.
func TestNMSProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 30).Draw(t, "n")
		boxes, scores := make([][4]float64, n), make([]float64, n)
		for i := range boxes {
			boxes[i] = drawBox(t, "box")
			scores[i] = float64(rapid.IntRange(0, 5).Draw(t, "score"))
		}
		thr := rapid.Float64Range(0, 1).Draw(t, "threshold")
		keep := suppressed(boxes, scores, nil, thr)
		for i := range boxes {
			rival := slices.IndexFunc(keep, func(k int) bool {
				return k != i && scores[k] >= scores[i] && IoU(boxes[i], boxes[k]) > thr
			})
			if kept := slices.Contains(keep, i); kept == (rival >= 0) {
				t.Fatalf("box %d: kept is %t, index in keep of what suppresses it %d", i, kept, rival)
			}
		}
		var again [][4]float64
		var s []float64
		for _, k := range keep {
			again, s = append(again, boxes[k]), append(s, scores[k])
		}
		if got := suppressed(again, s, nil, thr); len(got) != len(keep) {
			t.Fatalf("a second pass keeps %d of %d", len(got), len(keep))
		}
	})
}

func BenchmarkNMS1000(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	boxes, scores := make([][4]float32, 1000), make([]float32, 1000)
	for i := range boxes {
		x, y := 500*r.Float32(), 500*r.Float32()
		boxes[i] = [4]float32{x, y, x + 10 + 90*r.Float32(), y + 10 + 90*r.Float32()}
		scores[i] = r.Float32()
	}
	for b.Loop() {
		suppressed(boxes, scores, nil, .5)
	}
}
