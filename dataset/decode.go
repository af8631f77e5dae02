package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
)

// RGB is a decoded picture: three bytes a pixel, row by row.
type RGB struct {
	Width, Height int
	Pix           []uint8 // Width x Height x 3
}

// Limits on what is decoded, far above any published set: they keep a damaged
// or hostile file from asking for all memory.
const (
	maxSide   = 1 << 15
	maxPixels = 1 << 26
	maxBytes  = 1 << 28
)

// The most pixels that a byte of a file can stand for: deflate makes at most 1032
// bytes of one, each of 8 pixels of one bit; a JPEG spends a bit or more on each
// block of 8 x 8. A header that promises more is refused before memory is taken.
const (
	pngPixels  = 8 * 1032
	jpegPixels = 8 * 64
)

// ErrNotImage is returned where a file is neither JPEG nor PNG.
var ErrNotImage = errors.New("neither a JPEG nor a PNG file")

func checkLimits(w, h int) error {
	if w > maxSide || h > maxSide || w*h > maxPixels {
		return fmt.Errorf("size is %d x %d pixels, expected at most %d a side and %d in all", w, h, maxSide, maxPixels)
	}
	return nil
}

// Decode reads image i. Its size must be what the annotations state. Grey and
// CMYK become RGB, transparency and EXIF orientation are ignored as COCO's own
// tools ignore them (its boxes are in the pixels as stored). The error names
// the file and the image's id.
func (s *Set) Decode(i int) (*RGB, error) {
	im := &s.Images[i]
	rgb, err := decodeFile(s.Path(i), im.Width, im.Height)
	if err != nil {
		return nil, fmt.Errorf("image id %d: %w", im.ID, err)
	}
	return rgb, nil
}

// ReadImage decodes a JPEG or PNG file that belongs to no set.
func ReadImage(path string) (*RGB, error) { return decodeFile(path, 0, 0) }

// decodeFile decodes a file; where w is not 0, the size must be w x h.
func decodeFile(path string, w, h int) (*RGB, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	if info.Size() > maxBytes {
		return nil, fmt.Errorf("%s: %d bytes, expected at most %d", path, info.Size(), maxBytes)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	rgb, err := decodeBytes(data, w, h)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return rgb, nil
}

// decodeBytes looks at the header first, so that nothing is allocated for a
// picture of the wrong size.
func decodeBytes(data []byte, w, h int) (*RGB, error) {
	header, decode, pixels := jpeg.DecodeConfig, jpeg.Decode, jpegPixels
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xd8")):
	case bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")):
		header, decode, pixels = png.DecodeConfig, png.Decode, pngPixels
	case len(data) == 0:
		return nil, errors.New("the file is empty")
	default:
		return nil, ErrNotImage
	}
	c, err := header(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("damaged or truncated: %w", err)
	}
	if c.Width < 1 || c.Height < 1 {
		return nil, fmt.Errorf("size is %d x %d pixels, expected at least 1 x 1", c.Width, c.Height)
	}
	if err := checkLimits(c.Width, c.Height); err != nil {
		return nil, err
	}
	if w != 0 && (c.Width != w || c.Height != h) {
		return nil, fmt.Errorf("size is %d x %d pixels, the annotations say %d x %d", c.Width, c.Height, w, h)
	}
	if c.Width*c.Height > pixels*len(data) {
		return nil, fmt.Errorf("damaged or truncated: size is %d x %d pixels, more than %d bytes can hold", c.Width, c.Height, len(data))
	}
	im, err := decode(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("damaged or truncated: %w", err)
	}
	return toRGB(im), nil
}

// toRGB copies any picture of the two decoders.
func toRGB(im image.Image) *RGB {
	b := im.Bounds()
	out := &RGB{b.Dx(), b.Dy(), make([]uint8, 3*b.Dx()*b.Dy())}
	switch im := im.(type) {
	case *image.YCbCr:
		fromYCbCr(out, im)
	case *image.Gray:
		out.fill(func(x, y int) (uint8, uint8, uint8) {
			v := im.Pix[y*im.Stride+x]
			return v, v, v
		})
	case *image.RGBA:
		out.fill(func(x, y int) (uint8, uint8, uint8) {
			p := im.Pix[y*im.Stride+4*x:]
			return p[0], p[1], p[2]
		})
	case *image.NRGBA:
		out.fill(func(x, y int) (uint8, uint8, uint8) {
			p := im.Pix[y*im.Stride+4*x:]
			return p[0], p[1], p[2]
		})
	case *image.CMYK:
		out.fill(func(x, y int) (uint8, uint8, uint8) {
			p := im.Pix[y*im.Stride+4*x:]
			return color.CMYKToRGB(p[0], p[1], p[2], p[3])
		})
	default: // palettes and 16 bits a channel: without the alpha that RGBA() multiplies in
		out.fill(func(x, y int) (uint8, uint8, uint8) {
			c := color.NRGBA64Model.Convert(opaque(im.At(b.Min.X+x, b.Min.Y+y))).(color.NRGBA64)
			return uint8(c.R >> 8), uint8(c.G >> 8), uint8(c.B >> 8)
		})
	}
	return out
}

// opaque drops the alpha of a colour whose channels do not include it already;
// a colour that is fully transparent would otherwise turn black.
func opaque(c color.Color) color.Color {
	switch c := c.(type) {
	case color.NRGBA:
		c.A = 255
		return c
	case color.NRGBA64:
		c.A = 0xffff
		return c
	}
	return c
}

func (p *RGB) fill(at func(x, y int) (r, g, b uint8)) {
	for y := range p.Height {
		row := p.Pix[3*y*p.Width:][:3*p.Width]
		for x := range p.Width {
			row[3*x], row[3*x+1], row[3*x+2] = at(x, y)
		}
	}
}

// fromYCbCr converts with the usual JPEG (BT.601, full range) matrix. Where
// colour has half the resolution it is interpolated linearly, a quarter from
// the next sample in each direction, as libjpeg and so COCO's tools do; taking
// the nearest sample instead would differ by tens of levels at edges.
func fromYCbCr(out *RGB, im *image.YCbCr) {
	halfX := im.SubsampleRatio == image.YCbCrSubsampleRatio420 || im.SubsampleRatio == image.YCbCrSubsampleRatio422
	halfY := im.SubsampleRatio == image.YCbCrSubsampleRatio420
	if !halfX && im.SubsampleRatio != image.YCbCrSubsampleRatio444 {
		out.fill(func(x, y int) (uint8, uint8, uint8) {
			c := im.COffset(x, y)
			return ycc(im.Y[im.YOffset(x, y)], int32(im.Cb[c]), int32(im.Cr[c]))
		})
		return
	}
	cw, ch := out.Width, out.Height
	if halfX {
		cw = (cw + 1) / 2
	}
	if halfY {
		ch = (ch + 1) / 2
	}
	var wide [2][]int32 // one row of Cb and of Cr at full width
	tall := make([]int32, cw)
	for i := range wide {
		wide[i] = make([]int32, out.Width+1)
	}
	for y := range out.Height {
		for i, plane := range [2][]uint8{im.Cb, im.Cr} {
			// tall is in units of 1 or, where two rows are mixed, of a quarter.
			if halfY {
				near := plane[y/2*im.CStride:][:cw]
				far := plane[min(max(y/2-1+y%2*2, 0), ch-1)*im.CStride:][:cw]
				for x := range tall {
					tall[x] = 3*int32(near[x]) + int32(far[x])
				}
			} else {
				for x, v := range plane[y*im.CStride:][:cw] {
					tall[x] = int32(v)
				}
			}
			switch {
			case !halfX:
				copy(wide[i], tall)
			case halfY:
				stretch(wide[i], tall, 16, 8, 7)
			default:
				stretch(wide[i], tall, 4, 1, 2)
			}
		}
		luma := im.Y[y*im.YStride:][:out.Width]
		row := out.Pix[3*y*out.Width:][:3*out.Width]
		for x, v := range luma {
			row[3*x], row[3*x+1], row[3*x+2] = ycc(v, wide[0][x], wide[1][x])
		}
	}
}

// stretch doubles a row: each value is 3/4 of the nearest and 1/4 of the next
// sample, divided by unit in all. Halves are rounded up at left and down at
// right by the two biases, so that rounding does not drift.
func stretch(dst, src []int32, unit, left, right int32) {
	for x, v := range src {
		before, after := src[max(x-1, 0)], src[min(x+1, len(src)-1)]
		dst[2*x] = (3*v + before + left) / unit
		if 2*x+1 < len(dst) {
			dst[2*x+1] = (3*v + after + right) / unit
		}
	}
}

// ycc is one pixel, in 16-bit fixed point: R = Y + 1.402 Cr', G = Y - .344136
// Cb' - .714136 Cr', B = Y + 1.772 Cb', with Cb' = Cb - 128 and so on.
func ycc(y uint8, cb, cr int32) (r, g, b uint8) {
	l := int32(y)<<16 + 1<<15
	cb, cr = cb-128, cr-128
	return clamp8((l + 91881*cr) >> 16), clamp8((l - 22554*cb - 46802*cr) >> 16), clamp8((l + 116130*cb) >> 16)
}

func clamp8(v int32) uint8 { return uint8(min(max(v, 0), 255)) }
