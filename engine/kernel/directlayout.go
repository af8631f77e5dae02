package kernel

import (
	"math"
	"unsafe"
)

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

// A tap is one element of a kernel: its distance in the source and its index r·R+s.
type tap struct{ dy, dx, w int }

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
