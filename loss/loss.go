// Package loss defines the losses of a one-stage detector: classification losses on
// the logits of K independent sigmoids an anchor, and losses on boxes.
//
// Each file holds one loss twice, side by side: as plain float64 value and
// gradient of one logit or one box (its documentation and its oracle), and as
// nodes of an engine.Graph, the form that trains. The graph forms are sums
// over a batch, in nats, weighted anchor by anchor: leaving anchors out and
// dividing by a normaliser (§4.1 of the paper) is done by the weights, which
// package sampler makes.
//
// Settings such as gamma and alpha are scalar inputs of the graph, not part of
// it, so that one compiled graph serves a whole sweep.
package loss

import (
	"math"

	"focalgrid/box"
	"focalgrid/engine"
	"focalgrid/setting"
)

// classifications names every classification loss. To add one, write a file and add a line.
var classifications = map[string]Classification{
	"ce":         crossEntropy,
	"focal":      focal,
	"focal_star": focalStar,
	"hinge":      hinge,
}

// boxes names every box loss. To add one, write a file and add a line.
var boxes = map[string]Box{
	"ciou":      overlap(box.CIoU),
	"diou":      overlap(box.DIoU),
	"giou":      overlap(box.GIoU),
	"iou":       overlap(box.PlainIoU),
	"l1":        l1,
	"smooth_l1": smoothL1,
}

// ClassificationOf returns the classification loss that the settings choose.
func ClassificationOf(v setting.Values) Classification { return classifications[v.Text("type")] }

// BoxOf returns the box loss that the settings choose.
func BoxOf(v setting.Values) Box { return boxes[v.Text("type")] }

// ClassParams are the settings of the classification loss.
func ClassParams() []setting.Param {
	kinds := map[string][]setting.Param{}
	for name, c := range classifications {
		kinds[name] = c.Params
	}
	return []setting.Param{{Name: "type", Kind: setting.Text, Kinds: kinds, Doc: "classification loss: focal (eq. 5), ce (eq. 3), focal_star (appendix A), hinge (§5.1)"}}
}

// BoxParams are the settings of the box loss.
func BoxParams() []setting.Param {
	kinds := map[string][]setting.Param{}
	for name, b := range boxes {
		kinds[name] = b.Params
	}
	return []setting.Param{
		{Name: "type", Kind: setting.Text, Kinds: kinds, Doc: "loss on predicted boxes"},
		{Name: "weight", Kind: setting.Number, Max: 1e6, Doc: "weight beside the classification loss"},
	}
}

// Inputs are the nodes that a classification loss reads. Anchors count by
// Weight; where it is 0 neither value nor gradient depends on the logits.
type Inputs struct {
	Logits *engine.Node // [N,A,K]
	Labels *engine.Node // [N,A], the class, or a negative number for background
	Weight *engine.Node // [N,A]
}

// Classification is a loss on logits.
type Classification struct {
	Name   string
	Params []setting.Param

	// Build adds the loss summed over N, A and K with weights: a scalar. p
	// gives the scalar node of each name that Scalars feeds.
	Build func(g *engine.Graph, in Inputs, p func(name string) *engine.Node) *engine.Node

	// Scalars turns the values of Params into what the graph is fed, e.g. alpha
	// into alpha_pos and alpha_neg.
	Scalars func(v setting.Values) map[string]float32

	// Value returns the unweighted loss of one logit, and its derivative; positive
	// is true for the logit of the anchor's class.
	Value func(x float64, positive bool, v setting.Values) (loss, grad float64)
}

// BoxInputs are the nodes that a box loss reads.
type BoxInputs struct {
	Pred    *engine.Node // [N,A,V], in the head's code
	Target  *engine.Node // [N,A,4], in the form that Box.Target names
	Weight  *engine.Node // [N,A]
	Anchors *engine.Node // [A,4]; read only where Box.Target is "boxes"
	Code    engine.BoxCode
}

// Box is a loss on predicted boxes.
type Box struct {
	Name    string
	Params  []setting.Param
	Target  string // "deltas" (values in the head's code) or "boxes": what it compares with, see package sampler
	Build   func(g *engine.Graph, in BoxInputs, p func(name string) *engine.Node) *engine.Node
	Scalars func(v setting.Values) map[string]float32

	// Value returns the unweighted loss of one anchor's deltas, and its gradient
	// with respect to them.
	Value func(pred, target, anchor [4]float64, v setting.Values) (loss float64, grad [4]float64)
}

// Loss is a loss of either kind as a term of the training loss.
type Loss struct {
	// Targets names the targets that the loss compares predictions with, see package sampler; "priors"
	// are the boxes that predictions start from.
	Targets []string

	// Build adds the loss of predictions to the graph, given the nodes of Targets.
	Build func(g *engine.Graph, predicted, targets []*engine.Node, p func(name string) *engine.Node) *engine.Node

	Scalars func(v setting.Values) map[string]float32
}

// groups names every group of settings that chooses a loss. To add one, write a file and add a line.
var groups = map[string]func(v setting.Values, c box.Coder[float32]) Loss{
	"loss":     func(v setting.Values, _ box.Coder[float32]) Loss { return ClassificationOf(v).Loss() },
	"box_loss": func(v setting.Values, c box.Coder[float32]) Loss { return BoxOf(v).Loss(c) },
}

// Of returns the loss that a group of settings chooses, on a head that predicts boxes in that code.
func Of(group string, v setting.Values, c box.Coder[float32]) Loss { return groups[group](v, c) }

// Loss returns the loss as a term.
func (c Classification) Loss() Loss {
	build := func(g *engine.Graph, predicted, t []*engine.Node, p func(name string) *engine.Node) *engine.Node {
		return c.Build(g, Inputs{Logits: predicted[0], Labels: t[0], Weight: t[1]}, p)
	}
	return Loss{[]string{"labels", "class_weight"}, build, c.Scalars}
}

// Loss returns the loss of boxes in that code as a term.
func (b Box) Loss(c box.Coder[float32]) Loss {
	targets := []string{"box_target", "box_weight"}
	if b.Target == "boxes" {
		targets = append(targets, "priors")
	}
	build := func(g *engine.Graph, predicted, t []*engine.Node, p func(name string) *engine.Node) *engine.Node {
		in := BoxInputs{Pred: predicted[0], Target: t[0], Weight: t[1], Code: CodeOf(c)}
		if len(t) > 2 {
			in.Anchors = t[2]
		}
		return b.Build(g, in, p)
	}
	return Loss{targets, build, b.Scalars}
}

// ScalarInputs returns the p that Build is called with: it makes a scalar input of the
// prefixed name at the first call and returns the same node afterwards.
func ScalarInputs(g *engine.Graph, prefix string) func(name string) *engine.Node {
	return func(name string) *engine.Node {
		if n := g.Node(prefix + name); n != nil {
			return n
		}
		return g.Input(prefix + name)
	}
}

// softplus returns log(1+e^t), finite for every finite t.
func softplus(t float64) float64 { return max(t, 0) + math.Log1p(math.Exp(-math.Abs(t))) }

// sign returns +1 for the logit of an anchor's class, else -1.
func sign(positive bool) float64 {
	if positive {
		return 1
	}
	return -1
}

var alphaParam = setting.Param{
	Name: "alpha", Kind: setting.Number, None: true, Max: 1,
	Doc: "weight of positives; negatives get 1-alpha (eq. 3); none weights both with 1",
}

// alphas returns the weights of positives and of negatives.
func alphas(v setting.Values) (pos, neg float64) {
	alpha := v.Optional("alpha")
	if alpha == nil {
		return 1, 1
	}
	return *alpha, 1 - *alpha
}

func alphaOf(positive bool, v setting.Values) float64 {
	pos, neg := alphas(v)
	if positive {
		return pos
	}
	return neg
}

// elements are the nodes that the composed losses start from, all [N,A,K].
type elements struct {
	x      *engine.Node // y·logit with y = 1 at an anchor's class and -1 elsewhere: x_t of the paper
	weight *engine.Node // the anchor's weight times alpha_pos or alpha_neg
}

func elementwise(g *engine.Graph, in Inputs, p func(name string) *engine.Node) elements {
	k := in.Logits.Shape[2]
	one := g.OneHot(in.Labels, k)
	y := g.Add(one, one) // x·2t - x = ±x exactly, and needs no constant
	neg := p("alpha_neg")
	alpha := g.Add(g.Mul(one, g.Sub(p("alpha_pos"), neg)), neg)
	return elements{
		x:      g.Sub(g.Mul(in.Logits, y), in.Logits),
		weight: g.Mul(alpha, g.Expand(in.Weight, k)),
	}
}
