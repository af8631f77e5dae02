package kernel

// A weightSweep is the plan of one weight gradient. It reads the source in the
// layout of the forward pass and adds products of 16 pixels at a time, so that
// nothing is transposed: element (k, c, tap) is the product, over all vectors of
// the lattice, of dy's channel k and x's channel c shifted by the tap.
//
// A task takes a block of input channels and a part of the units (bands of
// groups of images). Parts are summed in order afterwards.
type weightSweep struct {
	c       Conv
	x, y    int   // where its level begins in x and dy
	taps    []tap // those that meet the source
	lay     layout
	block   int // input channels of a task
	blocks  int
	parts   int
	chunk   int     // units copied, and gone through, together
	inPlace bool    // dy itself is laid out in whole vectors
	steps   []int32 // of all units: x, y of each vector; x in the chunk's copy
	starts  []int   // where each unit's vectors begin in steps, in vectors
	off     []int32 // [block][taps] distances
}

// chunkFloats limits the copy of a chunk: x for a few taps and 4 channels of dy
// should stay in cache while they are used again.
const chunkFloats = 48 << 10

func planWeights(c Conv) *weightSweep {
	oh, ow := c.OutH(), c.OutW()
	w := &weightSweep{c: c}
	reach := sweep{hs: c.H, ws: c.W, hd: oh, wd: ow, p: c.Stride, q: 1}
	w.taps = reach.reach(c.taps())
	macs := c.N * c.K * c.C * oh * ow * len(w.taps)
	tasks := min(wantTasks/2, max(1, macs/taskMACs))
	w.blocks = max(1, min(tasks, c.C*len(w.taps)/(12*dotCols)))
	w.block = (c.C + w.blocks - 1) / w.blocks
	for w.block < c.C && w.block*len(w.taps)%dotCols != 0 {
		w.block++
	}
	w.blocks = (c.C + w.block - 1) / w.block
	w.lay = arrange(c.N, c.H, c.W, c.Stride, oh, ow, w.taps, w.block, tasks/w.blocks)
	l := &w.lay
	units := l.groups * l.bands
	w.parts = max(1, min(units, tasks/w.blocks))
	w.chunk = max(1, min(chunkFloats/(w.block*l.plane), (units+w.parts-1)/w.parts))
	if l.inPlace {
		w.chunk = max(1, 256/(l.band*l.perRow))
	}
	w.inPlace = l.ni == 1 && ow%lanes == 0
	for part := range w.parts {
		for u := part * units / w.parts; u < (part+1)*units/w.parts; u++ {
			group, band := u/l.bands, u%l.bands
			slot := (u - part*units/w.parts) % w.chunk
			w.starts = append(w.starts, len(w.steps)/2)
			for v := range min(l.band, oh-band*l.band) * l.perRow {
				y := (group*c.K*oh+band*l.band)*l.perRow*lanes + v*lanes
				x := slot*w.block*l.plane + int(l.from[v])
				if l.inPlace {
					x = group*c.C*l.plane + band*l.band*l.ws + int(l.from[v])
				}
				w.steps = append(w.steps, int32(x), int32(y))
			}
		}
	}
	w.starts = append(w.starts, len(w.steps)/2)
	for ch := range w.block {
		for _, t := range w.taps {
			w.off = append(w.off, l.distance(ch, t))
		}
	}
	return w
}

// gradSize is the number of elements of copyGrad's result.
func (w *weightSweep) gradSize() int { return w.lay.groups * w.c.K * w.rowsSize() }

// rowsSize is the number of elements of a group's channel of dy, in whole vectors.
func (w *weightSweep) rowsSize() int { return w.c.OutH() * w.lay.perRow * lanes }

// run does one of parts·blocks tasks: a block of channels of the sums of a part,
// [parts][K, C·R·R]. y is dy, in copyGrad's layout unless inPlace.
func (w *weightSweep) run(p *Pool, sums, x, y []float32, task int) {
	c, l := w.c, &w.lay
	part, block := task%w.parts, task/w.parts
	first := block * w.block
	count := min(w.block, c.C-first)
	sum := sums[part*c.Weights():][:c.Weights()]
	for k := range c.K {
		clear(sum[(k*c.C+first)*c.R*c.R:][:count*c.R*c.R])
	}
	var lent []float32
	if !l.inPlace {
		lent = p.scratch.take(w.chunk*w.block*l.plane + lanes)
	}
	units := l.groups * l.bands
	from, to := part*units/w.parts, (part+1)*units/w.parts
	for u := from; u < to; u += w.chunk {
		end := min(to, u+w.chunk)
		in := lent
		if l.inPlace {
			in = x[first*l.plane:]
		} else {
			for i := u; i < end; i++ {
				l.copy(p, lent[(i-u)*w.block*l.plane:], x, c.C, count, first, i/l.bands, i%l.bands)
			}
		}
		w.add(p, sum, in, y, w.rowsSize(), first, count, w.steps[2*w.starts[u]:2*w.starts[end]])
	}
	if lent != nil {
		p.scratch.give(lent)
	}
}

// add adds the products of the given steps to count channels of dw from first on.
func (w *weightSweep) add(p *Pool, dw, x, y []float32, ySize, first, count int, steps []int32) {
	c := w.c
	rr := c.R * c.R
	columns := count * len(w.taps)
	whole := len(w.taps) == rr
	d := dots{steps: len(steps) / 2, off: &steps[0]}
	var out [dotRows * dotCols]float32
	for k := 0; k < c.K; k += dotRows {
		// The last rows of a K that isn't a multiple of 4 are done again, or if K
		// is below 4 one row four times; what was done already isn't added again.
		base, skip, rows := k, 0, dotRows
		d.stride = 4 * ySize
		switch {
		case c.K < dotRows:
			d.stride, rows = 0, 1
		case k+dotRows > c.K:
			base = c.K - dotRows
			skip = k - base
		}
		d.y = &y[base*ySize]
		for col := 0; col < columns; col += dotCols {
			for j := range d.x {
				d.x[j] = &x[w.off[min(col+j, columns-1)]]
			}
			if whole && skip == 0 && rows == dotRows && col+dotCols <= columns {
				d.out, d.outRow = &dw[(base*c.C+first)*rr+col], 4*c.C*rr
				_ = dw[((base+dotRows-1)*c.C+first)*rr+col+dotCols-1]
				d.run(p.set)
				continue
			}
			out = [dotRows * dotCols]float32{}
			d.out, d.outRow = &out[0], 4*dotCols
			d.run(p.set)
			for r := skip; r < rows; r++ {
				row := dw[((base+r)*c.C+first)*rr:][:count*rr]
				for j := col; j < min(col+dotCols, columns); j++ {
					row[j/len(w.taps)*rr+w.taps[j%len(w.taps)].w] += out[r*dotCols+j-col]
				}
			}
		}
		if c.K < dotRows {
			k -= dotRows - 1
		}
	}
}

// copyGrad lays group g of dy out as [K][row] of whole vectors, images interleaved
// as in the source's copy and zeros in lanes without a pixel.
func (w *weightSweep) copyGrad(p *Pool, y, dy []float32, g int) {
	c, l := w.c, &w.lay
	oh, ow := c.OutH(), c.OutW()
	width, size := l.perRow*lanes, c.K*w.rowsSize()
	src := dy[g*l.ni*c.K*oh*ow:]
	dst := y[g*size:][:size]
	if ow*l.ni == width {
		weave(p.set, dst, src, l.ni, c.K*oh*ow, c.K*oh*ow)
		return
	}
	for i := range c.K * oh {
		row := dst[i*width:][:width]
		clear(row[ow*l.ni:])
		weave(p.set, row, src[i*ow:], l.ni, c.K*oh*ow, ow)
	}
}
