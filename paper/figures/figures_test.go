package figures

import (
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"focalgrid/figure"
)

var update = flag.Bool("update", false, "rewrite the golden pictures; look at them before committing")

// TestFormulas: figures of formulas and of published numbers are drawn from nothing, and as they were looked at.
func TestFormulas(t *testing.T) {
	for _, name := range Names() {
		fig, _ := Of(name)
		if fig.Needs != Nothing {
			continue
		}
		f, err := fig.Draw(&Input{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		check(t, name, f)
		golden(t, name, f)
	}
}

// golden holds a figure to the picture that was looked at.
func golden(t *testing.T, name string, f *figure.Figure) {
	t.Helper()
	text, err := f.SVG(figure.Width)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name+".svg")
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(path); err != nil || string(want) != text {
		t.Errorf("figure %s differs from %s (%v); if that is meant, run the test with -update and look at it", name, path, err)
	}
}

// check holds a figure to what every figure has: words for people who see it and for those who do not, series of equal
// length, and axes that cover the points of all lines that are drawn with markers.
func check(t *testing.T, name string, f *figure.Figure) {
	t.Helper()
	if f.Title == "" || f.Caption == "" || f.Description == "" || len(f.Panels) == 0 {
		t.Errorf("%s lacks a title, a caption, a description or a panel", name)
	}
	points := 0
	for _, p := range f.Panels {
		points += len(p.Shapes) // of a drawing of boxes
		if !p.X.Hidden && p.X.Label == "" || !p.Y.Hidden && p.Y.Label == "" {
			t.Errorf("%s has an axis without a label", name)
		}
		if p.Heat != nil || len(p.Shapes) > 0 {
			points++
		}
		for _, l := range p.Lines {
			if len(l.X) != len(l.Y) || l.Low != nil && (len(l.Low) != len(l.X) || len(l.High) != len(l.X)) {
				t.Errorf("%s: line %q has %d x, %d y, %d low and %d high", name, l.Name, len(l.X), len(l.Y), len(l.Low), len(l.High))
			}
			for i := range l.X {
				if math.IsNaN(l.Y[i]) {
					continue
				}
				points++
				fixed := p.Y.Min != 0 || p.Y.Max != 0
				if l.Mark != figure.Curve && fixed && (l.Y[i] < p.Y.Min || l.Y[i] > p.Y.Max) {
					t.Errorf("%s: point %d of line %q, %g, is outside %g to %g", name, i, l.Name, l.Y[i], p.Y.Min, p.Y.Max)
				}
			}
		}
	}
	if points == 0 {
		t.Errorf("%s shows nothing", name)
	}
	text, err := f.SVG(figure.Width)
	if err != nil || strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
		t.Errorf("%s: drawn with a place that is not a number, or not at all (%v)", name, err)
	}
	if plain := f.Text(80); !strings.Contains(plain, f.Title) {
		t.Errorf("%s as text lacks its title", name)
	}
}

// at returns the value of a line at a place that it has.
func at(t *testing.T, l figure.Line, x float64) float64 {
	t.Helper()
	i := slices.IndexFunc(l.X, func(v float64) bool { return math.Abs(v-x) < 1e-9 })
	if i < 0 {
		t.Fatalf("line %q has no point at %g", l.Name, x)
	}
	return l.Y[i]
}

// TestKnownValues holds the curves to values that were computed by hand from eq. 5, 8 and 10.
func TestKnownValues(t *testing.T) {
	tests := []struct {
		figure, line string
		x, want      float64
	}{
		{"1", "γ = 0 (CE)", .5, .69314718},
		{"1", "γ = 0.5", .5, .49012907},
		{"1", "γ = 2", .5, .17328680},
		{"1", "γ = 5", .5, .02166085},
		{"5", "CE", 0, .69314718},
		{"5", "FL γ=2", -3, 2.76628044},
		{"5", "FL* γ=2 β=1", -1, .65663084},
		{"5", "FL* γ=4 β=0", 0, .17328680},
		{"6", "CE", 1, -.26894142},
		{"6", "FL γ=2", -3, -1.12674988},
		{"6", "FL* γ=4 β=0", 0, -.5},
	}
	for _, tt := range tests {
		fig, _ := Of(tt.figure)
		f, err := fig.Draw(&Input{})
		if err != nil {
			t.Fatal(err)
		}
		lines := f.Panels[0].Lines
		i := slices.IndexFunc(lines, func(l figure.Line) bool { return l.Name == tt.line })
		if i < 0 {
			t.Errorf("figure %s has no line %q", tt.figure, tt.line)
			continue
		}
		if got := at(t, lines[i], tt.x); math.Abs(got-tt.want) > 1e-8 {
			t.Errorf("figure %s, %s at %g is %.8f, want %.8f", tt.figure, tt.line, tt.x, got, tt.want)
		}
	}
}

// TestSpeed: Figure 2 shows the ten models of Table 1e, one other detector with its published time, and two without.
func TestSpeed(t *testing.T) {
	f, err := speed(&Input{})
	if err != nil {
		t.Fatal(err)
	}
	lines := f.Panels[0].Lines
	if len(lines) != 5 {
		t.Fatalf("%d lines, want RetinaNet twice, Faster R-CNN, SSD513 and DSSD513", len(lines))
	}
	want := [][2][]float64{
		{{64, 72, 98, 121, 153}, {30.5, 32.5, 34.3, 35.1, 35.7}},
		{{81, 90, 122, 154, 198}, {31.9, 34.4, 36.0, 37.1, 37.8}},
		{{172}, {36.2}},
		{{50, 250}, {31.2, 31.2}},
		{{50, 250}, {33.2, 33.2}},
	}
	for i, l := range lines {
		for k := range want[i][0] {
			if l.X[k] != want[i][0][k] || math.Abs(l.Y[k]-want[i][1][k]) > 1e-9 {
				t.Errorf("line %d, point %d is (%g, %g), published is (%g, %g)", i, k, l.X[k], l.Y[k], want[i][0][k], want[i][1][k])
			}
		}
	}
}
