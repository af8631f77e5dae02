package kernel

import (
	"math"
	"unsafe"
)

// A sweep is a convolution written as sums over taps, the form that the forward
// pass and the input gradient share. Along each axis
//
//	dest[q·i+a] = Σ_source channels Σ_taps weight · source[p·i+tap]
//
// for i on a lattice and a = 0 … q-1 (the phases). The forward pass has p =
// stride and q = 1. The input gradient has p = 1 and q = stride: an input pixel
// meets only the taps of its phase, so each phase is a small convolution of dy.
//
// The source is copied once, image by image, with its zero border; p > 1 splits
// the columns by their remainder, so that neighbouring lattice points are
// neighbours in memory for every tap. A tap is then a constant distance, and the
// inner kernel reads 16 pixels at once from wherever a table of distances points:
// the im2col matrix exists only as that table. Where a row is too short to fill
// vectors, the same rows of ni images lie interleaved, pixel by pixel.
type sweep struct {
	c    Conv
	grad bool
	// Where its level begins in the source and in the destination.
	src, dst int

	n, ci, hs, ws int // source
	co, hd, wd    int // destination
	p, q          int
	phases        []phase
	lay           layout
	panels        int // of 8 output channels
	store         bool
	parts         int // the panels are cut into so many tasks
	group         int // panels whose weights stay in cache together
	weights       int // elements of all packed weights
	toRow         int // elements of a row of the destination's copy
	to            []int32
}

// A layout says how the source's copy lies in memory. Element (channel, row,
// column phase, column, image of the group) is at
// channel·plane + ((row·fold+phase)·cols+column)·ni + image.
type layout struct {
	hs, ws  int // source map
	step    int // source pixels a lattice step
	hq, wq  int // lattice
	dy, dx  int // least tap: row 0, column 0 of the copy
	ni      int // images interleaved
	groups  int // of ni images
	band    int // lattice rows of a task
	bands   int
	perRow  int    // vectors of a lattice row
	rows    int    // of the copy of a band
	fold    int    // column phases kept
	cols    int    // columns of a phase
	used    []bool // by remainder of the row: whether any tap reads it
	plane   int
	inPlace bool    // the source itself has this layout
	from    []int32 // where each vector of a band begins
}

// A phase holds the taps of the destination rows q·i+a and columns q·j+b.
type phase struct {
	a, b int
	taps []tap
	off  []int32 // [ci][taps]
	at   int     // where its packed weights begin
}

// A tap is one element of a kernel: its distance in the source and its index r·R+s.
type tap struct{ dy, dx, w int }

const (
	cacheFloats = 96 << 10 // a task's copy of its source should not exceed this
	groupFloats = 64 << 10 // nor should the weights it goes through again and again
	taskMACs    = 1 << 20  // a smaller task isn't worth waking a thread for
	wantTasks   = 16
)

// newSweep plans the forward pass of c, or with grad its gradient to the input.
func newSweep(c Conv, grad bool) *sweep {
	flat := c.flat()
	s := &sweep{c: c, grad: grad}
	if !grad {
		s.n, s.ci, s.hs, s.ws = flat.N, flat.C, flat.H, flat.W
		s.co, s.hd, s.wd = flat.K, flat.OutH(), flat.OutW()
		s.p, s.q = flat.Stride, 1
		s.phases = []phase{{taps: flat.taps()}}
		s.plan()
		return s
	}
	s.n, s.ci, s.hs, s.ws = flat.N, flat.K, flat.OutH(), flat.OutW()
	s.co, s.hd, s.wd = flat.C, flat.H, flat.W
	s.p, s.q = 1, flat.Stride
	for a := range c.Stride {
		for b := range c.Stride {
			f := phase{a: a, b: b}
			for r := range c.R {
				for t := range c.R {
					// x[y] meets dy[i] by w[r] where i·stride + r - pad = y = stride·lattice + a.
					if y, x := a+c.Pad-r, b+c.Pad-t; y%c.Stride == 0 && x%c.Stride == 0 {
						f.taps = append(f.taps, tap{y / c.Stride, x / c.Stride, r*c.R + t})
					}
				}
			}
			s.phases = append(s.phases, f)
		}
	}
	s.plan()
	return s
}

// arrange chooses a layout for n images of hs × ws and a lattice of hq × wq with
// these taps. channels are copied at once, and there should be as many groups
// and bands as tasks.
func arrange(n, hs, ws, step, hq, wq int, taps []tap, channels, tasks int) layout {
	l := layout{hs: hs, ws: ws, step: step, hq: hq, wq: wq}
	var dyTop, dxTop int
	for i, t := range taps {
		if i == 0 {
			l.dy, l.dx, dyTop, dxTop = t.dy, t.dx, t.dy, t.dx
		}
		l.dy, l.dx, dyTop, dxTop = min(l.dy, t.dy), min(l.dx, t.dx), max(dyTop, t.dy), max(dxTop, t.dx)
	}
	l.ni = interleave(n, wq)
	l.groups = n / l.ni
	l.perRow = (wq*l.ni + lanes - 1) / lanes
	l.fold = min(step, dxTop-l.dx+1)
	l.cols = wq + (dxTop-l.dx)/step
	l.band = hq
	height := func() int { return step*(l.band-1) + dyTop - l.dy + 1 }
	for l.band > 1 && channels*height()*l.fold*l.cols*l.ni > cacheFloats {
		l.band = (l.band + 1) / 2
	}
	for l.band > 4 && l.groups*((hq+l.band-1)/l.band) < tasks {
		l.band = (l.band + 1) / 2
	}
	l.bands = (hq + l.band - 1) / l.band
	l.rows = height()
	l.plane = l.rows * l.fold * l.cols * l.ni
	l.inPlace = step == 1 && l.dy == 0 && dyTop == 0 && l.dx == 0 && dxTop == 0 &&
		hq == hs && wq == ws && wq%lanes == 0 && l.ni == 1
	if l.inPlace {
		l.plane = hs * ws
	}
	l.used = make([]bool, step)
	for _, t := range taps {
		l.used[(t.dy-l.dy)%step] = true
	}
	for i := range l.band {
		for v := range l.perRow {
			l.from = append(l.from, int32(step*i*l.fold*l.cols*l.ni+v*lanes))
		}
	}
	return l
}

// distance is how far from a vector's beginning its source pixels for a tap are.
func (l *layout) distance(channel int, t tap) int32 {
	dy, dx := t.dy-l.dy, t.dx-l.dx
	return int32(channel*l.plane + ((dy*l.fold+dx%l.step)*l.cols+dx/l.step)*l.ni)
}

// interleave is the smallest divisor of n with which rows of wq pixels fill
// nearly as many lanes as with the best one.
func interleave(n, wq int) int {
	best, waste := 1, math.Inf(1)
	for d := 1; d <= min(n, 4*lanes); d++ {
		if n%d != 0 {
			continue
		}
		w := float64((wq*d+lanes-1)/lanes*lanes) / float64(wq*d)
		if w < waste*.93 {
			best, waste = d, w
		}
	}
	return best
}

// plan finishes a sweep whose extents and phases' taps are set.
func (s *sweep) plan() {
	var all []tap
	for i := range s.phases {
		f := &s.phases[i]
		f.taps = s.reach(f.taps)
		all = append(all, f.taps...)
	}
	hq, wq := (s.hd+s.q-1)/s.q, (s.wd+s.q-1)/s.q
	macs := s.n * s.co * s.ci * hq * wq * len(all)
	tasks := min(wantTasks, max(1, macs/taskMACs))
	s.lay = arrange(s.n, s.hs, s.ws, s.p, hq, wq, all, s.ci, tasks)
	s.panels = (s.co + tileRows - 1) / tileRows
	s.parts = min(s.panels, max(1, tasks/(2*s.lay.groups*s.lay.bands)))
	most := 1
	for i := range s.phases {
		f := &s.phases[i]
		for c := range s.ci {
			for _, t := range f.taps {
				f.off = append(f.off, s.lay.distance(c, t))
			}
		}
		f.at = s.weights
		s.weights += s.panels * tileRows * len(f.off)
		most = max(most, len(f.off))
	}
	s.group = max(1, groupFloats/(most*tileRows))
	s.store = s.q == 1 && s.lay.ni == 1 && s.lay.wq%lanes == 0 && s.co%4 == 0
	s.toRow = s.lay.perRow * lanes
	if s.store {
		s.toRow = s.wd
	}
	for i := range s.lay.band {
		for v := range s.lay.perRow {
			s.to = append(s.to, int32(i*s.toRow+v*lanes))
		}
	}
}

// reach keeps the taps that meet the source at all: on a map of one pixel, one
// of nine.
func (s *sweep) reach(taps []tap) []tap {
	meets := func(d, lattice, extent int) bool {
		for i := range lattice {
			if x := s.p*i + d; x >= 0 && x < extent {
				return true
			}
		}
		return false
	}
	var keep []tap
	for _, t := range taps {
		if meets(t.dy, (s.hd+s.q-1)/s.q, s.hs) && meets(t.dx, (s.wd+s.q-1)/s.q, s.ws) {
			keep = append(keep, t)
		}
	}
	return keep
}

// tasks is the number of tasks of a run.
func (s *sweep) tasks() int { return s.lay.groups * s.lay.bands * s.parts }

// run does one task. w holds the packed weights, bias is [panels·8].
func (s *sweep) run(p *Pool, dst, src, w, bias []float32, floor float32, task int) {
	part, band, group := task%s.parts, task/s.parts%s.lay.bands, task/s.parts/s.lay.bands
	from, to := part*s.panels/s.parts, (part+1)*s.panels/s.parts
	x, lent := s.lay.source(p, src, s.ci, s.ci, 0, group, band)
	rows := min(s.lay.band, s.lay.hq-band*s.lay.band)
	if s.store {
		y := dst[(group*s.co*s.hd+band*s.lay.band)*s.wd:]
		s.tiles(p, &s.phases[0], y, s.hd*s.wd, x, w, bias, floor, from, to, rows)
	} else {
		size := s.lay.band * s.toRow
		all := (to - from) * tileRows * size
		y := p.scratch.take(len(s.phases)*all + lanes)
		for i := range s.phases {
			s.tiles(p, &s.phases[i], y[i*all:], size, x, w, bias, floor, from, to, rows)
		}
		s.scatter(p, dst, y, from*tileRows, min(to*tileRows, s.co), group, band, rows)
		p.scratch.give(y)
	}
	if lent != nil {
		p.scratch.give(lent)
	}
}

// tiles computes panels from … to-1 of one phase. y begins at the channel of
// panel from, except that a stored destination begins at channel 0; its channels
// lie size apart.
func (s *sweep) tiles(p *Pool, f *phase, y []float32, size int, x, w, bias []float32, floor float32, from, to, rows int) {
	if len(f.off) == 0 && s.q > 1 { // no tap falls on this phase
		clear(y[:(to-from)*tileRows*size])
		return
	}
	t := tile{steps: len(f.off), stride: 4 * size, floor: floor}
	if t.steps > 0 {
		t.off = &f.off[0]
	}
	var partial [tileVecs * tileRows * lanes]float32
	vectors := rows * s.lay.perRow
	for low := from; low < to; low += s.group {
		high := min(to, low+s.group)
		for v := 0; v < vectors; {
			vecs := vectorsNext(vectors - v)
			for i := range vecs {
				t.x[i] = &x[s.lay.from[v+i]]
			}
			for k := low; k < high; k++ {
				row := (k - from) * tileRows
				if s.store {
					row = k * tileRows
				}
				for i := range vecs {
					t.y[i] = &y[row*size+int(s.to[v+i])]
				}
				t.bias = &bias[k*tileRows]
				if t.steps > 0 {
					t.a = &w[f.at+k*tileRows*t.steps]
				}
				tileHeight := tileRows
				if s.co-k*tileRows <= 4 {
					tileHeight = 4
				}
				t.chains(p.set, tileHeight, vecs, chain, &partial)
			}
			v += vecs
		}
	}
}

// vectorsNext is how many of the left vectors the next tile takes: threes, with
// twos at the end rather than a lone one, whose sums are too few to keep the
// multipliers busy.
func vectorsNext(left int) int {
	switch {
	case left == 4:
		return 2
	case left >= 3:
		return 3
	}
	return left
}

// scatter copies channels from … to-1 of a band from the tiles' results y, which
// are [phase][channel][row], to the destination.
func (s *sweep) scatter(p *Pool, dst, y []float32, from, to, group, band, rows int) {
	l := &s.lay
	size := l.band * s.toRow
	all := (to - from + tileRows - 1) / tileRows * tileRows * size
	stride := s.co * s.hd * s.wd
	dst = dst[(group*l.ni*s.co+from)*s.hd*s.wd:]
	first := band * l.band * s.q // row
	height := min(s.hd-first, rows*s.q)
	if l.ni > 1 && s.q == 1 && s.toRow == s.wd*l.ni {
		// Rows are whole: a channel's band is one run of tuples, and without bands
		// all channels are.
		if l.bands == 1 {
			unweave(p.set, dst, y, l.ni, stride, (to-from)*s.hd*s.wd)
			return
		}
		for k := range to - from {
			unweave(p.set, dst[(k*s.hd+first)*s.wd:], y[k*size:], l.ni, stride, height*s.wd)
		}
		return
	}
	var woven []float32
	if l.ni > 1 {
		woven = p.scratch.take(s.wd * l.ni)
	}
	for k := range to - from {
		for i := range height {
			out := dst[(k*s.hd+first+i)*s.wd:]
			row := woven
			if l.ni == 1 {
				row = out[:s.wd]
			}
			s.join(p.set, row, y[i%s.q*s.q*all+k*size+i/s.q*s.toRow:], all)
			if l.ni > 1 {
				unweave(p.set, out, woven, l.ni, stride, s.wd)
			}
		}
	}
	if woven != nil {
		p.scratch.give(woven)
	}
}

// join makes a destination row of ni-tuples from its q column phases, which lie
// all elements apart.
func (s *sweep) join(set set, row, y []float32, all int) {
	ni := s.lay.ni
	switch {
	case s.q == 1:
		copy(row, y)
	case s.q == 2 && ni == 1:
		weave(set, row, y, 2, all, s.wd/2)
		if s.wd%2 == 1 {
			row[s.wd-1] = y[s.wd/2]
		}
	default:
		for b := range s.q {
			if b < s.wd {
				tuples(row[b*ni:], y[b*all:], ni, s.q*ni, ni, (s.wd-b+s.q-1)/s.q)
			}
		}
	}
}

// source returns the copy of channels first … first+count-1 of a group's band,
// or the source itself where its layout serves. lent must be given back.
func (l *layout) source(p *Pool, src []float32, channels, count, first, group, band int) (x, lent []float32) {
	if l.inPlace {
		return src[(group*channels+first)*l.plane+band*l.band*l.ws:], nil
	}
	x = p.scratch.take(count*l.plane + lanes)
	l.copy(p, x, src, channels, count, first, group, band)
	return x, x
}

// copy fills x with channels first … first+count-1 of a group's band and a
// vector of zeros behind them, where the last vector may end.
func (l *layout) copy(p *Pool, x, src []float32, channels, count, first, group, band int) {
	clear(x[count*l.plane:][:lanes])
	low := max(0, l.step*band*l.band+l.dy)
	high := max(low, min(l.hs, l.step*band*l.band+l.dy+l.rows))
	src = src[(group*l.ni*channels+first)*l.hs*l.ws:]
	if l.ni == 1 {
		for c := range count {
			l.place(p.set, x[c*l.plane:][:l.plane], src[c*l.hs*l.ws+low*l.ws:], low, high, band)
		}
		return
	}
	size := (high - low) * l.ws
	woven := p.scratch.take(count * size * l.ni)
	if size == l.hs*l.ws {
		weave(p.set, woven, src, l.ni, channels*l.hs*l.ws, count*size)
	} else {
		for c := range count {
			weave(p.set, woven[c*size*l.ni:], src[c*l.hs*l.ws+low*l.ws:], l.ni, channels*l.hs*l.ws, size)
		}
	}
	for c := range count {
		l.place(p.set, x[c*l.plane:][:l.plane], woven[c*size*l.ni:], low, high, band)
	}
	p.scratch.give(woven)
}

// place puts one channel's rows low … high-1, which lie in src as rows of
// ni-tuples, into the plane x with its border.
func (l *layout) place(set set, x, src []float32, low, high, band int) {
	ni, width := l.ni, l.cols*l.ni
	begin := l.step*band*l.band + l.dy // source row of row 0
	if l.step == 1 && high > low && l.dx <= 0 && l.cols+l.dx >= l.ws {
		// Whole rows, between columns and rows of zeros.
		clear(x[:(low-begin)*width])
		left, inner := -l.dx*ni, l.ws*ni
		if vecPlace(set, x[(low-begin)*width:], src, high-low, left, inner, width-left-inner) {
			clear(x[(high-begin)*width:])
			return
		}
	}
	if l.step == 2 && l.fold == 2 && ni == 1 && high > low {
		if even, odd, ok := l.halves(); ok {
			row := l.fold * width
			clear(x)
			x := x[(low-begin)*row:]
			if vecSplitRows(set, x[even:], x[odd:], src, high-low, row, l.ws/2) {
				return
			}
		}
	}
	for r := range l.rows {
		line := x[r*l.fold*width:][:l.fold*width]
		if !l.used[r%l.step] {
			// No tap reads it, but lanes without a pixel may, and a NaN there would
			// survive being multiplied by the zeros of dy.
			clear(line[:min(lanes, len(line))])
			continue
		}
		sy := begin + r
		if sy < low || sy >= high {
			clear(line)
			continue
		}
		s := src[(sy-low)*l.ws*ni:][:l.ws*ni]
		for f := range l.fold {
			// Columns t0 … t1-1 lie inside the source: 0 ≤ step·t+f+dx < ws.
			row := line[f*width:][:width]
			t0, t1 := l.inside(f)
			clear(row[:t0*ni])
			clear(row[t1*ni:])
			row = row[t0*ni : t1*ni]
			from := s[min(len(s), (l.step*t0+f+l.dx)*ni):]
			switch {
			case l.step == 1:
				copy(row, from)
			case l.step == 2 && ni == 1:
				for i := vecEvens(set, row, from, t1-t0); i < len(row); i++ {
					row[i] = from[2*i]
				}
			default:
				tuples(row, from, ni, ni, l.step*ni, t1-t0)
			}
		}
	}
}

// tuples copies n tuples of ni elements: those of dst begin dstStep apart, those
// of src srcStep.
func tuples(dst, src []float32, ni, dstStep, srcStep, n int) {
	switch ni {
	case 2:
		arrays[[2]float32](dst, src, 2, dstStep, srcStep, n)
	case 4:
		arrays[[4]float32](dst, src, 4, dstStep, srcStep, n)
	case 8:
		arrays[[8]float32](dst, src, 8, dstStep, srcStep, n)
	case 16:
		arrays[[16]float32](dst, src, 16, dstStep, srcStep, n)
	default:
		for i := range n {
			copy(dst[i*dstStep:][:ni], src[i*srcStep:][:ni])
		}
	}
}

// arrays is tuples for an array type of ni elements, which the compiler copies
// in one or a few instructions.
func arrays[T any](dst, src []float32, ni, dstStep, srcStep, n int) {
	if n == 0 {
		return
	}
	_, _ = dst[(n-1)*dstStep+ni-1], src[(n-1)*srcStep+ni-1]
	d, s := unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0])
	for i := range n {
		*(*T)(unsafe.Add(d, 4*i*dstStep)) = *(*T)(unsafe.Add(s, 4*i*srcStep))
	}
}

// inside is the range of columns of a phase that lie inside the source.
func (l *layout) inside(f int) (from, to int) {
	from = min(l.cols, max(0, (l.step-1-f-l.dx)/l.step))
	return from, max(from, min(l.cols, (l.ws-f-l.dx+l.step-1)/l.step))
}

// halves tells where in a row of two column phases the source's even and its odd
// columns begin, if all of them are kept.
func (l *layout) halves() (even, odd int, ok bool) {
	f := l.dx & 1 // the phase of the even columns
	e0, e1 := l.inside(f)
	o0, o1 := l.inside(1 - f)
	ok = l.ws%2 == 0 && 2*e0+f+l.dx == 0 && 2*o0+1-f+l.dx == 1 && e1-e0 == l.ws/2 && o1-o0 == l.ws/2
	return f*l.cols + e0, (1-f)*l.cols + o0, ok
}
