package box

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestIoU(t *testing.T) {
	tests := []struct {
		name      string
		a, b      [4]float64
		iou, giou float64
	}{
		{"itself", [4]float64{1, 2, 4, 9}, [4]float64{1, 2, 4, 9}, 1, 1},
		{"half", [4]float64{0, 0, 10, 10}, [4]float64{0, 0, 10, 5}, .5, .5},
		{"touching", [4]float64{0, 0, 10, 10}, [4]float64{10, 0, 20, 10}, 0, 0},
		{"apart by their own width", [4]float64{0, 0, 10, 10}, [4]float64{20, 0, 30, 10}, 0, -1. / 3},
		{"corner", [4]float64{0, 0, 2, 2}, [4]float64{1, 1, 3, 3}, 1. / 7, 1./7 - 2./9},
		{"0/0", [4]float64{0, 0, 0, 10}, [4]float64{0, 0, 0, 10}, 0, 0},
		{"a point inside", [4]float64{5, 5, 5, 5}, [4]float64{0, 0, 10, 10}, 0, 0},
	}
	for _, tt := range tests {
		if got := IoU(tt.a, tt.b); math.Abs(got-tt.iou) > 1e-15 {
			t.Errorf("%s: IoU %g, want %g", tt.name, got, tt.iou)
		}
		if got := exact(GIoU, tt.a, tt.b); math.Abs(got-tt.giou) > 1e-15 {
			t.Errorf("%s: GIoU %g, want %g", tt.name, got, tt.giou)
		}
	}
}

func TestArea(t *testing.T) {
	if got := Area([4]float32{1, 2, 4, 9}); got != 21 {
		t.Errorf("got %g, want 21", got)
	}
	if got := Area([4]float64{10, 10, 0, 0}); got != 0 {
		t.Errorf("sides in the wrong order give area %g, want 0", got)
	}
}

func TestPairwiseAgainstTorchvision(t *testing.T) {
	var ref struct{ A, B, IoU, GIoU array }
	readRef(t, "iou", &ref)
	a, b := boxesOf[float64](ref.A), boxesOf[float64](ref.B)
	want, giou := ref.IoU.flat(), ref.GIoU.flat()
	if len(want) != len(a)*len(b) {
		t.Fatalf("%d values, want %d", len(want), len(a)*len(b))
	}
	for i := range want {
		x, y := a[i/len(b)], b[i%len(b)]
		if got := IoU(x, y); !near(got, want[i]) {
			t.Errorf("pair %d: IoU %.12g, want %.12g", i, got, want[i])
		}
		if g := exact(GIoU, x, y); !near(g, giou[i]) {
			t.Errorf("pair %d: GIoU %.12g, want %.12g", i, g, giou[i])
		}
	}
}

func drawBox(t *rapid.T, name string) [4]float64 {
	x, y := rapid.Float64Range(-50, 500).Draw(t, name+".x"), rapid.Float64Range(-50, 500).Draw(t, name+".y")
	w, h := rapid.Float64Range(1, 400).Draw(t, name+".w"), rapid.Float64Range(1, 400).Draw(t, name+".h")
	return [4]float64{x, y, x + w, y + h}
}

func TestClip(t *testing.T) {
	got := Clip([4]float32{-3, 5, 130, 140}, 128, 96)
	if want := ([4]float32{0, 5, 128, 96}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := Clip([4]float32{-9, -9, -3, -3}, 128, 96); Area(got) != 0 {
		t.Errorf("a box outside keeps area: %v", got)
	}
}
