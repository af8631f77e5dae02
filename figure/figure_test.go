package figure

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// whole returns a figure with all there is.
func whole() *Figure {
	nan := math.NaN()
	return &Figure{
		Title: "Everything <at once>", Caption: "Nothing here was measured. " + strings.Repeat("A caption may be long. ", 8),
		Description: "A test", Columns: 2,
		Panels: []*Panel{
			{
				Title: "left", X: Axis{Label: "recall", Max: 1}, Y: Axis{Label: "precision", Max: 1},
				Spans: []Span{{From: .5, To: 1, Text: "well classified"}},
				Bars:  []Bar{{.1, .2, .7}, {.8, 1.2, 3}},
				Lines: []Line{
					{Name: "first", X: []float64{0, .5, 1}, Y: []float64{1, .5, 0}, Low: []float64{.9, nan, -.5}, High: []float64{1.5, nan, .1}},
					{Name: "cut <off>", X: []float64{0, .2, .5, .7, 1}, Y: []float64{1, math.Inf(1), nan, .2, .1}, Style: Distinct(1)},
					{Name: "nothing", X: []float64{0, 1}, Y: []float64{nan, nan}, Style: Distinct(2)},
					{Name: "alone", Style: Ordered(0, 1)},
				},
				Labels: []Label{{X: .3, Y: .3, Text: "here", Side: Above}},
				Shapes: []Shape{{X: []float64{.1, .9}, Y: []float64{.1, .2}, Open: true, Arrow: true}},
			},
			{
				Title: "right", X: Axis{Label: "rate", Log: true}, Y: Axis{Label: "AP"},
				Lines: []Line{
					{Name: "first", X: []float64{.01, .1, 1}, Y: []float64{5, 10, 7}, Low: []float64{4, nan, 2}, High: []float64{6, nan, 12}, Mark: Joined},
					{Name: "alone", X: []float64{.05}, Y: []float64{8}, Mark: Points, Style: Distinct(3)},
				},
			},
			{
				X: Axis{Label: "γ", Names: []string{"0", "1", "2"}}, Y: Axis{Label: "α", Names: []string{".25", ".5"}},
				Heat: &Heat{
					Values: [][]float64{{1, 2, 3}, {4, nan, 6}}, Print: func(v float64) string { return fmt.Sprintf("%.1f", v) },
					Ring: [][]bool{{false, false, false}, {false, false, true}},
				},
			},
		},
	}
}

// words returns the text of an SVG, and its elements.
func words(t *testing.T, text string) (words string, elements map[string]int) {
	t.Helper()
	elements = map[string]int{}
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return words, elements
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.CharData:
			words += string(token) + " "
		case xml.StartElement:
			elements[token.Name.Local]++
		}
	}
}

// TestSVG: the element is well-formed, has all words, is read aloud, and is the same each time.
func TestSVG(t *testing.T) {
	text, err := whole().SVG(Width)
	if err != nil || !strings.HasPrefix(text, `<svg xmlns="http://www.w3.org/2000/svg" width="600" `) {
		t.Fatalf("%.40q, %v", text, err)
	}
	if again, err := whole().SVG(Width); err != nil || again != text {
		t.Errorf("drawn again it differs, %v", err)
	}
	if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
		t.Error("a place is not a number")
	}
	all, elements := words(t, text)
	for _, want := range []string{"recall", "precision", "first", "cut <off>", "nothing", "alone", "0.8", "left", "right", "well classified", "here", "γ", ".25", "6.0", "–"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in the figure", want)
		}
	}
	if elements["title"] != 1 || elements["desc"] != 1 || !strings.Contains(text, `role="img" aria-label="Everything &lt;at once&gt;"`) {
		t.Errorf("title, desc or role is missing: %v, %.300s", elements, text)
	}
	if n := strings.Count(all, "first"); n != 1 {
		t.Errorf("the legend names a line of two panels %d times, want once", n)
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	f := whole()
	for _, name := range []string{"a.svg", "a.png"} {
		if err := f.Write(filepath.Join(dir, name), 900); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "a.png"))
	if err != nil {
		t.Fatal(err)
	}
	if im, err := png.Decode(bytes.NewReader(text)); err != nil || im.Bounds().Dx() != 900 {
		t.Errorf("the PNG: %v, %v", im.Bounds(), err)
	}
	if err := f.Write(filepath.Join(dir, "a.pdf"), 900); err == nil || !strings.Contains(err.Error(), "a.pdf: a plot is drawn as .png or .svg") {
		t.Errorf("an unknown form: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("files %v (%v), want two", left, err)
	}
}

func TestAxis(t *testing.T) {
	tests := []struct {
		name   string
		axis   Axis
		values []float64
		low    float64
		high   float64
		labels string
	}{
		{"fits its data with a margin", Axis{}, []float64{0, 10, math.NaN()}, -.5, 10.5, "0 2 4 6 8 10"},
		{"has given ends", Axis{Max: 1}, []float64{0, 10}, 0, 1, "0 0.2 0.4 0.6 0.8 1"},
		{"below zero, without the noise of sums", Axis{Min: -1.2, Max: 0}, nil, -1.2, 0, "−1.2 −1 −0.8 −0.6 −0.4 −0.2 0"},
		{"one value", Axis{}, []float64{5}, 4.5, 5.5, "4.6 4.8 5 5.2 5.4"},
		{"no value", Axis{}, nil, 0, 1, "0 0.2 0.4 0.6 0.8 1"},
		{"names", Axis{Names: []string{"a", "b"}}, nil, -.5, 1.5, "a b"},
		{"places of its own", Axis{Max: 1, Ticks: []float64{.25, .5, 7}}, nil, 0, 1, "0.25 0.5"},
		{"of another panel", Axis{Also: []float64{0, 200, math.NaN()}}, []float64{50, 100}, -10, 210, "0 50 100 150 200"},
		{"logarithmic", Axis{Log: true, Min: .01, Max: 1}, []float64{0}, .01, 1, "0.01 0.02 0.05 0.1 0.2 0.5 1"},
		{"logarithmic and wide", Axis{Log: true, Min: 1, Max: 1e4}, nil, 1, 1e4, "1 10 100 1000 10000"},
		{"hidden", Axis{Hidden: true}, nil, 0, 1, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ends := tt.axis.cover(tt.values)
			if math.Abs(ends[0]-tt.low) > 1e-12 || math.Abs(ends[1]-tt.high) > 1e-12 {
				t.Errorf("from %g to %g, want %g to %g", ends[0], ends[1], tt.low, tt.high)
			}
			var labels []string
			for _, tick := range tt.axis.ticks(ends) {
				labels = append(labels, tick.Label)
			}
			if got := strings.Join(labels, " "); got != tt.labels {
				t.Errorf("ticks %q, want %q", got, tt.labels)
			}
		})
	}
}

// TestGrey: neighbouring distinct series differ in dashes and marker, and ordered ones get lighter.
func TestGrey(t *testing.T) {
	for i := range distinct {
		for k := range i {
			if a, b := Distinct(i), Distinct(k); fmt.Sprint(a.Dashes) == fmt.Sprint(b.Dashes) || a.Marker == b.Marker || a.Color == b.Color {
				t.Errorf("styles %d and %d share dashes, marker or colour", k, i)
			}
		}
	}
	for i := 1; i <= 100; i++ {
		if a, b := luminance(shade(float64(i-1)/100)), luminance(shade(float64(i)/100)); b <= a {
			t.Errorf("shade %d is not lighter than the one before", i)
		}
	}
}

// TestWideLogAxis: a logarithmic axis of many powers of ten, as of a training that diverges, names few of them.
func TestWideLogAxis(t *testing.T) {
	if got := logTicks([2]float64{1e-2, 1e31}); len(got) < 4 || len(got) > mostTicks {
		t.Errorf("33 powers of ten: %v", got)
	}
	if got := logTicks([2]float64{.5, 2e4}); len(got) != 5 {
		t.Errorf("five powers of ten: %v", got)
	}
}
