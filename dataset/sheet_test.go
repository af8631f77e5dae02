package dataset

import (
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"
)

func TestSheet(t *testing.T) {
	blue, red := color.RGBA{0, 0, 200, 255}, color.RGBA{255, 0, 0, 255}
	panel := func(w, h int) *image.RGBA {
		im := image.NewRGBA(image.Rect(0, 0, w, h))
		for i := range w * h {
			copy(im.Pix[4*i:], []uint8{0, 0, 200, 255})
		}
		return im
	}
	nan := float32(math.NaN())
	sheet := Sheet([]Panel{
		{Pixels: panel(20, 10), Marks: []Mark{{Box: [4]float32{2, 3, 12, 8}, Color: red}}},
		{Pixels: panel(10, 10), Caption: "second"},
		{Pixels: panel(20, 10), Marks: []Mark{
			{Box: [4]float32{-1e30, -5, 1e30, 5}, Color: red, Text: "far beyond the picture"},
			{Box: [4]float32{nan, nan, nan, nan}, Color: red, Text: "é"},
		}},
	}, 2, 3)
	// Cells of 60 x 30, and below each a line of 15 for captions.
	if got, want := sheet.Rect, image.Rect(0, 0, 2*60+3*gap, 2*(30+15)+3*gap); got != want {
		t.Fatalf("sheet of %v, want %v", got, want)
	}
	x0, y0 := gap, gap
	tests := []struct {
		what string
		x, y int
		want color.RGBA
	}{
		{"a picture's corner", x0, y0, blue},
		{"its far corner", x0 + 59, y0 + 29, blue},
		{"the gap beside", x0 + 60, y0, color.RGBA{32, 32, 32, 255}},
		{"the frame's corner, enlarged", x0 + 6, y0 + 9, red},
		{"the frame's far corner", x0 + 35, y0 + 23, red},
		{"just outside", x0 + 36, y0 + 23, blue},
		{"just inside", x0 + 34, y0 + 22, blue},
		{"beside the smaller picture", x0 + 60 + gap + 31, y0, color.RGBA{32, 32, 32, 255}},
	}
	for _, tt := range tests {
		if got := sheet.RGBAAt(tt.x, tt.y); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.what, got, tt.want)
		}
	}
	letters := 0
	for y := y0 + 30; y < y0+45; y++ {
		for x := x0 + 60 + gap; x < x0+120+gap; x++ {
			if sheet.RGBAAt(x, y) == (color.RGBA{220, 220, 220, 255}) {
				letters++
			}
		}
	}
	if letters < 40 {
		t.Errorf("%d pixels of letters in the caption", letters)
	}
	if got := Sheet(nil, 0, 0).Rect; got.Dx() < 1 || got.Dy() < 1 {
		t.Errorf("no panels make a sheet of %v", got)
	}
}

func TestWritePNG(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sheet.png")
	im := Sheet([]Panel{{Pixels: image.NewRGBA(image.Rect(0, 0, 5, 5))}}, 1, 1)
	if err := WritePNG(path, im); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if c, err := png.DecodeConfig(f); err != nil || c.Width != im.Rect.Dx() {
		t.Errorf("read back: %+v, %v", c, err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("%d files, want the picture alone", len(entries))
	}
	if err := WritePNG(filepath.Join(dir, "none", "sheet.png"), im); err == nil {
		t.Error("written into a folder that is not there")
	}
	if err := WritePNG(path, image.NewRGBA(image.Rectangle{})); err == nil {
		t.Error("an empty picture is written") // which PNG cannot hold
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("%d files after errors, want the picture alone", len(entries))
	}
}
