package kernel

import "slices"

// A winograd is a 3 × 3 convolution of stride 1 and padding 1 by way of
// frequencies (Lavin and Gray, arXiv:1509.09308): the map is cut into blocks of
// m × m outputs, m = 4 or 2; each block of (m+2)² inputs is transformed, and so is
// the kernel; there the convolution is a product of matrices over the channels,
// one for each of the (m+2)² frequencies, whose result is transformed back. A
// block of 4 × 4 outputs takes 36 multiplications instead of 144.
//
// Either a task takes some blocks through all three stages, so that its input and
// products stay in its core's cache. Or, where the weights are what is large, each
// stage is a set of tasks by itself: the products of a frequency, of all blocks
// at once, read its weights one time.
type winograd struct {
	blocks
	ci, co  int
	flipped bool // the input gradient's kernel is turned by 180°
	tasks   []blockTask
	whole   bool // stage by stage; there is one blockTask
	parts   int  // the output channels of a task are cut into so many
	lanes   int  // of the largest task, a multiple of 16
	panels  int  // of 8 output channels
	group   int  // panels whose products are kept at once
	stride  int  // elements from frequency to frequency of a task's input
	out     int  // the same of its products
	spread  int  // the same of the transformed weights
	off     []int32
	taps    phase // of the packed kernel before its transform
}

const (
	lanesMask      = lanes - 1
	winogradFloats = 192 << 10 // a task's input and products should not exceed this
	winogradChain  = 32        // products in one chain of multiply-adds
	channelsSplit  = 32        // channels of a task that only transforms
)

// winogradSides is, for each level, the side m of the blocks with which the forward
// pass and the input gradient go by way of frequencies, or 0 where they don't.
func (p *Pool) winogradSides(levels []Conv) []int {
	// The kernel's transform costs as much as the products of 18 blocks.
	return p.cheapest(levels, 18, lanes, 4, 2)
}

// cheapest chooses blocks for each level from the given sides, so that all cost
// least; 0 is direct sums, which are preferred if they cost hardly more. Costs are
// in products per frequency and pair of channels: those of blocks, rounded up, and
// once more for each side used.
func (p *Pool) cheapest(levels []Conv, once, round int, sides ...int) []int {
	best := make([]int, len(levels))
	c := levels[0]
	if p.Exact || c.R != 3 || c.Stride != 1 || c.Pad != 1 || c.C < 8 || c.K < 8 {
		return best
	}
	var least float64
	for _, c := range levels {
		least += c.directCost()
	}
	for set := 1; set < 1<<len(sides); set++ {
		choice, sum := make([]int, len(levels)), 0.
		blocks := make([]int, len(sides))
		for l, c := range levels {
			cost, side, n := c.directCost(), -1, 0
			for i, m := range sides {
				b := c.N * ((c.H + m - 1) / m) * ((c.W + m - 1) / m)
				if v := float64((m + 2) * (m + 2) * b); set>>i&1 == 1 && v < cost {
					cost, side, n = v, i, b
				}
			}
			if side >= 0 {
				choice[l] = sides[side]
				blocks[side] += n
			} else {
				sum += cost
			}
		}
		for i, m := range sides {
			if set>>i&1 == 1 {
				sum += float64((m + 2) * (m + 2) * ((blocks[i]+round-1)/round*round + once))
			}
		}
		if sum < least {
			best, least = choice, sum
		}
	}
	return best
}

// directCost is the cost of direct sums as cheapest counts, a little less than what
// they take.
func (c Conv) directCost() float64 {
	taps := 9
	for _, extent := range []int{c.H, c.W} {
		if extent == 1 {
			taps /= 3
		}
	}
	return float64(.85 * float64(taps*c.N*c.H*c.W))
}

// newWinograd plans those levels whose sides are m: the forward pass, or with grad
// the gradient to the input, which is the same with channels exchanged.
func newWinograd(levels []Conv, sides []int, m int, grad bool, src, dst []int) *winograd {
	c := levels[0]
	w := &winograd{blocks: newBlocks(levels, sides, m, src, dst), ci: c.C, co: c.K, flipped: grad, taps: phase{taps: c.taps()}}
	if grad {
		w.ci, w.co = c.K, c.C
	}
	w.panels = (w.co + tileRows - 1) / tileRows
	total := 0
	for _, g := range w.grids {
		total += g.n * g.th * g.tw
	}
	w.parts = 1
	if w.whole = total*(w.ci+w.co) < w.ci*w.co; w.whole {
		w.tasks = w.cut(total)
	} else {
		most := max(2*lanes, winogradFloats/(w.freq*(w.ci+min(w.co, 64)))&^lanesMask)
		w.tasks = w.cut(most)
		if len(w.tasks) == 1 && w.tasks[0].lanes > 2*lanes {
			w.tasks = w.cut(max(w.ni, w.tasks[0].lanes/2&^lanesMask))
		}
		if len(w.tasks) == 1 {
			w.parts = min(2, w.panels)
		}
	}
	for i := range w.tasks {
		w.lanes = max(w.lanes, w.tasks[i].width())
	}
	w.group = w.panels
	if !w.whole {
		w.group = max(1, min((w.panels+w.parts-1)/w.parts, winogradFloats/2/(w.freq*w.lanes*tileRows)))
	}
	w.stride = (w.ci+7)&^7*w.lanes + lanes
	w.out = w.group*tileRows*w.lanes + lanes
	w.spread = w.panels*tileRows*w.ci + lanes
	for c := range w.ci {
		w.off = append(w.off, int32(c*w.lanes))
	}
	return w
}

// A winogradCall is one run of a winograd.
type winogradCall struct {
	*winograd
	p                *Pool
	dst, src, kernel []float32
	bias             []float32 // [8·panels]
	floor            float32
	packed           []float32 // transformed weights
	in, products     []float32 // of a run stage by stage
}

func (w *winograd) call(p *Pool, dst, src, kernel, bias []float32, floor float32) *winogradCall {
	c := &winogradCall{winograd: w, p: p, dst: dst, src: src, kernel: kernel, bias: bias, floor: floor}
	c.packed = p.scratch.take(w.freq * w.spread)
	if w.whole {
		c.in, c.products = p.scratch.take(w.freq*w.stride), p.scratch.take(w.freq*w.out)
	}
	return c
}

// end gives back what call took.
func (c *winogradCall) end() {
	c.p.scratch.give(c.packed)
	if c.whole {
		c.p.scratch.give(c.in)
		c.p.scratch.give(c.products)
	}
}

// add adds the tasks, which are to run in this order.
func (c *winogradCall) add(first, second, third *jobs) {
	first.add(min(c.panels, packTasks(len(c.packed))), c.pack)
	if !c.whole {
		second.add(len(c.tasks)*c.parts, c.blocksOf)
		return
	}
	task := &c.tasks[0]
	first.add((c.ci+channelsSplit-1)/channelsSplit, func(i int) {
		from := i * channelsSplit
		c.fill(c.p, c.in, c.stride, c.lanes, c.src, c.ci, from, min(c.ci, from+channelsSplit), task)
	})
	second.add(c.freq, func(f int) {
		c.multiply(c.p.set, c.products[f*c.out:], c.in[f*c.stride:], c.packed[f*c.spread:], 0, c.panels, task)
	})
	third.add((c.co+channelsSplit-1)/channelsSplit, func(i int) {
		from := i * channelsSplit
		c.drain(c.p, c.dst, c.products[from*c.lanes:], c.out, c.lanes, c.co, from, min(c.co-from, channelsSplit), task, c.bias[from:], c.floor)
	})
}

// blocksOf takes a part of the output channels of a task through all stages.
func (c *winogradCall) blocksOf(i int) {
	p, part, task := c.p, i%c.parts, &c.tasks[i/c.parts]
	in := p.scratch.take(c.freq * c.stride)
	c.fill(p, in, c.stride, c.lanes, c.src, c.ci, 0, c.ci, task)
	products := p.scratch.take(c.freq * c.out)
	last := (part + 1) * c.panels / c.parts
	for from := part * c.panels / c.parts; from < last; from += c.group {
		to := min(last, from+c.group)
		for f := range c.freq {
			c.multiply(p.set, products[f*c.out:], in[f*c.stride:], c.packed[f*c.spread:], from, to, task)
		}
		first := from * tileRows
		c.drain(p, c.dst, products, c.out, c.lanes, c.co, first, min(c.co, to*tileRows)-first, task, c.bias[first:], c.floor)
	}
	p.scratch.give(products)
	p.scratch.give(in)
}

// chain is the length of a task's chains of multiply-adds. On a map of one block
// so many inputs are zero that direct sums are more exact than elsewhere.
func (t *blockTask) chain() int {
	if slices.ContainsFunc(t.patches, func(s patch) bool { return s.th*s.tw == 1 }) {
		return winogradChain / 2
	}
	return winogradChain
}

// multiply is the product of panels from … to-1 of one frequency's weights with
// its input.
func (w *winograd) multiply(set set, products, in, weights []float32, from, to int, task *blockTask) {
	var partial [tileVecs * tileRows * lanes]float32
	t := tile{steps: w.ci, off: &w.off[0], stride: 4 * w.lanes, bias: &zeros[0], floor: unbounded}
	chain, vectors := task.chain(), task.width()/lanes
	for v := 0; v < vectors; {
		vecs := vectorsNext(vectors - v)
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
			t.chains(set, height, vecs, chain, &partial)
		}
		v += vecs
	}
}

// pack does one task of transforming the kernel to [freq][panels][ci][8].
func (c *winogradCall) pack(task int) {
	tasks := min(c.panels, packTasks(len(c.packed)))
	tmp := c.p.scratch.take(c.ci * 9 * tileRows)
	t := transform{src: &tmp[0], n: c.ci, srcStride: 32, srcStep: 9 * 32, dstStride: 4 * c.spread, dstStep: 32}
	if c.flipped {
		t.src, t.srcStride = &tmp[8*tileRows], -32
	}
	k := Conv{C: c.ci, K: c.co, R: 3}
	if c.flipped {
		k.C, k.K = c.co, c.ci
	}
	for panel := task * c.panels / tasks; panel < (task+1)*c.panels/tasks; panel++ {
		if c.flipped {
			packGradInput(c.p.set, tmp, c.kernel, k, panel*tileRows, &c.taps)
		} else {
			packForward(c.p.set, tmp, c.kernel, k, panel*tileRows, &c.taps)
		}
		t.dst = &c.packed[panel*tileRows*c.ci]
		t.run(c.p.set, stageFilter, c.m)
	}
	c.p.scratch.give(tmp)
}
