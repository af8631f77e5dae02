package dataset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The pictures of testdata were written by Pillow 13, and X.want.png is what
// Pillow, the reader of COCO's own tools, makes of X with convert("RGB").
func TestDecodeAsPillow(t *testing.T) {
	tests := []struct {
		name string
		far  int // largest difference of a value; two JPEG decoders may round differently
	}{
		{"420.jpg", 3}, {"422.jpg", 3}, {"444.jpg", 3}, {"progressive.jpg", 3},
		{"exif.jpg", 3}, // orientation 6: a reader that minds it would turn the picture
		{"grey.jpg", 1}, {"cmyk.jpg", 3},
		{"rgb.png", 0}, {"grey.png", 0}, {"palette.png", 0}, {"alpha.png", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := mustRead(t, filepath.Join("testdata", tt.name))
			want := mustRead(t, filepath.Join("testdata", tt.name+".want.png"))
			if got.Width != 35 || got.Height != 21 {
				t.Fatalf("size %d x %d, want 35 x 21", got.Width, got.Height)
			}
			if far, at := farthest(got.Pix, want.Pix); far > tt.far {
				t.Errorf("value %d (x %d, y %d) differs by %d, want at most %d", at, at/3%35, at/3/35, far, tt.far)
			}
		})
	}
}

func mustRead(t testing.TB, path string) *RGB {
	t.Helper()
	p, err := ReadImage(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func farthest(a, b []uint8) (far, at int) {
	for i := range a {
		if d := max(int(a[i])-int(b[i]), int(b[i])-int(a[i])); d > far {
			far, at = d, i
		}
	}
	return far, at
}

func TestDecodeSixteenBits(t *testing.T) {
	im := image.NewNRGBA64(image.Rect(0, 0, 2, 1))
	im.SetNRGBA64(0, 0, color.NRGBA64{0x1234, 0x5678, 0x9abc, 0xffff})
	im.SetNRGBA64(1, 0, color.NRGBA64{0x1234, 0x5678, 0x9abc, 0})
	var b bytes.Buffer
	if err := png.Encode(&b, im); err != nil {
		t.Fatal(err)
	}
	p, err := decodeBytes(b.Bytes(), 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	if want := []uint8{0x12, 0x56, 0x9a, 0x12, 0x56, 0x9a}; !bytes.Equal(p.Pix, want) {
		t.Errorf("pixels %v, want the high bytes whatever the alpha: %v", p.Pix, want)
	}
}

// hugePNG is a header that promises more than is allowed, with a right checksum.
func hugePNG() []byte {
	ihdr := []byte("IHDR\x00\x00\x80\x01\x00\x00\x00\x02\x08\x02\x00\x00\x00")
	b := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), ihdr...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(ihdr))
}

// TestDecodeHugeHeaders: a short file that promises a large picture is refused before
// memory is taken for it.
func TestDecodeHugeHeaders(t *testing.T) {
	pngFile := func(w, h uint32) []byte {
		b := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte("IHDR"), w), h)
		b = append(b, 16, 6, 0, 0, 0) // 16 bits, colour and alpha
		b = append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))...)
		return append(b, make([]byte, 1000)...)
	}
	good, err := os.ReadFile("testdata/progressive.jpg")
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(good, []byte{0xff, 0xc2}) // start of frame: length, bits, height, width
	jpegFile := func(w, h uint16) []byte {
		b := bytes.Clone(good)
		binary.BigEndian.PutUint16(b[at+5:], h)
		binary.BigEndian.PutUint16(b[at+7:], w)
		return b
	}
	for name, data := range map[string][]byte{"PNG": pngFile(8192, 8192), "JPEG": jpegFile(8192, 8192)} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := decodeBytes(data, 0, 0)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), "size is 8192 x 8192 pixels, more than") {
			t.Errorf("%s of %d bytes: %v", name, len(data), err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
			t.Errorf("%s of %d bytes: %d bytes of memory were taken", name, len(data), took)
		}
	}
	if _, err := decodeBytes(jpegFile(35, 21), 0, 0); err != nil {
		t.Errorf("its own size: %v", err)
	}
	// White is what packs best.
	white := image.NewGray(image.Rect(0, 0, 4096, 4096))
	for i := range white.Pix {
		white.Pix[i] = 255
	}
	for name, encode := range map[string]func(io.Writer) error{
		"PNG":  func(w io.Writer) error { return (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(w, white) },
		"JPEG": func(w io.Writer) error { return jpeg.Encode(w, white, &jpeg.Options{Quality: 1}) },
	} {
		var buf bytes.Buffer
		if err := encode(&buf); err != nil {
			t.Fatal(err)
		}
		if _, err := decodeBytes(buf.Bytes(), 0, 0); err != nil {
			t.Errorf("white %s of %d bytes: %v", name, buf.Len(), err)
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	good, err := os.ReadFile("testdata/420.jpg")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "empty"},
		{"text", []byte("<html>not found</html>"), "neither a JPEG nor a PNG"},
		{"truncated", good[:len(good)*2/3], "damaged or truncated"},
		{"header only", good[:20], "damaged or truncated"},
		{"huge", hugePNG(), "size is 32769 x 2 pixels, expected at most"},
		{"other size", good, "size is 35 x 21 pixels, the annotations say 21 x 35"},
	}
	dir := t.TempDir()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &Set{Dir: dir, Split: "val", Images: []Image{{ID: 77, File: "a.jpg", Width: 35, Height: 21}}}
			if tt.name == "other size" {
				s.Images[0].Width, s.Images[0].Height = 21, 35
			}
			put(t, s.Path(0), tt.data)
			_, err := s.Decode(0)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one with %q", err, tt.want)
			}
			if !strings.Contains(err.Error(), "image id 77") || !strings.Contains(err.Error(), s.Path(0)) {
				t.Errorf("error %q names not both the image id 77 and the file", err)
			}
		})
	}
	if _, err := decodeBytes([]byte("GIF89a"), 0, 0); !errors.Is(err, ErrNotImage) {
		t.Errorf("a GIF: error %v, want ErrNotImage", err)
	}
	if _, err := ReadImage(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder: error %v", err)
	}
}

func put(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// FuzzDecode holds that no bytes panic, and that a picture has the size asked
// for and exactly its pixels.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"420.jpg", "progressive.jpg", "cmyk.jpg", "grey.png", "palette.png"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, 35, 21)
		f.Add(data[:len(data)/2], 0, 0)
	}
	f.Add(hugePNG(), 0, 0)
	f.Fuzz(func(t *testing.T, data []byte, w, h int) {
		if c, _, err := image.DecodeConfig(bytes.NewReader(data)); err == nil && c.Width*c.Height > 1<<22 {
			t.Skip("allowed, but too slow to fuzz")
		}
		p, err := decodeBytes(data, w, h)
		if err != nil {
			return
		}
		if p.Width*p.Height > pngPixels*len(data) {
			t.Errorf("%d x %d pixels from %d bytes", p.Width, p.Height, len(data))
		}
		if len(p.Pix) != 3*p.Width*p.Height || p.Width < 1 || p.Height < 1 {
			t.Errorf("%d bytes for %d x %d pixels", len(p.Pix), p.Width, p.Height)
		}
		if w != 0 && (p.Width != w || p.Height != h) {
			t.Errorf("got %d x %d pixels, asked for %d x %d", p.Width, p.Height, w, h)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	// 640 x 480, the usual size of COCO, with the noise of a photograph.
	g, err := NewSynth(SynthConfig{Pixels: 640, Classes: 4, Train: 1, Tune: 1, Val: 1, Objects: 3, MinSize: 0.1, MaxSize: 0.5, Noise: 4, Clutter: 0.5})
	if err != nil {
		b.Fatal(err)
	}
	s := g.Scene("train", 0)
	var buf bytes.Buffer
	im := (&RGB{s.Size, s.Size, s.Pixels}).Image().SubImage(image.Rect(0, 0, 640, 480))
	if err := jpeg.Encode(&buf, im, &jpeg.Options{Quality: 90}); err != nil {
		b.Fatal(err)
	}
	tr := Transform{ShortSide: 800, LongSide: 1333, PadTo: 32, Std: [3]float32{1, 1, 1}}
	for b.Loop() {
		p, err := decodeBytes(buf.Bytes(), 640, 480)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := tr.Resize(p); err != nil {
			b.Fatal(err)
		}
	}
}
