package detector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"

	"focalgrid/box"
	"focalgrid/coco"
	"focalgrid/dataset"
	"focalgrid/engine"
	"focalgrid/experiments/plan"
	"focalgrid/guard"
	"focalgrid/metrics"
)

// EvalBatch is the number of images evaluated at once; results do not depend on it.
const EvalBatch = 10

// Detect runs the detector over the loader's images in the order of Loader.Eval and returns COCO detections in original
// pixels, down to eval.low_score, under the category ids of the set, which is labelled by the detector's classes. It
// calls each with the number of images done.
func (d *Detector) Detect(ctx context.Context, loader *dataset.Loader, set *dataset.Set, each func(done int)) ([]coco.Detection, error) {
	var out []coco.Detection
	for first := 0; ; {
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
		first += b.N
		each(first)
	}
}

// Infer detects on a batch and returns each image's detections in pixels of the network's input.
func (d *Detector) Infer(b *dataset.Batch) ([][]box.Detection, error) {
	net, predicted, err := d.forward(b, Remote(d.engine))
	if err != nil {
		return nil, err
	}
	out := make([][]box.Detection, b.N)
	errs := make([]error, b.N)
	guard.Each(b.N, func(i int) {
		it, p := &b.Items[i], predicted.Image(i, b.N)
		out[i], errs[i] = box.Postprocess(p, d.priorsOf(net, p), d.parts.Coder, it.NetWidth, it.NetHeight, d.parts.Post)
		if errs[i] != nil {
			errs[i] = fmt.Errorf("image %d: %w", it.ID, errs[i])
		}
	})
	return out, errors.Join(errs...)
}

// topRows names the indices of the predictions that a network of size.top hands out.
const topRows = "rows"

// top leaves the predictions of the priors that detections can come from: Postprocess takes no more pairs of prior and
// class of a level than eval.topk, which all lie among as many priors with the largest logits.
func (d *Detector) top(g *engine.Graph, predictions []*engine.Node, levels []int) []*engine.Node {
	rows := g.Named(g.TopRows(g.Node("class"), d.parts.Post.TopK, levels...), topRows)
	out := []*engine.Node{rows}
	for _, p := range predictions {
		out = append(out, g.Named(g.Gather(p, rows), topRows+" "+p.Name))
	}
	return out
}

// priorsOf returns the priors of an image's predictions.
func (d *Detector) priorsOf(net *network, p box.Predicted) box.Priors {
	rows := p[topRows]
	if rows == nil {
		return net.priors.Priors
	}
	out := box.Priors{}
	for _, r := range rows {
		out.Boxes = append(out.Boxes, net.priors.Boxes[int(r)])
	}
	for _, n := range net.priors.Levels {
		out.Levels = append(out.Levels, min(n, d.parts.Post.TopK))
	}
	return out
}

// forward runs the network over a batch. The predictions are valid until the network's next batch. With top they are
// those of some priors, see priorsOf.
func (d *Detector) forward(b *dataset.Batch, top bool) (*network, box.Predicted, error) {
	// A short batch runs beside empty images.
	z := size{n: EvalBatch, h: b.H, w: b.W, bytes: b.Bytes != nil, top: top}
	net, err := d.network(z)
	if err != nil {
		return nil, nil, err
	}
	feeds := z.imageFeeds(b)
	maps.Copy(feeds, net.feeds)
	v, err := net.session.Forward(feeds)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", z, err)
	}
	predicted := box.Predicted{}
	for name, x := range v {
		predicted[strings.TrimPrefix(name, topRows+" ")] = x[:len(x)/EvalBatch*b.N]
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
