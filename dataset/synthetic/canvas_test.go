package synthetic

import (
	"math"
	"testing"
)

// Areas by hand: a shape's coverage is its area.
func TestFillArea(t *testing.T) {
	at := point{50 * one, 50 * one}
	tests := []struct {
		name string
		area float64 // with half the size 1
	}{
		{"square", 4}, {"bar", 4 * .28}, {"diamond", 1.2}, {"triangle", 1.5 * math.Sqrt(3) * .5},
		{"hexagon", 1.5 * math.Sqrt(3)}, {"disc", 12 * math.Sin(math.Pi/12)}, {"ring", 9 * math.Sin(math.Pi/12)},
		{"cross", 2*2*.7 - .7*.7}, {"star", 5 * .42 * math.Sin(math.Pi/5)}, {"arrow", .9 + .7},
	}
	for _, tt := range tests {
		for _, angle := range []int64{0, 1000, 20000} {
			m := fill(100, newPose(at, 60*one, 20000, angle).onCanvas(outlines(tt.name)))
			sum := 0
			for _, c := range m.cover {
				sum += int(c)
			}
			if got, want := float64(sum)/16, tt.area*30*30; math.Abs(got-want) > .02*want+4 {
				t.Errorf("%s turned by %d: %g pixels, want %g", tt.name, angle, got, want)
			}
		}
	}
	for _, name := range shapeNames { // the outlines stay within their square, nearly fill it one way, and differ
		lo, hi := int64(one), int64(-one)
		for _, ps := range outlines(name) {
			for _, p := range ps {
				lo, hi = min(lo, p.x, p.y), max(hi, p.x, p.y)
			}
		}
		if lo < -one-8 || hi > one+8 || hi-lo < one*18/10 {
			t.Errorf("%s reaches from %g to %g, want about -1 to 1", name, float64(lo)/one, float64(hi)/one)
		}
	}
}

func TestFillBounds(t *testing.T) {
	square := func(x0, y0, x1, y1 int64) [][]point {
		return [][]point{{{x0, y0}, {x1, y0}, {x1, y1}, {x0, y1}}}
	}
	box, ok := fill(10, square(2*one, 3*one, 5*one, 7*one)).tight()
	if want := [4]int{2, 3, 5, 7}; !ok || box != want {
		t.Errorf("whole pixels: box %v, want %v", box, want)
	}
	box, ok = fill(10, square(-5*one, 3*one, 5*one, 70*one)).tight()
	if want := [4]int{0, 3, 5, 10}; !ok || box != want {
		t.Errorf("over the edges: box %v, want %v", box, want)
	}
	// A column covered to a quarter counts as outside, one to three quarters as inside.
	box, ok = fill(10, square(2*one+one/4, 3*one, 5*one+one/4, 7*one)).tight()
	if want := [4]int{2, 3, 5, 7}; !ok || box != want {
		t.Errorf("quarters: box %v, want %v", box, want)
	}
	for _, far := range []int64{-100 * one, 100 * one, math.MinInt32} {
		if box, ok := fill(10, square(far, far, far+5*one, far+5*one)).tight(); ok {
			t.Errorf("outside: box %v, want none", box)
		}
	}
}

func TestGrain(t *testing.T) {
	c := &canvas{100, make([]uint8, 30000)}
	for i := range c.pix {
		c.pix[i] = 128
	}
	c.grain(newStream("test", 0, 0), 4000)
	var sum, squares float64
	for _, p := range c.pix {
		d := float64(p) - 128
		sum += d
		squares += d * d
	}
	mean, sd := sum/30000, math.Sqrt(squares/30000)
	if math.Abs(mean) > 0.1 || math.Abs(sd-4) > 0.1 {
		t.Errorf("noise of mean %g and deviation %g, want 0 and 4", mean, sd)
	}
}
