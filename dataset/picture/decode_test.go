package picture

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

	"focalgrid/dataset/synthetic"
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
	p, err := Read(path)
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
	p, err := Decode(b.Bytes(), 2, 1)
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
		_, err := Decode(data, 0, 0)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), "size is 8192 x 8192 pixels, more than") {
			t.Errorf("%s of %d bytes: %v", name, len(data), err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
			t.Errorf("%s of %d bytes: %d bytes of memory were taken", name, len(data), took)
		}
	}
	if _, err := Decode(jpegFile(35, 21), 0, 0); err != nil {
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
		if _, err := Decode(buf.Bytes(), 0, 0); err != nil {
			t.Errorf("white %s of %d bytes: %v", name, buf.Len(), err)
		}
	}
}

// TestDecodeBombs: what a header asks for is bounded by what its file brings, before
// memory is taken; photographs of 64 megapixels are far from the bound.
func TestDecodeBombs(t *testing.T) {
	pngHeader := func(w, h uint32, depth, colour, interlace byte) []byte {
		b := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte("IHDR"), w), h)
		b = append(b, depth, colour, 0, 0, interlace)
		return append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))...)
	}
	jpegHeader := func(name string, w, h uint16) []byte {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		at := bytes.Index(b, []byte{0xff, 0xc0}) // start of frame, sequential or progressive
		if at < 0 {
			at = bytes.Index(b, []byte{0xff, 0xc2})
		}
		binary.BigEndian.PutUint16(b[at+5:], h)
		binary.BigEndian.PutUint16(b[at+7:], w)
		return b
	}
	const mega = 1 << 20
	tests := []struct {
		name   string
		header []byte
		size   int64 // of the whole file
		memory int64 // that decoding takes, in megabytes
		ok     bool
	}{
		{"16 bits, transparent, all zero", pngHeader(8192, 8192, 16, 6, 0), mega / 2, 11 * 64, false},
		{"16 bits, interlaced", pngHeader(8192, 8192, 16, 2, 1), 2 * mega, 19 * 64, false},
		{"8 bits, interlaced", pngHeader(8192, 8192, 8, 2, 1), mega / 4, 11 * 64, false},
		{"progressive, all grey", jpegHeader("progressive.jpg", 8192, 8192), mega / 2, 672, false},
		{"CMYK, all white", jpegHeader("cmyk.jpg", 8192, 8192), mega / 2, 11 * 64, false},
		{"photograph", jpegHeader("420.jpg", 8192, 8192), 12 * mega, 288, true},
		{"photograph, poor", jpegHeader("420.jpg", 8192, 8192), 3 * mega, 288, true},
		{"photograph, progressive", jpegHeader("progressive.jpg", 8192, 8192), 4 * mega, 672, true},
		{"photograph without losses", pngHeader(8192, 8192, 8, 2, 0), 80 * mega, 7 * 64, true},
		{"photograph without losses, 16 bits", pngHeader(8192, 8192, 16, 2, 0), 250 * mega, 11 * 64, true},
		{"drawing of one colour", pngHeader(4096, 4096, 8, 6, 1), mega / 16, 11 * 16, true},
		{"scan, black and white", pngHeader(8192, 8192, 1, 0, 0), mega / 8, 4 * 64, true},
	}
	for _, tt := range tests {
		hd, err := readHeader(tt.header)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := hd.memory / mega; got != tt.memory {
			t.Errorf("%s: takes %d MB, want %d", tt.name, got, tt.memory)
		}
		err = hd.check(tt.size, 0, 0)
		if (err == nil) != tt.ok || err != nil && !strings.Contains(err.Error(), "bytes of memory to decode: more than the 268435456 ") && !strings.Contains(err.Error(), "more than the 536870912 ") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func pngBytes(t testing.TB, im image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, im); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestDecodeMemory holds the header's estimate against what decoding takes.
func TestDecodeMemory(t *testing.T) {
	at := image.Rect(0, 0, 700, 500)
	encode := func(im image.Image) []byte {
		var b bytes.Buffer
		if err := jpeg.Encode(&b, im, nil); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for name, data := range map[string][]byte{
		"grey JPEG":   encode(image.NewGray(at)),
		"JPEG":        encode(image.NewRGBA(at)),
		"grey PNG":    pngBytes(t, image.NewGray(at)),
		"RGB":         pngBytes(t, image.NewRGBA(at)),
		"RGBA":        pngBytes(t, image.NewNRGBA(at)),
		"16-bit grey": pngBytes(t, image.NewGray16(at)),
		"16-bit RGBA": pngBytes(t, image.NewNRGBA64(at)),
		"palette":     pngBytes(t, image.NewPaletted(at, color.Palette{color.Black, color.White})),
	} {
		hd, err := readHeader(data)
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := Decode(data, 700, 500); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if took := int64(after.TotalAlloc - before.TotalAlloc); took > hd.memory+hd.memory/10+200_000 {
			t.Errorf("%s: decoding took %d bytes, estimated at %d", name, took, hd.memory)
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
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, h := 35, 21
			if tt.name == "other size" {
				w, h = h, w
			}
			if _, err := Decode(tt.data, w, h); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
	if _, err := Decode([]byte("GIF89a"), 0, 0); !errors.Is(err, ErrNotImage) {
		t.Errorf("a GIF: error %v, want ErrNotImage", err)
	}
	if _, err := Read("testdata"); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder: error %v", err)
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
		p, err := Decode(data, w, h)
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

// FuzzExif holds that no segment panics, and that an orientation is one.
func FuzzExif(f *testing.F) {
	data, err := os.ReadFile("testdata/exif.jpg")
	if err != nil {
		f.Fatal(err)
	}
	at := bytes.Index(data, []byte("Exif\x00\x00"))
	f.Add(data[at : at+60])
	f.Add([]byte("Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x08\x00\x00"))
	f.Add([]byte("Exif\x00\x00II*\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, segment []byte) {
		if v := exifOrientation(segment); v < 0 || v > 8 {
			t.Errorf("orientation %d", v)
		}
		orientation, perPixel := jpegSegments(append([]byte("\xff\xd8"), segment...))
		if orientation < 1 || orientation > 8 || !(perPixel >= 0 && perPixel <= 6000) {
			t.Errorf("orientation %d, %g bytes a pixel", orientation, perPixel)
		}
	})
}

// TestExifOrientation reads both orders of bytes, and takes nothing for an orientation
// that is none.
func TestExifOrientation(t *testing.T) {
	little := "Exif\x00\x00II*\x00\x08\x00\x00\x00\x02\x00" + "\x0f\x01\x02\x00\x01\x00\x00\x00a\x00\x00\x00" + "\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00"
	big := "Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01" + "\x01\x12\x00\x03\x00\x00\x00\x01\x00\x03\x00\x00"
	for text, want := range map[string]int{
		little: 6, big: 3, little[:len(little)-1]: 0, "http://ns.adobe.com/xap/1.0/": 0, "": 0,
		strings.Replace(big, "\x01\x00\x03", "\x01\x00\x09", 1): 0, // 9 is none
		strings.Replace(big, "\x00\x08", "\x00\xff", 1):         0, // beyond the segment
	} {
		if got := exifOrientation([]byte(text)); got != want {
			t.Errorf("%q: orientation %d, want %d", text, got, want)
		}
	}
}

// BenchmarkDecode measures what a loader does with a photograph of COCO's usual size on its way to 800 px: how much of
// it is image/jpeg's own work, and how much checking the header and converting to RGB adds, and resizing.
func BenchmarkDecode(b *testing.B) {
	// 640 x 480, with the noise of a photograph.
	g := synthetic.New(synthetic.Config{Pixels: 640, Classes: 4, Train: 1, Tune: 1, Val: 1, Objects: 3, MinSize: 0.1, MaxSize: 0.5, Noise: 4, Clutter: 0.5})
	s := g.Scene("train", 0)
	var buf bytes.Buffer
	im := (&RGB{s.Size, s.Size, s.Pixels}).Image().SubImage(image.Rect(0, 0, 640, 480))
	if err := jpeg.Encode(&buf, im, &jpeg.Options{Quality: 90}); err != nil {
		b.Fatal(err)
	}
	p, err := Decode(buf.Bytes(), 640, 480)
	if err != nil {
		b.Fatal(err)
	}
	for _, part := range []struct {
		name string
		do   func() error
	}{
		{"image-jpeg", func() error { _, err := jpeg.Decode(bytes.NewReader(buf.Bytes())); return err }},
		{"decode", func() error { _, err := Decode(buf.Bytes(), 640, 480); return err }},
		{"resize", func() error { _, err := p.Resize(Ratio{800, 480}); return err }},
	} {
		b.Run(part.name, func(b *testing.B) {
			for b.Loop() {
				if err := part.do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
