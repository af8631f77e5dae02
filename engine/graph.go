package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Op names what a node computes.
type Op string

// The ops. Each is described at the Graph method that builds it.
const (
	OpInput  Op = "input"
	OpParam  Op = "param"
	OpBuffer Op = "buffer"
	OpConst  Op = "const"

	OpConv2D        Op = "conv2d"
	OpBatchNorm     Op = "batch_norm"
	OpFrozenNorm    Op = "frozen_norm"
	OpGroupNorm     Op = "group_norm"
	OpMaxPool       Op = "max_pool"
	OpGlobalAvgPool Op = "global_avg_pool"
	OpUpsampleAdd   Op = "upsample_add"
	OpUpsample      Op = "upsample"
	OpPackLevels    Op = "pack_levels"

	OpAdd      Op = "add"
	OpSub      Op = "sub"
	OpMul      Op = "mul"
	OpDiv      Op = "div"
	OpMin      Op = "min"
	OpMax      Op = "max"
	OpNeg      Op = "neg"
	OpAbs      Op = "abs"
	OpExp      Op = "exp"
	OpLog      Op = "log"
	OpSoftplus Op = "softplus"
	OpSigmoid  Op = "sigmoid"
	OpReLU     Op = "relu"
	OpWhere    Op = "where"
	OpOneHot   Op = "one_hot"
	OpExpand   Op = "expand"

	OpSum       Op = "sum"
	OpReshape   Op = "reshape"
	OpTranspose Op = "transpose"
	OpConcat    Op = "concat"
	OpSlice     Op = "slice"

	OpSumLast       Op = "sum_last"
	OpSoftmaxLast   Op = "softmax_last"
	OpLogSumExpLast Op = "log_sum_exp_last"
	OpStopGradient  Op = "stop_gradient"

	OpPixels  Op = "pixels"
	OpGather  Op = "gather"
	OpTopRows Op = "top_rows"

	OpDecodeBoxes Op = "decode_boxes"
	OpEncodeBoxes Op = "encode_boxes"

	OpFocal      Op = "focal"
	OpSmoothL1   Op = "smooth_l1"
	OpBoxIoULoss Op = "box_iou_loss"
	OpSoftmaxCE  Op = "softmax_cross_entropy"
)

// Node is one value of a Graph.
type Node struct {
	ID    int // position in the graph; inputs come before their users
	Op    Op
	In    []*Node
	Shape []int
	Attr  Attr
	Name  string // unique where not empty; inputs, parameters and buffers always have one
}

// Attr holds an op's settings; which fields count is said at the op's builder.
type Attr struct {
	Stride, Pad, Kernel int
	Groups              int
	Axis                int
	Size                int
	Dims                []int
	Eps, Momentum       float64
	Value               float64
	ReLU, Residual      bool
	Bias                bool
	Train               bool
	Trainable           bool
	Init                Init
	Kind                Kind
	Batch               bool // of an input: see Batched
	Code                BoxCode
	Overlap             string
}

// Kind is the type of an input's values. Ops compute with the float32 values nearest to what is fed, which are the same
// numbers for every byte and for integers up to 2^24 in magnitude.
type Kind int

// The kinds of inputs.
const (
	Float32 Kind = iota
	Bytes        // such as the channels of pixels
	Int32        // such as labels
)

func (k Kind) String() string { return [...]string{"[]float32", "[]byte", "[]int32"}[k] }

// Size is the number of values of the node's tensor.
func (n *Node) Size() int {
	s := 1
	for _, d := range n.Shape {
		s *= d
	}
	return s
}

// MACs is the node's multiply-accumulate count: convolutions only, as the
// literature counts "FLOPs" of detectors. Zero for every other op.
func (n *Node) MACs() int64 {
	if n.Op != OpConv2D {
		return 0
	}
	w := n.In[1].Shape
	return int64(n.Size()) * int64(w[1]) * int64(w[2]) * int64(w[3])
}

// Graph is a list of nodes in topological order.
type Graph struct {
	nodes []*Node
	names map[string]*Node
}

// ShapeError is what a builder method panics with; Build turns it into an error.
type ShapeError struct {
	Op  Op
	Msg string
}

func (e *ShapeError) Error() string { return fmt.Sprintf("%s: %s", e.Op, e.Msg) }

// Build runs f on an empty graph. A misuse of a builder method inside f
// (shapes that do not fit, a repeated name) is returned as a *ShapeError.
func Build(f func(g *Graph) error) (g *Graph, err error) {
	defer func() {
		if r := recover(); r != nil {
			se, ok := r.(*ShapeError)
			if !ok {
				panic(r)
			}
			g, err = nil, se
		}
	}()
	g = &Graph{names: map[string]*Node{}}
	if err := f(g); err != nil {
		return nil, err
	}
	return g, nil
}

// Nodes returns the nodes in topological order; the slice is not to be changed.
func (g *Graph) Nodes() []*Node { return g.nodes }

// Node returns the node of that name, or nil.
func (g *Graph) Node(name string) *Node { return g.names[name] }

// Params lists the parameters in the order they were added.
func (g *Graph) Params() []*Node {
	var out []*Node
	for _, n := range g.nodes {
		if n.Op == OpParam {
			out = append(out, n)
		}
	}
	return out
}

// Hash is the SHA-256 of the graph's text, hex.
func (g *Graph) Hash() string {
	h := sha256.Sum256([]byte(g.String()))
	return hex.EncodeToString(h[:])
}

// String writes one line a node: id, op, inputs, shape, attributes, name.
func (g *Graph) String() string {
	var b strings.Builder
	for _, n := range g.nodes {
		fmt.Fprintf(&b, "%d %s(", n.ID, n.Op)
		for i, in := range n.In {
			if i > 0 {
				b.WriteByte(' ')
			}
			fmt.Fprintf(&b, "%d", in.ID)
		}
		fmt.Fprintf(&b, ") %v %+v %s\n", n.Shape, n.Attr, n.Name)
	}
	return b.String()
}

func (g *Graph) add(op Op, shape []int, a Attr, in ...*Node) *Node {
	check(op, ops[op] != nil, "the op has no line in the table of ops")
	for _, n := range in {
		if !g.holds(n) {
			panic(&ShapeError{op, "an input is nil or of another graph"})
		}
	}
	n := &Node{ID: len(g.nodes), Op: op, In: in, Shape: shape, Attr: a}
	g.nodes = append(g.nodes, n)
	return n
}

// holds reports whether n is a node of g.
func (g *Graph) holds(n *Node) bool { return n != nil && n.ID < len(g.nodes) && g.nodes[n.ID] == n }

// Named gives n a name, under which engines report it.
func (g *Graph) Named(n *Node, name string) *Node {
	if _, dup := g.names[name]; dup || name == "" || n.Name != "" {
		panic(&ShapeError{n.Op, fmt.Sprintf("name %q is empty, taken, or the node has one", name)})
	}
	n.Name = name
	g.names[name] = n
	return n
}

// Input adds float32 values fed at each step; no dims make it a scalar.
func (g *Graph) Input(name string, dims ...int) *Node { return g.InputOf(Float32, name, dims...) }

// InputOf is Input for values of any kind.
func (g *Graph) InputOf(kind Kind, name string, dims ...int) *Node {
	checkDims(OpInput, name, dims)
	return g.Named(g.add(OpInput, slices.Clone(dims), Attr{Kind: kind}), name)
}

// Batched marks an input whose first axis is the batch: an engine of several devices gives each an equal part of it.
// What is computed is the same without the mark.
func (g *Graph) Batched(n *Node) *Node {
	check(OpInput, g.holds(n) && n.Op == OpInput && len(n.Shape) > 0, "only an input with axes is fed by the batch")
	n.Attr.Batch = true
	return n
}

// Param adds a tensor kept in State. One that is not trainable gets no gradient.
func (g *Graph) Param(name string, init Init, trainable bool, dims ...int) *Node {
	checkDims(OpParam, name, dims)
	return g.Named(g.add(OpParam, slices.Clone(dims), Attr{Init: init, Trainable: trainable}), name)
}

// Buffer adds a tensor kept in State that no gradient reaches, such as running statistics.
func (g *Graph) Buffer(name string, init Init, dims ...int) *Node {
	checkDims(OpBuffer, name, dims)
	return g.Named(g.add(OpBuffer, slices.Clone(dims), Attr{Init: init}), name)
}

// Const adds a scalar that never changes.
func (g *Graph) Const(v float64) *Node { return g.add(OpConst, []int{}, Attr{Value: v}) }

func checkDims(op Op, name string, dims []int) {
	for _, d := range dims {
		if d <= 0 {
			panic(&ShapeError{op, fmt.Sprintf("%s: shape %v has a side below 1", name, dims)})
		}
	}
}

func check(op Op, ok bool, format string, a ...any) {
	if !ok {
		panic(&ShapeError{op, fmt.Sprintf(format, a...)})
	}
}
