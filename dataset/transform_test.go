package dataset

import (
	"bytes"
	"math"
	"testing"
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

// shortNN.want.png are Pillow's bilinear resizing of rgb.png, which widens the
// triangle when it shrinks as ours does.
func TestResizeAsPillow(t *testing.T) {
	p := mustRead(t, "testdata/rgb.png")
	for _, tt := range []struct {
		short int
		want  string
	}{{12, "short12.want.png"}, {42, "short42.want.png"}} {
		got, err := Transform{ShortSide: tt.short, PadTo: 1}.Resize(p)
		if err != nil {
			t.Fatal(err)
		}
		want := mustRead(t, "testdata/"+tt.want)
		if got.Width != want.Width || got.Height != want.Height {
			t.Fatalf("%s: size %d x %d, want %d x %d", tt.want, got.Width, got.Height, want.Width, want.Height)
		}
		if far, at := farthest(got.Pix, want.Pix); far > 1 { // rounding twice, with other fixed points
			t.Errorf("%s: value %d differs by %d, want at most 1", tt.want, at, far)
		}
	}
}

func TestResizeIdentities(t *testing.T) {
	p := mustRead(t, "testdata/rgb.png")
	same, err := Transform{ShortSide: 21, PadTo: 1}.Resize(p)
	if err != nil || same != p {
		t.Errorf("at scale 1: %p (%v), want the picture itself, %p", same, err, p)
	}
	// One colour stays that colour at every scale: the weights add up to one.
	grey := &RGB{13, 7, bytes.Repeat([]uint8{1, 128, 255}, 13*7)}
	for short := 1; short < 40; short++ {
		q, err := Transform{ShortSide: short, PadTo: 1}.Resize(grey)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(q.Pix, bytes.Repeat([]uint8{1, 128, 255}, q.Width*q.Height)) {
			t.Errorf("short side %d: one colour has changed", short)
		}
	}
	// By hand: two pixels 0 and 100 at twice the size have centres -¼, ¼, ¾, 1¼.
	q := resize(&RGB{2, 1, []uint8{0, 0, 0, 100, 100, 100}}, 4, 2, ratio{2, 1})
	want := []uint8{0, 0, 0, 25, 25, 25, 75, 75, 75, 100, 100, 100}
	if !bytes.Equal(q.Pix[:12], want) || !bytes.Equal(q.Pix[12:], want) {
		t.Errorf("two pixels enlarged: %v, want %v twice", q.Pix, want)
	}
}

func TestMirror(t *testing.T) {
	p := mustRead(t, "testdata/rgb.png")
	table := Transform{Std: [3]float32{1, 1, 1}}.table()
	h, w := 32, 64
	plain, once, twice := make([]float32, 3*h*w), make([]float32, 3*h*w), make([]float32, 3*h*w)
	p.place(plain, h, w, false, table)
	p.place(once, h, w, true, table)
	m := &RGB{p.Width, p.Height, make([]uint8, len(p.Pix))}
	m.fill(func(x, y int) (uint8, uint8, uint8) {
		q := p.Pix[3*(y*p.Width+p.Width-1-x):]
		return q[0], q[1], q[2]
	})
	m.place(twice, h, w, true, table)
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
