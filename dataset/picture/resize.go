package picture

import "fmt"

// Ratio is a positive fraction: pixels of a resized picture per pixel of the picture.
type Ratio struct{ Num, Den int }

// Of returns n times the ratio, rounded half up, at least 1.
func (r Ratio) Of(n int) int {
	num, den := int64(r.Num), int64(r.Den)
	return int(max((2*int64(n)*num+den)/(2*den), 1))
}

// Resize returns the picture resized by a ratio, and the picture itself if the ratio is 1.
func (p *RGB) Resize(r Ratio) (*RGB, error) {
	if r.Num == r.Den {
		return p, nil
	}
	w, h := r.Of(p.Width), r.Of(p.Height)
	if err := CheckSize(w, h); err != nil {
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
func triangle(n, size int, r Ratio) []taps {
	ts := make([]taps, n)
	num, den := int64(r.Num), int64(r.Den)
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
func resize(p *RGB, w, h int, r Ratio) *RGB {
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
