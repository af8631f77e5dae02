package detector

import (
	"testing"

	"focalgrid/dataset/picture"
)

// TestJudge: a detection is right if it is the best one left for an object of its class
// at IoU .5; everything is worked out by hand on 10×10 boxes.
func TestJudge(t *testing.T) {
	at := func(x float32) [4]float32 { return [4]float32{x, 0, x + 10, 10} }
	v := View{
		Annotated: true,
		Truth: []Truth{
			{Box: at(0), Label: 0, Missed: true},
			{Box: at(40), Label: 0, Missed: true},
			{Box: [4]float32{100, 0, 200, 100}, Label: 0, Crowd: true},
			{Box: at(300), Label: 1, Missed: true},
		},
		Found: []Found{ // best score first
			{Box: at(3), Label: 0},   // IoU 7/13 > .5 with the first
			{Box: at(1), Label: 0},   // overlaps it more, but it is taken
			{Box: at(44), Label: 0},  // IoU 6/14 < .5 with the second
			{Box: at(300), Label: 0}, // another class
			{Box: at(120), Label: 0}, // inside the crowd
			{Box: at(120), Label: 1}, // not of the crowd's class
			{Box: at(300), Label: 1}, // exact
		},
	}
	v.judge()
	for i, want := range []Verdict{Right, Wrong, Wrong, Wrong, Unknown, Wrong, Right} {
		if v.Found[i].Verdict != want {
			t.Errorf("detection %d is %s, want %s", i, v.Found[i].Verdict, want)
		}
	}
	for i, want := range []bool{false, true, false, false} {
		if v.Truth[i].Missed != want {
			t.Errorf("object %d: missed is %t, want %t", i, v.Truth[i].Missed, want)
		}
	}
	if right, wrong, missed := v.counts(); right != 2 || wrong != 4 || missed != 1 {
		t.Errorf("counts are %d right, %d wrong, %d missed, want 2, 4, 1", right, wrong, missed)
	}
}

// TestJudgeTakesTheBest: of two objects that fit, a detection takes the one it overlaps
// more, and leaves the other for the next.
func TestJudgeTakesTheBest(t *testing.T) {
	v := View{
		Truth: []Truth{
			{Box: [4]float32{0, 0, 10, 10}, Label: 0, Missed: true},
			{Box: [4]float32{1, 0, 11, 10}, Label: 0, Missed: true},
		},
		Found: []Found{
			{Box: [4]float32{1, 0, 11, 10}, Label: 0},
			{Box: [4]float32{1, 0, 11, 10}, Label: 0},
			{Box: [4]float32{1, 0, 11, 10}, Label: 0},
		},
	}
	v.judge()
	if right, wrong, missed := v.counts(); right != 2 || wrong != 1 || missed != 0 {
		t.Errorf("counts are %d right, %d wrong, %d missed, want 2, 1, 0", right, wrong, missed)
	}
}

func TestPanelsShrink(t *testing.T) {
	p := &picture.RGB{Width: 200, Height: 100, Pix: make([]uint8, 3*200*100)}
	v := View{Name: "a.png", Pixels: p, Annotated: true, Found: []Found{{Box: [4]float32{20, 10, 40, 50}, Label: 0, Score: .5, Verdict: Right}}}
	panels, err := v.panels(100)
	if err != nil || len(panels) != 2 {
		t.Fatalf("%d panels (%v), want detections and truth", len(panels), err)
	}
	if r := panels[0].Pixels.Rect; r.Dx() != 100 || r.Dy() != 50 {
		t.Errorf("the panel is %v, want 100×50", r)
	}
	if got, want := panels[0].Marks[0].Box, ([4]float32{10, 5, 20, 25}); got != want {
		t.Errorf("the mark is %v, want %v", got, want)
	}
	v.Annotated = false
	if panels, err = v.panels(0); err != nil || len(panels) != 1 || panels[0].Pixels.Rect.Dx() != 200 {
		t.Errorf("without annotations: %d panels (%v), want one of full size", len(panels), err)
	}
}
