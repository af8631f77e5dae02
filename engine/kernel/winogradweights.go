package kernel

// A winogradWeights is the gradient to the weights of a 3 × 3 convolution of
// stride 1 and padding 1 by way of frequencies. A block of m × m elements of dy
// meets the (m+2)² inputs around it in 9 places, the taps: with dy's block as the
// kernel and the taps as the output this is again a small convolution, whose
// products are added over all blocks before the one transform back.
//
// Lanes are channels on either side, so that blocks are the steps of the products.
type winogradWeights struct {
	blocks
	c       Conv // channels; its map has no meaning
	parts   []weightsPart
	most    int // blocks of the largest part
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
	tasks  []blockTask
	first  []int // block of each task
	blocks int
}

const (
	weightsFloats = 4 << 20 // frequencies in memory at once
	weightsBlocks = 64      // blocks of a task that transforms
	fewPixels     = 4096    // below it chains are shorter, for the direct sums are
)

// winogradWeightsSides is winogradSides for the gradient to the weights. With few
// pixels the direct sums are short and their errors so small that only blocks of
// 2 × 2 keep near them.
func (p *Pool) winogradWeightsSides(levels []Conv) []int {
	sides := []int{4, 2}
	if pixels(levels) < 1024 {
		sides = sides[1:]
	}
	return p.cheapest(levels, 6, 1, sides...)
}

func pixels(levels []Conv) int {
	n := 0
	for _, c := range levels {
		n += c.N * c.H * c.W
	}
	return n
}

// newWinogradWeights plans those levels whose sides are m.
func newWinogradWeights(levels []Conv, sides []int, m int, x, dy []int) *winogradWeights {
	w := &winogradWeights{blocks: newBlocks(levels, sides, m, x, dy), c: levels[0]}
	c := w.c
	w.ni, w.chain = 1, 32
	if pixels(levels) < fewPixels {
		w.chain = 12
	}
	w.panels = (c.K + tileRows - 1) / tileRows
	w.columns = (c.C + lanesMask) &^ lanesMask
	most := max(weightsBlocks, weightsFloats/(w.freq*(c.C+c.K)))
	for _, t := range w.cut(weightsBlocks) {
		if i := len(w.parts); i == 0 || w.parts[i-1].blocks+t.lanes > most {
			w.parts = append(w.parts, weightsPart{})
		}
		part := &w.parts[len(w.parts)-1]
		part.tasks = append(part.tasks, t)
		part.first = append(part.first, part.blocks)
		part.blocks += t.lanes
		w.most = max(w.most, part.blocks)
	}
	w.strideX = w.columns*w.most + lanes
	w.strideY = w.panels*tileRows*w.most + lanes
	w.stride = w.panels*tileRows*w.columns + lanes
	for i := range w.most {
		w.off = append(w.off, int32(i*w.columns))
	}
	return w
}

// A winogradWeightsCall is one run of a winogradWeights.
type winogradWeightsCall struct {
	*winogradWeights
	p                  *Pool
	x, dy              []float32
	products, in, grad []float32
}

func (w *winogradWeights) call(p *Pool, x, dy []float32) *winogradWeightsCall {
	return &winogradWeightsCall{
		winogradWeights: w, p: p, x: x, dy: dy, products: p.scratch.take(w.freq * w.stride),
		in: p.scratch.take(w.freq * w.strideX), grad: p.scratch.take(w.freq * w.strideY),
	}
}

// end gives back what call took.
func (c *winogradWeightsCall) end() {
	c.p.scratch.give(c.products)
	c.p.scratch.give(c.in)
	c.p.scratch.give(c.grad)
}

// rest does the parts after the first.
func (c *winogradWeightsCall) rest() {
	for i := 1; i < len(c.parts); i++ {
		var first, second jobs
		c.fill(i, &first)
		c.multiply(i, &second)
		first.run(c.p)
		second.run(c.p)
	}
}

// fill adds the transforms of part i, of x and of dy.
func (c *winogradWeightsCall) fill(i int, to *jobs) {
	p, part := c.p, &c.parts[i]
	tasks, splitX := len(part.tasks), (c.c.C+channelsSplit-1)/channelsSplit
	splitY := (c.c.K + channelsSplit - 1) / channelsSplit
	to.add(tasks*(splitX+splitY), func(task int) {
		blocks, first, split := &part.tasks[task%tasks], part.first[task%tasks], task/tasks
		plane := p.scratch.take(c.plane)
		t := transform{src: &plane[0]}
		if split < splitX {
			t.dstStride, t.dstStep = 4*c.strideX, 4*c.columns
			for ch := split * channelsSplit; ch < min(c.c.C, (split+1)*channelsSplit); ch += 8 {
				for i := range blocks.patches {
					s := &blocks.patches[i]
					hw := s.h * s.w
					s.weave(p.set, plane, c.x[s.src+(s.unit*c.c.C+ch)*hw:], hw, min(8, c.c.C-ch), 1)
					t.dst = &c.in[(first+s.lane)*c.columns+ch]
					t.off, t.n = s.table(s.in), s.blocks()
					t.run(p.set, stageIn, c.m)
				}
			}
		} else {
			t.dstStride, t.dstStep = 4*c.strideY, 4*tileRows
			for ch := (split - splitX) * channelsSplit; ch < min(c.c.K, (split-splitX+1)*channelsSplit); ch += 8 {
				for i := range blocks.patches {
					s := &blocks.patches[i]
					hw := s.h * s.w
					s.weave(p.set, plane, c.dy[s.dst+(s.unit*c.c.K+ch)*hw:], hw, min(8, c.c.K-ch), 0)
					t.dst = &c.grad[ch*c.most+(first+s.lane)*tileRows]
					t.off, t.n = s.table(s.out), s.blocks()
					t.run(p.set, stageGrad, c.m)
				}
			}
		}
		p.scratch.give(plane)
	})
}

// multiply adds the products of part i, summed over its blocks and those before.
func (c *winogradWeightsCall) multiply(i int, to *jobs) {
	p, blocks := c.p, c.parts[i].blocks
	to.add(c.freq, func(f int) {
		out := c.products[f*c.stride:][:c.stride]
		if i == 0 {
			c.product(out, c.in[f*c.strideX:], c.grad[f*c.strideY:], blocks)
			return
		}
		more := p.scratch.take(c.stride)
		c.product(more, c.in[f*c.strideX:], c.grad[f*c.strideY:], blocks)
		add(p.set, out, out, more)
		p.scratch.give(more)
	})
}

// product is one frequency's, summed over blocks.
func (c *winogradWeightsCall) product(products, in, grad []float32, blocks int) {
	var partial [tileVecs * tileRows * lanes]float32
	t := tile{steps: blocks, off: &c.off[0], stride: 4 * c.columns, bias: &zeros[0], floor: unbounded}
	for v := 0; v < c.columns/lanes; {
		vecs := vectorsNext(c.columns/lanes - v)
		for i := range vecs {
			t.x[i] = &in[(v+i)*lanes]
		}
		for k := range c.panels {
			t.a = &grad[k*tileRows*c.most]
			for i := range vecs {
				t.y[i] = &products[k*tileRows*c.columns+(v+i)*lanes]
			}
			height := tileRows
			if c.c.K-k*tileRows <= 4 {
				height = 4
			}
			t.chains(c.p.set, height, vecs, c.chain, &partial)
		}
		v += vecs
	}
}

// taps transforms the products of output channels from … to-1 back to dw, which
// begins at channel from.
func (c *winogradWeightsCall) taps(dw []float32, from, to int) {
	channels := c.c.C
	blocks := (channels + 7) / 8
	tmp := c.p.scratch.take(blocks * 72)
	t := transform{n: blocks, dst: &tmp[0], srcStride: 4 * c.stride, srcStep: 32, dstStride: 32, dstStep: 9 * 32}
	for k := from; k < to; k++ {
		t.src = &c.products[k*c.columns]
		t.run(c.p.set, stageTaps, c.m)
		row := dw[(k-from)*channels*9:][:channels*9]
		for b := range channels / 8 {
			unweave(c.p.set, row[b*72:], tmp[b*72:], 8, 9, 9)
		}
		for i := channels &^ 7 * 9; i < len(row); i++ {
			row[i] = tmp[i/72*72+i%9*8+i/9%8]
		}
	}
	c.p.scratch.give(tmp)
}
