package loss

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"focalgrid/box"
	"focalgrid/engine"
)

func TestSmoothL1AgainstReference(t *testing.T) {
	var ref struct {
		Diff []float64
		Rows []struct {
			Beta       float64
			Loss, Grad []float64
		}
	}
	readRef(t, "smooth_l1", &ref)
	for _, r := range ref.Rows {
		for i, d := range ref.Diff {
			if l, g := SmoothL1(d, r.Beta); !near(l, r.Loss[i]) || !near(g, r.Grad[i]) {
				t.Errorf("beta %g, d %g: loss %.12g, gradient %.12g, want %.12g and %.12g", r.Beta, d, l, g, r.Loss[i], r.Grad[i])
			}
		}
	}
	if len(ref.Rows) != 3 {
		t.Errorf("%d rows, want 3", len(ref.Rows))
	}
}

func TestSmoothL1(t *testing.T) {
	for _, tt := range []struct{ d, beta, loss, grad float64 }{
		{0, 1, 0, 0}, {.5, 1, .125, .5}, {1, 1, .5, 1}, {-3, 1, 2.5, -1},
		{0, 0, 0, 0}, {-2, 0, 2, -1}, {1e-30, 0, 1e-30, 1},
	} {
		if l, g := SmoothL1(tt.d, tt.beta); l != tt.loss || g != tt.grad {
			t.Errorf("d %g, beta %g: %g and %g, want %g and %g", tt.d, tt.beta, l, g, tt.loss, tt.grad)
		}
	}
}

func TestGIoUByHand(t *testing.T) {
	anchor := [4]float64{10, 10, 30, 50}
	l, g := boxes["giou"].Value([4]float64{}, anchor, anchor, nil)
	for _, v := range append(g[:], l) {
		if math.Abs(v) > 1e-9 { // eps over the area of 800
			t.Errorf("the object itself: loss %g, gradient %v, want 0 and 0 (midway between two slopes)", l, g)
			break
		}
	}
	// Two unit squares a unit apart: IoU 0, hull 3, union 2.
	if l, _ := boxes["giou"].Value([4]float64{}, [4]float64{2, 0, 3, 1}, [4]float64{0, 0, 1, 1}, nil); math.Abs(l-4./3) > 1e-6 {
		t.Errorf("apart: loss %g, want 4/3", l)
	}
}

// A loss of boxes is the same number for the same boxes, whatever code the head predicts them in.
func TestBoxesInEveryCode(t *testing.T) {
	const a = 3
	priors := [a][4]float32{{0, 0, 16, 16}, {8, 4, 30, 20}, {-4, 10, 12, 40}}
	targets := [a][4]float32{{1, 2, 18, 15}, {9, 3, 25, 30}, {0, 8, 10, 44}}
	weight := []float32{1, .5, 2}
	flat := func(boxes [a][4]float32) []float32 { return slices.Concat(boxes[0][:], boxes[1][:], boxes[2][:]) }
	r := rand.New(rand.NewPCG(1, 0))
	for _, c := range []box.Coder[float32]{
		box.Deltas[float32]{}, box.Distances[float32]{}, box.Distances[float32]{InSides: true}, box.Distribution[float32]{Bins: 4},
	} {
		values, decoded := make([]float32, a*c.Values()), [a][4]float32{}
		for i := range values {
			values[i] = .5 + r.Float32()
		}
		for i := range decoded {
			decoded[i] = c.Decode(priors[i], values[i*c.Values():(i+1)*c.Values()])
		}
		for name, b := range boxes {
			if b.Target != "boxes" {
				continue
			}
			feeds := engine.Feeds{"target": flat(targets), "weight": weight, "anchors": flat(priors)}
			got, _, err := onEngine(values, []int{1, a, c.Values()}, feeds, func(g *engine.Graph, x *engine.Node) *engine.Node {
				t := []*engine.Node{g.Input("target", 1, a, 4), g.Input("weight", 1, a), g.Input("anchors", a, 4)}
				return b.Loss(c).Build(g, []*engine.Node{x}, t, ScalarInputs(g, prefix))
			})
			if err != nil {
				t.Errorf("%s of %T: %v", name, c, err)
				continue
			}
			want := 0.
			for i, w := range weight {
				var box64, target64 [4]float64
				for j := range box64 {
					box64[j], target64[j] = float64(decoded[i][j]), float64(targets[i][j])
				}
				overlap, _ := box.Overlap(name).Of(box64, target64, overlapEps)
				want += float64(w) * (1 - overlap)
			}
			if math.Abs(got-want) > 1e-5 {
				t.Errorf("%s of %+v: loss %g of boxes %v, want %g", name, c, got, decoded, want)
			}
		}
	}
}
