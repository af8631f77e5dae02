package figure

import (
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// TestText: a line from corner to corner, a whisker, a heat map and a caption that is broken at spaces.
func TestText(t *testing.T) {
	f := &Figure{
		Title: "A line", Caption: "It goes from the lower left corner to the upper right one.",
		Panels: []*Panel{
			{
				X: Axis{Label: "x", Max: 1}, Y: Axis{Label: "y", Max: 1},
				Lines: []Line{
					{Name: "rise", X: []float64{0, 1}, Y: []float64{0, 1}},
					{Name: "point", X: []float64{1}, Y: []float64{.2}, Low: []float64{.1}, High: []float64{.3}, Mark: Points},
				},
			},
			{
				X: Axis{Label: "γ", Names: []string{"0", "2"}}, Y: Axis{Label: "α", Names: []string{".5"}},
				Heat: &Heat{Values: [][]float64{{1, math.NaN()}}, Print: func(float64) string { return "1.0" }, Ring: [][]bool{{true, false}}},
			},
		},
	}
	lines := strings.Split(f.Text(40), "\n")
	find := func(text string) int {
		for i, l := range lines {
			if l == text {
				return i
			}
		}
		t.Errorf("no line %q in\n%s", text, strings.Join(lines, "\n"))
		return 0
	}
	if first, last := find("  1 │"+strings.Repeat(" ", 32)+"**"), find("  0 │**"); last-first != 19 {
		t.Errorf("the panel has %d lines, want 20", last-first+1)
	}
	if !strings.HasSuffix(lines[find("    └"+strings.Repeat("─", 34))-5], "o") {
		t.Errorf("the point is not at .2")
	}
	find("α         0        2  γ")
	find(".5    [1.0]        –")
	find("  * rise")
	find("  o point")
	find("It goes from the lower left corner to")
	find("the upper right one.")
}

// TestTextOfNames: a name of several lines stands around its place, and a long one makes the picture wider.
func TestTextOfNames(t *testing.T) {
	p := &Panel{
		X: Axis{Label: "x", Max: 1}, Y: Axis{Label: " ", Names: []string{"short", "of\nseveral\nlines, " + strings.Repeat("long", 10)}},
		Lines: []Line{{X: []float64{0, 1}, Y: []float64{0, 1}, Mark: Points}},
	}
	lines := strings.Split((&Figure{Title: "t", Panels: []*Panel{p}}).Text(40), "\n")
	left := strings.Repeat(" ", len("lines, ")+40)
	at := func(name, after string) int {
		line := left[len(name):] + name + " │" + after
		i := slices.Index(lines, line)
		if i < 0 {
			t.Errorf("no line %q in\n%s", line, strings.Join(lines, "\n"))
		}
		return i
	}
	first := at("of", "")
	if second, third := at("several", strings.Repeat(" ", 19)+"*"), at("lines, "+strings.Repeat("long", 10), ""); second != first+1 || third != first+2 {
		t.Errorf("the lines of a name are lines %d, %d and %d", first, second, third)
	}
	at("short", "*")
}

// TestAnything: whatever the numbers are, a figure has places that are numbers, and its axes cover its points.
func TestAnything(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, 6).Draw(rt, "points")
		values := func(name string) []float64 {
			special := rapid.SampledFrom([]float64{0, math.NaN(), math.Inf(1), math.Inf(-1), 1e-300, 1e9})
			return rapid.SliceOfN(rapid.OneOf(rapid.Float64Range(-1e6, 1e6), rapid.Float64Range(0, 1), special), n, n).Draw(rt, name)
		}
		l := Line{
			Name: "line", X: values("x"), Y: values("y"), Low: values("low"), High: values("high"),
			Mark: Mark(rapid.IntRange(0, 2).Draw(rt, "mark")), Across: rapid.Bool().Draw(rt, "across"), Style: Distinct(n),
		}
		p := &Panel{X: Axis{Label: "x", Log: rapid.Bool().Draw(rt, "log x")}, Y: Axis{Label: "y", Log: rapid.Bool().Draw(rt, "log y")}, Lines: []Line{l}}
		f := &Figure{Title: "t", Caption: "c", Panels: []*Panel{p}}
		text, err := f.SVG(Width)
		if err != nil || strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			rt.Fatalf("SVG: %v\n%s", err, text)
		}
		xs, ys := p.ranges()
		for i := range l.X {
			if x, y := l.X[i], l.Y[i]; p.drawn(x, y) && (x < xs[0] || x > xs[1] || y < ys[0] || y > ys[1]) {
				rt.Fatalf("point (%g, %g) is outside %v × %v", x, y, xs, ys)
			}
		}
		for _, line := range strings.Split(f.Text(60), "\n") {
			if utf8.RuneCountInString(line) > 80 {
				rt.Fatalf("a line of text has more than 80 characters: %q", line)
			}
		}
	})
}
