package dataset

import "focalgrid/dataset/picture"

// Transform turns a picture into network input: resize so that the shorter side
// is ShortSide pixels and the longer one at most LongSide, mirror or not, pad
// with zeros at the right and at the bottom, and normalise each channel to
//
//	value = (pixel/255 - Mean) / Std
//
// with Mean and Std in the order red, green, blue, in units of the full range.
// Padding is zero after this, that is, the mean colour.
type Transform struct {
	ShortSide int  // network pixels
	LongSide  int  // network pixels; 0 means no cap
	PadTo     int  // the batch's height and width are multiples of this: the stride of the coarsest level that must divide it
	Oriented  bool // the images of a batch are all wide or all not, padded to the one size that any such image fits
	Mean, Std [3]float32
}

// Padded rounds a length up to a multiple of PadTo.
func (t Transform) Padded(n int) int { return (n + t.PadTo - 1) / t.PadTo * t.PadTo }

// Wide reports whether an image is wider than high.
func Wide(im *Image) bool { return im.Width > im.Height }

// OrientedSize returns the size of a batch of oriented images, wide or not.
func (t Transform) OrientedSize(wide bool) (h, w int) {
	short, long := t.Padded(t.ShortSide), t.Padded(t.LongSide)
	if wide {
		return short, long
	}
	return long, short
}

// ratio returns network pixels per original pixel of a w x h picture. It is the same in both
// directions, so that shapes keep their proportions; only the size is rounded.
func (t Transform) ratio(w, h int) picture.Ratio {
	short, long := min(w, h), max(w, h)
	if t.LongSide != 0 && int64(t.ShortSide)*int64(long) > int64(t.LongSide)*int64(short) {
		return picture.Ratio{Num: t.LongSide, Den: long}
	}
	return picture.Ratio{Num: t.ShortSide, Den: short}
}

// Size returns the network pixels that a w x h picture covers, and the scale in
// network pixels per original pixel. The padding is not included.
func (t Transform) Size(w, h int) (netWidth, netHeight int, scale float32) {
	r := t.ratio(w, h)
	return r.Of(w), r.Of(h), float32(float64(r.Num) / float64(r.Den))
}

// shows reports whether a box of a w x h picture's pixels has an area in network pixels, as
// it is and mirrored. In float32 a sliver may have one and not the other.
func (t Transform) shows(b [4]float32, w, h int) bool {
	netWidth, _, scale := t.Size(w, h)
	b = scaleBox(b, scale)
	m := mirrorBox(b, netWidth)
	return b[0] < b[2] && b[1] < b[3] && m[0] < m[2]
}

// Resize returns the picture at the transform's size. A picture that has it
// already is returned itself.
func (t Transform) Resize(p *picture.RGB) (*picture.RGB, error) {
	return p.Resize(t.ratio(p.Width, p.Height))
}

// table lists the network value of each byte, for each channel.
func (t Transform) table() *[3][256]float32 {
	var v [3][256]float32
	for k := range v {
		for p := range v[k] {
			v[k][p] = float32((float64(p)/255 - float64(t.Mean[k])) / float64(t.Std[k]))
		}
	}
	return &v
}

// place writes a resized picture, mirrored or not, to the upper left corner of
// three planes of h x w values each.
func place(p *picture.RGB, dst []float32, h, w int, flip bool, table *[3][256]float32) {
	for k := range 3 {
		values := &table[k]
		for y := range p.Height {
			src, row := p.Pix[3*y*p.Width:][:3*p.Width], dst[k*h*w+y*w:][:p.Width]
			if flip {
				for x := range row {
					row[p.Width-1-x] = values[src[3*x+k]]
				}
			} else {
				for x := range row {
					row[x] = values[src[3*x+k]]
				}
			}
		}
	}
}

// placeBytes writes a resized picture, mirrored or not, to the upper left corner of an image of w pixels a row, and
// zeros beside it.
func placeBytes(p *picture.RGB, dst []byte, w int, flip bool) {
	for y := range p.Height {
		src, row := p.Pix[3*y*p.Width:][:3*p.Width], dst[3*y*w:][:3*w]
		if n := copy(row, src); n < len(row) {
			clear(row[n:])
		}
		if flip {
			for a, b := 0, 3*(p.Width-1); a < b; a, b = a+3, b-3 {
				pixel := [3]byte(row[a:])
				copy(row[a:a+3], row[b:b+3])
				copy(row[b:b+3], pixel[:])
			}
		}
	}
	clear(dst[3*p.Height*w:])
}

// scaleBox is the box in network pixels.
func scaleBox(b [4]float32, scale float32) [4]float32 {
	for k := range b {
		b[k] = float32(b[k] * scale) // rounded here, never fused into what follows
	}
	return b
}

// mirrorBox is the box in the picture mirrored left to right: x1' = w - x2 and
// x2' = w - x1, w being the width of the resized picture without padding.
func mirrorBox(b [4]float32, w int) [4]float32 {
	return [4]float32{float32(w) - b[2], b[1], float32(w) - b[0], b[3]}
}
