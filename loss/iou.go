package loss

import (
	"focalgrid/box"
	"focalgrid/engine"
	"focalgrid/setting"
)

// overlap is a loss that compares boxes, not what codes them: 1 less the overlap of the decoded
// prediction with the object. Not in the paper; later detectors use it. "iou" has no
// gradient where the two are apart.
func overlap(o box.Overlap) Box {
	return Box{
		Name:   string(o),
		Target: "boxes",
		Build: func(g *engine.Graph, in BoxInputs, _ func(name string) *engine.Node) *engine.Node {
			return g.BoxIoULoss(string(o), g.DecodeBoxes(in.Code, in.Pred, in.Anchors), in.Target, in.Weight)
		},
		Scalars: func(setting.Values) map[string]float32 { return map[string]float32{} },
		Value: func(pred, target, anchor [4]float64, _ setting.Values) (loss float64, grad [4]float64) {
			return overlapOfDeltas(o, pred, target, anchor)
		},
	}
}

// CodeOf returns the coder as the graph knows it. Of an unknown one it returns a code that the graph refuses.
func CodeOf(c box.Coder[float32]) engine.BoxCode {
	switch c := c.(type) {
	case box.Deltas[float32]:
		return engine.BoxCode{Kind: "deltas", MaxLogSize: box.MaxLogSize}
	case box.Distances[float32]:
		return engine.BoxCode{Kind: "distances", InSides: c.InSides}
	case box.Distribution[float32]:
		return engine.BoxCode{Kind: "distribution", Bins: c.Bins}
	}
	return engine.BoxCode{}
}

// overlapEps keeps divisions by the areas and heights of boxes without any finite.
const overlapEps = 1e-7

// overlapOfDeltas returns the loss of the box that deltas mean at an anchor, and its
// gradient by the deltas: 0 by dw and dh above the clip at box.MaxLogSize.
func overlapOfDeltas(o box.Overlap, deltas, target, anchor [4]float64) (loss float64, grad [4]float64) {
	b := box.Deltas[float64]{}.Decode(anchor, deltas[:])
	value, by := o.Of(b, target, overlapEps)
	for i := range 2 {
		grad[i] = -(by[i] + by[2+i]) * (anchor[2+i] - anchor[i])
		if deltas[2+i] <= box.MaxLogSize {
			grad[2+i] = -(by[2+i] - by[i]) / 2 * (b[2+i] - b[i])
		}
	}
	return 1 - value, grad
}
