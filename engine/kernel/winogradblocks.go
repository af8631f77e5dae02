package kernel

// blocks is a cut of the maps of some levels into blocks of m × m.
//
// Transforms work on vectors of 8 lanes. Where the images come in eights, the
// lanes are 8 images, and pixels and blocks are whole vectors throughout.
// Otherwise the lanes are 8 channels, and squares of 8 blocks × 8 channels are
// transposed on either side of the products, whose lanes are always blocks.
type blocks struct {
	m, freq int // freq = (m+2)²
	ni      int // images of a unit: 8, or 1 where lanes are channels
	grids   []*grid
	plane   int // elements of the largest map of 8-vectors and one vector more
}

// A grid is one level's map as blocks.
type grid struct {
	src, dst int // where the level begins in the source and in the destination
	n, h, w  int
	m        int
	th, tw   int // blocks of a map
	// Where the vectors of a block lie in a plane of h·w vectors; those outside the
	// map are one more behind them.
	in, out []int32 // [th·tw][freq] and [th·tw][m²]
}

// A patch is blocks of a unit whose products are neighbours: rows y0 … y1-1 in
// full, or columns x0 … x1-1 of one row. lane is the first of its task's lanes.
type patch struct {
	*grid
	unit, y0, y1, x0, x1, lane int
}

func (s *patch) blocks() int { return (s.y1 - s.y0) * (s.x1 - s.x0) }

// A blockTask is patches and how many lanes hold their blocks.
type blockTask struct {
	patches []patch
	lanes   int
}

// width is lanes rounded up to whole vectors.
func (t *blockTask) width() int { return (t.lanes + lanesMask) &^ lanesMask }

// newBlocks cuts those levels whose sides are m.
func newBlocks(levels []Conv, sides []int, m int, src, dst []int) blocks {
	b := blocks{m: m, freq: (m + 2) * (m + 2), ni: 1}
	if levels[0].N%8 == 0 {
		b.ni = 8
	}
	for i, c := range levels {
		if sides[i] == m {
			g := newGrid(c, m)
			g.src, g.dst = src[i], dst[i]
			b.grids = append(b.grids, g)
			b.plane = max(b.plane, (g.h*g.w+1)*8)
		}
	}
	return b
}

func newGrid(c Conv, m int) *grid {
	g := &grid{n: c.N, h: c.H, w: c.W, m: m, th: (c.H + m - 1) / m, tw: (c.W + m - 1) / m}
	place := func(y, x int) int32 {
		if y < 0 || y >= g.h || x < 0 || x >= g.w {
			return int32(g.h * g.w * 8)
		}
		return int32((y*g.w + x) * 8)
	}
	for t := range g.th * g.tw {
		y0, x0 := t/g.tw*m, t%g.tw*m
		for i := range (m + 2) * (m + 2) {
			g.in = append(g.in, place(y0+i/(m+2)-1, x0+i%(m+2)-1))
		}
		for i := range m * m {
			g.out = append(g.out, place(y0+i/m, x0+i%m))
		}
	}
	return g
}

// cut lists all blocks by tasks of at most about the given number of lanes. Small
// maps, also those of different levels, share tasks.
func (b *blocks) cut(most int) []blockTask {
	var pieces []patch
	total := 0
	for _, g := range b.grids {
		room := max(1, most/b.ni)
		for u := range g.n / b.ni {
			whole := patch{grid: g, unit: u, y1: g.th, x1: g.tw}
			switch {
			case g.tw > room:
				n := (g.tw + room - 1) / room
				for t := range g.th * n {
					s, i := whole, t%n
					s.y0, s.y1, s.x0, s.x1 = t/n, t/n+1, i*g.tw/n, (i+1)*g.tw/n
					pieces = append(pieces, s)
				}
			case g.th*g.tw > room:
				n := (g.th + room/g.tw - 1) / (room / g.tw)
				for i := range n {
					s := whole
					s.y0, s.y1 = i*g.th/n, (i+1)*g.th/n
					pieces = append(pieces, s)
				}
			default:
				pieces = append(pieces, whole)
			}
		}
		total += g.n * g.th * g.tw
	}
	// Tasks of about equal size.
	target := total / ((total + most - 1) / most)
	var tasks []blockTask
	for _, s := range pieces {
		n := s.blocks() * b.ni
		last := len(tasks) - 1
		if last < 0 || tasks[last].lanes >= target || tasks[last].lanes+n > most {
			tasks = append(tasks, blockTask{})
			last++
		}
		t := &tasks[last]
		s.lane = t.lanes
		t.lanes += n
		t.patches = append(t.patches, s)
	}
	return tasks
}

// weave brings the pixels within reach of a patch into the plane: lane i is row i
// of src, rows stride apart, of which there are count. Halo is 1 for blocks with
// their neighbours, else 0.
func (s *patch) weave(set set, plane, src []float32, stride, count, halo int) {
	clear(plane[s.h*s.w*8:][:8])
	s.rows(halo, func(first, n int) {
		if count == 8 {
			weave(set, plane[first*8:], src[first:], 8, stride, n)
			return
		}
		for j := first; j < first+n; j++ {
			v := (*[8]float32)(plane[j*8:])
			*v = [8]float32{}
			for i := range count {
				v[i] = src[i*stride+j]
			}
		}
	})
}

// unweave is the inverse of weave without neighbours.
func (s *patch) unweave(set set, dst, plane []float32, stride, count int) {
	s.rows(0, func(first, n int) {
		if count == 8 {
			unweave(set, dst[first:], plane[first*8:], 8, stride, n)
			return
		}
		for j := first; j < first+n; j++ {
			v := (*[8]float32)(plane[j*8:])
			for i := range count {
				dst[i*stride+j] = v[i]
			}
		}
	})
}

// rows calls f for the runs of pixels that a patch covers with its halo.
func (s *patch) rows(halo int, f func(first, n int)) {
	g := s.grid
	y0, y1 := max(0, s.y0*g.m-halo), min(g.h, s.y1*g.m+halo)
	if s.x0 == 0 && s.x1 == g.tw {
		f(y0*g.w, (y1-y0)*g.w)
		return
	}
	x0, x1 := max(0, s.x0*g.m-halo), min(g.w, s.x1*g.m+halo)
	if halo > 0 { // whole vectors are faster than few pixels
		x0, x1 = x0&^7, min(g.w, (x1+7)&^7)
	}
	for y := y0; y < y1; y++ {
		f(y*g.w+x0, x1-x0)
	}
}

// table is where the vectors of the patch's blocks lie for a stage.
func (s *patch) table(table []int32) *int32 {
	return &table[(s.y0*s.tw+s.x0)*len(table)/(s.th*s.tw)]
}

// fill transforms channels from … to-1 of a task's blocks of src. Frequency f of
// channel c goes to dst[f·stride+c·lanes+lane]; lanes without a block are zero up
// to the task's width. from is a multiple of 8, and so is to unless it is the last
// channel: then, where lanes are channels, the rows up to the next multiple of 8
// are written as well.
func (b *blocks) fill(p *Pool, dst []float32, stride, lanes int, src []float32, channels, from, to int, task *blockTask) {
	plane := p.scratch.take(b.plane)
	used, width := task.lanes, task.width()
	t := transform{src: &plane[0]}
	if b.ni == 8 {
		t.dstStride, t.dstStep = 4*stride, 32
		for c := from; c < to; c++ {
			for i := range task.patches {
				s := &task.patches[i]
				hw := s.h * s.w
				s.weave(p.set, plane, src[s.src+(s.unit*8*channels+c)*hw:], channels*hw, 8, 1)
				t.dst = &dst[c*lanes+s.lane]
				t.off, t.n = s.table(s.in), s.blocks()
				t.run(p.set, stageIn, b.m)
			}
			if used < width {
				for f := range b.freq {
					clear(dst[f*stride+c*lanes:][used:width])
				}
			}
		}
	} else {
		square := p.scratch.take(width * b.freq * 8)
		clear(square[used*b.freq*8:])
		t.dstStride, t.dstStep = 32, 32*b.freq
		for c := from; c < to; c += 8 {
			for i := range task.patches {
				s := &task.patches[i]
				hw := s.h * s.w
				s.weave(p.set, plane, src[s.src+(s.unit*channels+c)*hw:], hw, min(8, channels-c), 1)
				t.dst = &square[s.lane*b.freq*8]
				t.off, t.n = s.table(s.in), s.blocks()
				t.run(p.set, stageIn, b.m)
			}
			for lane := 0; lane < width; lane += 8 {
				transpose8(p.set, dst[c*lanes+lane:], square[lane*b.freq*8:], lanes, stride, b.freq*8, 8, b.freq)
			}
		}
		p.scratch.give(square)
	}
	p.scratch.give(plane)
}

// drain is the way back: it transforms count channels of products, laid out as
// fill does, to channels from … of dst. bias begins at channel from.
func (b *blocks) drain(p *Pool, dst, products []float32, stride, lanes, channels, from, count int, task *blockTask, bias []float32, floor float32) {
	plane := p.scratch.take(b.plane)
	t := transform{dst: &plane[0], floor: floor}
	if b.ni == 8 {
		var eight [8]float32
		t.srcStride, t.srcStep, t.bias = 4*stride, 32, &eight[0]
		for c := range count {
			for i := range eight {
				eight[i] = bias[c]
			}
			for i := range task.patches {
				s := &task.patches[i]
				hw := s.h * s.w
				t.src = &products[c*lanes+s.lane]
				t.off, t.n = s.table(s.out), s.blocks()
				t.run(p.set, stageOut, b.m)
				s.unweave(p.set, dst[s.dst+(s.unit*8*channels+from+c)*hw:], plane, channels*hw, 8)
			}
		}
	} else {
		square := p.scratch.take(task.width() * b.freq * 8)
		t.srcStride, t.srcStep = 32, 32*b.freq
		for c := 0; c < count; c += 8 {
			for lane := 0; lane < task.lanes; lane += 8 {
				transpose8(p.set, square[lane*b.freq*8:], products[c*lanes+lane:], b.freq*8, 8, lanes, stride, b.freq)
			}
			t.bias = &bias[c]
			for i := range task.patches {
				s := &task.patches[i]
				hw := s.h * s.w
				t.src = &square[s.lane*b.freq*8]
				t.off, t.n = s.table(s.out), s.blocks()
				t.run(p.set, stageOut, b.m)
				s.unweave(p.set, dst[s.dst+(s.unit*channels+from+c)*hw:], plane, hw, min(8, count-c))
			}
		}
		p.scratch.give(square)
	}
	p.scratch.give(plane)
}
