package kernel

// A winograd is a 3 × 3 convolution of stride 1 and padding 1 by way of
// frequencies (Lavin and Gray, arXiv:1509.09308): the map is cut into blocks of
// m × m outputs, m = 4 or 2; each block of (m+2)² inputs is transformed, and so is
// the kernel; there the convolution is a product of matrices over the channels,
// one for each of the (m+2)² frequencies, whose result is transformed back. A
// block of 4 × 4 outputs takes 36 multiplications instead of 144.
type winograd struct {
	grid
	ci, co  int
	flipped bool // the input gradient's kernel is turned by 180°
	chain   int  // products in one chain of multiply-adds
	tasks   [][]patch
	lanes   int // of every task, a multiple of 16
	parts   int // the output channels are cut into so many tasks
	panels  int // of 8 output channels
	group   int // panels whose products are kept at once
	stride  int // elements from frequency to frequency of a task's input
	spread  int // the same of the transformed weights
	off     []int32
	taps    phase // of the packed kernel before its transform
}

// A grid is a cut of maps into blocks of m × m.
//
// Transforms work on vectors of 8 lanes. Where the images come in eights, the
// lanes are 8 images, and pixels and blocks are whole vectors throughout.
// Otherwise the lanes are 8 channels, and squares of 8 blocks × 8 channels are
// transposed on either side of the products, whose lanes are always blocks.
type grid struct {
	n, h, w int
	m, freq int // freq = (m+2)²
	th, tw  int // blocks of a map
	ni      int // images of a unit: 8, or 1 where lanes are channels
	// Where the vectors of a block lie in a plane of h·w vectors; those outside the
	// map are one more behind them.
	in, out []int32 // [th·tw][freq] and [th·tw][m²]
}

// A patch is blocks of a unit whose products are neighbours: rows y0 … y1-1 in
// full, or columns x0 … x1-1 of one row. lane is the first of its task's lanes.
type patch struct{ unit, y0, y1, x0, x1, lane int }

func (s patch) blocks() int { return (s.y1 - s.y0) * (s.x1 - s.x0) }

const (
	winogradFloats = 192 << 10 // a task's input and products should not exceed this
	winogradChain  = 32        // products in one chain of multiply-adds
)

// winogradBlock is the side m of the blocks with which the forward pass and the
// input gradient go by way of frequencies, or 0 where they don't.
func (p *Pool) winogradBlock(c Conv) int {
	if p.Exact {
		return 0
	}
	return c.cheapest(func(blocks int) float64 {
		// The kernel's transform costs as much as the products of 18 blocks.
		return float64((blocks+lanesMask)&^lanesMask) + 18
	}, 4, 2)
}

// cheapest is that of the sides m of a block with the least cost, or 0 if direct
// sums are at least about as cheap. cost is in products per frequency and pair
// of channels.
func (c Conv) cheapest(cost func(blocks int) float64, sides ...int) int {
	if c.R != 3 || c.Stride != 1 || c.Pad != 1 || c.C < 8 || c.K < 8 {
		return 0
	}
	taps := 9
	for _, extent := range []int{c.H, c.W} {
		if extent == 1 {
			taps /= 3
		}
	}
	best, least := 0, .85*float64(taps*c.N*c.H*c.W)
	for _, m := range sides {
		blocks := c.N * ((c.H + m - 1) / m) * ((c.W + m - 1) / m)
		if v := float64((m+2)*(m+2)) * cost(blocks); v < least {
			best, least = m, v
		}
	}
	return best
}

func newGrid(n, h, w, m int) grid {
	g := grid{n: n, h: h, w: w, m: m, freq: (m + 2) * (m + 2), th: (h + m - 1) / m, tw: (w + m - 1) / m, ni: 1}
	if n%8 == 0 {
		g.ni = 8
	}
	place := func(y, x int) int32 {
		if y < 0 || y >= h || x < 0 || x >= w {
			return int32(h * w * 8)
		}
		return int32((y*w + x) * 8)
	}
	for t := range g.th * g.tw {
		y0, x0 := t/g.tw*m, t%g.tw*m
		for i := range g.freq {
			g.in = append(g.in, place(y0+i/(m+2)-1, x0+i%(m+2)-1))
		}
		for i := range m * m {
			g.out = append(g.out, place(y0+i/m, x0+i%m))
		}
	}
	return g
}

// cut lists all blocks by tasks of at most about the given number of lanes, and
// how many lanes a task has.
func (g *grid) cut(most int) (tasks [][]patch, lanes int) {
	blocks := max(1, most/g.ni)
	units := g.n / g.ni
	switch {
	case g.tw > blocks:
		for t := range units * g.th {
			pieces := (g.tw + blocks - 1) / blocks
			for i := range pieces {
				tasks = append(tasks, []patch{{unit: t / g.th, y0: t % g.th, y1: t%g.th + 1, x0: i * g.tw / pieces, x1: (i + 1) * g.tw / pieces}})
			}
		}
	case g.th*g.tw > blocks:
		rows := blocks / g.tw
		pieces := (g.th + rows - 1) / rows
		for t := range units * pieces {
			i := t % pieces
			tasks = append(tasks, []patch{{unit: t / pieces, y0: i * g.th / pieces, y1: (i + 1) * g.th / pieces, x1: g.tw}})
		}
	default:
		per := min(units, blocks/(g.th*g.tw))
		pieces := (units + per - 1) / per
		for i := range pieces {
			var s []patch
			for u := i * units / pieces; u < (i+1)*units/pieces; u++ {
				s = append(s, patch{unit: u, y1: g.th, x1: g.tw})
			}
			tasks = append(tasks, s)
		}
	}
	for _, t := range tasks {
		n := 0
		for i := range t {
			t[i].lane = n
			n += t[i].blocks() * g.ni
		}
		lanes = max(lanes, n)
	}
	return tasks, (lanes + lanesMask) &^ lanesMask
}

const lanesMask = lanes - 1

// used is the number of a task's lanes that hold blocks.
func (g *grid) used(patches []patch) int {
	last := patches[len(patches)-1]
	return last.lane + last.blocks()*g.ni
}

// weave brings the pixels within reach of a patch into the plane: lane i is row i
// of src, rows stride apart, of which there are count. Halo is 1 for blocks with
// their neighbours, else 0.
func (g *grid) weave(set set, plane, src []float32, stride, count int, s patch, halo int) {
	g.rows(s, halo, func(first, n int) {
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
func (g *grid) unweave(set set, dst, plane []float32, stride, count int, s patch) {
	g.rows(s, 0, func(first, n int) {
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
func (g *grid) rows(s patch, halo int, f func(first, n int)) {
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

// fill transforms channels from … to-1 of a task's blocks of src by stageIn or
// stageGrad. Frequency f of channel c goes to dst[f·stride+c·lanes+lane]; lanes
// without a block are zero up to width. from is a multiple of 8, and so is to
// unless it is the last channel: then, where lanes are channels, the rows up to
// the next multiple of 8 are written as well.
func (g *grid) fill(p *Pool, s stage, dst []float32, stride, lanes, width int, src []float32, channels, from, to int, patches []patch) {
	plane := p.scratch.take((g.h*g.w + 1) * 8)
	clear(plane[g.h*g.w*8:])
	table, halo := g.in, 1
	if s == stageGrad {
		table, halo = g.out, 0
	}
	entry := len(table) / (g.th * g.tw)
	hw, used := g.h*g.w, g.used(patches)
	t := transform{src: &plane[0]}
	if g.ni == 8 {
		t.dstStride, t.dstStep = 4*stride, 32
		for c := from; c < to; c++ {
			for _, sp := range patches {
				g.weave(p.set, plane, src[(sp.unit*8*channels+c)*hw:], channels*hw, 8, sp, halo)
				t.dst = &dst[c*lanes+sp.lane]
				t.off, t.n = &table[(sp.y0*g.tw+sp.x0)*entry], sp.blocks()
				t.run(p.set, s, g.m)
			}
			if used < width {
				for f := range g.freq {
					clear(dst[f*stride+c*lanes:][used:width])
				}
			}
		}
	} else {
		square := p.scratch.take(width * g.freq * 8)
		clear(square[used*g.freq*8:])
		t.dstStride, t.dstStep = 32, 32*g.freq
		for c := from; c < to; c += 8 {
			for _, sp := range patches {
				g.weave(p.set, plane, src[(sp.unit*channels+c)*hw:], hw, min(8, channels-c), sp, halo)
				t.dst = &square[sp.lane*g.freq*8]
				t.off, t.n = &table[(sp.y0*g.tw+sp.x0)*entry], sp.blocks()
				t.run(p.set, s, g.m)
			}
			for lane := 0; lane < width; lane += 8 {
				transpose8(p.set, dst[c*lanes+lane:], square[lane*g.freq*8:], lanes, stride, g.freq*8, 8, g.freq)
			}
		}
		p.scratch.give(square)
	}
	p.scratch.give(plane)
}

// drain is the way back: it transforms count channels of products, laid out as
// fill does, to channels from … of dst. bias begins at channel from.
func (g *grid) drain(p *Pool, dst, products []float32, stride, lanes, channels, from, count int, patches []patch, bias []float32, floor float32) {
	plane := p.scratch.take((g.h*g.w + 1) * 8)
	hw := g.h * g.w
	entry := g.m * g.m
	t := transform{dst: &plane[0], floor: floor}
	if g.ni == 8 {
		var b [8]float32
		t.srcStride, t.srcStep, t.bias = 4*stride, 32, &b[0]
		for c := range count {
			for i := range b {
				b[i] = bias[c]
			}
			for _, sp := range patches {
				t.src = &products[c*lanes+sp.lane]
				t.off, t.n = &g.out[(sp.y0*g.tw+sp.x0)*entry], sp.blocks()
				t.run(p.set, stageOut, g.m)
				g.unweave(p.set, dst[(sp.unit*8*channels+from+c)*hw:], plane, channels*hw, 8, sp)
			}
		}
	} else {
		square := p.scratch.take(lanes * g.freq * 8)
		t.srcStride, t.srcStep = 32, 32*g.freq
		used := g.used(patches)
		for c := 0; c < count; c += 8 {
			for lane := 0; lane < used; lane += 8 {
				transpose8(p.set, square[lane*g.freq*8:], products[c*lanes+lane:], g.freq*8, 8, lanes, stride, g.freq)
			}
			t.bias = &bias[c]
			for _, sp := range patches {
				t.src = &square[sp.lane*g.freq*8]
				t.off, t.n = &g.out[(sp.y0*g.tw+sp.x0)*entry], sp.blocks()
				t.run(p.set, stageOut, g.m)
				g.unweave(p.set, dst[(sp.unit*channels+from+c)*hw:], plane, hw, min(8, count-c), sp)
			}
		}
		p.scratch.give(square)
	}
	p.scratch.give(plane)
}

// newWinograd plans the forward pass of c with blocks of m × m, or with grad its
// gradient to the input, which is the same with channels exchanged.
func newWinograd(c Conv, m int, grad bool) *winograd {
	w := &winograd{grid: newGrid(c.N, c.H, c.W, m), ci: c.C, co: c.K, flipped: grad, taps: phase{taps: c.taps()}}
	if grad {
		w.ci, w.co = c.K, c.C
	}
	w.panels = (w.co + tileRows - 1) / tileRows
	most := max(2*lanes, winogradFloats/(w.freq*(w.ci+min(w.co, 64)))&^lanesMask)
	w.tasks, w.lanes = w.cut(most)
	if len(w.tasks) == 1 && w.lanes > 2*lanes {
		w.tasks, w.lanes = w.cut(w.lanes / 2 &^ lanesMask)
	}
	w.chain = winogradChain
	if w.th*w.tw == 1 { // so many zeros that direct sums are more exact than elsewhere
		w.chain /= 2
	}
	w.parts = 1
	if len(w.tasks) == 1 {
		w.parts = min(2, w.panels)
	}
	w.group = max(1, min((w.panels+w.parts-1)/w.parts, winogradFloats/2/(w.freq*w.lanes*tileRows)))
	w.stride = (w.ci+7)&^7*w.lanes + lanes
	w.spread = w.panels*tileRows*w.ci + lanes
	for c := range w.ci {
		w.off = append(w.off, int32(c*w.lanes))
	}
	return w
}

// run computes dst from src. weights is the convolution's kernel, bias is [8·panels].
func (w *winograd) run(p *Pool, c Conv, dst, src, weights, bias []float32, floor float32) {
	packed := p.scratch.take(w.freq * w.spread)
	w.pack(p, packed, c, weights)
	p.Run(len(w.tasks)*w.parts, func(task int) {
		part, patches := task%w.parts, w.tasks[task/w.parts]
		in := p.scratch.take(w.freq * w.stride)
		w.fill(p, stageIn, in, w.stride, w.lanes, w.lanes, src, w.ci, 0, w.ci, patches)
		stride := w.group*tileRows*w.lanes + lanes
		products := p.scratch.take(w.freq * stride)
		last := (part + 1) * w.panels / w.parts
		for from := part * w.panels / w.parts; from < last; from += w.group {
			to := min(last, from+w.group)
			for f := range w.freq {
				w.multiply(p.set, products[f*stride:], in[f*w.stride:], packed[f*w.spread:], from, to)
			}
			first := from * tileRows
			w.drain(p, dst, products, stride, w.lanes, w.co, first, min(w.co, to*tileRows)-first, patches, bias[first:], floor)
		}
		p.scratch.give(products)
		p.scratch.give(in)
	})
	p.scratch.give(packed)
}

// multiply is the product of panels from … to-1 of one frequency's weights with
// its input.
func (w *winograd) multiply(set set, products, in, weights []float32, from, to int) {
	var partial [tileVecs * tileRows * lanes]float32
	t := tile{steps: w.ci, off: &w.off[0], stride: 4 * w.lanes, bias: &zeros[0], floor: unbounded}
	for v := 0; v < w.lanes/lanes; {
		vecs := vectorsNext(w.lanes/lanes - v)
		for i := range vecs {
			t.x[i] = &in[(v+i)*lanes]
		}
		for k := from; k < to; k++ {
			t.a = &weights[k*tileRows*w.ci]
			for i := range vecs {
				t.y[i] = &products[(k-from)*tileRows*w.lanes+(v+i)*lanes]
			}
			height := tileRows
			if w.co-k*tileRows <= 4 {
				height = 4
			}
			t.chains(set, height, vecs, w.chain, &partial)
		}
		v += vecs
	}
}

// pack transforms the kernel to [freq][panels][ci][8].
func (w *winograd) pack(p *Pool, packed []float32, c Conv, weights []float32) {
	tasks := min(w.panels, packTasks(len(packed)))
	p.Run(tasks, func(task int) {
		tmp := p.scratch.take(w.ci * 9 * tileRows)
		t := transform{src: &tmp[0], n: w.ci, srcStride: 32, srcStep: 9 * 32, dstStride: 4 * w.spread, dstStep: 32}
		if w.flipped {
			t.src, t.srcStride = &tmp[8*tileRows], -32
		}
		for panel := task * w.panels / tasks; panel < (task+1)*w.panels/tasks; panel++ {
			if w.flipped {
				packGradInput(p.set, tmp, weights, c, panel*tileRows, &w.taps)
			} else {
				packForward(p.set, tmp, weights, c, panel*tileRows, &w.taps)
			}
			t.dst = &packed[panel*tileRows*w.ci]
			t.run(p.set, stageFilter, w.m)
		}
		p.scratch.give(tmp)
	})
}
