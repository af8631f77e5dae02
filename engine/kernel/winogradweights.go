package kernel

// A winogradWeights is the gradient to the weights of a 3 × 3 convolution of
// stride 1 and padding 1 by way of frequencies. A block of m × m elements of dy
// meets the (m+2)² inputs around it in 9 places, the taps: with dy's block as the
// kernel and the taps as the output this is again a small convolution, whose
// products are added over all blocks before the one transform back.
//
// Lanes are channels on either side, so that blocks are the steps of the products.
type winogradWeights struct {
	grid
	c       Conv
	parts   []weightsPart
	blocks  int // of the largest part
	panels  int // of 8 output channels
	columns int // input channels, up to a multiple of 16
	strideX int // elements from frequency to frequency of the input
	strideY int // the same of dy
	stride  int // and of the products
	chain   int // blocks in one chain of multiply-adds
	off     []int32
}

// A weightsPart is the blocks whose frequencies are in memory at once.
type weightsPart struct {
	tasks  [][]patch
	first  []int // block of each task
	blocks int
}

const (
	weightsFloats = 4 << 20 // frequencies in memory at once
	weightsBlocks = 64      // blocks of a task that transforms
	weightsSplit  = 32      // channels of such a task
	fewPixels     = 4096    // below it chains are shorter, for the direct sums are
)

// winogradWeightsBlock is winogradBlock for the gradient to the weights. With few
// pixels the direct sums are short and their errors so small that only blocks of
// 2 × 2 keep near them.
func (p *Pool) winogradWeightsBlock(c Conv) int {
	if p.Exact {
		return 0
	}
	sides := []int{4, 2}
	if c.N*c.H*c.W < 1024 {
		sides = sides[1:]
	}
	return c.cheapest(func(blocks int) float64 { return float64(blocks) + 6 }, sides...)
}

func newWinogradWeights(c Conv, m int) *winogradWeights {
	w := &winogradWeights{grid: newGrid(c.N, c.H, c.W, m), c: c}
	w.ni, w.chain = 1, 32
	if c.N*c.H*c.W < fewPixels {
		w.chain = 12
	}
	w.panels = (c.K + tileRows - 1) / tileRows
	w.columns = (c.C + lanesMask) &^ lanesMask
	cut, _ := w.cut(weightsBlocks)
	most := max(weightsBlocks, weightsFloats/(w.freq*(c.C+c.K)))
	for _, t := range cut {
		n := w.used(t)
		if i := len(w.parts); i == 0 || w.parts[i-1].blocks+n > most {
			w.parts = append(w.parts, weightsPart{})
		}
		part := &w.parts[len(w.parts)-1]
		part.tasks = append(part.tasks, t)
		part.first = append(part.first, part.blocks)
		part.blocks += n
		w.blocks = max(w.blocks, part.blocks)
	}
	w.strideX = w.columns*w.blocks + lanes
	w.strideY = w.panels*tileRows*w.blocks + lanes
	w.stride = w.panels*tileRows*w.columns + lanes
	for i := range w.blocks {
		w.off = append(w.off, int32(i*w.columns))
	}
	return w
}

func (w *winogradWeights) run(p *Pool, dw, x, dy []float32) {
	c := w.c
	products := p.scratch.take(w.freq * w.stride)
	in := p.scratch.take(w.freq * w.strideX)
	grad := p.scratch.take(w.freq * w.strideY)
	splitX, splitY := (c.C+weightsSplit-1)/weightsSplit, (c.K+weightsSplit-1)/weightsSplit
	for i := range w.parts {
		part := &w.parts[i]
		tasks := len(part.tasks)
		p.Run(tasks*(splitX+splitY), func(task int) {
			patches, first, split := part.tasks[task%tasks], part.first[task%tasks], task/tasks
			plane := p.scratch.take((w.h*w.w + 1) * 8)
			clear(plane[w.h*w.w*8:])
			t := transform{src: &plane[0]}
			if split < splitX {
				t.dstStride, t.dstStep = 4*w.strideX, 4*w.columns
				for ch := split * weightsSplit; ch < min(c.C, (split+1)*weightsSplit); ch += 8 {
					w.fill(p.set, stageIn, &t, plane, x, c.C, ch, patches, func(block int) *float32 {
						return &in[(first+block)*w.columns+ch]
					})
				}
			} else {
				t.dstStride, t.dstStep = 4*w.strideY, 4*tileRows
				for ch := (split - splitX) * weightsSplit; ch < min(c.K, (split-splitX+1)*weightsSplit); ch += 8 {
					w.fill(p.set, stageGrad, &t, plane, dy, c.K, ch, patches, func(block int) *float32 {
						return &grad[ch*w.blocks+(first+block)*tileRows]
					})
				}
			}
			p.scratch.give(plane)
		})
		p.Run(w.freq, func(f int) {
			out := products[f*w.stride:][:w.stride]
			if i == 0 {
				w.multiply(p.set, out, in[f*w.strideX:], grad[f*w.strideY:], part.blocks)
				return
			}
			more := p.scratch.take(w.stride)
			w.multiply(p.set, more, in[f*w.strideX:], grad[f*w.strideY:], part.blocks)
			add(p.set, out, out, more)
			p.scratch.give(more)
		})
	}
	p.scratch.give(grad)
	p.scratch.give(in)
	w.taps(p, dw, products)
	p.scratch.give(products)
}

// fill transforms 8 channels from ch of the blocks of patches; to tells where the
// frequencies of a task's block go.
func (w *winogradWeights) fill(set set, s stage, t *transform, plane, src []float32, channels, ch int, patches []patch, to func(block int) *float32) {
	table, halo := w.in, 1
	if s == stageGrad {
		table, halo = w.out, 0
	}
	entry := len(table) / (w.th * w.tw)
	for _, a := range patches {
		w.weave(set, plane, src[(a.unit*channels+ch)*w.h*w.w:], w.h*w.w, min(8, channels-ch), a, halo)
		t.dst = to(a.lane)
		t.off, t.n = &table[(a.y0*w.tw+a.x0)*entry], a.blocks()
		t.run(set, s, w.m)
	}
}

// multiply is one frequency's products, summed over blocks.
func (w *winogradWeights) multiply(set set, products, in, grad []float32, blocks int) {
	var partial [tileVecs * tileRows * lanes]float32
	t := tile{steps: blocks, off: &w.off[0], stride: 4 * w.columns, bias: &zeros[0], floor: unbounded}
	for v := 0; v < w.columns/lanes; {
		vecs := vectorsNext(w.columns/lanes - v)
		for i := range vecs {
			t.x[i] = &in[(v+i)*lanes]
		}
		for k := range w.panels {
			t.a = &grad[k*tileRows*w.blocks]
			for i := range vecs {
				t.y[i] = &products[k*tileRows*w.columns+(v+i)*lanes]
			}
			height := tileRows
			if w.c.K-k*tileRows <= 4 {
				height = 4
			}
			t.chains(set, height, vecs, w.chain, &partial)
		}
		v += vecs
	}
}

// taps transforms the products back to dw.
func (w *winogradWeights) taps(p *Pool, dw, products []float32) {
	c := w.c
	tasks := packTasks(len(products))
	p.Run(tasks, func(task int) {
		blocks := (c.C + 7) / 8
		tmp := p.scratch.take(blocks * 72)
		t := transform{n: blocks, dst: &tmp[0], srcStride: 4 * w.stride, srcStep: 32, dstStride: 32, dstStep: 9 * 32}
		for k := task * c.K / tasks; k < (task+1)*c.K/tasks; k++ {
			t.src = &products[k*w.columns]
			t.run(p.set, stageTaps, w.m)
			row := dw[k*c.C*9:][:c.C*9]
			for b := range c.C / 8 {
				unweave(p.set, row[b*72:], tmp[b*72:], 8, 9, 9)
			}
			for i := c.C &^ 7 * 9; i < len(row); i++ {
				row[i] = tmp[i/72*72+i%9*8+i/9%8]
			}
		}
		p.scratch.give(tmp)
	})
}
