package engine

import "slices"

// Pixels turns the bytes of images [N,H,W,3] into maps [N,3,H,W]: (byte/255 - mean)/std where an image is, and 0
// where the batch is wider or higher. sizes [N,2] holds the height and the width of each image; mean and std are [3].
// No gradient.
func (g *Graph) Pixels(bytes, sizes, mean, std *Node) *Node {
	s := bytes.Shape
	check(OpPixels, len(s) == 4 && s[3] == 3 && slices.Equal(sizes.Shape, []int{s[0], 2}), "bytes %v, sizes %v, want [N H W 3] and [N 2]", s, sizes.Shape)
	check(OpPixels, slices.Equal(mean.Shape, s[3:]) && slices.Equal(std.Shape, s[3:]), "mean %v, std %v, want [3]", mean.Shape, std.Shape)
	return g.add(OpPixels, []int{s[0], 3, s[1], s[2]}, Attr{}, bytes, sizes, mean, std)
}

// Gather takes rows of a table: of tables [N,R,V] and indices [N,A], each 0 to R-1, row indices[n,a] of table n. The
// result is [N,A,V]. No gradient.
func (g *Graph) Gather(tables, indices *Node) *Node {
	t, i := tables.Shape, indices.Shape
	check(OpGather, len(t) == 3 && len(i) == 2 && t[0] == i[0], "tables %v, indices %v, want [N R V] and [N A]", t, i)
	return g.add(OpGather, []int{i[0], i[1], t[2]}, Attr{}, tables, indices)
}

// TopRows picks of each level the k rows with the largest values. The rows of x [N,A,K] are those of the first level,
// then those of the next: levels says how many each has. The result [N,Σ min(k,level)] holds the indices of the rows
// that are picked, rising; of rows with the same largest value the first are picked. No gradient.
func (g *Graph) TopRows(x *Node, k int, levels ...int) *Node {
	check(OpTopRows, len(x.Shape) == 3 && k > 0, "x must have three axes, has %v; k is %d", x.Shape, k)
	rows, picked := 0, 0
	for _, n := range levels {
		check(OpTopRows, n > 0, "levels %v", levels)
		rows, picked = rows+n, picked+min(k, n)
	}
	check(OpTopRows, rows == x.Shape[1], "levels %v have %d rows, x has %d", levels, rows, x.Shape[1])
	return g.add(OpTopRows, []int{x.Shape[0], picked}, Attr{Size: k, Dims: slices.Clone(levels)}, x)
}

// Conv2D adds a cross-correlation with square stride and zero padding, an
// optional bias and an optional ReLU:
// y[n,k,i,j] = b[k] + Σ w[k,c,r,s]·x[n,c,i·stride+r-pad,j·stride+s-pad].
//
// x is [N,C,H,W], w is [K,C,R,R], bias is [K] or nil; the result is
// [N,K,(H+2·pad-R)/stride+1,(W+2·pad-R)/stride+1].
func (g *Graph) Conv2D(x, w, bias *Node, stride, pad int, relu bool) *Node {
	check(OpConv2D, len(x.Shape) == 4 && len(w.Shape) == 4, "x and w must have four axes, have %v and %v", x.Shape, w.Shape)
	check(OpConv2D, x.Shape[1] == w.Shape[1], "x has %d channels, w wants %d", x.Shape[1], w.Shape[1])
	check(OpConv2D, w.Shape[2] == w.Shape[3], "kernel must be square, is %v", w.Shape[2:])
	check(OpConv2D, stride >= 1 && pad >= 0, "stride %d, padding %d", stride, pad)
	r := w.Shape[2]
	check(OpConv2D, x.Shape[2]+2*pad >= r && x.Shape[3]+2*pad >= r, "kernel %d does not fit %v with padding %d", r, x.Shape, pad)
	in := []*Node{x, w}
	if bias != nil {
		check(OpConv2D, slices.Equal(bias.Shape, w.Shape[:1]), "bias %v for %d outputs", bias.Shape, w.Shape[0])
		in = append(in, bias)
	}
	out := []int{x.Shape[0], w.Shape[0], (x.Shape[2]+2*pad-r)/stride + 1, (x.Shape[3]+2*pad-r)/stride + 1}
	return g.add(OpConv2D, out, Attr{Kernel: r, Stride: stride, Pad: pad, Bias: bias != nil, ReLU: relu}, in...)
}

// Norm holds the tensors of a batch or frozen norm, each [C].
type Norm struct {
	Weight, Bias, Mean, Var *Node
	Eps                     float64
	Momentum                float64 // of the running statistics; PyTorch's convention: new = (1-m)·old + m·batch
}

// BatchNorm normalises each channel of x [N,C,H,W], then adds residual (same
// shape, or nil), then applies ReLU if asked.
//
// In training it uses the batch's mean and biased variance, and Session.Step
// moves the running mean and (unbiased) variance; else the running ones.
func (g *Graph) BatchNorm(x *Node, p Norm, residual *Node, relu, train bool) *Node {
	return g.norm(OpBatchNorm, x, p, residual, Attr{Eps: p.Eps, Momentum: p.Momentum, ReLU: relu, Train: train})
}

// FrozenNorm is y = x·s + (bias-mean·s), s = weight/sqrt(var+eps), with no
// gradient to any of the four, then residual and ReLU as in BatchNorm.
func (g *Graph) FrozenNorm(x *Node, p Norm, residual *Node, relu bool) *Node {
	return g.norm(OpFrozenNorm, x, p, residual, Attr{Eps: p.Eps, ReLU: relu})
}

func (g *Graph) norm(op Op, x *Node, p Norm, residual *Node, a Attr) *Node {
	check(op, len(x.Shape) == 4, "x must have four axes, has %v", x.Shape)
	c := x.Shape[1:2]
	for _, n := range []*Node{p.Weight, p.Bias, p.Mean, p.Var} {
		check(op, n != nil && slices.Equal(n.Shape, c), "weight, bias, mean and var must be [%d]", c[0])
	}
	in := []*Node{x, p.Weight, p.Bias, p.Mean, p.Var}
	if residual != nil {
		check(op, slices.Equal(residual.Shape, x.Shape), "residual %v, x %v", residual.Shape, x.Shape)
		a.Residual = true
		in = append(in, residual)
	}
	return g.add(op, slices.Clone(x.Shape), a, in...)
}

// GroupNorm normalises x [N,C,H,W] over each image's groups of C/groups
// channels with the biased variance, applies weight and bias [C], then ReLU if asked.
func (g *Graph) GroupNorm(x, weight, bias *Node, groups int, eps float64, relu bool) *Node {
	check(OpGroupNorm, len(x.Shape) == 4, "x must have four axes, has %v", x.Shape)
	c := x.Shape[1]
	check(OpGroupNorm, groups >= 1 && c%groups == 0, "%d channels do not split into %d groups", c, groups)
	check(OpGroupNorm, slices.Equal(weight.Shape, []int{c}) && slices.Equal(bias.Shape, []int{c}), "weight and bias must be [%d]", c)
	return g.add(OpGroupNorm, slices.Clone(x.Shape), Attr{Groups: groups, Eps: eps, ReLU: relu}, x, weight, bias)
}

// MaxPool takes the largest value of each window; padding counts as -∞ and the
// first maximum in row-major order takes the gradient.
func (g *Graph) MaxPool(x *Node, kernel, stride, pad int) *Node {
	check(OpMaxPool, len(x.Shape) == 4, "x must have four axes, has %v", x.Shape)
	check(OpMaxPool, kernel >= 1 && stride >= 1 && pad >= 0 && 2*pad <= kernel, "kernel %d, stride %d, padding %d", kernel, stride, pad)
	h, w := x.Shape[2]+2*pad, x.Shape[3]+2*pad
	check(OpMaxPool, h >= kernel && w >= kernel, "kernel %d does not fit %v", kernel, x.Shape)
	out := []int{x.Shape[0], x.Shape[1], (h-kernel)/stride + 1, (w-kernel)/stride + 1}
	return g.add(OpMaxPool, out, Attr{Kernel: kernel, Stride: stride, Pad: pad}, x)
}

// GlobalAvgPool averages x [N,C,H,W] over its pixels to [N,C,1,1].
func (g *Graph) GlobalAvgPool(x *Node) *Node {
	check(OpGlobalAvgPool, len(x.Shape) == 4, "x must have four axes, has %v", x.Shape)
	return g.add(OpGlobalAvgPool, []int{x.Shape[0], x.Shape[1], 1, 1}, Attr{}, x)
}

// Upsample repeats pixels of x [N,C,H,W] to [N,C,h,w]: source row = floor(row·H/h).
func (g *Graph) Upsample(x *Node, h, w int) *Node {
	check(OpUpsample, len(x.Shape) == 4 && h >= x.Shape[2] && w >= x.Shape[3], "cannot bring %v to %d×%d", x.Shape, h, w)
	return g.add(OpUpsample, []int{x.Shape[0], x.Shape[1], h, w}, Attr{}, x)
}

// UpsampleAdd is lateral + Upsample(top) at the lateral's size, the step of a feature pyramid.
func (g *Graph) UpsampleAdd(lateral, top *Node) *Node {
	l, t := lateral.Shape, top.Shape
	check(OpUpsampleAdd, len(l) == 4 && len(t) == 4 && l[0] == t[0] && l[1] == t[1] && l[2] >= t[2] && l[3] >= t[3], "lateral %v, top %v", l, t)
	return g.add(OpUpsampleAdd, slices.Clone(l), Attr{}, lateral, top)
}

// PackLevels brings head outputs to one row an anchor: each level [N,A·size,H,W]
// with channel a·size+k becomes rows ordered y, x, a; levels follow one
// another. The result is [N,Σ H·W·A,size].
func (g *Graph) PackLevels(size int, levels ...*Node) *Node {
	check(OpPackLevels, len(levels) > 0 && size > 0, "no levels or size %d", size)
	rows := 0
	for _, l := range levels {
		check(OpPackLevels, len(l.Shape) == 4 && l.Shape[0] == levels[0].Shape[0] && l.Shape[1] == levels[0].Shape[1] && l.Shape[1]%size == 0,
			"level %v beside %v, %d values an anchor", l.Shape, levels[0].Shape, size)
		rows += l.Shape[1] / size * l.Shape[2] * l.Shape[3]
	}
	return g.add(OpPackLevels, []int{levels[0].Shape[0], rows, size}, Attr{Size: size}, levels...)
}

// Add is a + b; here and in Sub, Mul, Div, Min and Max the shapes are equal, or b is a
// scalar, such as a parameter without dims that scales a level: its gradient is a sum.
func (g *Graph) Add(a, b *Node) *Node { return g.binary(OpAdd, a, b) }

// Sub is a - b.
func (g *Graph) Sub(a, b *Node) *Node { return g.binary(OpSub, a, b) }

// Mul is a · b, value by value.
func (g *Graph) Mul(a, b *Node) *Node { return g.binary(OpMul, a, b) }

// Div is a / b, value by value, with gradients dy/b and -dy·a/b².
func (g *Graph) Div(a, b *Node) *Node { return g.binary(OpDiv, a, b) }

// Min is the lesser of a and b, value by value, and NaN where one is. The gradient goes to
// the lesser, and half of it to each of two equal values.
func (g *Graph) Min(a, b *Node) *Node { return g.binary(OpMin, a, b) }

// Max is the greater of a and b, as Min is the lesser.
func (g *Graph) Max(a, b *Node) *Node { return g.binary(OpMax, a, b) }

func (g *Graph) binary(op Op, a, b *Node) *Node {
	check(op, slices.Equal(a.Shape, b.Shape) || len(b.Shape) == 0, "shapes %v and %v", a.Shape, b.Shape)
	return g.add(op, slices.Clone(a.Shape), Attr{}, a, b)
}

func (g *Graph) unary(op Op, x *Node) *Node { return g.add(op, slices.Clone(x.Shape), Attr{}, x) }

// Neg is -x.
func (g *Graph) Neg(x *Node) *Node { return g.unary(OpNeg, x) }

// Abs is |x|, with gradient 0 at 0.
func (g *Graph) Abs(x *Node) *Node { return g.unary(OpAbs, x) }

// Exp is e^x.
func (g *Graph) Exp(x *Node) *Node { return g.unary(OpExp, x) }

// Log is the natural logarithm.
func (g *Graph) Log(x *Node) *Node { return g.unary(OpLog, x) }

// Softplus is log(1+e^x), finite for every finite x.
func (g *Graph) Softplus(x *Node) *Node { return g.unary(OpSoftplus, x) }

// Sigmoid is 1/(1+e^-x).
func (g *Graph) Sigmoid(x *Node) *Node { return g.unary(OpSigmoid, x) }

// ReLU is max(x,0), with gradient 0 at 0.
func (g *Graph) ReLU(x *Node) *Node { return g.unary(OpReLU, x) }

// Where takes a where cond > 0, else b; all of one shape, no gradient to cond.
func (g *Graph) Where(cond, a, b *Node) *Node {
	check(OpWhere, slices.Equal(cond.Shape, a.Shape) && slices.Equal(a.Shape, b.Shape), "shapes %v, %v, %v", cond.Shape, a.Shape, b.Shape)
	return g.add(OpWhere, slices.Clone(a.Shape), Attr{}, cond, a, b)
}

// OneHot turns labels [d…] into [d…,size]: 1 at the label, all 0 for a
// negative label. No gradient.
func (g *Graph) OneHot(labels *Node, size int) *Node {
	check(OpOneHot, size >= 1, "size %d", size)
	return g.add(OpOneHot, append(slices.Clone(labels.Shape), size), Attr{Size: size}, labels)
}

// Expand repeats each value of x [d…] along a new last axis: [d…,size].
func (g *Graph) Expand(x *Node, size int) *Node {
	check(OpExpand, size >= 1, "size %d", size)
	return g.add(OpExpand, append(slices.Clone(x.Shape), size), Attr{Size: size}, x)
}

// Sum adds all values to a scalar.
func (g *Graph) Sum(x *Node) *Node { return g.add(OpSum, []int{}, Attr{}, x) }

// Reshape gives x another shape of the same size.
func (g *Graph) Reshape(x *Node, dims ...int) *Node {
	n := g.add(OpReshape, slices.Clone(dims), Attr{Dims: slices.Clone(dims)}, x)
	check(OpReshape, n.Size() == x.Size(), "%v to %v", x.Shape, dims)
	return n
}

// Transpose permutes axes: axis i of the result is axis perm[i] of x.
func (g *Graph) Transpose(x *Node, perm ...int) *Node {
	check(OpTranspose, len(perm) == len(x.Shape), "permutation %v of %v", perm, x.Shape)
	seen, shape := make([]bool, len(perm)), make([]int, len(perm))
	for i, p := range perm {
		check(OpTranspose, p >= 0 && p < len(perm) && !seen[p], "permutation %v of %v", perm, x.Shape)
		seen[p], shape[i] = true, x.Shape[p]
	}
	return g.add(OpTranspose, shape, Attr{Dims: slices.Clone(perm)}, x)
}

// Concat joins tensors along axis; all other sides are equal.
func (g *Graph) Concat(axis int, xs ...*Node) *Node {
	check(OpConcat, len(xs) > 0 && axis >= 0 && axis < len(xs[0].Shape), "%d tensors along axis %d", len(xs), axis)
	shape := slices.Clone(xs[0].Shape)
	for _, x := range xs[1:] {
		check(OpConcat, len(x.Shape) == len(shape), "shapes %v and %v", shape, x.Shape)
		for i, d := range x.Shape {
			check(OpConcat, i == axis || d == shape[i], "shapes %v and %v along axis %d", shape, x.Shape, axis)
		}
		shape[axis] += x.Shape[axis]
	}
	return g.add(OpConcat, shape, Attr{Axis: axis}, xs...)
}

// Slice takes the indices from … to-1 of an axis; the gradient of the others is 0.
func (g *Graph) Slice(x *Node, axis, from, to int) *Node {
	check(OpSlice, axis >= 0 && axis < len(x.Shape) && from >= 0 && from < to && to <= x.Shape[axis], "%d to %d along axis %d of %v", from, to, axis, x.Shape)
	shape := slices.Clone(x.Shape)
	shape[axis] = to - from
	return g.add(OpSlice, shape, Attr{Axis: axis, Dims: []int{from, to}}, x)
}

// SumLast adds along the last axis: x [d…,k] becomes [d…], with gradient dy for each value.
func (g *Graph) SumLast(x *Node) *Node { return g.reduceLast(OpSumLast, x) }

// LogSumExpLast is log Σ e^x along the last axis, finite for every finite x: x [d…,k]
// becomes [d…], with gradient dy·softmax(x). The log of SoftmaxLast is x less it.
func (g *Graph) LogSumExpLast(x *Node) *Node { return g.reduceLast(OpLogSumExpLast, x) }

func (g *Graph) reduceLast(op Op, x *Node) *Node {
	check(op, len(x.Shape) > 0, "x is a scalar")
	return g.add(op, slices.Clone(x.Shape[:len(x.Shape)-1]), Attr{}, x)
}

// SoftmaxLast is y = e^x / Σ e^x along the last axis, finite for every finite x, with
// gradient y·(dy - Σ dy·y).
func (g *Graph) SoftmaxLast(x *Node) *Node {
	check(OpSoftmaxLast, len(x.Shape) > 0, "x is a scalar")
	return g.unary(OpSoftmaxLast, x)
}

// StopGradient is x, to which no gradient goes.
func (g *Graph) StopGradient(x *Node) *Node { return g.unary(OpStopGradient, x) }

// BoxCode describes how values at a prior are decoded to a box, as the coders of package box do. A prior
// is x1,y1,x2,y2; of a point, a square around it as wide as its stride.
type BoxCode struct {
	// Kind is one of
	//	"deltas"       4 values: centre = prior's + (dx·w, dy·h), size = (w·e^dw, h·e^dh)
	//	"distances"    4 values: left, top, right and bottom from the prior's centre
	//	"distribution" 4·Bins logits: each distance, in the prior's sides, is Σ bin·softmax
	Kind       string
	MaxLogSize float64 // of deltas: dw and dh are clipped there, and have no gradient beyond
	InSides    bool    // of distances: they count in the prior's width and height, not in pixels
	Bins       int     // of distributions: as many logits a side, one side after the other
}

// DecodeBoxes turns values [N,A,V] at priors [A,4] into boxes x1,y1,x2,y2 [N,A,4]. The
// gradient goes to the values.
func (g *Graph) DecodeBoxes(c BoxCode, values, priors *Node) *Node {
	size := map[string]int{"deltas": 4, "distances": 4, "distribution": 4 * c.Bins}[c.Kind]
	check(OpDecodeBoxes, size > 0, "no such code: %+v", c)
	s := values.Shape
	check(OpDecodeBoxes, len(s) == 3 && s[2] == size && slices.Equal(priors.Shape, []int{s[1], 4}), "values %v, priors %v, want [N A %d] and [A 4]", s, priors.Shape, size)
	return g.add(OpDecodeBoxes, []int{s[0], s[1], 4}, Attr{Code: c}, values, priors)
}

// EncodeBoxes turns boxes [N,A,4] into what DecodeBoxes should be given at priors [A,4]: deltas or distances [N,A,4].
// For a distribution they are the distances that it should have as its means, held to 0 … Bins-1.1, so that both bins
// beside them exist. Sides of priors, and with deltas those of boxes, are above 0. No gradient.
func (g *Graph) EncodeBoxes(c BoxCode, boxes, priors *Node) *Node {
	s := boxes.Shape
	check(OpEncodeBoxes, slices.Contains([]string{"deltas", "distances", "distribution"}, c.Kind), "no such code: %+v", c)
	check(OpEncodeBoxes, len(s) == 3 && s[2] == 4 && slices.Equal(priors.Shape, s[1:]), "boxes %v, priors %v, want [N A 4] and [A 4]", s, priors.Shape)
	return g.add(OpEncodeBoxes, slices.Clone(s), Attr{Code: c}, boxes, priors)
}

// Focal is Σ weight·a·(1-pt)^gamma·(-log pt) over logits [N,A,K] (eq. 5 of the
// paper): labels [N,A] hold the class of an anchor or a negative number for
// background, weight [N,A] its weight (0 leaves the anchor out), a is alphaPos
// at the labelled class and alphaNeg elsewhere; all three settings are scalars.
// Its gradient is the closed form that is finite for every finite logit.
func (g *Graph) Focal(logits, labels, weight, gamma, alphaPos, alphaNeg *Node) *Node {
	s := logits.Shape
	check(OpFocal, len(s) == 3 && slices.Equal(labels.Shape, s[:2]) && slices.Equal(weight.Shape, s[:2]), "logits %v, labels %v, weight %v", s, labels.Shape, weight.Shape)
	check(OpFocal, len(gamma.Shape)+len(alphaPos.Shape)+len(alphaNeg.Shape) == 0, "gamma and alphas must be scalars")
	return g.add(OpFocal, []int{}, Attr{}, logits, labels, weight, gamma, alphaPos, alphaNeg)
}

// SmoothL1 is Σ weight·h(pred-target), h(d) = d²/(2·beta) for |d| < beta, else
// |d| - beta/2; beta 0 gives |d|. pred and target are [N,A,4], weight is [N,A], beta a scalar.
func (g *Graph) SmoothL1(pred, target, weight, beta *Node) *Node {
	checkBoxes(OpSmoothL1, pred, target, weight)
	check(OpSmoothL1, len(beta.Shape) == 0, "beta must be a scalar")
	return g.add(OpSmoothL1, []int{}, Attr{}, pred, target, weight, beta)
}

// BoxIoULoss is Σ weight·(1-overlap) of predicted boxes with their targets, both [N,A,4] and
// x1,y1,x2,y2; weight is [N,A], and boxes of weight 0 are left out. The gradient goes to pred.
// With I = pred∩target, U = |pred∪target|, H the smallest box around both, d the distance of the
// centres and c the diagonal of H, overlap is
//
//	"iou"  |I|/U
//	"giou" |I|/U - (|H|-U)/|H|
//	"diou" |I|/U - d²/c²
//	"ciou" |I|/U - d²/c² - α·v, v = 4/π²·(atan(w/h) of target - atan(w/h) of pred)²,
//	       α = v/(1-|I|/U+v) without gradient
//
// where 1e-7 is added to all that is divided by. An engine may keep a box of DecodeBoxes in
// more than float32 on its way here.
func (g *Graph) BoxIoULoss(overlap string, pred, target, weight *Node) *Node {
	checkBoxes(OpBoxIoULoss, pred, target, weight)
	check(OpBoxIoULoss, slices.Contains([]string{"iou", "giou", "diou", "ciou"}, overlap), "no such overlap: %q", overlap)
	return g.add(OpBoxIoULoss, []int{}, Attr{Overlap: overlap}, pred, target, weight)
}

func checkBoxes(op Op, pred, target, weight *Node) {
	s := pred.Shape
	check(op, len(s) == 3 && s[2] == 4 && slices.Equal(target.Shape, s) && slices.Equal(weight.Shape, s[:2]), "pred %v, target %v, weight %v", s, target.Shape, weight.Shape)
}

// SoftmaxCE is the mean over images of -log softmax(logits)[label]: logits
// [N,K] (or [N,K,1,1]), labels [N].
func (g *Graph) SoftmaxCE(logits, labels *Node) *Node {
	s := logits.Shape
	check(OpSoftmaxCE, len(s) >= 2 && logits.Size() == s[0]*s[1] && slices.Equal(labels.Shape, s[:1]), "logits %v, labels %v", s, labels.Shape)
	return g.add(OpSoftmaxCE, []int{}, Attr{}, logits, labels)
}
