package figure

import (
	"image/color"
	"math"
	"strings"
	"testing"
)

// TestDiagram: boxes and arrows with their texts, of which those in a box are spread over its height.
func TestDiagram(t *testing.T) {
	p := &Panel{X: Axis{Max: 100, Hidden: true}, Y: Axis{Max: 50, Hidden: true}}
	p.Box(10, 20, 30, 20, Tint(0), "upper", "lower")
	p.Arrow("joined", Above, [2]float64{40, 30}, [2]float64{60, 30}, [2]float64{60, 10})
	p.Arrow("", Above, [2]float64{0, 0}, [2]float64{0, 5})
	want := []Label{
		{X: 25, Y: 35.3, Text: "upper", Side: Centre},
		{X: 25, Y: 25.9, Text: "lower", Side: Centre},
		{X: 60, Y: 20, Text: "joined", Side: Above},
	}
	if len(p.Labels) != len(want) {
		t.Fatalf("labels %v, want %v", p.Labels, want)
	}
	for i, l := range want {
		if p.Labels[i] != l {
			t.Errorf("label %v, want %v", p.Labels[i], l)
		}
	}
	f := &Figure{Title: "boxes", Panels: []*Panel{p}, RowHeight: 400}
	text, err := f.SVG(Width)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range want {
		if !strings.Contains(text, l.Text) {
			t.Errorf("the picture lacks %q", l.Text)
		}
	}
	f.Plain = "upper and lower\n"
	if got, want := f.Text(80), "boxes\n\nupper and lower\n\n\n"; got != want {
		t.Errorf("as text it is %q, want %q", got, want)
	}
	if l, err := f.layout(); err != nil || l.height < 400 || l.height > 440 {
		t.Errorf("the figure is %g points high, want 400 for its panel and a line more (%v)", l.height, err)
	}
}

// TestTint: text in ink on the ground of every style has a contrast of 7 or more, as WCAG 2 defines both (level AAA).
func TestTint(t *testing.T) {
	linear := func(v uint8) float64 { return math.Pow((float64(v)/255+.055)/1.055, 2.4) }
	light := func(c color.RGBA) float64 { return .2126*linear(c.R) + .7152*linear(c.G) + .0722*linear(c.B) }
	for i := range distinct {
		contrast := (light(Tint(i).(color.RGBA)) + .05) / (light(color.RGBA{ink.Y, ink.Y, ink.Y, 255}) + .05)
		if contrast < 7 {
			t.Errorf("ground %d has a contrast of %.1f with the ink, want 7 or more", i, contrast)
		}
	}
}
