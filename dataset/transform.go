package dataset

import "fmt"

// Transform turns a picture into network input: resize so that the shorter side
// is ShortSide pixels and the longer one at most LongSide, mirror or not, pad
// with zeros at the right and at the bottom, and normalise each channel to
//
//	value = (pixel/255 - Mean) / Std
//
// with Mean and Std in the order red, green, blue, in units of the full range.
// Padding is zero after this, that is, the mean colour.
type Transform struct {
	ShortSide int // network pixels
	LongSide  int // network pixels; 0 means no cap
	PadTo     int // the batch's height and width are multiples of this: the stride of the coarsest level that must divide it
	Mean, Std [3]float32
}

// ratio is a positive fraction: network pixels per original pixel.
type ratio struct{ num, den int }

// ratio of a w x h picture. It is the same in both directions, so that shapes
// keep their proportions; only the size is rounded.
func (t Transform) ratio(w, h int) ratio {
	short, long := min(w, h), max(w, h)
	if t.LongSide != 0 && int64(t.ShortSide)*int64(long) > int64(t.LongSide)*int64(short) {
		return ratio{t.LongSide, long}
	}
	return ratio{t.ShortSide, short}
}

// of returns n times the ratio, rounded half up, at least 1.
func (r ratio) of(n int) int {
	num, den := int64(r.num), int64(r.den)
	return int(max((2*int64(n)*num+den)/(2*den), 1))
}

func (r ratio) float() float32 { return float32(float64(r.num) / float64(r.den)) }

// Size returns the network pixels that a w x h picture covers, and the scale in
// network pixels per original pixel. The padding is not included.
func (t Transform) Size(w, h int) (netWidth, netHeight int, scale float32) {
	r := t.ratio(w, h)
	return r.of(w), r.of(h), r.float()
}

// shows tells whether a box of a w x h picture's pixels has an area in network pixels, as
// it is and mirrored. In float32 a sliver may have one and not the other.
func (t Transform) shows(b [4]float32, w, h int) bool {
	netWidth, _, scale := t.Size(w, h)
	b = scaleBox(b, scale)
	m := mirrorBox(b, netWidth)
	return b[0] < b[2] && b[1] < b[3] && m[0] < m[2]
}

// Resize returns the picture at the transform's size. A picture that has it
// already is returned itself.
func (t Transform) Resize(p *RGB) (*RGB, error) {
	r := t.ratio(p.Width, p.Height)
	if r.num == r.den {
		return p, nil
	}
	w, h := r.of(p.Width), r.of(p.Height)
	if err := checkLimits(w, h); err != nil {
		return nil, fmt.Errorf("resized: %w", err)
	}
	return resize(p, w, h, r), nil
}

// taps are the source pixels and weights (of 2^14, adding up to it) that make
// one pixel of the result.
type taps struct {
	first  int
	weight []int32
}

// triangle returns the taps of each of n output pixels over size source pixels.
//
// Centres are half pixels: output i lies at (i+½)/r - ½. Enlarging, this is
// linear interpolation between the two nearest pixels; reducing, the triangle
// is as much wider as the picture shrinks, so that no pixel is skipped. All of
// it is integer arithmetic: equal bits on every machine.
func triangle(n, size int, r ratio) []taps {
	ts := make([]taps, n)
	num, den := int64(r.num), int64(r.den)
	reach := 2 * max(num, den) // in units of 1/(2 num) source pixels, as below
	for i := range ts {
		centre := int64(2*i+1) * den
		lo := max(int((centre-reach)/(2*num))-1, 0)
		hi := min(int((centre+reach)/(2*num))+1, size)
		// The last output pixel may lie beyond the source by rounding.
		lo, hi = min(lo, size-1), max(hi, min(lo, size-1)+1)
		var total int64
		part := make([]int64, hi-lo)
		for j := range part {
			d := int64(2*(lo+j)+1)*num - centre
			part[j] = max(reach-max(d, -d), 0)
			total += part[j]
		}
		t := taps{lo, make([]int32, hi-lo)}
		if total == 0 {
			part[len(part)-1], total = 1, 1
		}
		rest, best := int32(1<<14), 0
		for j, v := range part {
			t.weight[j] = int32(v << 14 / total)
			rest -= t.weight[j]
			if v > part[best] {
				best = j
			}
		}
		t.weight[best] += rest
		for len(t.weight) > 1 && t.weight[0] == 0 {
			t.first, t.weight = t.first+1, t.weight[1:]
		}
		for len(t.weight) > 1 && t.weight[len(t.weight)-1] == 0 {
			t.weight = t.weight[:len(t.weight)-1]
		}
		ts[i] = t
	}
	return ts
}

// resize filters the rows, then the columns, each rounded to a byte.
func resize(p *RGB, w, h int, r ratio) *RGB {
	wide := make([]uint8, 3*w*p.Height)
	columns := triangle(w, p.Width, r)
	for y := range p.Height {
		src, dst := p.Pix[3*y*p.Width:][:3*p.Width], wide[3*y*w:][:3*w]
		for x := range columns {
			t := &columns[x]
			var a, b, c int32 = 1 << 13, 1 << 13, 1 << 13
			q := src[3*t.first:]
			for j, v := range t.weight {
				a += v * int32(q[3*j])
				b += v * int32(q[3*j+1])
				c += v * int32(q[3*j+2])
			}
			dst[3*x], dst[3*x+1], dst[3*x+2] = uint8(a>>14), uint8(b>>14), uint8(c>>14)
		}
	}
	out := &RGB{w, h, make([]uint8, 3*w*h)}
	sum := make([]int32, 3*w)
	for y, t := range triangle(h, p.Height, r) {
		for i := range sum {
			sum[i] = 1 << 13
		}
		for j, v := range t.weight {
			for i, q := range wide[3*(t.first+j)*w:][:3*w] {
				sum[i] += v * int32(q)
			}
		}
		dst := out.Pix[3*y*w:][:3*w]
		for i, v := range sum {
			dst[i] = uint8(v >> 14)
		}
	}
	return out
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
func (p *RGB) place(dst []float32, h, w int, flip bool, table *[3][256]float32) {
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
