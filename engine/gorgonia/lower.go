package gorgonia

import (
	"fmt"
	"slices"

	gg "gorgonia.org/gorgonia"

	"focalgrid/engine"
	"focalgrid/engine/kernel"
)

// lowering builds the Gorgonia graph of an engine.Graph.
type lowering struct {
	pool   *kernel.Pool
	g      *gg.ExprGraph
	node   map[int]*gg.Node // by the engine node's ID; a stack's members have none
	stats  map[int]*gg.Node // batch statistics of the training batch norms
	stacks map[int]*stack   // by their members' IDs
	joined map[string]*gg.Node
}

// all lowers every node of p's graph.
func (l *lowering) all(p *engine.Program) error {
	wanted := map[int]bool{}
	for _, n := range slices.Concat(p.Predictions, p.Outputs, []*engine.Node{p.Loss}) {
		if n != nil {
			wanted[n.ID] = true
		}
	}
	l.stacks = findStacks(p.Graph.Nodes(), wanted)
	for _, n := range p.Graph.Nodes() {
		nodes, s := []*engine.Node{n}, l.stacks[n.ID]
		if s != nil {
			if nodes = s.members; n != nodes[len(nodes)-1] {
				continue // the last one has all inputs before it
			}
		}
		m, err := l.lower(nodes)
		if err != nil {
			return fmt.Errorf("node %d (%s %s): %w", n.ID, n.Op, n.Name, err)
		}
		if s != nil {
			s.node = m
		} else {
			l.node[n.ID] = m
		}
	}
	return nil
}

func (l *lowering) in(n *engine.Node, i int) *gg.Node { return l.node[n.In[i].ID] }

// lower adds one node, or those of a stack.
func (l *lowering) lower(nodes []*engine.Node) (*gg.Node, error) {
	n := nodes[0]
	switch n.Op {
	case engine.OpInput, engine.OpParam, engine.OpBuffer:
		if len(n.Shape) == 0 {
			return gg.NewScalar(l.g, gg.Float32, gg.WithName(n.Name)), nil
		}
		return gg.NewTensor(l.g, gg.Float32, len(n.Shape), gg.WithShape(n.Shape...), gg.WithName(n.Name)), nil
	case engine.OpConst:
		return l.g.AddNode(gg.NewConstant(float32(n.Attr.Value))), nil
	case engine.OpConv2D:
		return l.conv(nodes)
	case engine.OpBatchNorm:
		return l.batchNorm(n)
	case engine.OpFrozenNorm:
		return l.fixedNorm(n, false)
	case engine.OpGroupNorm:
		return l.groupNorm(nodes)
	case engine.OpMaxPool:
		return l.maxPool(n)
	case engine.OpGlobalAvgPool:
		return l.globalAvgPool(n)
	case engine.OpUpsample:
		return l.upsample(n, l.in(n, 0), nil)
	case engine.OpUpsampleAdd:
		return l.upsample(n, l.in(n, 1), l.in(n, 0))
	case engine.OpPackLevels:
		return l.packLevels(n)
	case engine.OpMul:
		if len(nodes) > 1 {
			return l.scaleLevels(nodes)
		}
		return l.binary(n)
	case engine.OpAdd, engine.OpSub:
		return l.binary(n)
	case engine.OpDiv, engine.OpMin, engine.OpMax:
		return l.pair(n)
	case engine.OpNeg:
		return gg.Neg(l.in(n, 0))
	case engine.OpAbs:
		return gg.Abs(l.in(n, 0))
	case engine.OpExp:
		x, err := l.stacked(firstInputs(nodes))
		if err != nil {
			return nil, err
		}
		return gg.Exp(x)
	case engine.OpLog:
		return gg.Log(l.in(n, 0))
	case engine.OpSoftplus:
		return gg.Softplus(l.in(n, 0))
	case engine.OpSigmoid:
		return gg.Sigmoid(l.in(n, 0))
	case engine.OpReLU:
		return l.relu(n)
	case engine.OpWhere:
		return l.where(n)
	case engine.OpOneHot:
		return l.oneHot(n)
	case engine.OpExpand:
		return l.expand(n)
	case engine.OpSum:
		return l.sum(n)
	case engine.OpReshape:
		return l.reshape(n)
	case engine.OpTranspose:
		return l.transpose(n)
	case engine.OpConcat:
		return l.concat(n)
	case engine.OpSlice:
		return l.slice(n)
	case engine.OpSumLast:
		return l.sumLast(n)
	case engine.OpSoftmaxLast:
		return l.softmaxLast(n)
	case engine.OpLogSumExpLast:
		return l.logSumExpLast(n)
	case engine.OpStopGradient:
		return l.stopGradient(n)
	case engine.OpDecodeBoxes:
		return l.decodeBoxes(n)
	case engine.OpPixels:
		return l.pixels(n)
	case engine.OpGather:
		return l.gather(n)
	case engine.OpTopRows:
		return l.topRows(n)
	case engine.OpEncodeBoxes:
		return l.encodeBoxes(n)
	case engine.OpFocal:
		return l.focal(n)
	case engine.OpSmoothL1:
		return l.smoothL1(n)
	case engine.OpBoxIoULoss:
		return l.boxIoULoss(n)
	case engine.OpSoftmaxCE:
		return l.softmaxCE(n)
	}
	return nil, fmt.Errorf("op %q: %w", n.Op, engine.ErrUnsupported)
}

func shapeOf(n *engine.Node) kernel.Shape {
	return kernel.Shape{N: n.Shape[0], C: n.Shape[1], H: n.Shape[2], W: n.Shape[3]}
}

// conv lowers a convolution, or a stack of them.
func (l *lowering) conv(nodes []*engine.Node) (*gg.Node, error) {
	n := nodes[0]
	w := n.In[1].Shape
	var levels []kernel.Conv
	var from []*engine.Node
	flops := 0.
	for _, m := range nodes {
		x := m.In[0].Shape
		c := kernel.Conv{N: x[0], C: x[1], H: x[2], W: x[3], K: w[0], R: w[2], Stride: n.Attr.Stride, Pad: n.Attr.Pad}
		levels, from = append(levels, c), append(from, m.In[0])
		flops += 2 * float64(c.MACs())
	}
	layer := kernel.NewLayer(l.pool, levels...)
	relu := n.Attr.ReLU
	kind := fmt.Sprintf("conv %dx%d/%d", w[2], w[2], n.Attr.Stride)
	settings := fmt.Sprintf("%v", levels)
	o := &op{
		name: fmt.Sprintf("conv relu=%t %s", relu, settings),
		kind: kind, flops: flops,
		out: stackShape(nodes),
		run: func(y []float32, in [][]float32) {
			var bias []float32
			if len(in) > 2 {
				bias = in[2]
			}
			layer.Forward(y, in[0], in[1], bias, relu)
		},
		diff: []bool{true, true, true}[:len(n.In)],
		grad: func(in gg.Nodes, y, dy *gg.Node) (gg.Nodes, error) {
			if relu {
				var err error
				if dy, err = l.reluGrad(dy, y); err != nil {
					return nil, err
				}
			}
			dx, err := applyDiff(&op{
				name: "conv to input " + settings, kind: kind + " to input", flops: flops, out: in[0].Shape(),
				run: func(dx []float32, in [][]float32) { layer.GradInput(dx, in[0], in[1]) },
			}, dy, in[1])
			if err != nil {
				return nil, err
			}
			dw, err := applyDiff(&op{
				name: "conv to weights " + settings, kind: kind + " to weights", flops: flops, out: w,
				run: func(dw []float32, in [][]float32) { layer.GradWeights(dw, in[0], in[1]) },
			}, in[0], dy)
			if err != nil || len(in) < 3 {
				return gg.Nodes{dx, dw}, err
			}
			db, err := apply("bias "+settings, w[:1], func(db []float32, in [][]float32) { layer.GradBias(db, in[0]) }, dy)
			return gg.Nodes{dx, dw, db}, err
		},
	}
	x, err := l.stacked(from)
	if err != nil {
		return nil, err
	}
	ins := gg.Nodes{x, l.in(n, 1)}
	if n.Attr.Bias {
		ins = append(ins, l.in(n, 2))
	}
	return applyDiff(o, ins...)
}

func (l *lowering) reluGrad(dy, y *gg.Node) (*gg.Node, error) {
	return applyOver("relu gradient", y.Shape(), func(dx []float32, in [][]float32) {
		kernel.ReLUGrad(l.pool, dx, in[0], in[1])
	}, dy, y)
}

func (l *lowering) relu(n *engine.Node) (*gg.Node, error) {
	return applyDiff(&op{
		name: "relu", out: n.Shape, over: []int{0},
		run:  func(y []float32, in [][]float32) { kernel.ReLU(l.pool, y, in[0]) },
		diff: []bool{true},
		grad: func(_ gg.Nodes, y, dy *gg.Node) (gg.Nodes, error) {
			dx, err := l.reluGrad(dy, y)
			return gg.Nodes{dx}, err
		},
	}, l.in(n, 0))
}

func (l *lowering) maxPool(n *engine.Node) (*gg.Node, error) {
	q := kernel.Pooling{K: n.Attr.Kernel, Stride: n.Attr.Stride, Pad: n.Attr.Pad}
	s := shapeOf(n.In[0])
	index := make([]int32, n.Size()) // where each maximum was; written forward, read backward
	return applyDiff(&op{
		name: fmt.Sprintf("max pool %d s%d p%d", q.K, q.Stride, q.Pad), out: n.Shape,
		run:  func(y []float32, in [][]float32) { q.Max(l.pool, y, index, in[0], s) },
		diff: []bool{true},
		grad: func(in gg.Nodes, y, dy *gg.Node) (gg.Nodes, error) {
			dx, err := apply("max pool gradient", in[0].Shape(), func(dx []float32, in [][]float32) {
				q.MaxGrad(l.pool, dx, in[0], index, s)
			}, dy, y) // y: the index is valid once it is computed
			return gg.Nodes{dx}, err
		},
	}, l.in(n, 0))
}

func (l *lowering) globalAvgPool(n *engine.Node) (*gg.Node, error) {
	s := shapeOf(n.In[0])
	return applyDiff(&op{
		name: "global average pool", out: n.Shape,
		run:  func(y []float32, in [][]float32) { kernel.GlobalAvgPool(l.pool, y, in[0], s) },
		diff: []bool{true},
		grad: func(in gg.Nodes, _, dy *gg.Node) (gg.Nodes, error) {
			dx, err := apply("global average pool gradient", in[0].Shape(), func(dx []float32, in [][]float32) {
				kernel.GlobalAvgPoolGrad(l.pool, dx, in[0], s)
			}, dy)
			return gg.Nodes{dx}, err
		},
	}, l.in(n, 0))
}

// upsample lowers both upsampling ops; lateral is nil for the plain one.
func (l *lowering) upsample(n *engine.Node, top, lateral *gg.Node) (*gg.Node, error) {
	s := shapeOf(n)
	ts := top.Shape()
	s.H, s.W = ts[2], ts[3]
	h, w := n.Shape[2], n.Shape[3]
	o := &op{
		name: "upsample", out: n.Shape,
		run: func(y []float32, in [][]float32) {
			var add []float32
			if len(in) > 1 {
				add = in[1]
			}
			kernel.UpsampleNearest(l.pool, y, in[0], add, h, w, s)
		},
		diff: []bool{true},
		grad: func(in gg.Nodes, _, dy *gg.Node) (gg.Nodes, error) {
			dx, err := apply("upsample gradient", in[0].Shape(), func(dx []float32, in [][]float32) {
				kernel.UpsampleGrad(l.pool, dx, in[0], h, w, s)
			}, dy)
			return gg.Nodes{dx, dy}[:len(in)], err
		},
	}
	if lateral == nil {
		return applyDiff(o, top)
	}
	o.diff = []bool{true, true}
	return applyDiff(o, top, lateral)
}

// packLevels and its gradient transpose each image of each level, between maps
// [A·size,H·W] and rows [H·W,A·size].
func (l *lowering) packLevels(n *engine.Node) (*gg.Node, error) {
	images, row := n.Shape[0], n.Shape[1]*n.Shape[2]
	type level struct{ channels, pixels, first int } // first value within an image's rows
	var levels []level
	first := 0
	for _, in := range n.In {
		v := level{in.Shape[1], in.Shape[2] * in.Shape[3], first}
		levels = append(levels, v)
		first += v.channels * v.pixels
	}
	x, err := l.stacked(n.In)
	if err != nil {
		return nil, err
	}
	return applyDiff(&op{
		name: fmt.Sprintf("pack %v", levels), out: n.Shape,
		run: func(y []float32, in [][]float32) {
			l.pool.Run(images, func(i int) {
				for _, v := range levels {
					turn(y[i*row+v.first:], in[0][images*v.first+i*v.channels*v.pixels:], v.channels, v.pixels)
				}
			})
		},
		diff: []bool{true},
		grad: func(in gg.Nodes, _, dy *gg.Node) (gg.Nodes, error) {
			dx, err := apply(fmt.Sprintf("unpack %v", levels), in[0].Shape(), func(dx []float32, in [][]float32) {
				l.pool.Run(images, func(i int) {
					for _, v := range levels {
						turn(dx[images*v.first+i*v.channels*v.pixels:], in[0][i*row+v.first:], v.pixels, v.channels)
					}
				})
			}, dy)
			return gg.Nodes{dx}, err
		},
	}, x)
}

// turn writes the transpose of x [rows,cols] to y [cols,rows], in blocks whose lines
// of both fit the first cache, four columns at a time.
func turn(y, x []float32, rows, cols int) {
	const block = 16
	for r0 := 0; r0 < rows; r0 += block {
		r1 := min(r0+block, rows)
		c := 0
		for ; c+4 <= cols; c += 4 {
			a := y[c*rows+r0 : c*rows+r1]
			b := y[(c+1)*rows+r0:][:len(a)]
			d := y[(c+2)*rows+r0:][:len(a)]
			e := y[(c+3)*rows+r0:][:len(a)]
			at := r0*cols + c
			for i := range a {
				v := x[at : at+4 : at+4]
				a[i], b[i], d[i], e[i] = v[0], v[1], v[2], v[3]
				at += cols
			}
		}
		for ; c < cols; c++ {
			to := y[c*rows+r0 : c*rows+r1]
			at := r0*cols + c
			for i := range to {
				to[i] = x[at]
				at += cols
			}
		}
	}
}
