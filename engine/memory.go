package engine

// Memory is an estimate of the bytes that a step of a program needs in the memory of a device. It is made from the
// graph: what a compiler fuses, computes twice or copies into another layout is not known here. The constants below
// make it come within a tenth of what XLA reckons with on a CPU, in float32, for trainings at mini, small, paper (two
// images) and gpu (four). It was compared with nothing on a GPU, nor in bfloat16, which XLA widens on a CPU.
type Memory struct {
	State     int64 // parameters, statistics and slots, and those that a step writes beside the old ones
	Gradients int64 // of the parameters
	Inputs    int64 // of a step, and of the next, which may be there already
	Kept      int64 // what the gradients read of the forward pass
	Work      int64 // what is under way: workMaps times the largest map, and copies of what is kept
}

// workMaps is how many float32 maps as large as the largest are reckoned to be under way in a step: gradients that come
// and go, and what a convolution works in.
const workMaps = 4

// copies is the part of what is kept, one in so many bytes, that is reckoned to be there twice, in two layouts.
const copies = 5

// lossValues is how many float32 values a loss is reckoned to keep for each that it reads of a prediction:
// probabilities, logarithms and factors.
const lossValues = 8

// Total is the sum of the parts.
func (m Memory) Total() int64 { return m.State + m.Gradients + m.Inputs + m.Kept + m.Work }

// Memory estimates what a step of the program needs, or a forward pass where it has no loss.
func (p *Program) Memory() (Memory, error) {
	a, err := Analyze(p)
	if err != nil {
		return Memory{}, err
	}
	var m Memory
	largest := 0
	for _, n := range p.Graph.Nodes() {
		switch n.Op {
		case OpParam, OpBuffer:
			m.State += 4 * int64(n.Size())
		case OpInput:
			m.Inputs += 2 * kindBytes[n.Attr.Kind] * int64(n.Size())
		default:
			largest = max(largest, n.Size())
		}
	}
	m.Work = workMaps * 4 * int64(largest)
	if p.Loss == nil {
		return m, nil
	}
	for _, n := range a.Params {
		size := 4 * int64(n.Size())
		m.Gradients += size
		m.State += size // as the step leaves it
		for _, kind := range slots[p.Update.Kind] {
			if kind == stepsTaken {
				m.State += 2 * 4
			} else {
				m.State += 2 * size
			}
		}
	}
	for _, n := range a.Norms {
		m.State += 2 * 4 * int64(n.Shape[1])
	}
	m.Kept = p.kept(a)
	m.Work += m.Kept / copies
	return m, nil
}

// kindBytes are the bytes of a value of an input.
var kindBytes = map[Kind]int64{Float32: 4, Bytes: 1, Int32: 4}

// kept returns the bytes of what gradients read. A value that a convolution reads is there in the convolutions'
// precision, and what only has another shape than its input is not there twice.
func (p *Program) kept(a *Analysis) (bytes int64) {
	trained := map[*Node]bool{} // what depends on a trained parameter
	for _, n := range a.Params {
		trained[n] = true
	}
	values := map[*Node]int64{}
	keep := func(n *Node, width int64) {
		for n.Op == OpReshape || n.Op == OpStopGradient {
			n = n.In[0]
		}
		switch n.Op {
		case OpParam, OpBuffer, OpInput, OpConst: // counted elsewhere
			return
		}
		values[n] = max(values[n], width*int64(n.Size()))
	}
	reached := reachedBy(p.Loss)
	for _, n := range p.Graph.Nodes() {
		for i, in := range n.In {
			trained[n] = trained[n] || trained[in] && n.Differentiable(i)
		}
		if !trained[n] || !reached[n] {
			continue
		}
		inputs, output := gradientReads(n)
		for i, in := range n.In {
			switch {
			case !inputs(i):
			case n.Op != OpConv2D:
				keep(in, p.width(in))
			case trained[n.In[1]]:
				keep(in, p.thin())
			}
		}
		if output {
			keep(n, p.width(n))
		}
		if n.Op == OpReLU || n.Attr.ReLU {
			bytes += int64(n.Size()) // which values were positive
		}
		switch n.Op {
		case OpConv2D:
			if p.BFloat16 {
				values[n.In[1]] = 2 * int64(n.In[1].Size()) // the weights, rounded
			}
		case OpFocal, OpSmoothL1, OpBoxIoULoss, OpSoftmaxCE:
			bytes += lossValues * 4 * int64(n.In[0].Size())
		}
	}
	for _, b := range values {
		bytes += b
	}
	return bytes
}

// thin is the number of bytes of a value that a convolution reads or writes.
func (p *Program) thin() int64 {
	if p.BFloat16 {
		return 2
	}
	return 4
}

// width is the number of bytes of a value of n.
func (p *Program) width(n *Node) int64 {
	switch n.Op {
	case OpConv2D, OpBatchNorm, OpFrozenNorm, OpGroupNorm:
		return p.thin()
	case OpMaxPool, OpUpsample, OpUpsampleAdd, OpReLU: // as their first input
		return p.width(n.In[0])
	}
	return 4
}

// gradientReads returns which inputs of n its gradient reads, and whether it reads its output, beside the gradient that
// reaches it. What is small, such as statistics of a norm, is left out.
func gradientReads(n *Node) (inputs func(i int) bool, output bool) {
	switch n.Op {
	case OpConv2D, OpBatchNorm, OpGroupNorm:
		return only(0), false
	case OpExp, OpSigmoid, OpSoftmaxLast:
		return none, true
	case OpFrozenNorm, OpReLU, OpGlobalAvgPool, OpUpsample, OpUpsampleAdd, OpPackLevels, OpAdd, OpSub, OpNeg, OpExpand, OpSum,
		OpSumLast, OpReshape, OpTranspose, OpConcat, OpSlice, OpStopGradient:
		return none, false
	}
	return all, false
}
