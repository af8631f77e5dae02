package synthetic

import "slices"

// canvas is a square picture, RGB, three bytes a pixel, row by row.
type canvas struct {
	size int
	pix  []uint8
}

// samples is the number of samples a pixel in each direction.
const samples = 4

// mask is how much of each pixel a shape covers, in [0, samples²], over the
// part of its bounding rectangle that lies on the canvas.
type mask struct {
	x, y, w, h int
	cover      []uint8
}

// fill samples the inside of the contours (even-odd rule).
func fill(size int, contours [][]point) mask {
	limit := int64(size) << 16
	lo, hi := point{limit, limit}, point{0, 0}
	for _, ps := range contours {
		for _, p := range ps {
			lo.x, lo.y = min(lo.x, p.x), min(lo.y, p.y)
			hi.x, hi.y = max(hi.x, p.x), max(hi.y, p.y)
		}
	}
	m := mask{x: int(max(lo.x, 0) >> 16), y: int(max(lo.y, 0) >> 16)}
	m.w = int((min(hi.x, limit)+one-1)>>16) - m.x
	m.h = int((min(hi.y, limit)+one-1)>>16) - m.y
	if m.w <= 0 || m.h <= 0 {
		return mask{}
	}
	m.cover = make([]uint8, m.w*m.h)
	const step = one / samples
	first, last := int64(m.x)*samples, int64(m.x+m.w)*samples // the sample columns of the mask
	var cuts []int64
	for line := m.y * samples; line < (m.y+m.h)*samples; line++ {
		y := int64(line)*step + step/2
		cuts = cuts[:0]
		for _, ps := range contours {
			a := ps[len(ps)-1]
			for _, b := range ps {
				if (a.y <= y) != (b.y <= y) {
					cuts = append(cuts, a.x+(y-a.y)*(b.x-a.x)/(b.y-a.y))
				}
				a = b
			}
		}
		slices.Sort(cuts)
		row := m.cover[(line/samples-m.y)*m.w:][:m.w]
		for i := 0; i+1 < len(cuts); i += 2 {
			// A sample's centre is inside from the first cut on and before the second.
			from := max((cuts[i]+step/2-1)>>14, first) - first
			to := min((cuts[i+1]+step/2-1)>>14, last) - first
			for c := from; c < to; c++ {
				row[c/samples]++
			}
		}
	}
	return m
}

// tight returns the smallest x1, y1, x2, y2 around the pixels that are covered
// by about two fifths or more; the far edges are exclusive. ok is false where
// nothing is.
func (m mask) tight() (box [4]int, ok bool) {
	const enough = 7 // of 16
	box = [4]int{m.x + m.w, m.y + m.h, 0, 0}
	for i, c := range m.cover {
		if c >= enough {
			x, y := m.x+i%m.w, m.y+i/m.w
			box[0], box[1] = min(box[0], x), min(box[1], y)
			box[2], box[3] = max(box[2], x+1), max(box[3], y+1)
		}
	}
	return box, box[2] > 0
}

// blend paints the mask, colour giving the colour of a pixel.
func (c *canvas) blend(m mask, colour func(x, y int) [3]int32) {
	const full = samples * samples
	for i, v := range m.cover {
		if v == 0 {
			continue
		}
		x, y := m.x+i%m.w, m.y+i/m.w
		q := colour(x, y)
		p := c.pix[3*(y*c.size+x):][:3]
		for k := range p {
			p[k] = uint8((int32(p[k])*int32(full-v) + q[k]*int32(v) + full/2) / full)
		}
	}
}

// plain is one colour everywhere.
func plain(c [3]int32) func(int, int) [3]int32 {
	return func(int, int) [3]int32 { return c }
}

// pose is where and how a shape stands: centre and size (the diameter) in
// pixels, stretch along its own x (and 1/stretch along y), all in Q16.
type pose struct {
	centre       point
	size         int64
	stretch      int64 // as a base-2 logarithm
	angle        int64 // of 65536
	cosine, sine int64
}

func newPose(centre point, size, stretch, angle int64) pose {
	return pose{centre, size, stretch, angle, cos(angle), sin(angle)}
}

// onCanvas stretches, turns, scales and moves the contours.
func (p pose) onCanvas(contours [][]point) [][]point {
	sx, sy := exp2(p.stretch), exp2(-p.stretch)
	out := make([][]point, len(contours))
	for i, ps := range contours {
		out[i] = make([]point, len(ps))
		for j, q := range ps {
			x, y := mulQ(q.x, sx), mulQ(q.y, sy)
			out[i][j] = point{
				p.centre.x + mulQ(mulQ(x, p.cosine)-mulQ(y, p.sine), p.size/2),
				p.centre.y + mulQ(mulQ(x, p.sine)+mulQ(y, p.cosine), p.size/2),
			}
		}
	}
	return out
}

// texture draws the surface of one shape: plain, striped across its own x, or
// noisy; the second colour is at most 45 % of the mixture.
func texture(s stream, p pose) func(x, y int) [3]int32 {
	a, b := s.colour(), s.colour()
	mix := func(w int32) (c [3]int32) { // w of 256
		w = w * 115 / 256
		for k := range c {
			c[k] = (a[k]*(256-w) + b[k]*w) >> 8
		}
		return c
	}
	switch s.below(3) {
	case 0:
		return plain(a)
	case 1:
		half := max(3*one, p.size/4) / 2 // half a period, in pixels
		return func(x, y int) [3]int32 {
			u := mulQ(int64(x)<<16-p.centre.x, p.cosine) + mulQ(int64(y)<<16-p.centre.y, p.sine)
			if floorDiv(u, half)&1 == 0 {
				return mix(256)
			}
			return a
		}
	default:
		var word uint64
		left := 0
		return func(int, int) [3]int32 {
			if left == 0 {
				word, left = s.pcg.Uint64(), 8
			}
			w := int32(word & 255)
			word, left = word>>8, left-1
			return mix(w)
		}
	}
}

// floorDiv divides by b > 0, rounding down.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// persistence is the amplitude of an octave relative to the one before: .3 with
// no clutter (soft clouds), .6 in the middle, .9 at 1 (hardly less than noise).
func persistence(clutter float64) int64 { return (300 + milli(clutter)*6/10) * one / 1000 }

// litterOf gives 20 lines and blobs, times clutter, on 128 x 128 pixels.
func litterOf(pixels int, clutter float64) poisson {
	return newPoisson(20 * milli(clutter) * int64(pixels) * int64(pixels) / (128 * 128))
}

// octave resamples n x n random values to the canvas by cubic interpolation
// (Catmull-Rom), with the taps of each canvas row or column.
type octave struct {
	n      int
	index  [][4]int
	weight [][4]int32 // Q12, of sum 4096
	amp    int32      // Q12: this octave's share relative to the first
}

// newOctaves returns grids of 4, 8, ... 128 cells, as far as size allows. Each
// has persistence (Q16) times the amplitude of the one before.
func newOctaves(size int, persistence int64) []octave {
	var os []octave
	amp := int64(one)
	for n := 4; n <= 128 && n <= size; n *= 2 {
		o := octave{n: n, index: make([][4]int, size), weight: make([][4]int32, size), amp: int32(amp >> 4)}
		for x := range size {
			num, den := int64(2*x+1)*int64(n)-int64(size), int64(2*size) // the position is num/den cells
			cell := floorDiv(num, den)
			t := (num - cell*den) << 12 / den
			tt, ttt := t*t>>12, t*t*t>>24
			w := [4]int64{(-ttt + 2*tt - t) >> 1, 0, (-3*ttt + 4*tt + t) >> 1, (ttt - tt) >> 1}
			w[1] = 4096 - w[0] - w[2] - w[3]
			for k := range w {
				o.weight[x][k] = int32(w[k])
				o.index[x][k] = min(max(int(cell)+k-1, 0), n-1)
			}
		}
		os = append(os, o)
		amp = mulQ(amp, persistence)
	}
	return os
}

// clouds returns a canvas of smooth random colour: the octaves summed, then
// stretched to [40, 210].
func clouds(s stream, size int, octaves []octave) *canvas {
	sum := make([]int32, size*size*3)
	wide := make([]int32, size*128*3) // one octave, stretched in x only
	grid := make([]uint8, 128*128*3+8)
	for _, o := range octaves {
		cells := o.n * o.n * 3
		for i := 0; i < cells; i += 8 {
			for v, k := s.pcg.Uint64(), i; k < i+8; v, k = v>>8, k+1 {
				grid[k] = uint8(v)
			}
		}
		for r := range o.n {
			src, dst := grid[r*o.n*3:][:o.n*3], wide[r*size*3:][:size*3]
			for x := range size {
				j, w := &o.index[x], &o.weight[x]
				for k := range 3 {
					dst[3*x+k] = (w[0]*int32(src[3*j[0]+k]) + w[1]*int32(src[3*j[1]+k]) + w[2]*int32(src[3*j[2]+k]) + w[3]*int32(src[3*j[3]+k])) >> 6
				}
			}
		}
		for y := range size {
			var rows [4][]int32
			var w [4]int32
			for k := range rows {
				rows[k] = wide[o.index[y][k]*size*3:][:size*3]
				w[k] = o.weight[y][k] * o.amp >> 12
			}
			dst := sum[y*size*3:][:size*3]
			r0, r1, r2, r3 := rows[0][:len(dst)], rows[1][:len(dst)], rows[2][:len(dst)], rows[3][:len(dst)]
			for i := range dst {
				dst[i] += w[0]*r0[i] + w[1]*r1[i] + w[2]*r2[i] + w[3]*r3[i]
			}
		}
	}
	lo, hi := slices.Min(sum), slices.Max(sum)
	scale := int64(170) << 32 / max(int64(hi)-int64(lo), 1)
	c := &canvas{size, make([]uint8, len(sum))}
	for i, v := range sum {
		c.pix[i] = uint8(40 + (int64(v)-int64(lo))*scale>>32)
	}
	return c
}

// litter draws n short lines and small blobs.
func (c *canvas) litter(s stream, n int) {
	span := int64(c.size) << 16
	for range n {
		colour := s.colour()
		at := point{s.below(span), s.below(span)}
		if s.below(100) < 60 {
			d := point{s.between(-span*15/100, span*15/100), s.between(-span*15/100, span*15/100)}
			width := s.between(1, 3) << 16
			length := max(isqrt(d.x*d.x+d.y*d.y), 1)
			h := point{-d.y * (width / 2) / length, d.x * (width / 2) / length}
			c.blend(fill(c.size, [][]point{{
				{at.x + h.x, at.y + h.y}, {at.x + d.x + h.x, at.y + d.y + h.y},
				{at.x + d.x - h.x, at.y + d.y - h.y}, {at.x - h.x, at.y - h.y},
			}}), plain(colour))
		} else {
			disc := regular(24, s.between(one, 6*one), 0)
			for i := range disc {
				disc[i].x += at.x
				disc[i].y += at.y
			}
			c.blend(fill(c.size, [][]point{disc}), plain(colour))
		}
	}
}

// grain adds noise to every value: the sum of four uniform bytes, which is near
// enough to a normal variable, brought to a standard deviation of sigma/1000.
func (c *canvas) grain(s stream, sigma int64) {
	if sigma == 0 {
		return
	}
	// Four bytes of variance (256²-1)/12 each have the deviation 147.80.
	scale := sigma << 16 / 147800
	for i := 0; i < len(c.pix); i += 2 {
		for v, k := s.pcg.Uint64(), i; k < min(i+2, len(c.pix)); v, k = v>>32, k+1 {
			sum := int64(v&255+v>>8&255+v>>16&255+v>>24&255) - 510
			c.pix[k] = uint8(min(max(int64(c.pix[k])+(sum*scale+one/2)>>16, 0), 255))
		}
	}
}
