package gomlx

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"

	"focalgrid/engine"
)

// lowering builds the GoMLX graph of an engine.Graph. Builders of GoMLX panic; guarded turns that into an error.
type lowering struct {
	g      *graph.Graph
	wide   dtypes.DType // of parameters, statistics, losses and all else but maps
	thin   dtypes.DType // of the inputs and outputs of convolutions
	nhwc   bool         // the layout of maps
	values map[*engine.Node]value
	stats  map[*engine.Node]statistics // of the training batch norms
	rate   *graph.Node                 // the learning rate of a step
}

// value is a lowered node. Its axes are the seam's, unless nhwc says that it is a map [N,H,W,C].
type value struct {
	node *graph.Node
	nhwc bool
}

// statistics are the mean and the biased variance of a batch, each [C].
type statistics struct{ mean, variance *graph.Node }

// take returns the i-th input of n as it is. Where the op has no gradient to it, neither has what is taken.
func (l *lowering) take(n *engine.Node, i int) value {
	v := l.values[n.In[i]]
	if !n.Differentiable(i) {
		v.node = graph.StopGradient(v.node)
	}
	return v
}

// plain returns the i-th input of n with the seam's axes, wide.
func (l *lowering) plain(n *engine.Node, i int) *graph.Node {
	return l.widen(l.nchw(l.take(n, i)).node)
}

// image returns the i-th input of n as a map in the engine's layout.
func (l *lowering) image(n *engine.Node, i int) *graph.Node {
	v := l.take(n, i)
	if l.nhwc && !v.nhwc {
		return graph.TransposeAllAxes(v.node, 0, 2, 3, 1)
	}
	return v.node
}

func (l *lowering) nchw(v value) value {
	if v.nhwc {
		v = value{node: graph.TransposeAllAxes(v.node, 0, 3, 1, 2)}
	}
	return v
}

// asImage is the value of a map in the engine's layout.
func (l *lowering) asImage(x *graph.Node) value { return value{x, l.nhwc} }

func (l *lowering) widen(x *graph.Node) *graph.Node   { return convert(x, l.wide) }
func (l *lowering) thinned(x *graph.Node) *graph.Node { return convert(x, l.thin) }

func convert(x *graph.Node, to dtypes.DType) *graph.Node {
	if x.DType() == to {
		return x
	}
	return graph.ConvertDType(x, to)
}

// scalar is a constant, wide.
func (l *lowering) scalar(v float64) *graph.Node { return graph.Scalar(l.g, l.wide, v) }

// axes are the positions of a map's axes in the engine's layout.
func (l *lowering) axes() (channels, height, width int) {
	if l.nhwc {
		return 3, 1, 2
	}
	return 1, 2, 3
}

// channelwise gives x [C] the axes of a map.
func (l *lowering) channelwise(x *graph.Node) *graph.Node {
	shape := []int{1, 1, 1, 1}
	c, _, _ := l.axes()
	shape[c] = x.Shape().Size()
	return graph.Reshape(x, shape...)
}

// lower adds one node whose inputs are there.
func (l *lowering) lower(n *engine.Node) (value, error) {
	switch n.Op {
	case engine.OpConst:
		return value{node: l.scalar(n.Attr.Value)}, nil
	case engine.OpConv2D:
		return l.conv(n), nil
	case engine.OpBatchNorm:
		return l.batchNorm(n), nil
	case engine.OpFrozenNorm:
		return l.frozenNorm(n), nil
	case engine.OpGroupNorm:
		return l.groupNorm(n), nil
	case engine.OpMaxPool:
		return l.maxPool(n), nil
	case engine.OpGlobalAvgPool:
		return l.globalAvgPool(n), nil
	case engine.OpUpsample:
		return l.asImage(l.upsample(n, 0)), nil
	case engine.OpUpsampleAdd:
		return l.upsampleAdd(n), nil
	case engine.OpPackLevels:
		return l.packLevels(n), nil
	case engine.OpAdd:
		return l.pairwise(n, graph.Add), nil
	case engine.OpSub:
		return l.pairwise(n, graph.Sub), nil
	case engine.OpMul:
		return l.pairwise(n, graph.Mul), nil
	case engine.OpDiv:
		return l.pairwise(n, graph.Div), nil
	case engine.OpMin:
		return l.pairwise(n, func(a, b *graph.Node) *graph.Node { return extreme(graph.LessThan, a, b) }), nil
	case engine.OpMax:
		return l.pairwise(n, func(a, b *graph.Node) *graph.Node { return extreme(graph.GreaterThan, a, b) }), nil
	case engine.OpNeg:
		return l.each(n, graph.Neg), nil
	case engine.OpAbs:
		return l.each(n, abs), nil
	case engine.OpExp:
		return l.each(n, graph.Exp), nil
	case engine.OpLog:
		return l.each(n, graph.Log), nil
	case engine.OpSoftplus:
		return l.each(n, graph.Softplus), nil
	case engine.OpSigmoid:
		return l.each(n, graph.Logistic), nil
	case engine.OpReLU:
		v := l.take(n, 0)
		return value{relu(v.node), v.nhwc}, nil
	case engine.OpStopGradient:
		return l.take(n, 0), nil
	case engine.OpPixels:
		return l.pixels(n), nil
	}
	x, err := l.lowerPlain(n)
	return value{node: x}, err
}

// lowerPlain adds a node of those whose axes mean what they mean at the seam.
func (l *lowering) lowerPlain(n *engine.Node) (*graph.Node, error) {
	switch n.Op {
	case engine.OpWhere:
		return graph.Where(positive(l.plain(n, 0)), l.plain(n, 1), l.plain(n, 2)), nil
	case engine.OpOneHot:
		return graph.StopGradient(l.widen(oneHot(l.plain(n, 0), n.Attr.Size))), nil
	case engine.OpExpand:
		return expand(l.plain(n, 0), n.Attr.Size), nil
	case engine.OpSum:
		return sumAll(l.plain(n, 0)), nil
	case engine.OpReshape:
		return graph.Reshape(l.plain(n, 0), n.Shape...), nil
	case engine.OpTranspose:
		return graph.TransposeAllAxes(l.plain(n, 0), n.Attr.Dims...), nil
	case engine.OpConcat:
		var in []*graph.Node
		for i := range n.In {
			in = append(in, l.plain(n, i))
		}
		return graph.Concatenate(in, n.Attr.Axis), nil
	case engine.OpSlice:
		return cut(l.plain(n, 0), n.Attr.Axis, n.Attr.Dims[0], n.Attr.Dims[1]), nil
	case engine.OpSumLast:
		return graph.ReduceSum(l.plain(n, 0), -1), nil
	case engine.OpSoftmaxLast:
		return softmaxLast(l.plain(n, 0)), nil
	case engine.OpLogSumExpLast:
		return logSumExpLast(l.plain(n, 0)), nil
	case engine.OpDecodeBoxes:
		return l.decodeBoxes(n), nil
	case engine.OpEncodeBoxes:
		return l.encodeBoxes(n), nil
	case engine.OpTopRows:
		return l.topRows(n), nil
	case engine.OpGather:
		return l.gather(n), nil
	case engine.OpFocal:
		return l.focal(n), nil
	case engine.OpSmoothL1:
		return l.smoothL1(n), nil
	case engine.OpBoxIoULoss:
		return l.boxIoULoss(n), nil
	case engine.OpSoftmaxCE:
		return l.softmaxCE(n), nil
	}
	return nil, fmt.Errorf("op %q: %w", n.Op, engine.ErrUnsupported)
}
