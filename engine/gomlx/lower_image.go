package gomlx

import (
	"math"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"

	"focalgrid/engine"
)

// conv lowers a convolution; weights stay [K,C,R,R] in either layout. The bias is added before rounding to thin
// values: its gradient would else be a sum of thin ones.
func (l *lowering) conv(n *engine.Node) value {
	c, h, w := l.axes()
	axes := compute.ConvolveAxesConfig{
		InputBatch: 0, InputChannels: c, InputSpatial: []int{h, w},
		KernelOutputChannels: 0, KernelInputChannels: 1, KernelSpatial: []int{2, 3},
		OutputBatch: 0, OutputChannels: c, OutputSpatial: []int{h, w},
	}
	var strides []int
	if s := n.Attr.Stride; s > 1 {
		strides = []int{s, s}
	}
	x, pad := l.thinned(l.image(n, 0)), n.Attr.Pad
	if pad >= n.Attr.Kernel { // GoMLX has no gradient where a window lies in the padding alone
		x, pad = l.padded(x, pad, 0), 0
	}
	pads := [2]int{pad, pad}
	y := graph.ConvGeneral(x, l.thinned(l.plain(n, 1)), axes, strides, [][2]int{pads, pads}, nil, nil, 1, 1)
	if n.Attr.Bias {
		y = l.thinned(graph.Add(l.widen(y), l.channelwise(l.plain(n, 2))))
	}
	if n.Attr.ReLU {
		y = relu(y)
	}
	return l.asImage(y)
}

// padded puts so many pixels of a value around a map.
func (l *lowering) padded(x *graph.Node, pixels int, value float64) *graph.Node {
	_, h, w := l.axes()
	around := make([]compute.PadAxis, 4)
	around[h] = compute.PadAxis{Start: pixels, End: pixels}
	around[w] = around[h]
	return graph.Pad(x, graph.Scalar(l.g, x.DType(), value), around...)
}

// maxPool compares the windows' values one after another in row-major order; a later one wins where it is greater,
// or NaN.
func (l *lowering) maxPool(n *engine.Node) value {
	_, h, w := l.axes()
	k, stride, pad := n.Attr.Kernel, n.Attr.Stride, n.Attr.Pad
	x := l.image(n, 0)
	if pad > 0 {
		x = l.padded(x, pad, math.Inf(-1))
	}
	every := func(x *graph.Node, axis, from, count int) *graph.Node {
		return graph.SliceAxis(x, axis, graph.AxisRange(from, from+(count-1)*stride+1).Stride(stride))
	}
	var y *graph.Node
	for i := range k {
		for j := range k {
			v := every(every(x, h, i, n.Shape[2]), w, j, n.Shape[3])
			if y == nil {
				y = v
				continue
			}
			y = graph.Where(graph.LogicalOr(graph.GreaterThan(v, y), graph.NotEqual(v, v)), v, y)
		}
	}
	return l.asImage(y)
}

func (l *lowering) globalAvgPool(n *engine.Node) value {
	_, h, w := l.axes()
	return l.asImage(mean(l.widen(l.image(n, 0)), h, w))
}

// upsample brings the i-th input of n to the size of n.
func (l *lowering) upsample(n *engine.Node, i int) *graph.Node {
	_, h, w := l.axes()
	return repeat(repeat(l.image(n, i), h, n.Shape[2]), w, n.Shape[3])
}

// repeat brings an axis to a size by repeating indices: index i comes from floor(i·old/size).
func repeat(x *graph.Node, axis, size int) *graph.Node {
	old := x.Shape().Dimensions[axis]
	if size%old != 0 {
		var parts []*graph.Node
		for i := range size {
			from := i * old / size
			parts = append(parts, cut(x, axis, from, from+1))
		}
		return graph.Concatenate(parts, axis)
	}
	dims := append([]int{}, x.Shape().Dimensions...)
	dims[axis] = size
	x = graph.InsertAxes(x, axis+1)
	apart := append([]int{}, x.Shape().Dimensions...)
	apart[axis+1] = size / old
	return graph.Reshape(graph.BroadcastToDims(x, apart...), dims...)
}

func (l *lowering) upsampleAdd(n *engine.Node) value {
	lateral := l.image(n, 0)
	return l.asImage(graph.Add(lateral, convert(l.upsample(n, 1), lateral.DType())))
}

// packLevels makes rows of the last axis of each level [N,H,W,A·size], and joins them.
func (l *lowering) packLevels(n *engine.Node) value {
	var levels []*graph.Node
	for i, in := range n.In {
		x := l.image(n, i)
		if !l.nhwc {
			x = graph.TransposeAllAxes(x, 0, 2, 3, 1)
		}
		levels = append(levels, graph.Reshape(l.widen(x), n.Shape[0], in.Size()/n.Shape[0]/n.Attr.Size, n.Attr.Size))
	}
	return value{node: graph.Concatenate(levels, 1)}
}
