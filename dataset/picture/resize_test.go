package picture

import (
	"bytes"
	"testing"
)

// shortNN.want.png are Pillow's bilinear resizing of rgb.png, which widens the
// triangle when it shrinks as ours does.
func TestResizeAsPillow(t *testing.T) {
	p := mustRead(t, "testdata/rgb.png")
	for _, tt := range []struct {
		short int
		want  string
	}{{12, "short12.want.png"}, {42, "short42.want.png"}} {
		got, err := p.Resize(Ratio{tt.short, 21})
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
	same, err := p.Resize(Ratio{21, 21})
	if err != nil || same != p {
		t.Errorf("at scale 1: %p (%v), want the picture itself, %p", same, err, p)
	}
	// One colour stays that colour at every scale: the weights add up to one.
	grey := &RGB{13, 7, bytes.Repeat([]uint8{1, 128, 255}, 13*7)}
	for short := 1; short < 40; short++ {
		q, err := grey.Resize(Ratio{short, 7})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(q.Pix, bytes.Repeat([]uint8{1, 128, 255}, q.Width*q.Height)) {
			t.Errorf("short side %d: one colour has changed", short)
		}
	}
	// By hand: two pixels 0 and 100 at twice the size have centres -¼, ¼, ¾, 1¼.
	q := resize(&RGB{2, 1, []uint8{0, 0, 0, 100, 100, 100}}, 4, 2, Ratio{2, 1})
	want := []uint8{0, 0, 0, 25, 25, 25, 75, 75, 75, 100, 100, 100}
	if !bytes.Equal(q.Pix[:12], want) || !bytes.Equal(q.Pix[12:], want) {
		t.Errorf("two pixels enlarged: %v, want %v twice", q.Pix, want)
	}
}
