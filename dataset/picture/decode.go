// Package picture reads the pictures of JPEG and PNG files as RGB.
//
// Grey and CMYK become RGB, transparency is ignored, and so is EXIF orientation: pixels are as
// stored. Files are refused that are not regular, too large, or would take much more memory to
// decode than their size allows. Colours and sizes are computed in integers as Pillow does, the
// reader of COCO's own tools.
package picture

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"os"
)

// RGB is a decoded picture: three bytes a pixel, row by row.
type RGB struct {
	Width, Height int
	Pix           []uint8 // Width x Height x 3
}

// Read decodes a JPEG or PNG file.
func Read(path string) (*RGB, error) {
	data, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	rgb, err := Decode(data, 0, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return rgb, nil
}

// StatRegular returns the information about a regular file without opening it: opening a pipe
// would wait for its writer.
func StatRegular(path string) (os.FileInfo, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: not a regular file", path)
	}
	return info, err
}

// ReadFile reads a regular file that is not too large to be a picture.
func ReadFile(path string) ([]byte, error) {
	info, err := StatRegular(path)
	if err != nil {
		return nil, err
	}
	if err := checkBytes(info); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return os.ReadFile(path)
}

func checkBytes(info os.FileInfo) error {
	if info.Size() > maxBytes {
		return fmt.Errorf("%d bytes, expected at most %d", info.Size(), maxBytes)
	}
	return nil
}

// Decode decodes the bytes of a file; where w is not 0, the size must be w x h. It looks at
// the header first, so that nothing is allocated for a picture that is refused.
func Decode(data []byte, w, h int) (*RGB, error) {
	hd, err := readHeader(data)
	if err == nil {
		err = hd.check(int64(len(data)), w, h)
	}
	if err != nil {
		return nil, err
	}
	im, err := hd.decode(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("damaged or truncated: %w", err)
	}
	return toRGB(im), nil
}

// Image returns the picture as Go's opaque RGBA image, sharing nothing.
func (p *RGB) Image() *image.RGBA {
	im := image.NewRGBA(image.Rect(0, 0, p.Width, p.Height))
	for i := range p.Width * p.Height {
		copy(im.Pix[4*i:4*i+3], p.Pix[3*i:])
		im.Pix[4*i+3] = 255
	}
	return im
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
	case *image.RGBA64: // 16 bits a channel, the high byte first
		out.fill(func(x, y int) (uint8, uint8, uint8) {
			p := im.Pix[y*im.Stride+8*x:]
			return p[0], p[2], p[4]
		})
	case *image.NRGBA64:
		out.fill(func(x, y int) (uint8, uint8, uint8) {
			p := im.Pix[y*im.Stride+8*x:]
			return p[0], p[2], p[4]
		})
	case *image.Gray16:
		out.fill(func(x, y int) (uint8, uint8, uint8) {
			v := im.Pix[y*im.Stride+2*x]
			return v, v, v
		})
	default: // a palette, whose colours are taken without their transparency
		var table [256][3]uint8
		p := im.(*image.Paletted)
		for i, c := range p.Palette {
			if t, ok := c.(color.NRGBA); ok {
				t.A = 255
				c = t
			}
			r, g, b, _ := c.RGBA()
			table[i] = [3]uint8{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8)}
		}
		out.fill(func(x, y int) (uint8, uint8, uint8) {
			c := &table[p.Pix[y*p.Stride+x]]
			return c[0], c[1], c[2]
		})
	}
	return out
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
