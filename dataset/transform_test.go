package dataset

import (
	"math"
	"testing"

	"focalgrid/dataset/picture"
)

func TestTransformSize(t *testing.T) {
	tests := []struct {
		short, long, w, h int
		netW, netH        int
		scale             float64
	}{
		{800, 1333, 640, 480, 1067, 800, 800. / 480},
		{800, 1333, 480, 640, 800, 1067, 800. / 480},
		{800, 1333, 500, 200, 1333, 533, 1333. / 500}, // the cap decides
		{600, 1000, 640, 384, 1000, 600, 600. / 384},  // both at once
		{800, 0, 500, 200, 2000, 800, 4},              // no cap
		{128, 128, 128, 128, 128, 128, 1},
		{1, 0, 3, 3, 1, 1, 1. / 3},
		{1, 10, 5000, 2, 10, 1, 10. / 5000}, // never less than a pixel
	}
	for _, tt := range tests {
		w, h, scale := Transform{ShortSide: tt.short, LongSide: tt.long}.Size(tt.w, tt.h)
		if w != tt.netW || h != tt.netH || scale != float32(tt.scale) {
			t.Errorf("short %d, long %d, %d x %d: got %d x %d at %g, want %d x %d at %g", tt.short, tt.long, tt.w, tt.h, w, h, scale, tt.netW, tt.netH, tt.scale)
		}
	}
}

func TestMirror(t *testing.T) {
	p, err := picture.Read("picture/testdata/rgb.png")
	if err != nil {
		t.Fatal(err)
	}
	table := Transform{Std: [3]float32{1, 1, 1}}.table()
	h, w := 32, 64
	plain, once, twice := make([]float32, 3*h*w), make([]float32, 3*h*w), make([]float32, 3*h*w)
	place(p, plain, h, w, false, table)
	place(p, once, h, w, true, table)
	m := &picture.RGB{Width: p.Width, Height: p.Height, Pix: make([]uint8, len(p.Pix))}
	for i := range p.Width * p.Height {
		x, y := i%p.Width, i/p.Width
		copy(m.Pix[3*i:][:3], p.Pix[3*(y*p.Width+p.Width-1-x):])
	}
	place(m, twice, h, w, true, table)
	for i := range plain {
		if plain[i] != twice[i] {
			t.Fatalf("value %d: mirrored twice %g, plain %g", i, twice[i], plain[i])
		}
		if x, y := i%w, i/w%h; (x >= p.Width || y >= p.Height) && (plain[i] != 0 || once[i] != 0) {
			t.Fatalf("value %d is padding and not 0", i)
		} else if x < p.Width && y < p.Height && once[i] != plain[i-x+p.Width-1-x] {
			t.Fatalf("value %d: mirrored %g, want %g", i, once[i], plain[i-x+p.Width-1-x])
		}
	}
	b := [4]float32{3, 4, 10, 20}
	if got, want := mirrorBox(b, 35), ([4]float32{25, 4, 32, 20}); got != want {
		t.Errorf("mirrored box %v, want %v", got, want)
	}
	if got := mirrorBox(mirrorBox(b, 35), 35); got != b {
		t.Errorf("box mirrored twice is %v, want %v", got, b)
	}
}

func TestTransformTable(t *testing.T) {
	table := Transform{Mean: imageNetMean, Std: imageNetStd}.table()
	for k := range 3 {
		for _, p := range []int{0, 1, 128, 255} {
			want := float32((float64(p)/255 - float64(imageNetMean[k])) / float64(imageNetStd[k]))
			if got := table[k][p]; math.Abs(float64(got-want)) > 1e-7 {
				t.Errorf("channel %d, byte %d: %g, want %g", k, p, got, want)
			}
		}
	}
	if got := table[0][0]; math.Abs(float64(got)+2.1179) > 1e-4 { // -.485/.229 by hand
		t.Errorf("red 0 is %g, want -2.1179", got)
	}
}
