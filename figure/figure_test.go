package figure

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// drawn is a figure with all there is.
func drawn(t *testing.T) *Figure {
	t.Helper()
	f := New("recall", "precision")
	f.Note("IoU: AP")
	nan := math.NaN()
	err := errors.Join(
		f.Line([]float64{0, .5, 1}, []float64{1, .5, 0}, "first", 0, 3),
		f.Line([]float64{0, .5, 1}, []float64{1, nan, nan}, "cut <off>", 1, 3),
		f.Line([]float64{0, 1}, []float64{nan, nan}, "nothing", 2, 3),
		f.Line(nil, nil, "alone", 0, 1),
		f.Bar(.1, .2, .7),
		f.Diagonal("ideal"),
	)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestSVG: the element is well-formed, has every name of the legend, and is the same each time.
func TestSVG(t *testing.T) {
	text, err := drawn(t).SVG()
	if err != nil || !strings.HasPrefix(text, "<svg") {
		t.Fatalf("%.40q, %v", text, err)
	}
	if again, err := drawn(t).SVG(); err != nil || again != text {
		t.Errorf("drawn again it differs, %v", err)
	}
	words := ""
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if data, ok := token.(xml.CharData); ok {
			words += string(data)
		}
	}
	for _, want := range []string{"recall", "precision", "IoU: AP", "first", "cut <off>", "nothing", "alone", "ideal", "0.8"} {
		if !strings.Contains(words, want) {
			t.Errorf("%q is not in the figure", want)
		}
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	f := drawn(t)
	for _, name := range []string{"a.svg", "a.png"} {
		if err := f.Write(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "a.png"))
	if err != nil {
		t.Fatal(err)
	}
	if im, err := png.Decode(bytes.NewReader(text)); err != nil || im.Bounds().Dx() < 800 {
		t.Errorf("the PNG: %v, %v", im, err)
	}
	if err := f.Write(filepath.Join(dir, "a.pdf")); err == nil || !strings.Contains(err.Error(), "a.pdf: a plot is drawn as .png or .svg") {
		t.Errorf("an unknown form: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("files %v (%v), want two", left, err)
	}
}
