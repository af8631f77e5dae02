package detector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"

	"focalgrid/box"
	"focalgrid/coco"
	"focalgrid/dataset"
	"focalgrid/experiments/plan"
	"focalgrid/metrics"
)

// EvalBatch is the number of images evaluated at once; results do not depend on it.
const EvalBatch = 10

// Detect runs the detector over the loader's images in their order and returns
// COCO detections in original pixels, down to eval.low_score, under the category ids of
// the set, which is labelled by the detector's classes. It calls each with the number
// of images done.
func (d *Detector) Detect(ctx context.Context, loader *dataset.Loader, set *dataset.Set, each func(done int)) ([]coco.Detection, error) {
	var out []coco.Detection
	for first := 0; ; first += EvalBatch {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b, err := loader.Eval(first, EvalBatch)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		found, err := d.Infer(b)
		if err != nil {
			return nil, err
		}
		for i, dets := range found {
			it := &b.Items[i]
			for _, det := range dets {
				q := it.Original(det.Box)
				x, y := float64(q[0]), float64(q[1])
				out = append(out, coco.Detection{
					ImageID: it.ID, CategoryID: set.CategoryID(det.Label), Score: float64(det.Score),
					BBox: [4]float64{x, y, float64(q[2]) - x, float64(q[3]) - y},
				})
			}
		}
		each(first + b.N)
	}
}

// Infer detects on a batch and returns each image's detections in pixels of the network's input.
func (d *Detector) Infer(b *dataset.Batch) ([][]box.Detection, error) {
	net, predicted, err := d.forward(b)
	if err != nil {
		return nil, err
	}
	out := make([][]box.Detection, b.N)
	for i := range out {
		it := &b.Items[i]
		out[i], err = box.Postprocess(predicted.Image(i, b.N), net.priors.Priors, d.parts.Coder, it.NetWidth, it.NetHeight, d.parts.Post)
		if err != nil {
			return nil, fmt.Errorf("image %d: %w", it.ID, err)
		}
	}
	return out, nil
}

// forward runs the network over a batch. The predictions are valid until the network's next batch.
func (d *Detector) forward(b *dataset.Batch) (*network, box.Predicted, error) {
	z := size{n: EvalBatch, h: b.H, w: b.W, bytes: b.Bytes != nil} // a short last batch runs beside black images
	net, err := d.network(z)
	if err != nil {
		return nil, nil, err
	}
	feeds := z.imageFeeds(b)
	maps.Copy(feeds, net.feeds)
	v, err := net.session.Forward(feeds)
	if err != nil {
		return nil, nil, err
	}
	predicted := box.Predicted{}
	for name, x := range v {
		predicted[name] = x[:len(x)/EvalBatch*b.N]
	}
	return net, predicted, nil
}

// Scored returns the detections that are scored as the paper does, which are those above eval.score.
func Scored(cfg plan.Config, dets []coco.Detection) []coco.Detection {
	var above []coco.Detection
	for _, d := range dets {
		if d.Score > cfg.Number("eval.score") {
			above = append(above, d)
		}
	}
	return above
}

// Score evaluates detections twice: those of Scored, and all of them (from eval.low_score on).
func Score(cfg plan.Config, set *dataset.Set, dets []coco.Detection) (atScore, low *metrics.Result, err error) {
	if atScore, err = metrics.Evaluate(set.GroundTruth(), Scored(cfg, dets), metrics.DefaultOptions()); err != nil {
		return nil, nil, err
	}
	low, err = metrics.Evaluate(set.GroundTruth(), dets, metrics.DefaultOptions())
	return atScore, low, err
}
