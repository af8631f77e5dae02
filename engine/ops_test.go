package engine

import (
	"errors"
	"strings"
	"testing"
)

// TestMisuse: a builder method that its inputs do not fit makes Build return what is wrong.
func TestMisuse(t *testing.T) {
	for _, tt := range []struct {
		build func(g *Graph, x, priors *Node)
		want  string
	}{
		{func(g *Graph, x, p *Node) { g.Div(x, p) }, "div: shapes [2 3 4] and [3 4]"},
		{func(g *Graph, x, p *Node) { g.Slice(x, 3, 0, 1) }, "slice: 0 to 1 along axis 3 of [2 3 4]"},
		{func(g *Graph, x, p *Node) { g.Slice(x, 1, 2, 2) }, "slice: 2 to 2 along axis 1 of [2 3 4]"},
		{func(g *Graph, x, p *Node) { g.Slice(x, 1, 2, 4) }, "slice: 2 to 4 along axis 1 of [2 3 4]"},
		{func(g *Graph, x, p *Node) { g.SumLast(g.Const(1)) }, "sum_last: x is a scalar"},
		{func(g *Graph, x, p *Node) { g.SoftmaxLast(g.Const(1)) }, "softmax_last: x is a scalar"},
		{func(g *Graph, x, p *Node) { g.LogSumExpLast(g.Const(1)) }, "log_sum_exp_last: x is a scalar"},
		{func(g *Graph, x, p *Node) { g.DecodeBoxes(BoxCode{Kind: "delta"}, x, p) }, "decode_boxes: no such code: {Kind:delta"},
		{func(g *Graph, x, p *Node) { g.DecodeBoxes(BoxCode{Kind: "distribution"}, x, p) }, "decode_boxes: no such code: {Kind:distribution"},
		{func(g *Graph, x, p *Node) { g.DecodeBoxes(BoxCode{Kind: "distribution", Bins: 2}, x, p) }, "want [N A 8] and [A 4]"},
		{func(g *Graph, x, p *Node) { g.DecodeBoxes(BoxCode{Kind: "deltas"}, x, x) }, "priors [2 3 4], want [N A 4] and [A 4]"},
		{func(g *Graph, x, p *Node) { g.BoxIoULoss("iou", x, x, p) }, "box_iou_loss: pred [2 3 4], target [2 3 4], weight [3 4]"},
		{func(g *Graph, x, p *Node) { g.Batched(g.Neg(x)) }, "input: only an input with axes is fed by the batch"},
		{func(g *Graph, x, p *Node) { g.Batched(g.Input("scale")) }, "input: only an input with axes is fed by the batch"},
		{func(g *Graph, x, p *Node) { g.BoxIoULoss("eiou", x, x, g.SumLast(x)) }, `box_iou_loss: no such overlap: "eiou"`},
	} {
		_, err := Build(func(g *Graph) error {
			tt.build(g, g.Input("x", 2, 3, 4), g.Input("priors", 3, 4))
			return nil
		})
		var shape *ShapeError
		if !errors.As(err, &shape) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want an error with %q", err, tt.want)
		}
	}
}
