package kernel

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

// A phase holds the taps of the destination rows q·i+a and columns q·j+b.
type phase struct {
	a, b int
	taps []tap
	off  []int32 // [ci][taps]
	at   int     // where its packed weights begin
}

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
