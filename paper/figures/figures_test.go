package figures

import (
	"math"
	"strings"
	"testing"

	"focalgrid/figure"
)

// TestFormulas: figures of formulas and of published numbers are drawn from nothing, say what they are, and show
// numbers alone.
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
	}
}

// check holds a figure to what every figure has: words for people who see it and who do not, and points that are
// numbers, in series of equal length.
func check(t *testing.T, name string, f *figure.Figure) {
	t.Helper()
	if f.Title == "" || f.Caption == "" || f.Description == "" || len(f.Panels) == 0 {
		t.Errorf("%s lacks a title, a caption, a description or a panel", name)
	}
	for _, p := range f.Panels {
		if !p.X.Hidden && p.X.Label == "" || !p.Y.Hidden && p.Y.Label == "" {
			t.Errorf("%s has an axis without a label", name)
		}
		for _, l := range p.Lines {
			if len(l.X) != len(l.Y) || l.Low != nil && (len(l.Low) != len(l.X) || len(l.High) != len(l.X)) {
				t.Errorf("%s: line %q has %d x, %d y, %d low and %d high", name, l.Name, len(l.X), len(l.Y), len(l.Low), len(l.High))
			}
			for i := range l.X {
				if math.IsNaN(l.X[i]) || math.IsNaN(l.Y[i]) || math.IsInf(l.Y[i], 0) {
					t.Errorf("%s: point %d of line %q is (%g, %g)", name, i, l.Name, l.X[i], l.Y[i])
				}
			}
		}
	}
	text, err := f.SVG(figure.Width)
	if err != nil || strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
		t.Errorf("%s: drawn with a place that is not a number, or not at all (%v)", name, err)
	}
}
